#!/usr/bin/env bash
# yesno: one speaker says YES or NO (in Hebrew) eight times a recording, 8 kHz. A few minutes.
# The recordings are split by alternate files, 30 to train and 30 to test, as lhotse's recipe does.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option corpus_dir "$(first_of "$root/../shared/corpora/waves_yesno" download/waves_yesno)" \
  "holds the 60 recordings; downloaded if it is not there"
option models mono,tri1,tri2b,tri3b,chain "models to train and decode, with commas; each needs those before it"
option num_gaussians 400 "of each model; six minutes of speech hold no more"
option lm_weights 7:17 "swept on the test set, as Kaldi's recipes do; acoustic scale is 1 / weight"
option chain_lm_weights 0.3,0.4,0.5,0.7,0.9,1.1,1.5 "swept likewise for the network"
option penalties 0,0.5,1 "word insertion penalties, swept likewise"
start "$@"
. "$root/scripts/ladder.sh"
. "$root/scripts/chain.sh"
IFS=, read -ra names <<< "$models"
wanted() { [[ ,$models, == *,$1,* ]]; }

if stage 1 "Get the corpus and write its manifests."; then
  [ -d "$corpus_dir" ] || step download --out "$corpus_dir" -- hybrid data download yesno --out-dir download
  step data --in "$corpus_dir" --out data/train --out data/test -- \
    hybrid data yesno --corpus-dir "$corpus_dir" --out-dir data
fi

if stage 2 "Extract MFCCs."; then mfcc train test; fi

if stage 3 "Make the lang folder, one phone a word, and the grammar: either word again and again."; then
  step lang --in "$recipe/local/dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$recipe/local/dict" --oov "<UNK>" --no-position-dependent-phones --out-dir data/lang
  step grammar --in "$recipe/conf/unigram.arpa" --in data/lang --out data/G_yes-no.fst -- \
    hybrid lm fst "$recipe/conf/unigram.arpa" --lang data/lang --out data/G_yes-no.fst
fi

ladder exp/feats/train
if wanted mono && stage 4 "Train the monophone model from a flat start."; then
  flat_start --total-gaussians "$num_gaussians"
fi

if wanted tri1 && stage 5 "Triphones on deltas: with two words, what a word's neighbours are."; then
  ali= climb tri1 train-deltas mono 50 "$num_gaussians"
fi

if wanted tri2b && stage 6 "Triphones on LDA and MLLT."; then
  ali= climb tri2b train-lda-mllt tri1 50 "$num_gaussians"
fi

if wanted tri3b && stage 7 "Speaker-adaptive training with fMLLR; with one speaker, another linear transform."; then
  ali= climb tri3b train-sat tri2b 50 "$num_gaussians"
fi

if wanted chain && stage 8 "A small TDNN-F by LF-MMI, on the audio at three speeds."; then
  hires test
  ali= chain_parts tri2b 50 50
  chain_train chain data/train
fi

if stage 9 "Compile the decoding graphs."; then
  for model in "${names[@]}"; do graph "$model" yes-no; done
fi

if stage 10 "Decode the test set."; then
  for model in "${names[@]}"; do decode "$model" yes-no test "$(features_of "$model" test)"; done
fi

if stage 11 "Score."; then
  for model in "${names[@]}"; do
    score "$model" yes-no test data/test --lm-weights "$(weights_of "$model")" --penalties "$penalties"
  done
  hybrid score table exp/results.tsv
fi
