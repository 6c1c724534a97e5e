#!/usr/bin/env python3
"""Measures the E-step beside Kaldi's gmm-acc-stats-ali: same model, same features, same alignments, in turns.

    .venv/bin/python scripts/bench/e_step.py --model exp/mono --feats exp/feats/train --lang data/lang --kaldi-bin DIR

Kaldi reads finished features; ours reads static ones and adds CMVN and deltas itself. Prints CPU seconds and peak
memory of each, one process each, the ratio of the medians, and both log-likelihoods per frame. `hybrid start` is
the same process without the E-step: Python, packages and the model, which a training pays once and not per pass.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from gmm_peer import export, export_apart, in_turns, load, parse_options, worker_command


def work(options) -> None:
    """One process of ours: everything up to the statistics, or all but them."""
    from hybrid.align.corpus_alignments import CorpusAlignments
    from hybrid.formats.kaldi_io import read_int_vectors
    from hybrid.train.gmm.e_step import EStep, accumulate_corpus

    if options.worker == "export":
        export(options, options.scratch)
        return
    model, store, _ = load(options)
    alignments = CorpusAlignments.from_items(read_int_vectors(options.scratch / "ali.ark"))
    if options.worker == "start":
        alignments = CorpusAlignments.from_items(list(alignments.items())[:1])
    e_step = EStep(model.acoustic_model.gmm, model.transition_model, model.pipeline)
    stats, _ = accumulate_corpus(e_step, store, alignments)
    print(f"log-likelihood per frame {stats.log_likelihood_per_frame:.4f} over {stats.frames:.0f} frames")


def main() -> None:
    """Runs both programs in turns."""
    options = parse_options(__doc__.splitlines()[0])
    if options.worker:
        work(options)
        return
    kaldi = shutil.which("gmm-acc-stats-ali", path=str(options.kaldi_bin)) if options.kaldi_bin else None
    if kaldi is None:
        print("Kaldi skipped: no gmm-acc-stats-ali (give --kaldi-bin)")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        export_apart(__file__, options, scratch)
        commands = {
            f"hybrid{x}": worker_command(__file__, options, scratch, x.strip() or "all") for x in ("", " start")
        }
        if kaldi:
            data = [f"ark:{scratch}/feats.ark", f"ark:{scratch}/ali.ark", f"{scratch}/0.acc"]
            commands["kaldi"] = [kaldi, f"{scratch}/final.mdl", *data]
        for line in in_turns(commands, scratch, options.repeat):
            print(line)
        print("hybrid:", (scratch / "hybrid.log").read_text().splitlines()[-1])
        if kaldi:
            found = re.findall(r"avg like per frame.*", (scratch / "kaldi.log").read_text())
            print("kaldi:", found[-1] if found else "no figure found")


if __name__ == "__main__":
    sys.exit(main())
