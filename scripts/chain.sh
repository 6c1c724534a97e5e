# Lattice-free MMI on top of the ladder. Sourced by run.sh after ladder.sh, whose variables it uses:
#
#   chain_parts tri3b 1200 500                  # exp/chain_tree, _den and _sup from tri3b's alignments
#   hires dev-clean                             # exp/hires/dev-clean by conf/mfcc_hires.yaml
#   chain_train chain data/train                # exp/chain by conf/chain.yaml
#   decode chain tg dev-clean exp/hires/dev-clean
#
# Words after the named ones go to the command as they are. With `ali=` before it, chain_parts takes the last alignments
# that the model was trained on.

chain_parts() { # MODEL LEAVES EXTRA_LM_STATES [OPTION …]: options go to chain-tree
  local from=$dir/$1 aligned=$dir/$1$ali
  step "chain_tree$tag" --in "$from" --in "$aligned" --in "$feats" --in data/lang --out "$dir/chain_tree" -- \
    hybrid nnet chain-tree --model "$from" --ali "$aligned" "${train[@]}" --max-leaves "$2" --out-dir "$dir/chain_tree" "${@:4}"
  step "chain_den$tag" --in "$dir/chain_tree" --out "$dir/chain_den" -- \
    hybrid nnet chain-den --tree "$dir/chain_tree" --num-extra-lm-states "$3" --out-dir "$dir/chain_den"
  step "chain_sup$tag" --in "$dir/chain_tree" --in "$from" --in "$aligned" --out "$dir/chain_sup" -- \
    hybrid nnet chain-sup --tree "$dir/chain_tree" --model "$from" --ali "$aligned" --out-dir "$dir/chain_sup" --jobs "$jobs"
}

hires() { # SET …: features such as networks take, of data/SET
  local set
  for set in "$@"; do
    step "hires_${set//\//_}" --in "data/$set" --in "$recipe/conf/mfcc_hires.yaml" --out "exp/hires/$set" -- \
      hybrid feats extract --cuts "data/$set" --config "$recipe/conf/mfcc_hires.yaml" --out-dir "exp/hires/$set" --jobs "$jobs"
  done
}

chain_train() { # NAME SET [OPTION …]: on the audio of SET, by conf/NAME.yaml; on all cores
  step "$1$tag" --in "$2" --in "$recipe/conf/$1.yaml" --in "$dir/chain_tree" --in "$dir/chain_den" --in "$dir/chain_sup" \
    --out "$dir/$1" -- \
    hybrid nnet train --config "$recipe/conf/$1.yaml" --cuts "$2" --tree "$dir/chain_tree" --den "$dir/chain_den" \
    --sup "$dir/chain_sup" --out-dir "$dir/$1" --threads "$jobs" "${@:3}"
}

is_chain() { [[ $1 == chain* ]]; }

features_of() { # MODEL SET: prints the folder of the features that it is decoded on
  if is_chain "$1"; then printf 'exp/hires/%s' "$2"; else printf 'exp/feats/%s' "$2"; fi
}

weights_of() { # MODEL: prints the LM weights to sweep; scores of LF-MMI belong to the LM as they are
  if is_chain "$1"; then printf %s "$chain_lm_weights"; else printf %s "$lm_weights"; fi
}
