#!/usr/bin/env bash
# A voice assistant from nothing: espeak-ng speaks its commands with some two hundred voices in noise; a recogniser is
# trained on that, and tested on sentences, voices and accents that it never met. No download beyond the packages.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option grammar_file "$recipe/conf/grammar.yaml" "what can be said; words need a pronunciation in local/dict/lexicon.txt"
option train_sentences 1500 "spoken to train on; more take longer and help a little"
option lm_sentences 20000 "drawn from the grammar for the language model"
option models mono,tri1,tri2b,chain \
  "models to train and decode, with commas; each needs those before it; tri3b, adapted to its speakers, takes minutes more"
option mono_utterances 500 "the shortest, which are easiest to align from a flat start"
lm_weights=5:20 chain_lm_weights=0.4,0.6,0.8,1,1.2,1.5,2
start "$@"
. "$root/scripts/ladder.sh"
. "$root/scripts/chain.sh"
IFS=, read -ra names <<< "$models"
IFS=, read -ra unadapted <<< "${models%,tri3b}"
best=${unadapted[-1]}  # for a file of the user's own, of whose speaker there is nothing else
wanted() { [[ ,$models, == *,$1,* ]]; }

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

if stage 3 "Extract MFCCs."; then mfcc train dev test; fi

if stage 4 "Make the lang folder, and a trigram of the grammar's sentences."; then
  step lang --in "$recipe/local/dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$recipe/local/dict" --oov "<UNK>" --out-dir data/lang
  step lm --in data/text --out data/lm.arpa.gz -- \
    hybrid lm train data/text/lm.txt --order 3 --vocabulary data/text/vocab.txt --out data/lm.arpa.gz
  step grammar --in data/lm.arpa.gz --in data/lang --out data/G_tg.fst -- \
    hybrid lm fst data/lm.arpa.gz --lang data/lang --out data/G_tg.fst
fi

ladder exp/feats/train
schedule=(--num-passes 15 --last-mix-up-pass 10)  # short, for the ten minutes; all passes gain little on so regular speech
if wanted mono && stage 5 "Monophones from a flat start; every utterance is normalised by itself, as a user's file is."; then
  flat_start --subset-shortest "$mono_utterances" --cmvn utterance --total-gaussians 1000 --num-passes 20 --last-mix-up-pass 15
fi

if wanted tri1 && stage 6 "Triphones on deltas."; then
  align mono
  climb tri1 train-deltas mono 600 3000 "${schedule[@]}"
fi

if wanted tri2b && stage 7 "Triphones on LDA and MLLT."; then
  ali= climb tri2b train-lda-mllt tri1 600 4000 "${schedule[@]}"
fi

if wanted tri3b && stage 8 "Speaker-adaptive training with fMLLR."; then
  ali= climb tri3b train-sat tri2b 600 4000 "${schedule[@]}"
fi

if wanted chain && stage 9 "A small TDNN-F by LF-MMI, on the audio at three speeds."; then
  hires dev test
  ali= chain_parts tri2b 400 300
  chain_train chain data/train
fi

if stage 10 "Compile the decoding graphs."; then
  for model in "${names[@]}"; do graph "$model" tg; done
fi

if stage 11 "Decode dev and test; tri3b in two passes of fMLLR."; then
  for model in "${names[@]}"; do for set in dev test; do decode "$model" tg "$set" "$(features_of "$model" "$set")"; done; done
fi

if stage 12 "Score: LM weight and insertion penalty are chosen on dev."; then
  for model in "${names[@]}"; do
    score "$model" tg test data/test --tune-ref data/dev --tune-lattices "exp/$model/decode_tg_dev" \
      --lm-weights "$(weights_of "$model")" --penalties 0,0.5,1
  done
  hybrid score table exp/results.tsv
  python "$recipe/local/summary.py" --decode "exp/$best/decode_tg_test" --score "exp/$best/score_tg_test" --data data/test \
    --model "exp/$best" --graph "exp/$best/graph_tg"
fi
