"""What every search engine offers: a batch of scores to lattices, and the same in chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from hybrid.base.errors import InputError
from hybrid.base.scores import first_bad_score
from hybrid.lattice.lattice import Lattice
from hybrid.search.config import SearchConfig

__all__ = ["PartialResult", "SearchResult", "Searcher", "SearcherBase", "Stream", "check_scores", "split_batch"]

Status = Literal["complete", "partial", "empty", "committed"]


@dataclass(frozen=True)
class SearchResult:
    """What a search found in one utterance, and how far it can be trusted.

    Attributes:
      lattice: the paths within the lattice beam; unscaled acoustic scores.
      status: "complete": a final state was reached; "partial": none was, the lattice ends in whatever states were
        alive at the last frame; "empty": nothing survived, or there was no frame; "committed": a stretch of a stream
        that goes on; all its paths end in the one state that the best path goes on from.
      limited_frames: frames at which max-active, not the beam, decided; None where the engine cannot tell.
      num_frames: frames searched.
      attempts: the settings tried; the last one gave this result.
      first_frame: frames of the stream that were committed before this stretch.
    """

    lattice: Lattice
    status: Status
    limited_frames: int | None
    num_frames: int
    attempts: tuple[SearchConfig, ...]
    first_frame: int = 0

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
        """There is no path at all."""
        return self.status == "empty"

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
          InputError: NaN, or a wrong number of pdfs.
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
          One result per utterance, in order; an utterance's result does not depend on its neighbours.

        Raises:
          InputError: NaN or +inf among the scores, or a wrong number of pdfs.
        """

    def open(self) -> Stream:
        """Opens a stream: an utterance whose scores come in chunks."""

    def advance(self, streams: Sequence[Stream], chunks: Sequence[Any]) -> None:
        """Takes in a chunk of each of many streams of this searcher at once; see `Stream.advance`.

        A chunk may be empty. Raises before any stream has moved.
        """

    def with_config(self, config: SearchConfig) -> "Searcher":
        """Returns a searcher of the same graph with other settings, sharing its memory."""


class SearcherBase(ABC):
    """The parts of `Searcher` that follow from `open`."""

    batched = False

    @property
    @abstractmethod
    def num_pdfs(self) -> int: ...

    @abstractmethod
    def open(self) -> Stream: ...

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """See `Searcher.search`; one utterance after the other."""
        results = []
        for utterance in split_batch(scores, lengths, self.num_pdfs):
            stream = self.open()
            stream.advance(utterance)
            results.append(stream.finish())
        return results

    def advance(self, streams: Sequence[Stream], chunks: Sequence[Any]) -> None:
        """See `Searcher.advance`; one stream after the other."""
        if len(streams) != len(chunks):
            raise InputError.at("streams", f"{len(streams)} streams but {len(chunks)} chunks", "Give each its own.")
        checked = [check_scores(chunk, self.num_pdfs, f"chunk {i} of the batch") for i, chunk in enumerate(chunks)]
        for stream, chunk in zip(streams, checked):
            stream.advance(chunk)


def check_scores(scores: Any, num_pdfs: int, place: object = "scores") -> np.ndarray:
    """Checks the scores of one utterance and returns them as a float32 array [frame][pdf_id].

    -inf is a score like others (an impossible pdf); NaN and +inf are not.

    Raises:
      InputError: names the first bad frame and pdf.
    """
    if hasattr(scores, "detach"):
        scores = scores.detach().cpu().numpy()
    array = np.ascontiguousarray(scores, dtype=np.float32)
    if array.ndim != 2 or (array.shape[1] != num_pdfs and array.shape[0] > 0):
        raise InputError.at(
            place,
            f"scores have shape {tuple(array.shape)}, wanted [frames][{num_pdfs}], a column for each pdf",
            "Use the scores and the graph of one model.",
        )
    bad = first_bad_score(array)
    if bad is not None:
        frame, pdf = bad
        raise InputError.at(
            place, f"score {array[frame, pdf]} at frame {frame}, pdf {pdf}", "Look at the features and the model."
        )
    return array


def split_batch(scores: Any, lengths: Any, num_pdfs: int) -> list[np.ndarray]:
    """Cuts a batch into checked utterances.

    Args:
      scores: [N][T][num_pdfs], or a sequence of [T][num_pdfs]: arrays or tensors, natural logs.
      lengths: frames of each, [N]; None: all there are.

    Returns:
      float32 [T][num_pdfs] of each utterance.

    Raises:
      InputError: lengths that do not fit, or bad scores; names the utterance by its place in the batch.
    """
    items: Sequence[Any] = scores
    if lengths is None:
        lengths = [len(item) for item in items]
    lengths = [int(n) for n in lengths]
    if len(lengths) != len(items):
        raise InputError.at("scores", f"{len(items)} utterances but {len(lengths)} lengths")
    utterances = []
    for index, (item, length) in enumerate(zip(items, lengths)):
        if not 0 <= length <= len(item):
            raise InputError.at(f"utterance {index} of the batch", f"length {length} of {len(item)} frames")
        utterances.append(check_scores(item[:length], num_pdfs, f"utterance {index} of the batch"))
    return utterances
