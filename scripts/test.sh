#!/usr/bin/env bash
# All checks of the project, from a fresh clone: both stacks, lint, types, layers, tests, small real-data checks.
#   bash scripts/test.sh            everything (what CI runs)
#   bash scripts/test.sh --fast     the default stack without the slow tests
# Real speech is looked for in ../shared (or $HYBRID_SHARED); without it those checks are skipped with a line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fast=
case ${1:-} in
  "") ;;
  --fast) fast=1 ;;
  *) echo "usage: bash scripts/test.sh [--fast]" >&2; exit 2 ;;
esac
say() { printf '== %s (%d s)\n' "$*" "$SECONDS"; }

jobs=$(nproc)  # before the next line, which nproc would heed
[ "$jobs" -le 4 ] || jobs=4
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
shared=${HYBRID_SHARED:-$PWD/../shared}
[ -d "$shared/corpora" ] || echo "SKIPPED: real-data checks; no corpora in $shared (set HYBRID_SHARED to a folder with corpora/ and peers/)"

say "set-up of the default stack"
bash scripts/setup.sh
# Kaldi's and KenLM's programs, to compare with; their set-up needs root once for shared libraries.
peer=${HYBRID_PEER:-$HOME/.cache/kaldi-peer}
if [ -z "${KALDI_BIN:-}" ] && [ -f "$shared/peers/kaldi/setup.sh" ]; then
  if bash "$shared/peers/kaldi/setup.sh" "$peer" > /dev/null 2>&1; then KALDI_BIN=$peer/bin; export KALDI_BIN
  else echo "SKIPPED: comparisons with Kaldi's programs; their set-up failed (it needs root)"; fi
fi

# A browser that shows the page of `hybrid report`.
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if ! browser > /dev/null; then
  if [ "$(id -u)" = 0 ]; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -y -qq --no-install-recommends chromium; } > /dev/null 2>&1 || true
  fi
  browser > /dev/null || echo "SKIPPED: the report in a browser; no Chromium here, and none could be installed (it needs root: apt-get install chromium)"
fi

say "ruff, mypy"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy

say "tests, default stack"
if [ -n "$fast" ]; then
  .venv/bin/pytest -q -n "$jobs" -m 'not slow'
  exit
fi
.venv/bin/pytest -q -n "$jobs"

say "documentation as a site, links checked"
bash scripts/docs.sh
say "wheel and source archive; the wheel alone decodes"
bash scripts/package.sh

say "set-up of the current stack"
bash scripts/setup.sh current
say "tests, current stack"
.venv-current/bin/mypy --version > /dev/null
# The recipe killed in every stage is the same shell code on either stack: once is enough.
.venv-current/bin/pytest -q -n "$jobs" -m 'not peer' --deselect tests/egs/test_recipes.py::test_killed_in_every_stage
say "all checks passed"
