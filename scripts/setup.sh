#!/usr/bin/env bash
# Makes the Python environment of this project. No root; safe to run again; resumes after a kill.
#   bash scripts/setup.sh            .venv          Python 3.11, torch 1.13.1, k2 1.23.4
#   bash scripts/setup.sh current    .venv-current  current torch and numpy, no k2
#   bash scripts/setup.sh docs       .venv-docs     mkdocs and build, without the project
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stack=${1:-k2}
case $stack in
  k2)      venv=.venv         options=(--require-hashes) ;;
  current) venv=.venv-current options=() ;;
  docs)    venv=.venv-docs options=(--require-hashes) ;;
  *) echo "scripts/setup.sh: unknown stack '$stack'; wanted k2, current or docs" >&2; exit 2 ;;
esac
lock=requirements/$stack.txt

# Finished before, with this very lock and setup.cfg, in this very folder?
want=$({ pwd; cat "$lock" setup.cfg; } | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/.finished" 2>/dev/null)" = "$want" ]; then exit 0; fi

python=${PYTHON:-}
for candidate in ${python:-python3.11 python3 python}; do
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    python=$candidate; break
  fi
  python=
done
if [ -z "$python" ]; then
  echo "scripts/setup.sh: no Python 3.11 with venv found (k2's wheel needs exactly it). Install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv; elsewhere: pyenv install 3.11) or set PYTHON=/path/to/python3.11." >&2
  exit 1
fi

size="several GB of packages, see README"
[ "$stack" != docs ] || size="170 MB of packages"
echo "Setting up $venv from $lock (first time: $size) ..."
# Keep what an interrupted run has installed; begin anew only where the interpreter does not start.
"$venv/bin/python" -c '' 2>/dev/null || { rm -rf "$venv"; "$python" -m venv "$venv"; }
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@" 2> >(grep -v 'WARNING: Location' >&2); }
pip install --quiet pip==25.3  # pip 26 refuses the name of k2's wheels
pip install --quiet --no-deps "${options[@]}" -r "$lock"
if [ "$stack" = docs ]; then echo "$want" > "$venv/.finished"; exit 0; fi
pip install --quiet --no-deps --no-build-isolation -e .
"$venv/bin/python" -c '
import sys
import kaldialign, kaldifst, lhotse, numba, numpy, scipy, sentencepiece, soundfile, torch
import hybrid, lexicon, lm
names = f"Python {sys.version.split()[0]}, torch {torch.__version__}, numpy {numpy.__version__}"
if sys.argv[1] == "k2":
    import k2
    from importlib.metadata import version
    names += ", k2 " + version("k2")
print("ready:", names)
' "$stack"
echo "Compiling the inner loops for this processor, a few minutes, only now ..."
"$venv/bin/python" -m hybrid.cli.main doctor --compile > /dev/null ||
  echo "scripts/setup.sh: the rehearsal did not succeed; what is missing will be compiled when it is needed" >&2
echo "$want" > "$venv/.finished"
