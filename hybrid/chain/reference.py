"""Numerators and their weights as their definitions read: slow, for tests and for reading."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hybrid.chain.config import SupervisionConfig
from hybrid.chain.denominator import Denominator
from hybrid.chain.numerator import Numerator

__all__ = ["chunk_sequences", "denominator_score", "pdf_sequences"]


def pdf_sequences(
    numerator: Numerator, config: SupervisionConfig, offset: int = 0, timed: bool = True
) -> set[tuple[int, ...]]:
    """Returns every pdf sequence of a whole utterance that its numerator allows.

    Each way from node 0 to a final node is dealt out over the frames of output, one or more for each phone, so that
    every frame lies within the times, widened by the tolerance, of some phone of that name.
    """
    frames = range(offset, numerator.num_frames, config.subsampling_factor)
    rows = [tuple(row) for row in numerator.arcs.tolist()]

    def near(phone: int, frame: int) -> bool:
        return not timed or any(
            name == phone and begin - config.left_tolerance <= frame < end + config.right_tolerance
            for name, begin, end, *_ in rows
        )

    def ways(node: int, left: int) -> Iterator[list[tuple]]:
        """All ways of so many arcs from a node to the end."""
        if node in numerator.finals and node:
            yield []
        for row in rows if left else []:
            if row[5] == node:
                yield from ([row, *rest] for rest in ways(row[6], left - 1))

    def deal(way: list[tuple], place: int) -> Iterator[tuple[int, ...]]:
        """All pdfs of frames from `place` on that a way can have."""
        if not way:
            if place == len(frames):
                yield ()
            return
        phone, forward, loop = way[0][0], way[0][3], way[0][4]
        made: tuple[int, ...] = ()
        while place < len(frames) and near(phone, frames[place]):
            made, place = (*made, loop if made else forward), place + 1
            yield from ((*made, *rest) for rest in deal(way[1:], place))

    return {found for way in ways(0, len(frames)) for found in deal(way, 0)}


def chunk_sequences(numerator: Numerator, config: SupervisionConfig, begin: int, frames: int) -> set[tuple[int, ...]]:
    """Returns the stretches of an utterance's pdf sequences that lie in a chunk."""
    first = begin // config.subsampling_factor
    whole = pdf_sequences(numerator, config, begin % config.subsampling_factor)
    return {pdfs[first : first + config.num_frames(frames)] for pdfs in whole}


def denominator_score(denominator: Denominator, pdfs: tuple[int, ...]) -> float:
    """Returns the log of a pdf sequence's weight: from any state, by all paths, to any state."""
    now = np.exp(denominator.initial.astype(np.float64))
    for pdf in pdfs:
        taken = denominator.pdf == pdf
        mass = now[denominator.from_state[taken]] * np.exp(denominator.log_weight[taken].astype(np.float64))
        now = np.bincount(denominator.to_state[taken], mass, denominator.num_states)
    return math.log(now.sum()) if now.sum() > 0 else -math.inf
