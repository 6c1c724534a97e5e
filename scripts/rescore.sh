# Language models, and second passes over lattices: an n-gram model too large for the search, then a neural one of the same
# text, whose share is tuned on the first set. Sourced by run.sh after ladder.sh.

arpa() { # NAME ORDER CUT-OFFS: data/NAME.arpa.gz
  step "lm_$1" --in data/lm_text --out "data/$1.arpa.gz" -- hybrid lm train data/lm_text/text.txt --order "$2" --prune "$3" \
    --vocabulary data/lm_text/vocab.txt --out "data/$1.arpa.gz"
}

lm() { # NAME ORDER CUT-OFFS: data/G_NAME.fst too
  arpa "$@"
  step "grammar_$1" --in "data/$1.arpa.gz" --in data/lang --out "data/G_$1.fst" -- \
    hybrid lm fst "data/$1.arpa.gz" --lang data/lang --out "data/G_$1.fst"
}

neural_lm() { # NAME CONFIG: exp/NAME, on the text that the n-grams are made of
  step "neural_$1" --in data/lm_text --in "$2" --out "exp/$1" -- hybrid lm train-neural data/lm_text/text.txt \
    --vocabulary data/lm_text/vocab.txt --config "$2" --device "$device" --threads "$threads" --out-dir "exp/$1"
}

second_pass() { # MODEL GRAMMAR LARGER NEURAL LM-WEIGHTS SET …: data/LARGER.arpa.gz and exp/NEURAL; rows of exp/results.tsv
  local model=$1 grammar=$2 larger=$3 neural=$4 weights=$5 first=$6 words=$dir/$1/graph_$2/words.txt set lm from shared
  shared=(--lm "exp/$neural" --old-lm "data/$larger.arpa.gz" --words "$words")
  for set in "${@:6}"; do
    from=$dir/$model/decode_${grammar}_$set
    step "rescore_${model}_${larger}_$set" --in "$from" --in "data/$larger.arpa.gz" --out "$dir/$model/$larger.$set.gz" -- \
      hybrid rescore ngram "$from" "$dir/$model/$larger.$set.gz" --old-lm "data/$grammar.arpa.gz" \
      --new-lm "data/$larger.arpa.gz" --words "$words"
  done
  step "tune_${model}_$neural" --in "$dir/$model/$larger.$first.gz" --in "exp/$neural" --out "$dir/$model/weights_$neural" -- \
    hybrid rescore tune "$dir/$model/$larger.$first.gz" "${shared[@]}" --ref "data/$first" --lm-weights "$weights" \
    --penalties "$penalties" --out-dir "$dir/$model/weights_$neural"
  for set in "${@:6}"; do
    step "rescore_${model}_${neural}_$set" --in "$dir/$model/$larger.$set.gz" --in "$dir/$model/weights_$neural" \
      --out "$dir/$model/$neural.$set.gz" -- hybrid rescore neural "$dir/$model/$larger.$set.gz" \
      "$dir/$model/$neural.$set.gz" "${shared[@]}" --weights "$dir/$model/weights_$neural/weights.json"
    for lm in "$larger" "$neural"; do
      _rescored "$model" "$lm" "$set" "$first" "$words" "$weights"
    done
  done
}

_rescored() { # MODEL LM SET FIRST WORDS LM-WEIGHTS: a row of exp/results.tsv
  local out=$dir/$1/score_$2_$3 extra=()
  [ "$3" = "$4" ] || extra=(--tune-ref "data/$4" --tune-lattices "$dir/$1/$2.$4.gz")
  step "score_$1_$2_$3" --in "data/$3" --in "$dir/$1/$2.$3.gz" --out "$out" -- \
    hybrid score sweep --ref "data/$3" --lattices "$dir/$1/$2.$3.gz" --words "$5" --out-dir "$out" --results exp/results.tsv \
    --system "$1" --set "$3" --lm "$2" --lm-weights "$6" --penalties "$penalties" --cost "exp/steps/rescore_$1_$2_$3.json" \
    "${extra[@]}"
}
