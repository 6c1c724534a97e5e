#!/usr/bin/env bash
# yesno: one speaker says YES or NO (in Hebrew) eight times a recording, 8 kHz. A minute or two.
# The recordings are split by alternate files, 30 to train and 30 to test, as lhotse's recipe does.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option corpus_dir "$(first_of "$root/../shared/corpora/waves_yesno" download/waves_yesno)" \
  "holds the 60 recordings; downloaded if it is not there"
option num_gaussians 400 "of the monophone model; six minutes of speech hold no more"
option lm_weights 7:17 "swept on the test set, as Kaldi's recipes do; acoustic scale is 1 / weight"
option penalties 0,0.5,1 "word insertion penalties, swept likewise"
start "$@"

if stage 1 "Get the corpus and write its manifests."; then
  [ -d "$corpus_dir" ] || step download --out "$corpus_dir" -- hybrid data download yesno --out-dir download
  step data --in "$corpus_dir" --out data/train --out data/test -- \
    hybrid data yesno --corpus-dir "$corpus_dir" --out-dir data
fi

if stage 2 "Extract MFCCs."; then
  for set in train test; do
    step "feats_$set" --in "data/$set" --in "$recipe/conf/mfcc.yaml" --out "exp/feats/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc.yaml" --out-dir "exp/feats/$set" --jobs "$jobs"
  done
fi

if stage 3 "Make the lang folder, one phone a word, and the grammar: either word again and again."; then
  step lang --in "$recipe/local/dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$recipe/local/dict" --oov "<UNK>" --no-position-dependent-phones --out-dir data/lang
  step grammar --in "$recipe/conf/unigram.arpa" --in data/lang --out data/G.fst -- \
    hybrid lm fst "$recipe/conf/unigram.arpa" --lang data/lang --out data/G.fst
fi

if stage 4 "Train the monophone model from a flat start."; then
  step mono --in exp/feats/train --in data/lang --out exp/mono -- \
    hybrid gmm train-mono --feats exp/feats/train --lang data/lang --total-gaussians "$num_gaussians" \
    --out-dir exp/mono --jobs "$jobs"
fi

if stage 5 "Compile the decoding graph."; then
  step graph --in exp/mono --in data/lang --in data/G.fst --out exp/mono/graph -- \
    hybrid graph compile --model exp/mono --lang data/lang --grammar data/G.fst --out-dir exp/mono/graph
fi

if stage 6 "Decode the test set."; then
  step decode --in exp/mono --in exp/mono/graph --in exp/feats/test --out exp/mono/decode_test -- \
    hybrid decode --model exp/mono --graph exp/mono/graph --feats exp/feats/test \
    --out-dir exp/mono/decode_test --jobs "$jobs"
fi

if stage 7 "Score."; then
  step score --in data/test --in exp/mono/decode_test --out exp/mono/score_test -- \
    hybrid score sweep --ref data/test --lattices exp/mono/decode_test --words exp/mono/graph/words.txt \
    --lm-weights "$lm_weights" --penalties "$penalties" --out-dir exp/mono/score_test --jobs "$jobs" \
    --results exp/results.tsv --system mono --set test --lm yes-no --cost exp/steps/decode.json
  hybrid score table exp/results.tsv
fi
