"""Choosing utterances of a set, and putting sets together."""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hybrid.base.artifact import write_meta
from hybrid.base.doors import writes_into
from hybrid.base.errors import InputError, quote
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger
from hybrid.base.ranges import NATURAL, check_fields
from hybrid.data.manifest import Cut, manifest_path, usable_cuts, write_cuts
from hybrid.data.trust import FILES_ONLY, Trust

__all__ = ["SubsetConfig", "choose", "combine_sets", "subset_set", "write_chosen"]

logger = get_logger(__name__)


@dataclass(frozen=True)
class SubsetConfig:
    """Which utterances are taken: those that pass every filter that is set, then at most `count` of them.

    Attributes:
      order: which come first where `count` is smaller than what there is; ties by id.
      speakers, not_speakers: keep, or leave out, these.
    """

    count: int = field(default=0, metadata={"help": "take at most so many; 0: all"})
    order: str = field(default="first", metadata={"help": "first (by id), shortest, longest or random"})
    seed: int = field(default=0, metadata={"help": "of order random"})
    speakers: tuple[str, ...] = ()
    not_speakers: tuple[str, ...] = ()
    max_duration: float = field(default=0.0, metadata={"help": "leave out longer ones, seconds; 0: keep"})

    def __post_init__(self) -> None:
        check_fields(self, count=NATURAL, max_duration=NATURAL, seed=NATURAL)
        if self.order not in ("first", "shortest", "longest", "random"):
            raise ValueError(f"order is '{quote(self.order)}', wanted first, shortest, longest or random")


def choose(utterances: Sequence[Cut], config: SubsetConfig, ids: Collection[str] | None = None) -> list[Cut]:
    """Returns the chosen utterances, sorted by id.

    Args:
      ids: only these.

    Raises:
      InputError: an id or a speaker that is not there.
    """
    known = {utterance.speaker for utterance in utterances}
    for speaker in (*config.speakers, *config.not_speakers):
        if speaker not in known:
            raise InputError.at(
                "--speaker", f"no speaker '{quote(speaker)}'", f"There are {', '.join(sorted(known)[:20])}."
            )
    missing = sorted(set(ids or ()) - {utterance.id for utterance in utterances})
    if missing:
        raise InputError.at("--ids", f"no utterance '{quote(missing[0])}' ({len(missing)} such ids)", "Mend the list.")
    kept = [
        u
        for u in sorted(utterances, key=lambda u: u.id)
        if (ids is None or u.id in ids)
        and (not config.speakers or u.speaker in config.speakers)
        and u.speaker not in config.not_speakers
        and (not config.max_duration or u.duration <= config.max_duration)
    ]
    if config.order == "random":
        random.Random(config.seed).shuffle(kept)
    elif config.order != "first":
        sign = 1 if config.order == "shortest" else -1
        kept.sort(key=lambda u: (sign * u.duration, u.id))
    kept = kept[: config.count] if config.count else kept
    return sorted(kept, key=lambda u: u.id)


def write_chosen(
    out_dir: str | os.PathLike,
    utterances: Sequence[Cut],
    failed: Sequence[tuple[str, str]],
    settings: dict,
    inputs: dict,
) -> int:
    """Writes utterances as a set, and what failed beside it; returns how many they are."""
    out = Path(out_dir)
    write_cuts(out / "cuts.jsonl.gz", [utterance.record for utterance in utterances])
    if failed:
        write_failed(out / "failed.txt", failed)
        logger.warning("%d cuts cannot be used and are left out (%s)", len(failed), out / "failed.txt")
    seconds = round(sum(utterance.duration for utterance in utterances), 3)
    write_meta(out, "data", settings, inputs, {"utterances": len(utterances), "seconds": seconds},
               ["cuts.jsonl.gz"])  # fmt: skip
    return len(utterances)


@writes_into("data", "cuts")
def subset_set(
    cuts: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: SubsetConfig,
    ids: Collection[str] | None = None,
    trust: Trust = FILES_ONLY,
) -> int:
    """Writes the chosen utterances of a set as another set, without cuts that have a fault; returns how many.

    Raises:
      InputError: nothing is left, or see `choose`.
    """
    usable, failed = usable_cuts(cuts, trust)
    kept = choose(usable, config, None if ids is None else set(ids) - {name for name, _ in failed})
    if not kept:
        raise InputError.at(cuts, "no utterance is left after choosing", "Loosen the choice.")
    return write_chosen(out_dir, kept, failed, {"choice": str(config)}, {"cuts": manifest_path(cuts)})


@writes_into("data", "sets")
def combine_sets(sets: Sequence[str | os.PathLike], out_dir: str | os.PathLike, trust: Trust = FILES_ONLY) -> int:
    """Writes all utterances of several sets as one set, without cuts that have a fault; returns how many.

    Raises:
      InputError: an id stands in two sets.
    """
    origin: dict[str, object] = {}
    utterances: list[Cut] = []
    failures: list[tuple[str, str]] = []
    for path in sets:
        usable, failed = usable_cuts(path, trust)
        failures += failed
        for utterance in usable:
            if utterance.id in origin:
                raise InputError.at(
                    path, f"utterance id '{quote(utterance.id)}' stands in {origin[utterance.id]} too", "Leave one out."
                )
            origin[utterance.id] = path
            utterances.append(utterance)
    settings = {"sets": [str(path) for path in sets]}
    return write_chosen(out_dir, sorted(utterances, key=lambda u: u.id), failures, settings, {})
