#!/usr/bin/env python3
"""Measures the E-step beside Kaldi's gmm-acc-stats-ali: same model, same features, same alignments, in turns.

    .venv/bin/python scripts/bench/e_step.py --model exp/mono --feats exp/feats/train --lang data/lang --kaldi-bin DIR

Kaldi reads finished features; ours reads static ones and adds CMVN and deltas itself. Prints CPU seconds and peak
memory of each, one process each, the ratio of the medians, and both log-likelihoods per frame. `hybrid start` is
the same process without the E-step: Python, packages and the model, which a training pays once and not per pass.
"""

from __future__ import annotations

import re
from pathlib import Path

from gmm_peer import beside_kaldi, export, load


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


def kaldi_arguments(scratch: Path) -> list[str]:
    """What gmm-acc-stats-ali is given."""
    return [f"{scratch}/final.mdl", f"ark:{scratch}/feats.ark", f"ark:{scratch}/ali.ark", f"{scratch}/0.acc"]


def report(scratch: Path, with_kaldi: bool) -> None:
    """Prints the log-likelihoods per frame."""
    print("hybrid:", (scratch / "hybrid.log").read_text().splitlines()[-1])
    if with_kaldi:
        found = re.findall(r"avg like per frame.*", (scratch / "kaldi.log").read_text())
        print("kaldi:", found[-1] if found else "no figure found")


if __name__ == "__main__":
    beside_kaldi(__file__, __doc__.splitlines()[0], work, "gmm-acc-stats-ali", kaldi_arguments, report)
