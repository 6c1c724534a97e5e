"""Prints what the assistant recipe reached, three examples, where everything lies, and what to type next."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError
from hybrid.data.manifest import read_cuts
from hybrid.score.transcripts import read_table


def examples(data: Path, hypotheses: dict[str, list[str]]) -> list[str]:
    """Describes three utterances: the first one recognised rightly, the first one that was not, and the last."""
    cuts = read_cuts(data)
    right = [cut for cut in cuts if hypotheses.get(cut.id, []) == cut.words]
    wrong = [cut for cut in cuts if hypotheses.get(cut.id, []) != cut.words]
    found = {cut.id: cut for cut in [*right[:1], *wrong[:1], cuts[-1], *cuts]}
    chosen = list(found.values())[:3]
    lines = []
    for cut in chosen:
        lines.append(f"  {cut.path}  (voice {cut.speaker})")
        lines.append(f"    said       {' '.join(cut.words)}")
        lines.append(f"    recognised {' '.join(hypotheses.get(cut.id, []))}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints what the assistant recipe reached.")
    for name in ("decode", "score", "data", "model", "graph"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    score = json.loads((options.score / "score.json").read_text(encoding="utf-8"))
    decoding = read_meta(options.decode)["facts"]
    cuts = read_cuts(options.data)
    wer, interval = score["wer"], score["interval"]
    voices = len({cut.speaker for cut in cuts})
    here = Path.cwd()
    shown = here.relative_to(Path.cwd().parents[1]) if here.parent.name == "egs" else here
    back = "../.." if here.parent.name == "egs" else "the project"
    print(f"\nWER {wer['percent']:.2f} % (95 % interval {interval['low']:.2f} – {interval['high']:.2f}) on")
    print(
        f"{len(cuts)} unseen sentences, {wer['words']} words, of {voices} unseen voices of other accents, all in noise;"
    )
    print(f"LM weight {score['lm_weight']:g} and insertion penalty {score['penalty']:g} chosen on other voices (dev).")
    print(
        f"Real-time factor {decoding['rtf']:.3f} (CPU time of scores and search over {decoding['audio_seconds']:.0f} s)"
    )
    print("\nThree examples:")
    print("\n".join(examples(options.data, read_table(options.score / "hyp.txt"))))
    print(f"\nIn {here}:")
    print(f"  {options.model}/  the model            {options.graph}/  the decoding graph")
    print(f"  {options.decode}/  lattices, transcript.txt, words.ctm with times")
    print(f"  {options.score}/  report.txt, per_utt.txt, sweep.tsv")
    print("  exp/results.tsv  the table of results   exp/log/  what every step said")
    print(f"\nRecognise a recording of your own (any format, any rate; in {back}):")
    print(f"  .venv/bin/hybrid decode --model {shown / options.model} --graph {shown / options.graph} \\")
    print("    --audio --out-dir mine my.wav && cat mine/transcript.txt")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"summary.py: {error}")
