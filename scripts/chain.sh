# Networks on top of the ladder, LF-MMI first. Sourced by run.sh after ladder.sh, whose variables it uses:
#
#   chain_parts tri3b 1200 500                  # exp/chain_tree, _den and _sup from tri3b's alignments
#   flat_parts 500                              # exp/flat_tree, _den and _sup of the transcripts alone
#   full_sum_parts 500 train                    # those and exp/full_sum_sup: alignments of a network that full sum made of nothing
#   hires dev-clean                             # exp/hires/dev-clean by conf/mfcc_hires.yaml
#   chain_train chain data/train                # exp/chain by conf/chain.yaml on exp/chain_tree, …
#   chain_train chain exp/hires/train           # the same on features that are made once: no speeds, less work
#   chain_train conformer data/train            # another network on the same parts
#   adapted_train chain_fmllr tri3b train       # on tri3b's fMLLR features of data/train at three speeds, on chain's parts
#   xent_train xent tri3b data/train            # exp/xent by conf/xent.yaml: cross-entropy on tri3b's alignments
#   lattices_train smbr chain tg train          # exp/smbr: chain goes on by sMBR on lattices of exp/hires/train
#   joint_decode chain tg dev-clean             # exp/joint/decode_tg_dev-clean: chain and chain_fmllr together
#   decode chain tg dev-clean exp/hires/dev-clean
#
# Words after the named ones go to the command as they are; those of the array $phone_lm, which a recipe may set after
# this file, to chain-den. With `ali=` before it, chain_parts takes the last alignments that the model was trained on.
# Settings lie in $conf_dir, if a recipe has that option, else in its conf/. With $processes torchrun starts so many, on
# $device. With $ways_beam chain's supervision holds all ways to speak that are worse than the best by at most so much.

: "${conf_dir:=$recipe/conf}" "${processes:=1}" "${device:=cpu}" "${ways_beam:=0}"
phone_lm=()
networks=(chain chain_long chain_fmllr joint conformer flat full_sum xent smbr)
nnet_train=(hybrid nnet train --device "$device" --threads "$threads")
[ "$processes" = 1 ] || # -r and -t: torch 1.13's own knows no other than 1 and 2 on Python 3.11
  nnet_train=(torchrun --standalone --nproc_per_node "$processes" -r 1 -t 1 -m hybrid.cli.main "${nnet_train[@]:1}")

chain_parts() { # MODEL LEAVES EXTRA_LM_STATES [OPTION …]: options go to chain-tree
  local from=$dir/$1 aligned=$dir/$1$ali
  step "chain_tree$tag" --in "$from" --in "$aligned" --in "$feats" --in data/lang --out "$dir/chain_tree" -- \
    hybrid nnet chain-tree --model "$from" --ali "$aligned" "${train[@]}" --max-leaves "$2" --out-dir "$dir/chain_tree" "${@:4}"
  _denominator chain "$3"
  local ways=(--jobs "$jobs")
  [ "$ways_beam" = 0 ] || ways=("${train[@]}" --ways-beam "$ways_beam")
  step "chain_sup$tag" --in "$dir/chain_tree" --in "$from" --in "$aligned" --in "$feats" --in data/lang --out "$dir/chain_sup" -- \
    hybrid nnet chain-sup --tree "$dir/chain_tree" --model "$from" --ali "$aligned" --out-dir "$dir/chain_sup" "${ways[@]}"
}

flat_parts() { # EXTRA_LM_STATES …: neither alignments nor a tree of them (Hadian et al. 2018)
  _untimed flat
  _denominator flat "$1"
}

full_sum_parts() { # EXTRA_LM_STATES SET: exp/full_sum_hmm from nothing (Raissi et al. 2023), times of SET's phones by it; flat's tree
  local hmm=$dir/full_sum_hmm set=exp/hires/$2
  hires "$2"
  _untimed full_sum_hmm --units state
  step "full_sum_hmm$tag" --in "$set" --in "$conf_dir/full_sum.yaml" --in "${hmm}_tree" --in "${hmm}_sup" --out "$hmm" -- \
    "${nnet_train[@]}" --objective full-sum --config "$conf_dir/full_sum.yaml" --feats "$set" --tree "${hmm}_tree" \
    --sup "${hmm}_sup" --out-dir "$hmm"
  align_hires full_sum_hmm "$2" 0.3
  flat_parts "$1"
  step "full_sum_sup$tag" --in "$dir/flat_tree" --in "$hmm" --in "${hmm}_ali" --out "$dir/full_sum_sup" -- \
    hybrid nnet chain-sup --tree "$dir/flat_tree" --model "$hmm" --ali "${hmm}_ali" --out-dir "$dir/full_sum_sup" --jobs "$jobs"
}

_untimed() { # PARTS [OPTION …]: exp/PARTS_tree and _sup of the transcripts alone; options go to chain-flat
  local tree=$dir/$1_tree
  step "$1_tree$tag" --in "$feats" --in data/lang --out "$tree" -- \
    hybrid nnet chain-flat --feats "$feats" --lang data/lang --out-dir "$tree" "${@:2}"
  step "$1_sup$tag" --in "$tree" --in "$feats" --in data/lang --out "$dir/$1_sup" -- \
    hybrid nnet chain-sup --tree "$tree" --feats "$feats" --lang data/lang --out-dir "$dir/$1_sup" --jobs "$jobs"
}

_denominator() { # PARTS EXTRA_LM_STATES
  step "$1_den$tag" --in "$dir/$1_tree" --out "$dir/$1_den" -- \
    hybrid nnet chain-den --tree "$dir/$1_tree" --num-extra-lm-states "$2" --out-dir "$dir/$1_den" "${phone_lm[@]}"
}

hires() { # SET …: features such as networks take, of data/SET
  local set
  for set in "$@"; do
    step "hires_${set//\//_}" --in "data/$set" --in "$recipe/conf/mfcc_hires.yaml" --out "exp/hires/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc_hires.yaml" --out-dir "exp/hires/$set" --jobs "$jobs"
  done
}

align_hires() { # NETWORK SET SCALE: exp/NETWORK_ali, of exp/hires/SET
  local feats=exp/hires/$2 train=(--feats "exp/hires/$2" --lang data/lang --jobs "$jobs") ali=_ali
  align "$1" --acoustic-scale "$3"
}

chain_train() { # NAME SOURCE [OPTION …]: on cuts' audio, or features below exp/, by NAME.yaml; flat, full_sum on their own parts
  local tree=$dir/chain_tree den=$dir/chain_den sup=$dir/chain_sup config=$conf_dir/$1.yaml source=--cuts
  case $1 in flat | full_sum) tree=$dir/flat_tree den=$dir/flat_den sup=$dir/$1_sup ;; esac
  [ "$1" != full_sum ] || config=$conf_dir/chain.yaml # full_sum.yaml made the alignments
  [ "${2#exp/}" = "$2" ] || source=--feats
  step "$1$tag" --in "$2" --in "$config" --in "$tree" --in "$den" --in "$sup" --out "$dir/$1" -- \
    "${nnet_train[@]}" --config "$config" "$source" "$2" --tree "$tree" --den "$den" --sup "$sup" --out-dir "$dir/$1" "${@:3}"
}

adapted_train() { # NAME MODEL SET [OPTION …]: by NAME.yaml on MODEL's fMLLR features of SET at three speeds; chain's parts
  local parts=$dir/chain ali=_ali_speeds feats=exp/feats/${3}_speeds
  local train=(--feats "$feats" --lang data/lang --jobs "$jobs")
  step "data_${3//\//_}_speeds" --in "data/$3" --out "data/${3}_speeds" -- \
    hybrid data perturb-speed --cuts "data/$3" --out-dir "data/${3}_speeds"
  mfcc "${3}_speeds"
  align "$2"
  step "$1$tag" --in "$feats" --in "$conf_dir/$1.yaml" --in "$dir/$2" --in "$dir/$2$ali" --in "${parts}_tree" \
    --in "${parts}_den" --in "${parts}_sup" --out "$dir/$1" -- \
    "${nnet_train[@]}" --config "$conf_dir/$1.yaml" --feats "$feats" --like "$dir/$2" --transforms "$dir/$2$ali" \
    --tree "${parts}_tree" --den "${parts}_den" --sup "${parts}_sup" --out-dir "$dir/$1" "${@:4}"
}

xent_train() { # NAME MODEL CUTS [OPTION …]: frames classified as MODEL aligned them
  step "$1$tag" --in "$3" --in "$conf_dir/$1.yaml" --in "$dir/$2" --in "$dir/$2$ali" --out "$dir/$1" -- \
    "${nnet_train[@]}" --objective xent --config "$conf_dir/$1.yaml" --cuts "$3" --model "$dir/$2" --ali "$dir/$2$ali" \
    --out-dir "$dir/$1" "${@:4}"
}

lattices_train() { # OBJECTIVE MODEL GRAMMAR SET [OPTION …]: aligns and decodes exp/hires/SET with MODEL, which then goes on
  local set=exp/hires/$4 decoded=$dir/$2/decode_$3_$4
  align_hires "$2" "$4" "$(scale_of "$2")"
  decode "$2" "$3" "$4" "$set" --raw --max-active 5000 --beam 11 --lattice-beam 6
  step "$1$tag" --in "$set" --in "$conf_dir/$1.yaml" --in "$dir/$2" --in "$dir/$2_ali" --in "$decoded" --out "$dir/$1" -- \
    "${nnet_train[@]}" --objective "$1" --config "$conf_dir/$1.yaml" --feats "$set" --model "$dir/$2" --ali "$dir/$2_ali" \
    --lattices "$decoded" --lang data/lang --out-dir "$dir/$1" "${@:5}"
}

unadapted_of() { # MODELS: prints those of a list with commas that joint takes; smbr stands for the network that it goes on from
  local names=() name
  for name in ${1//,/ }; do
    case $name:${smbr_from:-} in
      smbr:chain | smbr:chain_long) ;;
      chain:* | chain_long:*) [[ ${smbr_from:-} != "$name" || ,$1, != *,smbr,* ]] || continue ;;
      *) continue ;;
    esac
    names+=("$name")
  done
  printf %s "${names[*]}"
}

joint_decode() { # "NETWORK …" GRAMMAR SET [OPTION …]: the mean of their scores and chain_fmllr's, of one tree, chain's graph
  local scores=$dir/joint/scores_$2_$3.ark out=$dir/joint/decode_$2_$3 adapted name inputs=() summed=()
  mapfile -t adapted < <(adapted_by chain_fmllr "$2" "$3")
  mkdir -p "$dir/joint"
  ln -sfn "../chain/graph_$2" "$dir/joint/graph_$2"
  for name in $1; do
    inputs+=(--in "$dir/$name")
    summed+=(--weight "$(share_of $1)" --model "$dir/$name" --feats "exp/hires/$3" --transforms none)
  done
  step "scores_joint_$2_$3$tag" "${inputs[@]}" --in "$dir/chain_fmllr" --in "exp/hires/$3" --in "exp/feats/$3" \
    --in "${adapted[1]}" --out "$scores" -- \
    hybrid nnet scores "${summed[@]}" \
    --weight 0.5 --model "$dir/chain_fmllr" --feats "exp/feats/$3" "${adapted[@]}" --out "$scores"
  step "decode_joint_$2_$3$tag" --in "$dir/chain" --in "$dir/chain/graph_$2" --in "$scores" --out "$out" -- \
    hybrid decode --model "$dir/chain" --graph "$dir/chain/graph_$2" --scores "$scores" --out-dir "$out" --jobs "$jobs" "${@:4}"
}

share_of() { awk -v count=$# 'BEGIN { print 0.5 / count }'; } # NAME …: prints the weight of each where all together have a half

is_network() { [[ " ${networks[*]} " == *" $1 "* ]]; }

features_of() { # MODEL SET: prints the folder of the features that it is decoded on
  if is_network "$1" && [ "$1" != chain_fmllr ]; then printf 'exp/hires/%s' "$2"; else printf 'exp/feats/%s' "$2"; fi
}

adapted_by() { # MODEL GRAMMAR SET: prints the option that names the transforms of a set's speakers, where it takes any
  [ "$1" != chain_fmllr ] || printf -- '--transforms\n%s\n' "$dir/tri3b/decode_${2%_sp}_$3.transforms.2.safetensors"
}

scale_of() { # MODEL: prints the scale of its scores beside the LM; those of LF-MMI belong to it as they are
  if is_network "$1" && [ "$1" != xent ]; then printf 1; else printf 0.1; fi
}

weights_of() { # MODEL: prints the LM weights to sweep
  if [ "$(scale_of "$1")" = 1 ]; then printf %s "$chain_lm_weights"; else printf %s "$lm_weights"; fi
}
