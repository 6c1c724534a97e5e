"""Where the scores of a decoding come from: a feature store, cuts, audio files, or scores of any model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hybrid.agreement import part_of, require_fit
from hybrid.base.artifact import content_hash
from hybrid.base.errors import HybridError, InputError
from hybrid.base.integrity import check, state_of
from hybrid.base.log import get_logger
from hybrid.base.names import mended_name
from hybrid.base.reading import require_followed
from hybrid.data.audio import MIX, probe_audio
from hybrid.data.manifest import Cut, load_samples, manifest_path, usable_cuts
from hybrid.data.own import speaker_of
from hybrid.data.survey import tell_notes
from hybrid.data.trust import FILES_ONLY, Trust
from hybrid.data.utterance import Utterance
from hybrid.decode.scoring import BATCH_FRAMES, NothingSaidError, or_reason, score_all
from hybrid.feats.store import FeatureStore
from hybrid.feats.vad import VadConfig
from hybrid.model.folder import Model
from hybrid.model.recording import Recording

if TYPE_CHECKING:
    import torch

logger = get_logger(__name__)
__all__ = ["AudioFiles", "CutSource", "FeatureFolder", "ScoreFolder", "ScoreSource", "open_store"]


class ScoreSource(Protocol):
    """Utterances by number; cheap to send to a worker."""

    def fingerprint(self) -> str:
        """What the source is, so that a repeated run knows whether it goes on with the same work."""

    def utterances(self) -> tuple[list[Utterance], list[tuple[str, str]]]:
        """Lists the utterances, sorted by id, and what cannot be used: (id, reason)."""

    def inputs(self) -> dict[str, Any]:
        """What is decoded, by name, for the record of the result; see `artifact.write_meta`."""

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """Yields the scores of each item, float32 [frame][pdf_id], or why there are none.

        Features that no speaker transform is applied to are scored by `model.unadapted`.

        Args:
          batch_frames: scored together at most; see `scoring.score_all`.

        Raises:
          HybridError: none of them can be scored by this model: features of other settings, scores of another tree.
        """


@dataclass(frozen=True)
class FeatureFolder:
    """Utterances of a feature store (`hybrid feats extract`), normalised by their speakers' statistics."""

    path: str

    def fingerprint(self) -> str:
        """See `ScoreSource.fingerprint`."""
        return f"feats {Path(self.path).resolve()} {open_store(self.path).digest}"

    def utterances(self) -> tuple[list[Utterance], list[tuple[str, str]]]:
        """See `ScoreSource.utterances`."""
        store = open_store(self.path)
        return [Utterance(u, duration=store.duration(u)) for u in store.ids], []

    def inputs(self) -> dict[str, Any]:
        """See `ScoreSource.inputs`."""
        return {"features": (self.path, open_store(self.path).digest)}

    def speaker(self, item: Utterance) -> str:
        """Returns who speaks."""
        return open_store(self.path).speaker(item.id)

    def features(self, model: Model, item: Utterance, transform: np.ndarray | None = None) -> np.ndarray:
        """Returns the model's features, float32 [T][D]."""
        return model.pipeline.features(open_store(self.path), item.id, transform)

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """See `ScoreSource.scores`; features of other settings than the model's are refused at once, for all."""
        model = model.unadapted
        model.pipeline.require_match(open_store(self.path))
        yield from score_all(model, (or_reason(self.features, model, item) for item in items), batch_frames)


def open_store(path: str) -> FeatureStore:
    """Opens a feature store; the last one is kept as long as it is the same."""
    return _store_in_state(path, state_of(path))


@lru_cache(maxsize=1)
def _store_in_state(path: str, _state: object) -> FeatureStore:
    return FeatureStore.open(path)


@dataclass(frozen=True)
class CutSource:
    """Cuts of a manifest, each normalised by itself; for speakers' statistics, extract features first."""

    path: str
    trust: Trust = FILES_ONLY

    def fingerprint(self) -> str:
        """See `ScoreSource.fingerprint`."""
        return f"cuts {Path(self.path).resolve()} {content_hash(manifest_path(self.path))}"

    def utterances(self) -> tuple[list[Utterance], list[tuple[str, str]]]:
        """See `ScoreSource.utterances`."""
        cuts, failed = _cuts(self.path, self.trust)
        return [
            Utterance(c.id, start=c.start, duration=c.duration, recording_id=c.recording_id) for c in cuts.values()
        ], failed

    def inputs(self) -> dict[str, Any]:
        """See `ScoreSource.inputs`."""
        return {"cuts": manifest_path(self.path)}

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """See `ScoreSource.scores`."""
        (cuts, _), model = _cuts(self.path, self.trust), model.unadapted
        features = (or_reason(_cut_features, model, cuts[item.id]) for item in items)
        yield from score_all(model, features, batch_frames)


def _cut_features(model: Model, cut: Cut) -> np.ndarray:
    return model.pipeline.from_samples(*load_samples(cut))


def _cuts(path: str, trust: Trust) -> tuple[dict[str, Cut], list[tuple[str, str]]]:
    return _cuts_in_state(path, trust, state_of(manifest_path(path)))


@lru_cache(maxsize=1)
def _cuts_in_state(path: str, trust: Trust, _state: object) -> tuple[dict[str, Cut], list[tuple[str, str]]]:
    cuts, failed = usable_cuts(path, trust)
    return {cut.id: cut for cut in sorted(cuts, key=lambda cut: cut.id)}, failed


@dataclass(frozen=True)
class AudioFiles:
    """Audio files of any length, cut at pauses; utterance ids are NAME or NAME-START-END in hundredths of a second.

    Attributes:
      speakers: whose the files are, where models adapt to speakers: `folder`, `prefix` (of the name up to - or _),
        `file` (each is a speaker's own) or `one`.
      channel: from 0; -1 for the mean of all.
      rate: whose band the model listens to, Hz; files that lack a part of it are told. 0: not looked at.
      called: (file, what messages call it) of what was kept of a stream.
    """

    files: tuple[str, ...]
    vad: VadConfig
    channel: int = MIX
    speakers: str = "file"
    rate: int = 0
    called: tuple[tuple[str, str], ...] = ()

    def fingerprint(self) -> str:
        """See `ScoreSource.fingerprint`."""
        stamps = [f"{Path(f).resolve()} {os.stat(f).st_mtime_ns if os.path.exists(f) else 0}" for f in self.files]
        return f"audio {self.vad} {self.channel} {self.speakers} {stamps}"

    def names(self) -> dict[str, str]:
        """Recording id → file; files of one name in several folders carry the folder's name too."""
        return _names(self.files)

    def seconds(self) -> float:
        """Returns how long the files are by their headers, those left out that cannot be read."""
        total = 0.0
        for file in self.files:
            with suppress(HybridError, OSError):
                total += probe_audio(file).duration
        return total

    def utterances(self) -> tuple[list[Utterance], list[tuple[str, str]]]:
        """See `ScoreSource.utterances`."""
        items, failed = [], []
        notes: dict[str, list[str]] = {}
        for name, file in self.names().items():
            try:
                recording = _recording(None, file, self.channel, self.vad, state_of(file))
                segments = recording.chunks
                notes[name] = recording.notes(self.rate)
            except (HybridError, OSError) as error:
                reason = " ".join(str(error).split())
                failed.append((name, reason.replace(file, dict(self.called).get(file, file))))
                continue
            if not segments:
                items.append(Utterance(name, file, duration=recording.duration, recording_id=name))
                notes[name].append("nothing is said; its transcript is empty")
            for s in segments:
                utterance = (
                    name if len(segments) == 1 else f"{name}-{round(100 * s.start):07d}-{round(100 * s.end):07d}"
                )
                items.append(Utterance(utterance, file, start=s.start, duration=s.duration, recording_id=name))
        tell_notes(notes, logger)
        return sorted(items, key=lambda item: item.id), failed

    def inputs(self) -> dict[str, Any]:
        """See `ScoreSource.inputs`."""
        return {}  # their sizes and times are in the fingerprint; hours of audio are not read again for a hash

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """See `ScoreSource.scores`."""
        model = model.unadapted
        yield from score_all(model, (or_reason(self.features, model, item) for item in items), batch_frames)

    def speaker(self, item: Utterance) -> str:
        """Returns who speaks, as `speakers` has it."""
        return speaker_of(item.recording, Path(self.names()[item.recording]), self.speakers)

    def features(self, model: Model, item: Utterance, transform: np.ndarray | None = None) -> np.ndarray:
        """Returns the model's features, float32 [T][D].

        Raises:
          NothingSaidError: there is no speech.
        """
        assert item.duration is not None
        file = self.names()[item.recording]
        recording = _recording(model, file, self.channel, self.vad, state_of(file))
        if not recording.chunks:
            raise NothingSaidError.at(file, "nothing is said", "Its transcript is empty.")
        return recording.features(item.start, item.start + item.duration, transform)


@lru_cache(maxsize=1)
def _names(files: tuple[str, ...]) -> dict[str, str]:
    stems = [mended_name(Path(f).stem.replace(" ", "_")) or "audio" for f in files]
    times, taken = Counter(stems), Counter[str]()
    found: dict[str, str] = {}
    for stem, file in zip(stems, files):
        first = (
            stem if times[stem] == 1 else mended_name(f"{Path(file).resolve().parent.name}-{stem}".replace(" ", "_"))
        )
        name = first
        while name in found:  # counted, so that a thousand files of one name do not try a thousand names each
            taken[first] += 1
            name = f"{first}-{taken[first] + 1}"
        found[name] = file
    return found


@lru_cache(maxsize=4)
def _recording(model: Model | None, file: str, channel: int, vad: VadConfig, _state: object) -> Recording:
    return Recording(model, file, channel, vad=vad, whole_within=vad.max_length)


@dataclass(frozen=True)
class ScoreFolder:
    """Unscaled log-likelihoods of any model: a Kaldi archive or scp file of matrices, or a folder of UTT.npy."""

    path: str

    def fingerprint(self) -> str:
        """See `ScoreSource.fingerprint`."""
        path = Path(self.path)
        files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
        return f"scores {path.resolve()} {[(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files]}"

    def utterances(self) -> tuple[list[Utterance], list[tuple[str, str]]]:
        """See `ScoreSource.utterances`."""
        path = Path(self.path)
        require_followed(path)
        if path.is_dir():
            names = sorted(f.stem for f in path.glob("*.npy"))
        elif path.is_file():
            from hybrid.formats.kaldi_io import read_matrices

            names = sorted(name for name, _ in read_matrices(path))
        else:
            raise InputError.at(path, "no such scores", "Give a Kaldi archive, an scp file or a folder of .npy files.")
        if not names:
            raise InputError.at(path, "holds no scores", "Give a Kaldi archive, an scp file or a folder of .npy files.")
        return [Utterance(name) for name in names], []

    def inputs(self) -> dict[str, Any]:
        """See `ScoreSource.inputs`."""
        return {"scores": self.path}

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """See `ScoreSource.scores`."""
        from hybrid.formats.npy import read_npy

        path = Path(self.path)
        require_fit(part_of(path, "scores"), model.part)
        if path.is_dir():
            for item in items:
                check(path / f"{item.id}.npy", cached=True)
                yield or_reason(read_npy, path / f"{item.id}.npy")
            return
        check(path, cached=True)
        found = _cursor(self.path, state_of(path)).take({item.id for item in items})
        for item in items:
            yield found.get(item.id, "is not in the archive any more")


class _Cursor:
    """Goes through an archive once for all blocks of a worker, as long as they come in the archive's order."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._entries: Iterator[tuple[str, np.ndarray]] = iter(())

    def take(self, wanted: set[str]) -> dict[str, np.ndarray]:
        """Returns the wanted matrices that there are."""
        from hybrid.formats.kaldi_io import read_matrices

        found: dict[str, np.ndarray] = {}
        for again in (False, True):
            if again:
                self._entries = read_matrices(self._path)
            for name, matrix in self._entries:
                if name in wanted:
                    found[name] = matrix
                    if len(found) == len(wanted):
                        return found
        return found


@lru_cache(maxsize=1)
def _cursor(path: str, _state: object) -> _Cursor:
    return _Cursor(path)
