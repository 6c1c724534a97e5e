"""Features on disk: raw float32 blocks and one index, opened in milliseconds.

| file of the folder | holds |
|---|---|
| `blocks/00000.f32` | the frames of 32 utterances one after another |
| `blocks/00000.meta.json` | that this block is finished, what it was made from, and what is in it |
| `index.tsv` | utterance, speaker, block, first frame, frames, seconds, text |
| `cmvn.safetensors` | CMVN statistics per speaker |
| `config.yaml` | settings of the static features |
| `.next/` | blocks of a store that will take this one's place, until they are all there |
| `failed.txt` | utterances left out, and why |
| `meta.json` | written last: a store without it is not finished |
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import read_meta
from hybrid.base.config import read_config
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.names import name_fault
from hybrid.base.reading import require_followed, text_lines, unreadable
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.formats.tensors import load_arrays

__all__ = ["FeatureStore"]

CURE = "Run `hybrid feats extract` again with the same arguments; it goes on where it stopped."


@dataclass(frozen=True)
class _Entry:
    speaker: str
    block: str
    offset: int  # frames before it in its block
    frames: int
    duration: float
    text: str


class FeatureStore:
    """Static features of a set of utterances, with speakers, texts and CMVN statistics; immutable, cheap to pickle.

    Attributes:
      path: its folder.
      config: settings of the features.
      ids: utterance ids, sorted.
      digest: sha256 of what was extracted (features, texts, speakers, settings), wherever and whenever that was.
    """

    def __init__(
        self, path: Path, config: FeatureConfig, entries: dict[str, _Entry], stats: dict[str, CmvnStats], digest: str
    ) -> None:
        self.path = path
        self.config = config
        self.digest = digest
        self._entries = entries
        self._stats = stats
        self.ids: list[str] = sorted(entries)
        self._checked: set[str] = set()  # blocks

    @classmethod
    def open(cls, path: str | os.PathLike) -> "FeatureStore":
        """Opens the store at `path`.

        Raises:
          InputError: no store, not finished, or damaged.
          MismatchError: index, settings or statistics are not those that were written.
        """
        path = Path(path)
        require_followed(path)
        if not path.is_dir():
            raise InputError.at(path, "no such folder; wanted features", "Make them with `hybrid feats extract`.")
        meta = read_meta(path)
        if meta.get("kind") != "features":
            raise InputError.at(path, "holds no finished features", CURE)
        config = read_config(FeatureConfig, path / "config.yaml")
        for name in ("index.tsv", "cmvn.safetensors", "config.yaml"):
            check(path / name)
        arrays, _ = load_arrays(path / "cmvn.safetensors")
        try:
            speakers = [s for s in bytes(arrays["speakers"]).decode().split("\n") if s]
            stats = {
                speaker: CmvnStats(float(arrays["counts"][i]), arrays["sums"][i], arrays["squares"][i])
                for i, speaker in enumerate(speakers)
            }
            shapes = {values.shape for own in stats.values() for values in (own.sums, own.squares)} - {(config.dim,)}
            if shapes:
                raise ValueError(f"statistics of shape {shapes.pop()}, wanted {(config.dim,)}")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InputError.at(path / "cmvn.safetensors", f"is damaged ({error})", CURE) from error
        facts = meta.get("facts")
        digest = str(facts.get("digest", "")) if isinstance(facts, dict) else ""
        return cls(path, config, _read_index(path / "index.tsv"), stats, digest)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the index of these utterances and the statistics of their speakers; features stay on disk."""
        stats = {speaker: self._stats[speaker] for speaker in self.speakers() if speaker in self._stats}
        return FeatureStore, (self.path.absolute(), self.config, self._entries, stats, self.digest)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def _entry(self, utterance: str) -> _Entry:
        try:
            return self._entries[utterance]
        except KeyError:
            raise InputError.at(
                self.path,
                f"has no utterance '{quote(utterance)}' ({len(self.ids)} utterances)",
                "Extract its features.",
            ) from None

    def load(self, utterance: str) -> np.ndarray:
        """Reads the static features of one utterance, float32 [T][dim].

        Raises:
          InputError: no such utterance, or its block is cut short.
          MismatchError: its block is not the one that was written; each state of a block is looked at once.
        """
        entry, dim = self._entry(utterance), self.config.dim
        file = self.path / "blocks" / f"{entry.block}.f32"
        if entry.block not in self._checked:
            check(file, cached=True)
            self._checked.add(entry.block)
        try:
            if 4 * (entry.offset + entry.frames) * dim > os.path.getsize(file):
                raise InputError.at(file, f"is cut short: utterance '{quote(utterance)}' lies beyond its end", CURE)
            values = np.fromfile(file, "<f4", entry.frames * dim, offset=4 * entry.offset * dim)
        except OSError as error:
            raise unreadable(file, error) from error
        return values.reshape(entry.frames, dim)

    def speaker(self, utterance: str) -> str:
        """The speaker of an utterance."""
        return self._entry(utterance).speaker

    def num_frames(self, utterance: str) -> int:
        """Frames of an utterance."""
        return self._entry(utterance).frames

    def duration(self, utterance: str) -> float:
        """Seconds of audio of an utterance."""
        return self._entry(utterance).duration

    def text(self, utterance: str) -> list[str]:
        """Words of an utterance; empty where it has no transcript."""
        return self._entry(utterance).text.split()

    def speakers(self) -> list[str]:
        """The speakers of the utterances here, sorted."""
        return sorted({entry.speaker for entry in self._entries.values()})

    def utterances_of(self, speaker: str) -> list[str]:
        """The utterances of a speaker, sorted."""
        return [utterance for utterance in self.ids if self._entries[utterance].speaker == speaker]

    def stats(self, speaker: str) -> CmvnStats:
        """CMVN statistics of a speaker, over all utterances extracted (a subset keeps them)."""
        try:
            return self._stats[speaker]
        except KeyError:
            raise InputError.at(self.path, f"has no CMVN statistics of speaker '{quote(speaker)}'", CURE) from None

    @property
    def cmvn(self) -> dict[str, CmvnStats]:
        """CMVN statistics by speaker."""
        return dict(self._stats)

    def global_stats(self) -> CmvnStats:
        """CMVN statistics of all speakers together, added up in the order of their names."""
        total = CmvnStats(0.0, np.zeros(self.config.dim), np.zeros(self.config.dim))
        for speaker in sorted(self._stats):
            total = total + self._stats[speaker]
        return total

    def subset(self, ids: Iterable[str]) -> "FeatureStore":
        """Returns a store of these utterances only (nothing is copied).

        Raises:
          InputError: one of them is not here.
        """
        return FeatureStore(self.path, self.config, {i: self._entry(i) for i in ids}, self._stats, self.digest)

    def shortest(self, count: int) -> "FeatureStore":
        """Returns a store of the `count` shortest utterances, ties by id."""
        order: Sequence[str] = sorted(self.ids, key=lambda utterance: (self.num_frames(utterance), utterance))
        return self.subset(order[:count])


def _read_index(path: Path) -> dict[str, Any]:
    entries: dict[str, _Entry] = {}
    for number, line in text_lines(path):
        try:
            utterance, speaker, block, offset, frames, duration, text = line.split("\t")
            entry = _Entry(speaker, block, int(offset), int(frames), float(duration), text)
        except ValueError as error:
            raise InputError.at(path, f"is damaged ({quote(error)})", CURE, number) from error
        fault = name_fault(utterance) or name_fault(speaker)
        if fault:
            raise InputError.at(path, f"is damaged (an id {fault})", CURE, number)
        if not (block.isdecimal() and entry.offset >= 0 and entry.frames > 0 and 0 <= entry.duration < float("inf")):
            raise InputError.at(path, f"is damaged (block {quote(block)}, {offset}+{frames} frames)", CURE, number)
        if utterance in entries:
            raise InputError.at(path, f"is damaged (utterance '{quote(utterance)}' stands twice)", CURE, number)
        entries[utterance] = entry
    return entries
