#!/usr/bin/env bash
# LibriSpeech, or pieces of it: the ladder of GMMs from a flat start to speaker-adaptive training, with a pruned trigram.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"
corpora=$root/../shared/corpora

option corpus_dir "$(first_of "$corpora/LibriSpeech" download/LibriSpeech)" \
  "holds train-clean-100, dev-clean, …; downloaded (6.7 GB) if it is not there"
option cmudict "$(first_of "$corpora/cmudict/cmudict.dict" download/cmudict.dict)" "pronunciations (cmudict.dict)"
option lm_text "$(first_of "$corpora/text" download/text)" \
  "text file, a sentence a line, or folder of transcripts (*.txt, with utterance ids) and books (books/*.txt)"
option train_set train-clean-100 "part to train on"
option test_sets dev-clean "parts to decode, with commas; the first also chooses LM weight and penalty"
option mono_utterances 300 "the shortest, which are easiest to align from a flat start"
option rungs mono,tri1,tri2b,tri3b "models to train and decode, with commas; each needs those before it"
option num_gaussians 1000 "of the monophone model"
option boost_silence 1.25 "so that pauses inside utterances are found early (mono, tri1)"
option lm_weights 7:17 "swept; acoustic scale is 1 / weight"
option penalties 0,0.5,1 "word insertion penalties, swept"
option compare_dir "$(first_of "$root/../shared/peers/hyps" "")" \
  "other systems' words (mono.dev-clean.txt) for paired tests; none if empty"
start "$@"
IFS=, read -ra sets <<< "$test_sets"
IFS=, read -ra models <<< "$rungs"
wanted() { [[ ,$rungs, == *,$1,* ]]; }

if stage 1 "Get the corpus and write the manifest of each part."; then
  [ -d "$corpus_dir" ] || step download --out "$corpus_dir" -- \
    hybrid data download librispeech --part "$train_set" "${sets[@]/#/--part=}" --out-dir download
  for file in "$cmudict" "$lm_text"; do
    [ -e "$file" ] || fail "$file is missing. Give --cmudict (github.com/cmusphinx/cmudict) and --lm-text" \
      "(any text; openslr.org/11 has librispeech-lm-norm.txt.gz)."
  done
  for set in "$train_set" "${sets[@]}"; do
    step "data_$set" --in "$corpus_dir/$set" --out "data/$set" -- \
      hybrid data librispeech --corpus-dir "$corpus_dir" --part "$set" --out-dir data
  done
fi

if stage 2 "Extract MFCCs."; then
  for set in "$train_set" "${sets[@]}"; do
    step "feats_$set" --in "data/$set" --in "$recipe/conf/mfcc.yaml" --out "exp/feats/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc.yaml" --out-dir "exp/feats/$set" --jobs "$jobs"
  done
fi

if stage 3 "Normalise the LM text, choose the vocabulary, make the lang folder."; then
  step lm_text --in "$lm_text" --in "$cmudict" --out data/lm_text -- \
    python "$recipe/local/lm_text.py" --source "$lm_text" --cmudict "$cmudict" --out-dir data/lm_text
  step dict --in data/lm_text --in "$cmudict" --out data/dict -- \
    hybrid lang cmudict --cmudict "$cmudict" --vocabulary data/lm_text/vocab.txt --out-dir data/dict
  step lang --in data/dict --out data/lang -- \
    hybrid lang prepare --dict-dir data/dict --oov "<UNK>" --out-dir data/lang
fi

if stage 4 "Train the trigram, singletons pruned, and make G."; then
  step lm_tg --in data/lm_text --out data/tg.arpa.gz -- \
    hybrid lm train data/lm_text/text.txt --order 3 --prune 0,0,1 \
    --vocabulary data/lm_text/vocab.txt --out data/tg.arpa.gz
  step grammar --in data/tg.arpa.gz --in data/lang --out data/G_tg.fst -- \
    hybrid lm fst data/tg.arpa.gz --lang data/lang --out data/G_tg.fst
fi

if stage 5 "Train the monophone model on the shortest utterances."; then
  step mono --in "exp/feats/$train_set" --in data/lang --out exp/mono -- \
    hybrid gmm train-mono --feats "exp/feats/$train_set" --lang data/lang --subset-shortest "$mono_utterances" \
    --boost-silence "$boost_silence" --total-gaussians "$num_gaussians" --out-dir exp/mono --jobs "$jobs"
fi

train=(--feats "exp/feats/$train_set" --lang data/lang --jobs "$jobs")
trained=(--in "exp/feats/$train_set" --in data/lang)
align() { # MODEL COMMAND [OPTION …]: the whole training set
  step "ali_$1" "${trained[@]}" --in "exp/$1" --out "exp/$1_ali" -- \
    hybrid gmm "$2" --model "exp/$1" "${train[@]}" --out-dir "exp/$1_ali" "${@:3}"
}
climb() { # COMMAND FROM TO LEAVES GAUSSIANS [OPTION …]
  step "$3" "${trained[@]}" --in "exp/$2" --in "exp/$2_ali" --out "exp/$3" -- \
    hybrid gmm "$1" --model "exp/$2" --ali "exp/$2_ali" "${train[@]}" --max-leaves "$4" --total-gaussians "$5" \
    --out-dir "exp/$3" "${@:6}"
}

if wanted tri1 && stage 6 "Triphones on deltas."; then
  align mono align --boost-silence "$boost_silence"
  climb train-deltas mono tri1 1500 8000 --boost-silence "$boost_silence"
fi

if wanted tri2b && stage 7 "Triphones on LDA and MLLT over seven frames."; then
  align tri1 align
  climb train-lda-mllt tri1 tri2b 2000 12000 --splice-left 3 --splice-right 3
fi

if wanted tri3b && stage 8 "Speaker-adaptive training with fMLLR."; then
  align tri2b align
  climb train-sat tri2b tri3b 2000 12000
  align tri3b align-fmllr
fi

if stage 9 "Compile the decoding graphs."; then
  for model in "${models[@]}"; do
    step "graph_$model" --in "exp/$model" --in data/lang --in data/G_tg.fst --out "exp/$model/graph_tg" -- \
      hybrid graph compile --model "exp/$model" --lang data/lang --grammar data/G_tg.fst --out-dir "exp/$model/graph_tg"
  done
fi

if stage 10 "Decode (max-active 7000, beam 13, lattice beam 6); tri3b in two passes of fMLLR."; then
  for model in "${models[@]}"; do for set in "${sets[@]}"; do
    command=(decode); [ "$model" != tri3b ] || command=(gmm decode-fmllr --lang data/lang)
    step "decode_${model}_$set" --in "exp/$model" --in "exp/$model/graph_tg" --in "exp/feats/$set" \
      --out "exp/$model/decode_tg_$set" -- hybrid "${command[@]}" --model "exp/$model" --graph "exp/$model/graph_tg" \
      --feats "exp/feats/$set" --max-active 7000 --beam 13 --lattice-beam 6 --out-dir "exp/$model/decode_tg_$set" --jobs "$jobs"
  done; done
fi

if stage 11 "Score; sweep LM weight and insertion penalty on the first set and apply them to the others."; then
  for model in "${models[@]}"; do for set in "${sets[@]}"; do
    extra=() peer="$compare_dir/$model.$set.txt" decoded="exp/$model/decode_tg_$set" scored="exp/$model/score_tg_$set"
    [ "$set" = "${sets[0]}" ] || extra+=(--tune-ref "data/${sets[0]}" --tune-lattices "exp/$model/decode_tg_${sets[0]}")
    [ ! -f "$peer" ] || extra+=(--compare "$peer")
    step "score_${model}_$set" --in "data/$set" --in "$decoded" --out "$scored" -- \
      hybrid score sweep --ref "data/$set" --lattices "$decoded" --words "exp/$model/graph_tg/words.txt" \
      --lm-weights "$lm_weights" --penalties "$penalties" "${extra[@]}" --out-dir "$scored" --jobs "$jobs" \
      --results exp/results.tsv --system "$model" --set "$set" --lm tg --cost "exp/steps/decode_${model}_$set.json"
  done; done
  hybrid score table exp/results.tsv
fi
