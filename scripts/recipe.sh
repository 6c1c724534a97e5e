# What the recipes share: options, stages, steps that are not done twice, the Python environment. Sourced by run.sh:
#
#   . "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"
#   option lm_weight 10 "larger trusts the language model more"
#   start "$@"
#   if stage 1 "Prepare the manifests."; then
#     step data --in "$corpus_dir" --out data/train -- hybrid data fsdd --corpus-dir "$corpus_dir" --out-dir data
#   fi
#
# After `start` the working folder is $work_dir (default: the recipe's own), `hybrid` is on the PATH, $root is the
# project, $recipe the recipe's folder. Kill it anywhere and run it again: it goes on where it was.
set -euo pipefail

recipe=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
_names=() _help=()

option() { # NAME DEFAULT REASON: declares --name (underscores become dashes) and sets $NAME
  printf -v "$1" %s "$2"
  _names+=("$1")
  _help+=("$(printf '  --%-16s %s (default: %s)' "${1//_/-}" "$3" "${2:-none}")")
}

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

fail() { printf '%s: %s\n' "${recipe##*/}/run.sh" "$*" >&2; exit 1; }

_usage() {
  printf 'usage: bash egs/%s/run.sh [--option value …]\n' "${recipe##*/}"
  printf '%s\n' "${_help[@]}"
  printf 'stages:\n'
  sed -nE 's/^.*if (.*&& )?stage ([0-9]+) "([^"]*)".*$/  \2\t\3/p' "$recipe/run.sh" | expand -t 6
}

holding() { # NAME FOLDER[,FOLDER …]: the first folder that holds NAME, else the first of all
  local folder folders
  if [ -e "$2" ]; then printf %s "$2"; return; fi
  IFS=, read -ra folders <<< "$2"
  for folder in "${folders[@]}"; do [ ! -e "$folder/$1" ] || { printf %s "$folder"; return; }; done
  printf %s "${folders[0]}"
}

_real() { # PATH[,PATH …]: from the root; what is there keeps the commas of its name
  local path paths real=
  if [ "${1/,/}" = "$1" ] || [ -e "$1" ]; then realpath -m "$1"; return; fi
  IFS=, read -ra paths <<< "$1"
  for path in "${paths[@]}"; do real+=,$(realpath -m "$path"); done
  printf %s "${real#,}"
}

_set_option() { # NAME VALUE: a path that the user gave counts from where the user stands
  local name value=$2
  for name in "${_names[@]}"; do
    [ "$name" = "$1" ] || continue
    case $name in *_dir|*_text|*_file|*dict) [ -z "$value" ] || value=$(_real "$value") ;; esac
    printf -v "$name" %s "$value"
    return
  done
  printf '%s/run.sh: no option --%s; --help lists them\n' "${recipe##*/}" "${1//_/-}" >&2
  exit 2
}

start() { # "$@": reads the options, sets up the environment, enters the work folder
  option stage 1 "first stage to run"
  option stop_stage 100 "last stage to run"
  option jobs "$(env -u OMP_NUM_THREADS nproc)" "processes; no result depends on it"
  option threads "$jobs" "of network training; the last bits of its weights depend on how many"
  option work_dir "$recipe" "gets data/ and exp/"
  while [ $# -gt 0 ]; do
    case $1 in
      -h|--help) _usage; exit 0 ;;
      --*=*) local pair=${1#--}; pair="${pair%%=*}"; _set_option "${pair//-/_}" "${1#*=}"; shift ;;
      --*) [ $# -gt 1 ] || { echo "$1 wants a value" >&2; exit 2; }
           local name=${1#--}; _set_option "${name//-/_}" "$2"; shift 2 ;;
      *) echo "${recipe##*/}/run.sh: '$1' is no option; --help lists them" >&2; exit 2 ;;
    esac
  done
  # An environment of your own (conda, a cluster's module) goes by HYBRID_ENV; else the default one is set up here.
  [ -n "${HYBRID_ENV:-}" ] || bash "$root/scripts/setup.sh" >&2
  export PATH="${HYBRID_ENV:-$root/.venv}/bin:$PATH" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
  mkdir -p "$work_dir/exp" && cd "$work_dir"
}

stage() { # NUMBER SENTENCE: logs the sentence and succeeds if this stage is to run
  [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ] || return 1
  say "stage $1: $2"
}

step() { # NAME --in PATH … --out PATH … -- COMMAND …: runs the command unless its work is done; see step.py
  local name=$1
  shift
  python "$root/scripts/step.py" --state exp --name "$name" "$@"
}

first_of() { # PATH …: prints the first that exists, else the last one
  local path
  for path in "$@"; do [ ! -e "$path" ] || break; done
  printf %s "$path"
}
