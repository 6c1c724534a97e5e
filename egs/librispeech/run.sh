#!/usr/bin/env bash
# LibriSpeech, or pieces of it: the ladder of GMMs from a flat start to speaker-adaptive training, networks on top, a pruned
# trigram. All 960 hours, on several GPUs: bash egs/librispeech/run.sh $(grep -v '^#' egs/librispeech/conf/960/options)
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"
corpora=$root/../shared/corpora

option corpus_dir "$(first_of "$corpora/LibriSpeech" download/LibriSpeech)" \
  "holds train-clean-100, dev-clean, …; several folders with commas; downloaded (6.7 GB) if it is not there"
option cmudict "$(first_of "$corpora/cmudict/cmudict.dict" download/cmudict.dict)" "pronunciations (cmudict.dict)"
option lm_text "$(first_of "$corpora/text" download/text)" \
  "text file, a sentence a line, or folder of transcripts (*.txt, with utterance ids) and books (books/*.txt)"
option train_set train-clean-100 "part to train GMMs on"
option network_sets "" "parts to train networks on, with commas, aligned by tri3b; none: the same part"
option test_sets dev-clean "parts to decode, with commas; the first also chooses LM weight and penalty"
option mono_utterances 300 "the shortest, which are easiest to align from a flat start"
option models mono,tri1,tri2b,tri3b,sp,chain "to train and decode, with commas, each after those before it. sp: tri3b with a new lexicon;
    chain: TDNN-F by LF-MMI on tri3b's alignments; chain_long: likewise, by AdamW; chain_fmllr: on its adapted
    features; joint: these together; conformer: as chain; flat: LF-MMI on texts alone; full_sum: on alignments of a posterior HMM that began
    with nothing; xent: cross-entropy; smbr: goes on from --smbr-from; NAME_sp: with it too"
option num_gaussians 1000 "of the monophone model"
option tri1 1500,8000 "leaves and Gaussians"
option tri2b 2000,12000 "likewise"
option tri3b 2000,12000 "likewise"
option boost_silence 1.25 "so that pauses inside utterances are found early (mono, tri1)"
option chain_leaves 1200 "of the networks' tree"
option ways_beam 20 "networks may hear pronunciations and pauses that are worse than tri3b's by at most so much; 0: its own"
option lm_states 500 "of the networks' phone LM, beside those of trigrams"
option smbr_from chain "network that goes on by sMBR: chain, chain_long, conformer or xent"
option conf_dir "$recipe/conf" "settings of the networks: chain.yaml, conformer.yaml, …"
option device cpu "of network training; cuda: a GPU for each process"
option processes 1 "of network training, by torchrun"
option lm_weights 7:17 "swept; acoustic scale is 1 / weight"
option chain_lm_weights 0.6,0.8,0.9,1,1.1,1.2,1.3,1.4,1.6,1.8 "swept for networks by LF-MMI"
option penalties 0,0.5,1 "word insertion penalties, swept"
option second_pass "" "models whose lattices a 4-gram, and with it a neural LM (conf/lstm_lm.yaml), score again, with commas"
option domain "" "models whose lattices gain by lists of rare words, and by an LM of each book's other chapters, with commas"
option compare_dir "$(first_of "$root/../shared/peers/hyps" "")" \
  "other systems' words (mono.dev-clean.txt) for paired tests; none if empty"
start "$@"
for part in ladder chain rescore domain; do . "$root/scripts/$part.sh"; done
IFS=, read -ra sets <<< "$test_sets"
IFS=, read -ra parts <<< "$train_set,${network_sets:-$train_set}"
all=${network_sets:+networks} && all=${all:-$train_set}  # what networks are trained on
wanted() { local name; for name in "$@"; do [[ ,$models, != *,$name,* && ,$models, != *,${name}_sp,* ]] || return 0; done; false; }
targets=()  # what is decoded: model and graph
for name in ${models//,/ }; do case $name in
  sp) targets+=("tri3b tg_sp") ;; *_sp) targets+=("${name%_sp} tg_sp") ;; *) targets+=("$name tg") ;; esac; done

if stage 1 "Get the corpus and write the manifest of each part."; then
  [ -d "$corpus_dir" ] || [[ $corpus_dir == *,* ]] || step download --out "$corpus_dir" -- \
    hybrid data download librispeech "${parts[@]/#/--part=}" "${sets[@]/#/--part=}" --out-dir download
  for file in "$cmudict" "$lm_text"; do
    [ -e "$file" ] || fail "$file is missing. Give --cmudict (github.com/cmusphinx/cmudict) and --lm-text" \
      "(any text; openslr.org/11 has librispeech-lm-norm.txt.gz)."
  done
  for set in "${parts[@]}" "${sets[@]}"; do
    step "data_$set" --in "$(holding "$set" "$corpus_dir")/$set" --out "data/$set" -- \
      hybrid data librispeech --corpus-dir "$(holding "$set" "$corpus_dir")" --part "$set" --out-dir data
  done
  [ "$all" = "$train_set" ] || step data_networks "${parts[@]/#/--in=data/}" --out data/networks -- \
    hybrid data combine data/${network_sets//,/ data/} --out-dir data/networks
fi
if stage 2 "Extract MFCCs."; then mfcc "$train_set" "${sets[@]}" "$all"; fi
if stage 3 "Normalise the LM text, choose the vocabulary, make the lang folder."; then
  step lm_text --in "$lm_text" --in "$cmudict" --out data/lm_text -- \
    python "$recipe/local/lm_text.py" --source "$lm_text" --cmudict "$cmudict" --out-dir data/lm_text
  step dict --in data/lm_text --in "$cmudict" --out data/dict -- \
    hybrid lang cmudict --cmudict "$cmudict" --vocabulary data/lm_text/vocab.txt --out-dir data/dict
  step lang --in data/dict --out data/lang -- \
    hybrid lang prepare --dict-dir data/dict --oov "<UNK>" --out-dir data/lang
fi
if stage 4 "Train the trigram, singletons pruned, and make G."; then lm tg 3 0,0,1; fi

ladder "exp/feats/$train_set"
if wanted mono && stage 5 "Train the monophone model on the shortest utterances."; then
  flat_start --subset-shortest "$mono_utterances" --boost-silence "$boost_silence" --total-gaussians "$num_gaussians"
fi

if wanted tri1 && stage 6 "Triphones on deltas."; then
  align mono --boost-silence "$boost_silence"
  climb tri1 train-deltas mono ${tri1/,/ } --boost-silence "$boost_silence"
fi

if wanted tri2b && stage 7 "Triphones on LDA and MLLT over seven frames."; then
  align tri1
  climb tri2b train-lda-mllt tri1 ${tri2b/,/ } --splice-left 3 --splice-right 3
fi

if wanted tri3b && stage 8 "Speaker-adaptive training with fMLLR."; then
  align tri2b
  climb tri3b train-sat tri2b ${tri3b/,/ }
  align tri3b
fi

if [[ $models, == *sp,* ]] && stage 9 "Count in tri3b's alignments how words are pronounced and where pauses are."; then
  step lang_sp --in data/dict --in data/lang --in exp/tri3b_ali --out data/lang_sp -- \
    hybrid lang add-probs --dict-dir data/dict --lang data/lang --model exp/tri3b --ali exp/tri3b_ali \
    --feats "exp/feats/$train_set" --out-dict data/dict_sp --out-lang data/lang_sp
fi

[ "$all" = "$train_set" ] || { ladder "exp/feats/$all" && ali=_ali_networks; }
if wanted chain chain_long chain_fmllr conformer xent && stage 10 "Alignments for networks; tree, denominator and supervision of LF-MMI."; then
  [ "$all" = "$train_set" ] || align tri3b
  ! wanted chain chain_long chain_fmllr conformer || chain_parts tri3b "$chain_leaves" "$lm_states"
fi

if wanted chain chain_long chain_fmllr conformer flat full_sum xent && stage 11 "Networks: LF-MMI, from texts alone also, and cross-entropy."; then
  for name in chain chain_long conformer; do ! wanted "$name" || chain_train "$name" "data/$all"; done
  ! wanted chain_fmllr || adapted_train chain_fmllr tri3b "$all"
  for name in flat full_sum; do ! wanted "$name" || { "${name}_parts" "$lm_states" "$all"; chain_train "$name" "data/$all"; }; done
  ! wanted xent || xent_train xent tri3b "data/$all"
fi

if wanted smbr && stage 12 "sMBR: the network goes on, on lattices that it finds in the training set with a unigram."; then
  lm ug 1 0; hires "$all"; graph "$smbr_from" ug; lattices_train smbr "$smbr_from" ug "$all"
fi

if stage 13 "Compile the decoding graphs."; then
  for target in "${targets[@]}"; do [ "${target% *}" = joint ] || graph $target; done; fi

if stage 14 "Decode (max-active 7000, beam 13, lattice beam 6); tri3b in two passes of fMLLR."; then
  ! wanted "${networks[@]}" || hires "${sets[@]}"
  for target in "${targets[@]}"; do for set in "${sets[@]}"; do
    widths=(--max-active 7000 --beam 13 --lattice-beam 6)
    mapfile -t adapted < <(adapted_by $target "$set")
    if [ "${target% *}" = joint ]; then joint_decode "$(unadapted_of "$models")" "${target#* }" "$set" "${widths[@]}"; continue; fi
    decode $target "$set" "$(features_of "${target% *}" "$set")" "${adapted[@]}" "${widths[@]}"
  done; done
fi

if stage 15 "Score; sweep LM weight and insertion penalty on the first set and apply them to the others."; then
  for target in "${targets[@]}"; do for set in "${sets[@]}"; do
    extra=() model=${target% *} peer="$compare_dir/${target% *}.$set.txt"
    [ "$set" = "${sets[0]}" ] ||
      extra+=(--tune-ref "data/${sets[0]}" --tune-lattices "exp/$model/decode_${target#* }_${sets[0]}")
    [ ! -f "$peer" ] || extra+=(--compare "$peer")
    score $target "$set" "data/$set" --lm-weights "$(weights_of "$model")" --penalties "$penalties" "${extra[@]}"
  done; done
  hybrid score table exp/results.tsv
fi

if [ -n "$second_pass" ] && stage 16 "Second pass: a 4-gram of the same text, then a neural LM with it."; then
  arpa fg 4 0; neural_lm lstm_lm "$conf_dir/lstm_lm.yaml"
  for model in ${second_pass//,/ }; do second_pass "$model" tg fg lstm_lm "$(weights_of "$model")" "${sets[@]}"; done
fi

if [ -n "$domain" ] && stage 17 "Domain: lists of rare words for each utterance; the LM adapted to each book by its other chapters."; then
  book_texts "$corpora"
  for model in ${domain//,/ }; do raised_and_adapted "$model" tg dev-clean "$corpora"; done; fi
