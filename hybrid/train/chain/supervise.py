"""Supervision of a whole set: numerators from alignments, in parts that a killed run need not make again."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hybrid.agreement import Part
from hybrid.align.convert import phone_runs
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.artifact import write_meta
from hybrid.base.config import config_to_dict, write_config
from hybrid.base.disk import make_folder, remove_mark
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import progress
from hybrid.chain.config import SupervisionConfig
from hybrid.chain.numerator import Numerator, NumeratorError, aligned_numerator
from hybrid.chain.store import Supervisions, load_failures, part_is_made, save_part
from hybrid.chain.supervision import require_room
from hybrid.hmm import TransitionModel
from hybrid.train.gmm.state import fingerprint, hash_arrays

__all__ = ["AlignedSource", "NumeratorSource", "supervise"]

BLOCK = 500  # utterances in a part


Items = Sequence[tuple[str, Any]]
Made = tuple[list[tuple[str, Numerator]], dict[str, str]]


class NumeratorSource(Protocol):
    """Where numerators come from."""

    @property
    def timed(self) -> bool:
        """Whether phones have times."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """Utterances, in the order in which they are written."""
        ...

    @property
    def failures(self) -> Mapping[str, str]:
        """Why further utterances have no numerator."""
        ...

    @property
    def make(self) -> Callable[[Any], Numerator]:
        """Makes a numerator of an item, or raises NumeratorError; sent to the workers."""
        ...

    def items(self, ids: Sequence[str]) -> Items:
        """Returns what the numerator of each utterance is made from."""
        ...

    def identity(self, items: Items) -> str:
        """Returns a hash of all that some numerators are made from, settings aside."""
        ...


@dataclass(frozen=True, eq=False)
class AlignedSource:
    """Numerators of alignments.

    Attributes:
      alignments: of any model with the same phones.
      source: that model.
      model: of the chain.
    """

    alignments: CorpusAlignments
    source: TransitionModel
    model: TransitionModel
    timed = True

    @property
    def ids(self) -> Sequence[str]:
        """Aligned utterances."""
        return self.alignments.ids

    @property
    def failures(self) -> Mapping[str, str]:
        """Utterances that could not be aligned."""
        return self.alignments.failures

    @property
    def make(self) -> Callable[[Any], Numerator]:
        """See `aligned_numerator`."""
        return functools.partial(_aligned, self.model)

    def items(self, ids: Sequence[str]) -> Items:
        """Returns phones and durations."""
        return [(utterance, phone_runs(self.alignments[utterance], self.source)) for utterance in ids]

    def identity(self, items: Items) -> str:
        """Returns a hash of phones, durations and tree."""
        found = {f"{u}.{n}": array for u, pair in items for n, array in enumerate(pair)}
        return fingerprint(hash_arrays(found), self.model.tree.content_hash())


def _aligned(model: TransitionModel, item: tuple[np.ndarray, np.ndarray]) -> Numerator:
    return aligned_numerator(item[0], item[1], model)


@writes_into("supervision", "model")
def supervise(
    source: NumeratorSource, out_dir: Path, config: SupervisionConfig, model: Part, executor: Executor | None = None
) -> tuple[Supervisions, dict[str, str]]:
    """Writes the supervision of a set, or goes on with one that was stopped (see `hybrid.chain.store`).

    Args:
      model: what of the chain model other artifacts must agree with.

    Returns:
      The supervision, and why utterances are not in it.

    Raises:
      HybridError: none is.
    """
    folder = Path(out_dir)
    remove_mark(make_folder(folder))
    make_folder(folder / "parts")
    names: list[str] = []
    waiting: deque[tuple[Path, str]] = deque()

    def pieces() -> Iterator[Items]:
        """Blocks of utterances that no part on disk holds yet."""
        for number, ids in enumerate(blocks(source.ids, BLOCK)):
            names.append(f"parts/{number:05d}.safetensors")
            items = source.items(ids)
            identity = fingerprint(source.identity(items), config_to_dict(config), source.timed)
            if part_is_made(folder / names[-1], identity):
                state.advance(len(ids))
                continue
            waiting.append((folder / names[-1], identity))
            yield items

    with progress("supervision", len(source.ids)) as state:
        for made, failed in map_in_order(_block, pieces(), executor, shared=(source.make, config, source.timed)):
            path, identity = waiting.popleft()
            save_part(path, made, failed, identity)
            state.advance(len(made), len(failed))
    return _finish(folder, names, source, config, model)


def _block(work: tuple[Callable[[Any], Numerator], SupervisionConfig, bool], items: Items) -> Made:
    make, config, timed = work
    made: list[tuple[str, Numerator]] = []
    failed: dict[str, str] = {}
    for utterance, item in items:
        try:
            numerator = make(item)
            require_room(numerator, config, timed)
            made.append((utterance, numerator))
        except NumeratorError as error:
            failed[utterance] = str(error)
    return made, failed


def _finish(
    folder: Path, names: list[str], source: NumeratorSource, config: SupervisionConfig, model: Part
) -> tuple[Supervisions, dict[str, str]]:
    """Writes what tells that a supervision is whole."""
    failed = dict(source.failures)
    for name in names:
        failed |= load_failures(folder / name)
    write_failed(folder / "failed.txt", failed)
    write_config(folder / "config.yaml", config)
    files = [*names, *(f"{name}.meta.json" for name in names), "config.yaml", "failed.txt"]
    facts = {"timed": source.timed, "failed": len(failed), "parts": len(names)}
    write_meta(folder, "supervision", config_to_dict(config), dict(model.hashes), facts, files)
    supervisions = Supervisions.open(folder, model)
    if not len(supervisions):
        name, reason = next(iter(failed.items()), ("none", "there are no utterances"))
        raise HybridError(f"{folder}: no utterance can be used; the first, {name}: {reason}. Look into failed.txt.")
    return supervisions, failed
