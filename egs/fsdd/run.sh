#!/usr/bin/env bash
# Free Spoken Digit Dataset: ten digits, six speakers, 8 kHz; from a flat start to speaker-adaptive training and LF-MMI.
# The test set (takes 0-4) is decoded as a loop of digits, any number of them, and as exactly one digit. Then each
# speaker in turn is left out of training and all that he says is decoded: the set `loso` pools the six.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"

option corpus_dir "$(first_of "$root/../shared/corpora/fsdd" download/fsdd)" \
  "holds recordings/; downloaded if it is not there"
option models mono,tri1,tri2b,tri3b,chain_fmllr "models to train and decode, with commas; each needs those before it;
    chain: a network without adaptation"
option grammars loop,single "how to decode the test set, with commas"
option num_gaussians 400 "of each model; more know the five or six speakers too well"
option lm_weights 7:17 "swept on the test set, as Kaldi's recipes do; acoustic scale is 1 / weight"
option chain_lm_weights 0.4,0.6,0.8,1,1.2,1.5,2,3 "swept likewise for the network"
option penalties 0,0.5,1 "word insertion penalties, swept likewise"
option loso george,jackson,lucas,nicolas,theo,yweweler \
  "speakers left out in turn; none if empty, which saves three quarters of the time"
start "$@"
. "$root/scripts/ladder.sh"
. "$root/scripts/chain.sh"
digits=(ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE)
IFS=, read -ra names <<< "$models"
IFS=, read -ra kinds <<< "$grammars"
IFS=, read -ra speakers <<< "$loso"

# Few words, and few speakers: small models with variances normalised by speaker do better on new voices (RESULTS.md),
# and short schedules suffice. Each model starts from the last alignments of the one below, which saw all data; tri3b from
# tri1, since LDA stretches what a single speaker's noise varies. A network learns tri3b's features: told digits apart by
# five voices as they are, it learns the voices.
schedule=(--num-passes 12 --last-mix-up-pass 8)
# A denominator of phones in any order: one that knew the ten words would leave all but one sound of each unlearnt.
phone_lm=(--ngram-order 2 --no-prune-ngram-order 1)
train_model() { # MODEL [SET]: trains it, if it is wanted; a network on the audio of data/SET
  [[ ,$models, == *,$1,* ]] || return 0
  case $1 in
    mono) flat_start --norm-vars --total-gaussians "$num_gaussians" "${schedule[@]}" --realign-passes={1,2,3,4,6,8,10} ;;
    tri1) ali= climb tri1 train-deltas mono 150 "$num_gaussians" "${schedule[@]}" ;;
    tri2b) ali= climb tri2b train-lda-mllt tri1 150 "$num_gaussians" "${schedule[@]}" ;;
    tri3b) ali= climb tri3b train-sat tri1 150 "$num_gaussians" "${schedule[@]}" ;;
    chain) ali= chain_parts tri2b 100 0; chain_train chain "data/$2" ;;
    chain_fmllr) ali= chain_parts tri2b 100 0; adapted_train chain_fmllr tri3b "$2" ;;
  esac
}
decode_by() { # MODEL GRAMMAR SET FEATURES: chain_fmllr with the transforms that tri3b's two passes found
  local adapted
  mapfile -t adapted < <(adapted_by "$1" "$2" "$3")
  decode "$1" "$2" "$3" "$(features_of "$1" "$4")" "${adapted[@]}"
}

if stage 1 "Get the corpus and write its manifests: train (takes 5 and up) and test (takes 0-4)."; then
  [ -d "$corpus_dir" ] || step download --out "$corpus_dir" -- hybrid data download fsdd --out-dir download
  step data --in "$corpus_dir/recordings" --out data/train --out data/test -- \
    hybrid data fsdd --corpus-dir "$corpus_dir" --out-dir data
fi

if stage 2 "Extract MFCCs."; then mfcc train test; fi

if stage 3 "Make the lang folder from CMUdict's pronunciations, and the grammars: loop and single digit."; then
  step lang --in "$recipe/local/dict" --out data/lang -- \
    hybrid lang prepare --dict-dir "$recipe/local/dict" --oov "<UNK>" --out-dir data/lang
  for kind in loop single; do
    step "grammar_$kind" --in data/lang --out "data/G_$kind.fst" -- \
      python "$recipe/local/grammar.py" --kind "$kind" --words data/lang/words.txt --out "data/G_$kind.fst" "${digits[@]}"
  done
fi

ladder exp/feats/train
if stage 4 "Train the monophone model from a flat start."; then train_model mono; fi
if stage 5 "Triphones on deltas."; then train_model tri1; fi
if stage 6 "Triphones on LDA and MLLT."; then train_model tri2b; fi
if stage 7 "Speaker-adaptive training with fMLLR."; then train_model tri3b; fi

if [[ $models == *chain* ]] && stage 8 "A small TDNN-F by LF-MMI, at three speeds, on tri3b's features (chain: on plain ones)."; then
  [[ ,$models, != *,chain,* ]] || hires test
  train_model chain train
  train_model chain_fmllr train
fi

if stage 9 "Compile a decoding graph for each grammar."; then
  for model in "${names[@]}"; do for kind in "${kinds[@]}"; do graph "$model" "$kind"; done; done
fi

if stage 10 "Decode the test set; tri3b in two passes of fMLLR."; then
  for model in "${names[@]}"; do for kind in "${kinds[@]}"; do
    decode_by "$model" "$kind" test test
  done; done
fi

if stage 11 "Score."; then
  for model in "${names[@]}"; do for kind in "${kinds[@]}"; do
    score "$model" "$kind" test data/test --lm-weights "$(weights_of "$model")" --penalties "$penalties"
  done; done
  hybrid score table exp/results.tsv
fi

if [ -n "$loso" ] && stage 12 "Leave one speaker out: make the sets, extract MFCCs."; then
  step data_all --in data/train --in data/test --out data/all -- hybrid data combine data/train data/test --out-dir data/all
  for speaker in "${speakers[@]}"; do
    step "data_$speaker" --in data/all --out "data/only/$speaker" -- \
      hybrid data subset --cuts data/all --speaker "$speaker" --out-dir "data/only/$speaker"
    step "data_without_$speaker" --in data/all --out "data/without/$speaker" -- \
      hybrid data subset --cuts data/all --not-speaker "$speaker" --out-dir "data/without/$speaker"
    mfcc "only/$speaker" "without/$speaker"
    [[ ,$models, != *,chain,* ]] || hires "only/$speaker"
  done
  only=("${speakers[@]/#/data/only/}")
  step data_loso "${only[@]/#/--in=}" --out data/loso -- hybrid data combine "${only[@]}" --out-dir data/loso
fi

if [ -n "$loso" ] && stage 13 "Train on all but one speaker, decode all files of this one as single digits, six times."; then
  for speaker in "${speakers[@]}"; do
    ladder "exp/feats/without/$speaker" "exp/loso/$speaker"
    for model in "${names[@]}"; do
      train_model "$model" "without/$speaker"
      graph "$model" single
      decode_by "$model" single loso "only/$speaker"
    done
  done
fi

if [ -n "$loso" ] && stage 14 "Score the pooled files at LM weight 10, of the network at 1."; then
  for model in "${names[@]}"; do
    weight=10
    if is_network "$model"; then weight=1; fi
    parts=("${speakers[@]/#/exp/loso/}") costs=("${speakers[@]/#/exp/steps/decode_${model}_single_loso_}")
    parts=("${parts[@]/%//$model/decode_single_loso}") costs=("${costs[@]/%/.json}")
    step "score_${model}_loso" --in data/loso "${parts[@]/#/--in=}" --out "exp/loso/score_$model" -- \
      hybrid score sweep --ref data/loso "${parts[@]/#/--lattices=}" --words data/lang/words.txt --lm-weights "$weight" \
      --penalties 0 --out-dir "exp/loso/score_$model" --jobs "$jobs" \
      --results exp/results.tsv --system "$model" --set loso --lm single "${costs[@]/#/--cost=}"
  done
  hybrid score table exp/results.tsv
fi
