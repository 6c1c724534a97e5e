"""Sessions: audio that comes in pieces, words while it comes, utterances when they end; memory does not grow.

Features, scores and search each keep what later frames need and nothing else. An utterance ends at a pause (Kaldi's
rules of online-endpoint, in short); one that goes on too long is committed up to its last settled pause and goes on.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.ranges import POSITIVE, check_fields
from hybrid.data.utterance import Utterance
from hybrid.decode.graph_lm import with_lm
from hybrid.decode.raised_phrases import BOOST, with_phrases
from hybrid.decode.recognition import Recognition
from hybrid.decode.system import System
from hybrid.feats.background import Background
from hybrid.feats.loudness import LoudnessStream
from hybrid.feats.online_cmvn import OnlineCmvnConfig
from hybrid.feats.stream import FeatureStream
from hybrid.feats.vad import AROUND
from hybrid.recogniser.slot_contents import Lists, SlotContents
from hybrid.search.batch import as_array
from hybrid.search.protocol import PartialResult, SearchResult
from lm.biasing.bias_list import BiasLines

if TYPE_CHECKING:
    from hybrid.feats.cmvn import CmvnStats

__all__ = ["EndpointConfig", "PartialText", "Session"]


@dataclass(frozen=True)
class EndpointConfig:
    """When an utterance of a session ends; seconds."""

    pause: float = field(default=0.8, metadata={"help": "Pause that ends an utterance with words."})
    silence: float = field(default=5.0, metadata={"help": "Silence after which an utterance without words ends."})
    longest: float = field(default=20.0, metadata={"help": "Length from which settled words are committed."})

    def __post_init__(self) -> None:
        check_fields(self, pause=POSITIVE, silence=POSITIVE, longest=POSITIVE)


@dataclass(frozen=True)
class PartialText:
    """The words of the utterance under way.

    Attributes:
      words: so far. settled: how many of them, from the first, can no longer change.
      start: seconds in the session.
    """

    words: tuple[str, ...]
    settled: int
    start: float

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(self.words)


class Session:
    """One speaker's audio as it comes; many sessions share a system's memory.

    Attributes:
      name: of the recording; utterances are NAME-0001, NAME-0002, …
    """

    def __init__(
        self,
        system: System,
        rate: int | None = None,
        name: str = "session",
        stats: CmvnStats | None = None,
        endpoint: EndpointConfig | None = None,
        online: OnlineCmvnConfig | None = None,
        said: bool = True,
    ) -> None:
        """Starts a session.

        Args:
          rate: of the samples, Hz; None: the model's.
          stats: the speaker's CMVN statistics, if known.
          online: how an unknown speaker is normalised.
          said: what does not move as speech does (`hybrid.feats.loudness`) has no words, and is no utterance.

        Raises:
          InputError: the model looks at whole recordings (see `FeatureStream`).
        """
        self._system = system
        self._model = system.model.unadapted
        self.name, self._endpoint = name, endpoint or EndpointConfig()
        self._features = FeatureStream(self._model.pipeline, rate, stats, online)
        self._background = Background(rate or self._model.pipeline.static.sampling_rate)
        self._loudness = LoudnessStream(rate or self._model.pipeline.static.sampling_rate) if said else None
        self._scores = self._model.acoustic_model.open()
        self._frames = self._searched = self._count = 0  # before this utterance, in it, utterances so far
        self._ended = False
        self._next = system  # of the utterance after this one
        self._begin()
        self._busy, self._asked = threading.Lock(), threading.Lock()

    @property
    def memory(self) -> int:
        """Bytes that the search of the utterance under way takes, the graph not counted."""
        return self._search.memory + sum(scores.nbytes for scores in self._kept or ())

    def fill(self, lists: Lists) -> None:
        """Replaces what stands in slots of the graph, for this session alone, from its next utterance on.

        Where nothing of an utterance has been heard yet, from this one.

        Args:
          lists: as `Recogniser.fill`.

        Raises:
          InputError: see there; or another thread uses the session at this moment.
        """
        self._change(lambda system: SlotContents(system).fill(lists).system)

    def use_lm(self, path: str | os.PathLike) -> None:
        """Takes another language model, for this session alone and from the utterance on that `fill` tells.

        Args:
          path: as `Recogniser.use_lm`.

        Raises:
          InputError: see there; or another thread uses the session at this moment.
        """
        self._change(lambda system: with_lm(system, path))

    def _change(self, change: Callable[[System], System]) -> None:
        with self._alone():
            self._follow(change(self._next))

    def bias(self, phrases: BiasLines, boost: float = BOOST) -> None:
        """Raises phrases in the search of this session alone, in the place of those raised before.

        From its next utterance on; where nothing of an utterance has been heard yet, from this one.

        Args:
          phrases, boost: as `Recogniser.bias`.

        Raises:
          InputError: see there; or another thread uses the session at this moment.
        """
        self._change(lambda system: with_phrases(system, phrases, boost))

    def _follow(self, system: System) -> None:
        self._next = system
        if not self._searched:
            self._begin()

    def _begin(self) -> None:
        """Begins an utterance."""
        self._system = self._next
        self._search = self._system.searcher.open()
        # Its scores, where they may be wanted once more when it ends.
        self._kept: list[np.ndarray] | None = [] if self._system.watch.wants_scores(self._system) else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise self._in_use()
        try:
            with self._asked:  # what another thread asks for ends first
                pass
            yield
        finally:
            self._busy.release()

    def _in_use(self) -> InputError:
        found = "is used by another thread at this moment"
        return InputError.at(f"session '{quote(self.name)}'", found, "Let one thread at a time use a session.")

    def advance(self, samples: np.ndarray) -> list[Recognition]:
        """Takes in samples, float32 [N] in [-1, 1]; returns the utterances that ended, or were committed, in them.

        A session whose features or scores cannot be searched ends with an utterance that failed (`result.error`).

        Raises:
          InputError: not one channel, NaN or infinity, or the session has ended; nothing was taken in then.
        """
        return Session.advance_together([self], [samples])[0]

    @staticmethod
    def advance_together(
        sessions: Sequence[Session], chunks: Sequence[np.ndarray], last: Sequence[bool] | None = None
    ) -> list[list[Recognition]]:
        """Takes in a chunk of each of many sessions of one system: scored in one batch, searched together.

        Args:
          chunks: float32 [N] of each; may be empty.
          last: whether a session ends with its chunk.

        Returns:
          Of each session the utterances that ended, or were committed; one that fails leaves the others unharmed.

        Raises:
          InputError: see `Session.advance`; sessions of several models or graphs, or one that another thread uses.
        """
        with ExitStack() as stack:
            for session in sessions:
                stack.enter_context(session._alone())
            return Session._advance(sessions, chunks, last)

    @staticmethod
    def _advance(
        sessions: Sequence[Session], chunks: Sequence[np.ndarray], last: Sequence[bool] | None
    ) -> list[list[Recognition]]:
        last = [False] * len(sessions) if last is None else list(last)
        if not sessions:
            return []
        if not len(sessions) == len(chunks) == len(last):
            raise InputError.at("sessions", f"{len(sessions)} sessions but {len(chunks)} chunks", "Give each its own.")
        system = sessions[0]._system
        for session in sessions:
            if session._system.model is not system.model or session._system.graph is not system.graph:
                raise InputError.at("sessions", "are of several systems", "Advance those of each system by themselves.")
            if session._ended:
                raise InputError.at(f"session '{quote(session.name)}'", "has ended", "Open another one.")
        checked = [FeatureStream.check(chunk) for chunk in chunks]  # before any of them has moved
        frames = [s._frames_of(chunk, end) for s, chunk, end in zip(sessions, checked, last)]
        features, faults = [rows for rows, _ in frames], [fault for _, fault in frames]
        for session, chunk in zip(sessions, checked):
            if session._loudness is not None:
                session._loudness.advance(chunk)
        model = sessions[0]._model.acoustic_model
        scores = model.advance([s._scores for s in sessions], features, last)
        out: list[list[Recognition]] = [[] for _ in sessions]
        # An utterance may end anywhere in a long chunk: the search looks for its end every tenth of a second.
        step = max(1, math.ceil(0.1 / sessions[0]._model.frame_shift))
        for begin in range(0, max(1, *(len(rows) for rows in scores)), step):
            there = (i for i, fault in enumerate(faults) if not fault)
            at = [i for i in there if begin < len(scores[i]) or (last[i] and begin == 0 and not len(scores[i]))]
            for searcher in {id(sessions[i]._system.searcher): sessions[i]._system.searcher for i in at}.values():
                own = [i for i in at if sessions[i]._system.searcher is searcher]
                pieces = [scores[i][begin : begin + step] for i in own]
                for i, fault in zip(own, searcher.advance([sessions[i]._search for i in own], pieces)):
                    faults[i] = fault
            for i in (i for i in at if not faults[i]):
                taken = scores[i][begin : begin + step]
                out[i] += sessions[i]._heard(taken, last[i] and begin + step >= len(scores[i]))
        for i, (session, end) in enumerate(zip(sessions, last)):
            session._ended = end or bool(faults[i])
            out[i] += [session._read(session._search.finish().fail(faults[i]))] if faults[i] else []
        return out

    def _frames_of(self, samples: np.ndarray, last: bool) -> tuple[np.ndarray, str]:
        """Returns the frames of features that are complete now, and what is wrong with them."""
        try:
            return self._features.advance(self._background.advance(samples), last), ""
        except InputError as error:
            return np.zeros((0, self._model.pipeline.dim), np.float32), str(error)

    def finish(self) -> list[Recognition]:
        """Ends the session; returns what is left."""
        return Session.advance_together([self], [np.zeros(0, np.float32)], [True])[0]

    def partial(self) -> PartialText:
        """The words of the utterance under way; costs what is new, not the whole utterance.

        Raises:
          InputError: another thread uses the session at this moment.
        """
        with self._asked:
            if self._busy.locked():
                raise self._in_use()
            found, time = self._search.partial(), self._system.times.boundary
            start = time(self._frames + found.first_frame)
            if len(found.word_ids) and not self._is_said(start, time(self._frames + self._searched)):
                return PartialText((), 0, start)
            words = tuple(self._system.words.symbol(int(i)) for i in found.word_ids)
            return PartialText(words, found.settled_words, start)

    def _is_said(self, start: float, end: float) -> bool:
        """Tells whether a stretch, seconds in the session, moves as speech does; what comes later plays no part."""
        return self._loudness is None or self._loudness.has_speech(start - AROUND, end)

    def _heard(self, scores: Any, last: bool) -> list[Recognition]:
        """Looks whether the utterance ends after frames that the search has taken in."""
        self._searched += len(scores)
        if self._kept is not None:
            self._kept.append(as_array(scores))
        out: list[Recognition] = []
        found = self._search.partial()
        if last or self._at_end(found):
            out.append(self._read(self._search.finish()))
            self._frames, self._searched = self._frames + self._searched, 0
            self._begin()
        elif found.num_frames * self._model.frame_shift > self._endpoint.longest and found.settled_frames:
            self._kept = None  # what is left is no whole utterance
            done = self._search.commit(self._cut(found.transition_ids[: found.settled_frames]))
            out += [] if done is None else [self._read(done)]
        found_any = [one for one in out if one.result.num_frames]
        return [one for one in found_any if self._is_said(one.start, one.start + one.duration)]

    def _at_end(self, found: PartialResult) -> bool:
        trailing = found.trailing_frames(self._system.pauses)
        heard = len(found.word_ids) > 0 and trailing < len(found.transition_ids)
        return trailing * self._model.frame_shift >= (self._endpoint.pause if heard else self._endpoint.silence)

    def _cut(self, settled: np.ndarray) -> int:
        """Returns where to commit: in the middle of the last pause among the settled frames, else after all of them."""
        silent = self._system.pauses[settled]
        if not silent.any():
            return len(settled)
        end = len(silent) - int(np.argmax(silent[::-1]))
        begin = end - 1
        while begin > 0 and silent[begin - 1]:
            begin -= 1
        return max(1, (begin + end + 1) // 2)

    def _read(self, result: SearchResult) -> Recognition:
        self._count += 1
        first, time = self._frames + result.first_frame, self._system.times.boundary
        start, end = time(first), time(first + result.num_frames)
        utterance = Utterance(
            f"{self.name}-{self._count:04d}", start=start, duration=end - start, recording_id=self.name
        )
        one = self._system.read(utterance, result, first)
        self._system.watch.look(self._system, one, np.concatenate(self._kept) if self._kept else None)
        return one
