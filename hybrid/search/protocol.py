"""What every search engine offers: a batch of scores to lattices, and the same in chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from hybrid.base.errors import InputError
from hybrid.lattice.lattice import Lattice
from hybrid.search.batch import NO_FRAMES, as_array, score_fault, split_batch
from hybrid.search.config import SearchConfig

__all__ = ["PartialResult", "SearchResult", "Searcher", "SearcherBase", "Stream"]

Status = Literal["complete", "partial", "empty", "failed", "committed"]


@dataclass(frozen=True)
class SearchResult:
    """What a search found in one utterance, and how far it can be trusted.

    Attributes:
      lattice: the paths within the lattice beam; unscaled acoustic scores.
      status: "complete": a final state was reached; "partial": none was, the lattice ends in whatever states were
        alive at the last frame; "empty": nothing survived, or a stream had no frame; "failed": it could not be
        searched, see `error`; "committed": a stretch of a stream that goes on; all its paths end in the one state that
        the best path goes on from.
      limited_frames: frames at which max-active, not the beam, decided; None where the engine cannot tell.
      num_frames: frames searched.
      attempts: the settings tried; the last one gave this result.
      first_frame: frames of the stream that were committed before this stretch.
      error: what is wrong with an utterance that failed, and the cure, in one line without its name; else "".
      begin: the state of the graph that its paths begin in; None: the graph's start.
    """

    lattice: Lattice
    status: Status
    limited_frames: int | None
    num_frames: int
    attempts: tuple[SearchConfig, ...]
    first_frame: int = 0
    error: str = ""
    begin: int | None = None

    def fail(self, error: str) -> SearchResult:
        """Returns the result of the same frames for an utterance that cannot be used."""
        return replace(self, lattice=Lattice.empty(), status="failed", error=error)

    def require(self, place: object) -> SearchResult:
        """Returns it, where there is no error.

        Args:
          place: names the utterance.

        Raises:
          InputError: the error.
        """
        if self.failed:
            raise InputError(f"{place}: {self.error}")
        return self

    @property
    def complete(self) -> bool:
        """A final state of the graph was reached."""
        return self.status == "complete"

    @property
    def partial(self) -> bool:
        """No final state was reached; the lattice holds what was alive at the end."""
        return self.status == "partial"

    @property
    def empty(self) -> bool:
        """There is no path at all: none survived, or the utterance failed."""
        return self.status in ("empty", "failed")

    @property
    def failed(self) -> bool:
        """The utterance could not be searched; `error` tells why."""
        return self.status == "failed"

    @property
    def limited_by_max_active(self) -> bool | None:
        """Whether max-active cut tokens that the beam would have kept; None where the engine cannot tell."""
        return None if self.limited_frames is None else self.limited_frames > 0


@dataclass(frozen=True, eq=False)
class PartialResult:
    """The best path so far in a stream, without what was committed.

    Attributes:
      word_ids: int32, the words on it.
      transition_ids: int32, one per frame.
      num_frames: frames taken in, without those committed.
      settled_frames: of these, the first ones that no later frame can change.
      settled_words: the words put out on them.
      first_frame: frames committed before.
      final_loss: by how much the best path that may end now, its final score counted, is worse than this one, in nats
        of scaled scores; inf where none may end, None where the engine cannot tell. Small where a sentence is whole.
    """

    word_ids: np.ndarray
    transition_ids: np.ndarray
    num_frames: int
    settled_frames: int = 0
    settled_words: int = 0
    first_frame: int = 0
    final_loss: float | None = None

    def trailing_frames(self, silent: np.ndarray) -> int:
        """Returns how many frames the path has spent in silence by now.

        Args:
          silent: bool [transition-ids + 1], those of silence; entry 0 unused.
        """
        loud = np.flatnonzero(~silent[self.transition_ids])
        return len(self.transition_ids) - (int(loud[-1]) + 1 if len(loud) else 0)


class Stream(Protocol):
    """The search of one utterance whose scores come in chunks.

    Attributes:
      memory: bytes that the utterance takes now, the graph not counted.
    """

    @property
    def memory(self) -> int: ...

    def advance(self, scores: Any) -> None:
        """Takes in the scores of the next frames, float32 [frame][pdf_id], unscaled.

        Raises:
          InputError: NaN or +inf, a frame of nothing but -inf, or a wrong number of pdfs; the stream has not moved.
        """

    def partial(self) -> PartialResult:
        """The best path so far, ended or not; costs what is new or may still change, not the whole utterance."""

    def commit(self, frames: int) -> SearchResult | None:
        """Makes the first frames final and frees their memory, so that a stream may go on without end.

        The best path stays what it was; of the other paths through the later frames those go that do not share its
        state where it was cut.

        Args:
          frames: at most `partial().settled_frames`.

        Returns:
          The lattice of these frames, status "committed"; None where the engine cannot commit, or nothing is settled.

        Raises:
          ValueError: more frames than are settled.
        """

    def finish(self) -> SearchResult:
        """Ends the utterance, and gives what is not committed; the stream is of no use afterwards."""


class Searcher(Protocol):
    """A search engine with a graph loaded.

    Attributes:
      config: widths and acoustic scale.
      num_pdfs: columns of the scores it takes.
      batched: utterances that are searched together take less time than one after the other.
    """

    @property
    def config(self) -> SearchConfig: ...

    @property
    def batched(self) -> bool: ...

    @property
    def num_pdfs(self) -> int: ...

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """Searches a batch.

        Args:
          scores: float32 [utterance][frame][pdf_id], natural logs, unscaled, array or tensor; or a sequence of
            [frame][pdf_id].
          lengths: int64 [utterance], frames of each; all of them by default.

        Returns:
          One result per utterance, in order; an utterance's result does not depend on its neighbours. One that cannot
          be searched has status "failed" and an error: no frames, NaN or +inf, a frame of nothing but -inf, a wrong
          number of pdfs, more than memory holds.

        Raises:
          InputError: lengths that do not fit the scores.
        """

    def open(self) -> Stream:
        """Opens a stream: an utterance whose scores come in chunks."""

    def advance(self, streams: Sequence[Stream], chunks: Sequence[Any]) -> list[str]:
        """Takes in a chunk of each of many streams of this searcher at once; see `Stream.advance`.

        A chunk may be empty. A stream that is given up is simply left out of the next call.

        Returns:
          Of each stream what is wrong with its chunk, and the cure; "" where it was taken in. Such a stream has not
          moved (or, where memory does not hold it, not to the end of the chunk); the others have.

        Raises:
          InputError: not one chunk for each stream; none has moved.
        """

    def with_config(self, config: SearchConfig) -> "Searcher":
        """Returns a searcher of the same graph with other settings, sharing its memory."""


class SearcherBase(ABC):
    """The parts of `Searcher` that follow from `open`, and what all engines do with utterances that are bad.

    An engine that searches many side by side has its own `_search` and `_advance`.
    """

    batched = False
    config: SearchConfig

    @property
    @abstractmethod
    def num_pdfs(self) -> int: ...

    @abstractmethod
    def open(self) -> Stream: ...

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """See `Searcher.search`."""
        utterances = split_batch(scores, lengths)
        faults = [score_fault(one, self.num_pdfs) or ("" if len(one) else NO_FRAMES) for one in utterances]
        found = iter(self._search([one for one, fault in zip(utterances, faults) if not fault]))
        nothing = SearchResult(Lattice.empty(), "empty", None, 0, (self.config,))
        return [nothing.fail(fault) if fault else next(found) for fault in faults]

    def advance(self, streams: Sequence[Any], chunks: Sequence[Any]) -> list[str]:
        """See `Searcher.advance`."""
        if len(streams) != len(chunks):
            raise InputError.at("streams", f"{len(streams)} streams but {len(chunks)} chunks", "Give each its own.")
        arrays = [as_array(chunk) for chunk in chunks]
        faults = [score_fault(one, self.num_pdfs) for one in arrays]
        good = [i for i, fault in enumerate(faults) if not fault]
        for i, fault in zip(good, self._advance([streams[i] for i in good], [arrays[i] for i in good])):
            faults[i] = fault
        return faults

    def _search(self, utterances: list[np.ndarray]) -> list[SearchResult]:
        """Searches utterances whose scores can be searched; one after the other."""
        results = []
        for utterance in utterances:
            stream = self.open()
            stream.advance(utterance)
            results.append(stream.finish())
        return results

    def _advance(self, streams: Sequence[Any], chunks: Sequence[np.ndarray]) -> list[str]:
        """Takes in chunks that can be searched, one stream after the other; returns an error, or "", of each."""
        for stream, chunk in zip(streams, chunks):
            stream.advance(chunk)
        return [""] * len(streams)
