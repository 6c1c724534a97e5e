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
option models mono,tri1,tri2b,tri3b,sp,chain \
  "to train and decode, with commas; each needs those before it; sp is tri3b with a new lexicon, chain a TDNN-F by LF-MMI"
option num_gaussians 1000 "of the monophone model"
option boost_silence 1.25 "so that pauses inside utterances are found early (mono, tri1)"
option lm_weights 7:17 "swept; acoustic scale is 1 / weight"
option chain_lm_weights 0.6,0.8,0.9,1,1.1,1.2,1.3,1.4,1.6,1.8 "swept for networks"
option penalties 0,0.5,1 "word insertion penalties, swept"
option compare_dir "$(first_of "$root/../shared/peers/hyps" "")" \
  "other systems' words (mono.dev-clean.txt) for paired tests; none if empty"
start "$@"
. "$root/scripts/ladder.sh"
. "$root/scripts/chain.sh"
IFS=, read -ra sets <<< "$test_sets"
IFS=, read -ra names <<< "$models"
wanted() { [[ ,$models, == *,$1,* ]]; }

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

ladder "exp/feats/$train_set"
if wanted mono && stage 5 "Train the monophone model on the shortest utterances."; then
  flat_start --subset-shortest "$mono_utterances" --boost-silence "$boost_silence" --total-gaussians "$num_gaussians"
fi

if wanted tri1 && stage 6 "Triphones on deltas."; then
  align mono --boost-silence "$boost_silence"
  climb tri1 train-deltas mono 1500 8000 --boost-silence "$boost_silence"
fi

if wanted tri2b && stage 7 "Triphones on LDA and MLLT over seven frames."; then
  align tri1
  climb tri2b train-lda-mllt tri1 2000 12000 --splice-left 3 --splice-right 3
fi

if wanted tri3b && stage 8 "Speaker-adaptive training with fMLLR."; then
  align tri2b
  climb tri3b train-sat tri2b 2000 12000
  align tri3b
fi

if wanted sp && stage 9 "Count in tri3b's alignments how words are pronounced and where pauses are."; then
  step lang_sp --in data/dict --in data/lang --in exp/tri3b_ali --out data/lang_sp -- \
    hybrid lang add-probs --dict-dir data/dict --lang data/lang --model exp/tri3b --ali exp/tri3b_ali \
    --feats "exp/feats/$train_set" --out-dict data/dict_sp --out-lang data/lang_sp
fi

if wanted chain && stage 10 "Tree, denominator and supervision from tri3b's alignments; a TDNN-F by LF-MMI at three speeds."; then
  hires "${sets[@]}"
  chain_parts tri3b 1200 500
  chain_train chain "data/$train_set"
fi

# What is decoded: model and graph.
targets=()
for model in "${names[@]}"; do
  if [ "$model" = sp ]; then targets+=("tri3b tg_sp"); else targets+=("$model tg"); fi
done

if stage 11 "Compile the decoding graphs."; then
  for model in "${names[@]}"; do
    if [ "$model" = sp ]; then graph tri3b tg data/lang_sp; else graph "$model" tg; fi
  done
fi

if stage 12 "Decode (max-active 7000, beam 13, lattice beam 6); tri3b in two passes of fMLLR."; then
  for target in "${targets[@]}"; do for set in "${sets[@]}"; do
    decode $target "$set" "$(features_of "${target% *}" "$set")" --max-active 7000 --beam 13 --lattice-beam 6
  done; done
fi

if stage 13 "Score; sweep LM weight and insertion penalty on the first set and apply them to the others."; then
  for target in "${targets[@]}"; do for set in "${sets[@]}"; do
    extra=() model=${target% *} peer="$compare_dir/${target% *}.$set.txt"
    [ "$set" = "${sets[0]}" ] ||
      extra+=(--tune-ref "data/${sets[0]}" --tune-lattices "exp/$model/decode_${target#* }_${sets[0]}")
    [ ! -f "$peer" ] || extra+=(--compare "$peer")
    score $target "$set" "data/$set" --lm-weights "$(weights_of "$model")" --penalties "$penalties" "${extra[@]}"
  done; done
  hybrid score table exp/results.tsv
fi
