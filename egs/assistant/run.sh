#!/usr/bin/env bash
# A voice assistant from nothing: espeak-ng speaks its commands with some two hundred voices in noise; a recogniser is
# trained on that, and tested on sentences, voices and accents that it never met. No download beyond the packages.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option grammar_file "$recipe/conf/grammar.yaml" "what can be said; words need a pronunciation in local/dict/lexicon.txt"
option train_sentences 1500 "spoken to train on; more take longer and help a little"
option lm_sentences 20000 "drawn from the grammar for the language model"
option num_gaussians 1500 "of the monophone model; more than 1000 because voices differ much"
start "$@"

if stage 1 "Draw sentences from the grammar; those of dev and test are in no other set."; then
  step text --in "$grammar_file" --in "$recipe/local/dict/lexicon.txt" --out data/text -- \
    python "$recipe/local/sentences.py" --grammar "$grammar_file" --lexicon "$recipe/local/dict/lexicon.txt" \
    --out-dir data/text --train "$train_sentences" --lm "$lm_sentences"
fi

if stage 2 "Let espeak-ng speak them: other accents and voices for train, dev and test, with noise and speed."; then
  for set in train dev test; do
    step "synth_$set" --in data/text --in "$recipe/conf/voices_$set.yaml" --out "data/$set" -- \
      hybrid synth corpus --text "data/text/$set" --config "$recipe/conf/voices_$set.yaml" --out-dir "data/$set" --jobs "$jobs"
  done
fi

if stage 3 "Extract MFCCs."; then
  for set in train dev test; do
    step "feats_$set" --in "data/$set" --in "$recipe/conf/mfcc.yaml" --out "exp/feats/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc.yaml" --out-dir "exp/feats/$set" --jobs "$jobs"
  done
fi

if stage 4 "Make the lang folder, and a trigram of the grammar's sentences."; then
  step lang --in "$recipe/local/dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$recipe/local/dict" --oov "<UNK>" --out-dir data/lang
  step lm --in data/text --out data/lm.arpa.gz -- \
    hybrid lm train data/text/lm.txt --order 3 --vocabulary data/text/vocab.txt --out data/lm.arpa.gz
  step grammar --in data/lm.arpa.gz --in data/lang --out data/G.fst -- \
    hybrid lm fst data/lm.arpa.gz --lang data/lang --out data/G.fst
fi

if stage 5 "Train the monophone model from a flat start; every utterance is normalised by itself, as a user's file is."; then
  step mono --in exp/feats/train --in data/lang --out exp/mono -- \
    hybrid gmm train-mono --feats exp/feats/train --lang data/lang --cmvn utterance \
    --total-gaussians "$num_gaussians" --out-dir exp/mono --jobs "$jobs"
fi

if stage 6 "Compile the decoding graph."; then
  step graph --in exp/mono --in data/lang --in data/G.fst --out exp/mono/graph -- \
    hybrid graph compile --model exp/mono --lang data/lang --grammar data/G.fst --out-dir exp/mono/graph
fi

if stage 7 "Decode dev and test."; then
  for set in dev test; do
    step "decode_$set" --in exp/mono --in exp/mono/graph --in "exp/feats/$set" --out "exp/mono/decode_$set" -- \
      hybrid decode --model exp/mono --graph exp/mono/graph --feats "exp/feats/$set" \
      --out-dir "exp/mono/decode_$set" --jobs "$jobs"
  done
fi

if stage 8 "Score: LM weight and insertion penalty are chosen on dev."; then
  step score --in data/test --in exp/mono/decode_dev --in exp/mono/decode_test --out exp/mono/score_test -- \
    hybrid score sweep --ref data/test --lattices exp/mono/decode_test --words exp/mono/graph/words.txt \
    --tune-ref data/dev --tune-lattices exp/mono/decode_dev --lm-weights 5:20 --penalties 0,0.5,1 \
    --out-dir exp/mono/score_test --jobs "$jobs" \
    --results exp/results.tsv --system mono --set test --lm tg --cost exp/steps/decode_test.json
  python "$recipe/local/summary.py" --decode exp/mono/decode_test --score exp/mono/score_test --data data/test \
    --model exp/mono --graph exp/mono/graph
fi
