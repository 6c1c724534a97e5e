# The ladder of GMMs as recipes climb it: train, align, compile, decode, score. Sourced by run.sh after `start`:
#
#   . "$root/scripts/ladder.sh"
#   mfcc train test                       # exp/feats/train, exp/feats/test
#   ladder exp/feats/train                # features to train on; models go to exp/, or to a second word
#   flat_start --total-gaussians 1000
#   align mono
#   climb tri1 train-deltas mono 200 1500
#   ali=_ali_all align tri1               # into exp/tri1_ali_all, of other features after another `ladder`
#   ali= climb tri2b train-lda-mllt tri1 200 1500  # from the last alignments that tri1 was trained on: saves `align`
#   graph tri1 loop                       # with data/G_loop.fst
#   decode tri1 loop test exp/feats/test
#   score tri1 loop test data/test --lm-weights 7:17 --penalties 0,0.5,1
#
# Words after the named ones go to the command as they are.

mfcc() { # SET …: features of data/SET by conf/mfcc.yaml
  local set
  for set in "$@"; do
    step "feats_${set//\//_}" --in "data/$set" --in "$recipe/conf/mfcc.yaml" --out "exp/feats/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc.yaml" --out-dir "exp/feats/$set" --jobs "$jobs"
  done
}

ladder() { # FEATURES [FOLDER]: what the next models are trained on, and where they lie; steps carry the folder's name
  feats=$1 dir=${2:-exp} tag= ali=_ali
  [ "$dir" = exp ] || tag=_${dir##*/}
  train=(--feats "$feats" --lang data/lang --jobs "$jobs")
}

flat_start() { # [OPTION …]
  step "mono$tag" --in "$feats" --in data/lang --out "$dir/mono" -- \
    hybrid gmm train-mono "${train[@]}" --out-dir "$dir/mono" "$@"
}

align() { # MODEL [OPTION …]; tri3b in two passes of fMLLR
  local command=align
  [ "$1" != tri3b ] || command=align-fmllr
  step "ali_$1${ali#_ali}$tag" --in "$feats" --in data/lang --in "$dir/$1" --out "$dir/$1$ali" -- \
    hybrid gmm "$command" --model "$dir/$1" "${train[@]}" --acoustic-scale 0.1 --out-dir "$dir/$1$ali" "${@:2}"
}

climb() { # MODEL COMMAND FROM LEAVES GAUSSIANS [OPTION …]: from FROM and its alignments
  step "$1$tag" --in "$feats" --in data/lang --in "$dir/$3" --in "$dir/$3$ali" --out "$dir/$1" -- \
    hybrid gmm "$2" --model "$dir/$3" --ali "$dir/$3$ali" "${train[@]}" --max-leaves "$4" --total-gaussians "$5" \
    --out-dir "$dir/$1" "${@:6}"
}

graph() { # MODEL GRAMMAR: with data/G_GRAMMAR.fst; GRAMMAR_sp: the same with data/lang_sp's pronunciations
  local lang=data/lang grammar=${2%_sp}
  [ "$grammar" = "$2" ] || lang=data/lang_sp
  step "graph_$1_$2$tag" --in "$dir/$1" --in "$lang" --in "data/G_$grammar.fst" --out "$dir/$1/graph_$2" -- \
    hybrid graph compile --model "$dir/$1" --lang "$lang" --grammar "data/G_$grammar.fst" --out-dir "$dir/$1/graph_$2"
}

decode() { # MODEL GRAMMAR SET FEATURES [OPTION …]; tri3b in two passes of fMLLR
  local command=(decode) out=$dir/$1/decode_$2_$3
  [ "$1" != tri3b ] || command=(gmm decode-fmllr --lang data/lang)
  step "decode_$1_$2_$3$tag" --in "$dir/$1" --in "$dir/$1/graph_$2" --in "$4" --out "$out" -- \
    hybrid "${command[@]}" --model "$dir/$1" --graph "$dir/$1/graph_$2" --feats "$4" --out-dir "$out" --jobs "$jobs" "${@:5}"
}

score() { # MODEL GRAMMAR SET REFERENCE [OPTION …]: a row of exp/results.tsv
  local decoded=$dir/$1/decode_$2_$3 out=$dir/$1/score_$2_$3
  step "score_$1_$2_$3$tag" --in "$4" --in "$decoded" --out "$out" -- \
    hybrid score sweep --ref "$4" --lattices "$decoded" --words "$dir/$1/graph_$2/words.txt" --out-dir "$out" --jobs "$jobs" \
    --results exp/results.tsv --system "$1" --set "$3" --lm "$2" --cost "exp/steps/decode_$1_$2_$3$tag.json" "${@:5}"
}
