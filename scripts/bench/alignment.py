#!/usr/bin/env python3
"""Measures Viterbi alignment beside Kaldi's gmm-align-compiled: same model, features, graphs and beams, in turns.

    .venv/bin/python scripts/bench/alignment.py --model exp/mono --feats exp/feats/train --lang data/lang \
        --kaldi-bin DIR

Kaldi reads finished features; ours reads static ones and adds CMVN and deltas itself. Prints CPU seconds and peak
memory of each, one process each, the ratio of the medians, and how many frames both give the same transition-id.
`hybrid start` is the same process with one utterance: Python, packages, model and graphs, which a training pays once.
"""

from __future__ import annotations

from pathlib import Path

from gmm_peer import beside_kaldi, export, load

SCALES = ["--transition-scale=1.0", "--acoustic-scale=0.1", "--self-loop-scale=0.1", "--beam=10", "--retry-beam=40"]


def work(options) -> None:
    """One process of ours: all utterances, or one."""
    from hybrid.align.config import AlignConfig
    from hybrid.align.corpus_alignments import Aligner, align_corpus
    from hybrid.formats.kaldi_io import write_int_vectors
    from hybrid.graph.training import TrainingGraphs

    if options.worker == "export":
        export(options, options.scratch)
        return
    model, store, _ = load(options)
    graphs = TrainingGraphs.load(options.scratch / "graphs.safetensors")
    aligner = Aligner(model.acoustic_model, model.transition_model, model.pipeline, AlignConfig(acoustic_scale=0.1))
    utterances = list(graphs.ids)[: 1 if options.worker == "start" else None]
    alignments = align_corpus(aligner, store, graphs, utterances)
    write_int_vectors(options.scratch / f"{options.worker}.ali", alignments.items())


def agreement(first: Path, second: Path) -> str:
    """Compares two archives of alignments frame by frame."""
    from hybrid.formats.kaldi_io import read_int_vectors

    ours, theirs = dict(read_int_vectors(first)), dict(read_int_vectors(second))
    both = sorted(set(ours) & set(theirs))
    frames = sum(len(ours[u]) for u in both)
    same = sum(int((ours[u] == theirs[u]).sum()) for u in both)
    whole = sum((ours[u] == theirs[u]).all() for u in both)
    return (
        f"{len(ours)} and {len(theirs)} utterances aligned; {100 * same / max(1, frames):.4f} % of {frames} frames and "
        f"{whole} of {len(both)} utterances alike"
    )


def kaldi_arguments(scratch: Path) -> list[str]:
    """What gmm-align-compiled is given."""
    data = [f"ark:{scratch}/graphs.ark", f"ark:{scratch}/feats.ark", f"ark:{scratch}/kaldi.ali"]
    return [*SCALES, f"{scratch}/final.mdl", *data]


def report(scratch: Path, with_kaldi: bool) -> None:
    """Prints how far both agree."""
    if with_kaldi:
        print(agreement(scratch / "all.ali", scratch / "kaldi.ali"))


if __name__ == "__main__":
    beside_kaldi(__file__, __doc__.splitlines()[0], work, "gmm-align-compiled", kaldi_arguments, report)
