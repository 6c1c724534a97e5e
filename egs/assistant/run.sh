#!/usr/bin/env bash
# A voice assistant from nothing: espeak-ng speaks its commands with some two hundred voices in noise; a recogniser is
# trained on that, and tested on sentences, voices and accents that it never met. No download beyond the packages.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option grammar_file "$recipe/conf/grammar.yaml" "what can be said; words need a pronunciation in local/dict/lexicon.txt"
option train_sentences 1500 "spoken to train on; more take longer and help a little"
option dev_sentences 100 "to choose the LM weight on"
option test_sentences 300 "to score; fewer say less"
option contacts 300 "sentences with people's names to train on besides; 0: none, and no slot of names at the end"
option test_contacts 200 "sentences with names never met, to score"
option lm_sentences 20000 "drawn from the grammar for the language model"
option models mono,tri1,tri2b,chain \
  "models to train and decode, with commas; each needs those before it; tri3b, adapted to its speakers, takes minutes more"
option garbage "" "shares of speech outside to reject with, with commas, e.g. 0.9,0.99,0.999: a minute each; none: not tried"
option mono_utterances 500 "the shortest, which are easiest to align from a flat start"
lm_weights=5:20 chain_lm_weights=0.4,0.6,0.8,1,1.2,1.5,2
start "$@"
. "$root/scripts/ladder.sh"
. "$root/scripts/chain.sh"
IFS=, read -ra names <<< "$models"
IFS=, read -ra unadapted <<< "${models%,tri3b}"
best=${unadapted[-1]}  # for a file of the user's own, of whose speaker there is nothing else
spoken=data/names dict=data/names/dict
[ "$contacts" != 0 ] || spoken=data/text dict=$recipe/local/dict
speak() { # SET TEXT VOICES
  step "synth_$1" --in "${2%/*}" --in "$recipe/conf/voices_$3.yaml" --out "data/$1" -- \
    hybrid synth corpus --text "$2" --config "$recipe/conf/voices_$3.yaml" --out-dir "data/$1" --jobs "$jobs"
}
careful=$best  # what rejects: LF-MMI scores any phones nearly as well as the right ones, GMMs do not
for model in "${unadapted[@]}"; do is_network "$model" || careful=$model; done
wanted() { [[ ,$models, == *,$1,* ]]; }

if stage 1 "Draw sentences from the grammar; those of dev and test are in no other set."; then
  step text --in "$grammar_file" --in "$recipe/local/dict/lexicon.txt" --out data/text -- \
    python "$recipe/local/sentences.py" --grammar "$grammar_file" --lexicon "$recipe/local/dict/lexicon.txt" \
    --out-dir data/text --train "$train_sentences" --lm "$lm_sentences" --dev "$dev_sentences" --test "$test_sentences"
  [ "$contacts" = 0 ] || step names --in data/text --in "$recipe/local/names" --in "$recipe/local/dict" --out data/names -- \
    python "$recipe/local/contacts.py" --grammar "$grammar_file" --text data/text --dict-dir "$recipe/local/dict" \
    --names "$recipe/local/names" --out-dir data/names --train "$contacts" --test "$test_contacts"
fi

if stage 2 "Let espeak-ng speak them: other accents and voices for train, dev and test, with noise and speed."; then
  speak train "$spoken/train" train
  for set in dev test; do speak "$set" "data/text/$set" "$set"; done
  [ "$contacts" = 0 ] || speak contacts data/names/contacts test
fi

if stage 3 "Extract MFCCs."; then mfcc train dev test; fi

if stage 4 "Make the lang folder, and a trigram of the grammar's sentences."; then
  step lang --in "$dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$dict" --oov "<UNK>" --out-dir data/lang
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

if wanted chain && stage 9 "A small TDNN-F by LF-MMI, on features whose frequencies are warped anew in each epoch."; then
  hires train dev test
  ali= chain_parts tri2b 400 300
  chain_train chain exp/hires/train
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

if [ "$contacts" != 0 ] && stage 13 "Act on commands with names never met: lists of people fill a place in a grammar when it is used."; then
  step commands --in "$grammar_file" --out data/commands.gram -- \
    python "$recipe/local/commands.py" --grammar "$grammar_file" --open name=CONTACT --out data/commands.gram
  step graph_contacts --in "exp/$best" --in data/lang --in data/commands.gram --out "exp/$best/graph_contacts" -- \
    hybrid graph build --model "exp/$best" --lang data/lang --grammar data/commands.gram --slot CONTACT \
    --out-dir "exp/$best/graph_contacts"
  said=()
  for list in none 50 1000 10000; do
    fill=(--fill "CONTACT=data/names/list_$list.txt")
    [ "$list" != none ] || fill=()
    step "decode_contacts_$list" --in "exp/$best/graph_contacts" --in data/contacts --in data/names \
      --out "exp/$best/contacts_$list" -- hybrid decode --model "exp/$best" --graph "exp/$best/graph_contacts" \
      --cuts data/contacts "${fill[@]}" --written --format json --out-dir "exp/$best/contacts_$list" --jobs "$jobs"
    said+=("$list=exp/$best/contacts_$list")
  done
  python "$recipe/local/slots.py" --asked data/names/contacts.tsv --out exp/contacts.tsv "${said[@]}"
fi

if [ -n "$garbage" ] && stage 14 "Reject what is outside a grammar of three domains: the setting is chosen on one half of the test."; then
  step inside --in "$grammar_file" --out data/inside.gram -- \
    python "$recipe/local/commands.py" --grammar "$grammar_file" --domains timers,contacts,music --out data/inside.gram
  said=()
  for share in ${garbage//,/ }; do
    step "graph_garbage_$share" --in "exp/$careful" --in data/lang --in data/inside.gram --out "exp/$careful/graph_garbage_$share" -- \
      hybrid graph build --model "exp/$careful" --lang data/lang --grammar data/inside.gram --garbage "$share" \
      --out-dir "exp/$careful/graph_garbage_$share"
    step "decode_garbage_$share" --in "exp/$careful/graph_garbage_$share" --in data/test --out "exp/$careful/garbage_$share" -- \
      hybrid decode --model "exp/$careful" --graph "exp/$careful/graph_garbage_$share" --cuts data/test \
      --out-dir "exp/$careful/garbage_$share" --jobs "$jobs"
    said+=("$share=exp/$careful/garbage_$share")
  done
  python "$recipe/local/rejection.py" --grammar data/inside.gram --asked data/text/test --out exp/rejection.tsv "${said[@]}"
fi
