#!/usr/bin/env bash
# Makes the wheel and the source archive, build/dist/, and decodes a file with the wheel alone: in an environment of its own that
# borrows the packages of .venv, but sees neither this folder nor what is installed from it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${HYBRID_ENV:-}" ] || bash scripts/setup.sh
bash scripts/setup.sh docs
environment=$(realpath "${HYBRID_ENV:-.venv}")
rm -rf build/dist build/lib build/bdist.*
.venv-docs/bin/python -m build --no-isolation --outdir build/dist . > build/package.log 2>&1 || { tail -n 20 build/package.log >&2; exit 1; }
wheel=$(realpath build/dist/*.whl)

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$environment/bin/python" -m venv --without-pip "$place/env"
"$environment/bin/python" -m pip --disable-pip-version-check --python "$place/env" install --quiet --no-deps --no-index "$wheel"
packages=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for folder in "$place"/env/lib/python*/site-packages; do echo "$packages" > "$folder/borrowed.pth"; done
cd "$place"
unset PYTHONPATH
export PATH="$place/env/bin:$PATH"
python -c '
import sys, hybrid, lexicon, lm
assert all(module.__file__.startswith(sys.prefix) for module in (hybrid, lexicon, lm)), hybrid.__file__
import soundfile
from hybrid.synth.espeak import Voice, speak
spoken = speak("turn on the light in the kitchen", Voice("en-us"))
soundfile.write("my.wav", spoken.samples, spoken.rate)
'
printf 'Turn on the light in the kitchen.\nTurn off the radio.\nWhat time is it?\n' > my_sentences.txt
hybrid graph build --model en-small --sentences my_sentences.txt --out-dir my_graph 2> log || { cat log >&2; exit 1; }
said=$(hybrid decode --model en-small --graph my_graph my.wav 2> log) || { cat log >&2; exit 1; }
[ "$said" = "my TURN ON THE LIGHT IN THE KITCHEN" ] || { echo "scripts/package.sh: the wheel decoded '$said'" >&2; exit 1; }
echo "$wheel: $(du -h "$wheel" | cut -f1); $said"
