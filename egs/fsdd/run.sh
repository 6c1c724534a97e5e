#!/usr/bin/env bash
# Free Spoken Digit Dataset: ten digits, six speakers, 8 kHz. A few minutes on two cores.
# Decodes the test set (takes 0-4) as a loop of digits, any number of them, and as exactly one digit.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option corpus_dir "$(first_of "$root/../shared/corpora/fsdd" download/fsdd)" \
  "holds recordings/; downloaded if it is not there"
option num_gaussians 1000 "of the monophone model; for ten words more do not help"
option lm_weights 7:17 "swept on the test set, as Kaldi's recipes do; acoustic scale is 1 / weight"
option penalties 0,0.5,1 "word insertion penalties, swept likewise"
start "$@"
digits=(ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE)

if stage 1 "Get the corpus and write its manifests: train (takes 5 and up) and test (takes 0-4)."; then
  [ -d "$corpus_dir" ] || step download --out "$corpus_dir" -- hybrid data download fsdd --out-dir download
  step data --in "$corpus_dir/recordings" --out data/train --out data/test -- \
    hybrid data fsdd --corpus-dir "$corpus_dir" --out-dir data
fi

if stage 2 "Extract MFCCs."; then
  for set in train test; do
    step "feats_$set" --in "data/$set" --in "$recipe/conf/mfcc.yaml" --out "exp/feats/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc.yaml" --out-dir "exp/feats/$set" --jobs "$jobs"
  done
fi

if stage 3 "Make the lang folder from CMUdict's pronunciations, and the grammars: loop and single digit."; then
  step lang --in "$recipe/local/dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$recipe/local/dict" --oov "<UNK>" --out-dir data/lang
  for kind in loop single; do
    step "grammar_$kind" --in data/lang --out "data/G_$kind.fst" -- \
      python "$recipe/local/grammar.py" --kind "$kind" --words data/lang/words.txt --out "data/G_$kind.fst" "${digits[@]}"
  done
fi

if stage 4 "Train the monophone model from a flat start."; then
  step mono --in exp/feats/train --in data/lang --out exp/mono -- \
    hybrid gmm train-mono --feats exp/feats/train --lang data/lang --total-gaussians "$num_gaussians" \
    --out-dir exp/mono --jobs "$jobs"
fi

if stage 5 "Compile a decoding graph for each grammar."; then
  for kind in loop single; do
    step "graph_$kind" --in exp/mono --in data/lang --in "data/G_$kind.fst" --out "exp/mono/graph_$kind" -- \
      hybrid graph compile --model exp/mono --lang data/lang --grammar "data/G_$kind.fst" --out-dir "exp/mono/graph_$kind"
  done
fi

if stage 6 "Decode the test set."; then
  for kind in loop single; do
    step "decode_$kind" --in exp/mono --in "exp/mono/graph_$kind" --in exp/feats/test --out "exp/mono/decode_$kind" -- \
      hybrid decode --model exp/mono --graph "exp/mono/graph_$kind" --feats exp/feats/test \
      --out-dir "exp/mono/decode_$kind" --jobs "$jobs"
  done
fi

if stage 7 "Score."; then
  for kind in loop single; do
    step "score_$kind" --in data/test --in "exp/mono/decode_$kind" --out "exp/mono/score_$kind" -- \
      hybrid score sweep --ref data/test --lattices "exp/mono/decode_$kind" --words "exp/mono/graph_$kind/words.txt" \
      --lm-weights "$lm_weights" --penalties "$penalties" --out-dir "exp/mono/score_$kind" --jobs "$jobs" \
      --results exp/results.tsv --system mono --set test --lm "$kind" --cost "exp/steps/decode_$kind.json"
  done
  hybrid score table exp/results.tsv
fi
