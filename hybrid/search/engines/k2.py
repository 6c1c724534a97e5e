"""Search with k2 on a CPU or a GPU, batch by batch.

What k2 1.23.4 does not do, and what is done about it:

* It returns nothing where no final state was reached. Such an utterance is searched once more with a copy of the
  graph in which every state is final at no cost (made when it is first wanted); that result is flagged partial.
* It does not say whether max-active cut anything (it narrows its beam from frame to frame). `limited_frames` is
  None, unless `K2Config.check_limit` asks for a second search with twice the limit: the flag is set where that
  one differs.
* Its OnlineDenseIntersecter drops, at the end of each chunk, every state that cannot end the utterance there, which
  loses the best path (measured with 1.23.4). So a stream here gathers its chunks and searches them at the end; use
  the native engine where frames must be searched as they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.optional import import_k2
from hybrid.formats.openfst import FstArrays
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.paths import best_path
from hybrid.lattice.prune import prune
from hybrid.search.batch import check_scores
from hybrid.search.config import SearchConfig
from hybrid.search.engines.k2_config import K2Config
from hybrid.search.engines.k2_graph import PreparedGraph, prepare_graph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult

if TYPE_CHECKING:
    from hybrid.hmm import TransitionModel

__all__ = ["K2Searcher"]

BATCH_SCORES = 1 << 26  # padded scores sent to k2 together: 256 MB


class K2Searcher(SearcherBase):
    """Implements `Searcher` with k2.intersect_dense_pruned."""

    batched = True

    def __init__(
        self,
        graph: PreparedGraph,
        num_pdfs: int,
        config: SearchConfig | None = None,
        device: Any = "cpu",
        own: K2Config | None = None,
        fsas: dict[bool, Any] | None = None,
    ) -> None:
        """Takes a prepared graph.

        Args:
          own: settings that only this engine knows.
          fsas: the graph as k2 wants it, where another searcher has it already; see `_fsa`.

        Raises:
          MissingDependencyError: k2 is not installed.
        """
        import_k2("search with k2")
        self.graph, self._num_pdfs, self.config = graph, num_pdfs, config or SearchConfig()
        self.device, self.own = device, own or K2Config()
        self._fsas: dict[bool, Any] = {} if fsas is None else fsas

    @classmethod
    def from_fst(
        cls,
        fst: FstArrays,
        transition_model: TransitionModel,
        config: SearchConfig | None = None,
        device: Any = "cpu",
        place: object = "graph",
        own: K2Config | None = None,
    ) -> "K2Searcher":
        """Prepares HCLG for k2 (see `hybrid.search.engines.k2_graph`)."""
        import_k2("search with k2")
        prepared = prepare_graph(fst, transition_model.pdf_ids, transition_model.num_pdfs, place)
        return cls(prepared, transition_model.num_pdfs, config, device, own)

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self._num_pdfs

    def with_config(self, config: SearchConfig) -> "K2Searcher":
        """The same graph with other settings."""
        return K2Searcher(self.graph, self._num_pdfs, config, self.device, self.own, self._fsas)

    def open(self) -> "K2Stream":
        """See `Searcher.open`; the chunks are searched together at the end."""
        return K2Stream(self)

    def _search(self, utterances: list[np.ndarray]) -> list[SearchResult]:
        """See `SearcherBase`; batch by batch."""
        lattices = self.lattices(utterances, self.config, ends_anywhere=False)
        failed = [i for i, lattice in enumerate(lattices) if lattice.is_empty]
        for i, lattice in zip(failed, self.lattices([utterances[i] for i in failed], self.config, ends_anywhere=True)):
            lattices[i] = lattice
        limited: list[int | None] = [None] * len(lattices)
        if self.own.check_limit:
            limited = self._limited(utterances, lattices, set(failed))
        results = []
        for i, (lattice, limit) in enumerate(zip(lattices, limited)):
            status: Any = "empty" if lattice.is_empty else "partial" if i in failed else "complete"
            results.append(SearchResult(lattice, status, limit, len(utterances[i]), (self.config,)))
        return results

    def _limited(self, utterances: list[np.ndarray], lattices: list[Lattice], failed: set[int]) -> list[int | None]:
        """Searches again with twice the limit: 1 where anything changes, else 0."""
        wider = replace(self.config, max_active=2 * self.config.max_active)
        flags: list[int | None] = [None] * len(lattices)
        for ends_anywhere in (False, True):
            chosen = [i for i in range(len(lattices)) if (i in failed) == ends_anywhere]
            again = self.lattices([utterances[i] for i in chosen], wider, ends_anywhere)
            for i, lattice in zip(chosen, again):
                flags[i] = int(lattice.num_arcs != lattices[i].num_arcs)
        return flags

    def lattices(self, utterances: list[np.ndarray], config: SearchConfig, ends_anywhere: bool) -> list[Lattice]:
        """Searches in batches of similar lengths; the order of the results is that of the utterances.

        Args:
          utterances: float32 [T][num_pdfs] each, unscaled scores.
          ends_anywhere: whether a path may end outside a final state.

        Returns:
          A pruned lattice of each; empty for one without frames.
        """
        found = [Lattice.empty()] * len(utterances)
        order = sorted(
            (i for i in range(len(utterances)) if len(utterances[i])), key=lambda i: (-len(utterances[i]), i)
        )
        while order:
            room = max(1, BATCH_SCORES // (len(utterances[order[0]]) * (self.num_pdfs + 1)))
            batch, order = order[:room], order[room:]
            for i, lattice in zip(batch, self._intersect([utterances[i] for i in batch], config, ends_anywhere)):
                found[i] = prune(lattice, config.lattice_beam, config.scale)
        return found

    def _intersect(self, utterances: list[np.ndarray], config: SearchConfig, ends_anywhere: bool) -> list[Lattice]:
        import torch

        k2 = import_k2("search with k2")
        longest = len(utterances[0])
        padded = torch.full((len(utterances), longest, self.num_pdfs + 1), -np.inf)
        for row, scores in zip(padded, utterances):
            row[: len(scores), 1:] = torch.from_numpy(scores) * config.scale
        segments = torch.tensor([[i, 0, len(u)] for i, u in enumerate(utterances)], dtype=torch.int32)
        dense = k2.DenseFsaVec(padded.to(self.device), segments)
        out = k2.intersect_dense_pruned(
            self._fsa(ends_anywhere), dense, config.beam, config.lattice_beam, max(1, config.min_active),
            config.max_active, frame_idx_name="frames",
        )  # fmt: skip
        arcs, ids, frames = (t.cpu().numpy() for t in (out.arcs.values(), out.arc_ids, out.frames))
        state_splits, arc_splits = (out.arcs.row_splits(axis).cpu().numpy() for axis in (1, 2))
        lattices = []
        for i, scores in enumerate(utterances):
            states = slice(int(state_splits[i]), int(state_splits[i + 1]))
            part = slice(int(arc_splits[states.start]), int(arc_splits[states.stop]))
            lattices.append(
                self._to_lattice(states.stop - states.start, arcs[part], ids[part], frames[part], scores, ends_anywhere)
            )
        return lattices

    def _fsa(self, ends_anywhere: bool) -> Any:
        """The graph as k2 wants it; arcs beyond those of the prepared graph end an utterance anywhere."""
        if ends_anywhere not in self._fsas:
            import torch

            k2 = import_k2("search with k2")
            graph = self.graph
            columns = [graph.sources, graph.next_states, graph.labels, graph.scores.view(np.int32)]
            ids = np.arange(graph.num_arcs, dtype=np.int32)
            if ends_anywhere:
                columns, ids = _with_ends(graph, columns, ids)
            fsa = k2.Fsa(torch.from_numpy(np.stack(columns, axis=1)))
            fsa.arc_ids = torch.from_numpy(ids)
            self._fsas[ends_anywhere] = k2.create_fsa_vec([fsa.to(self.device)])
        return self._fsas[ends_anywhere]

    def _to_lattice(
        self,
        states: int,
        arcs: np.ndarray,
        ids: np.ndarray,
        frames: np.ndarray,
        scores: np.ndarray,
        ends_anywhere: bool,
    ) -> Lattice:
        """Builds our lattice from k2's arcs (source, target, label, score bits) and the graph arcs they come from."""
        if not len(arcs):
            return Lattice.empty()
        graph = self.graph
        ends = arcs[:, 2] == -1
        transition_ids = np.where(ends, 0, graph.transition_ids[ids]).astype(np.int32)
        word_ids, graph_scores = graph.word_ids[ids], graph.scores[ids]
        if ends_anywhere:
            word_ids, graph_scores = np.where(ends, 0, word_ids), np.where(ends, np.float32(0), graph_scores)
        acoustic = np.zeros(len(arcs), np.float32)
        acoustic[~ends] = scores[frames[~ends], arcs[~ends, 2] - 1]
        columns = [
            arcs[:, 0].astype(np.int64),
            arcs[:, 1].astype(np.int64),
            transition_ids,
            word_ids,
            graph_scores,
            acoustic,
        ]
        columns, states, finals = _fold_ends(columns, ends, states)
        several = columns[3] >= graph.first_sequence
        if several.any():
            columns, states = _spell_out(graph, columns, several, states)
            finals = np.concatenate([finals, np.full((2, states - finals.shape[1]), -np.inf, np.float32)], axis=1)
        return Lattice.from_arcs(states, 0, columns, finals)


def _with_ends(graph: PreparedGraph, columns: list[np.ndarray], ids: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Replaces the arcs into the final state by one from every state, without cost."""
    kept = graph.labels != -1
    final = graph.num_states - 1
    sources = np.concatenate([columns[0][kept], np.arange(final, dtype=np.int32)])
    order = np.argsort(sources, kind="stable")
    fills = (None, np.int32(final), np.int32(-1), np.int32(0))
    new = [sources[order]]
    for column, fill in zip(columns[1:], fills[1:]):
        new.append(np.concatenate([column[kept], np.full(final, fill, np.int32)])[order])
    return new, np.concatenate([ids[kept], np.zeros(final, np.int32)])[order]


def _fold_ends(columns: list[np.ndarray], ends: np.ndarray, states: int) -> tuple[list[np.ndarray], int, np.ndarray]:
    """Turns arcs into the final state to final scores, unless they carry a word: those lead to k2's final state."""
    finals = np.full((2, states), -np.inf, np.float32)
    plain = ends & (columns[3] == 0)
    np.maximum.at(finals[0], columns[0][plain], columns[4][plain])
    finals[1] = np.where(np.isfinite(finals[0]), 0.0, -np.inf)
    if (ends & ~plain).any():
        finals[:, states - 1] = 0.0
    return [column[~plain] for column in columns], states, finals


def _spell_out(
    graph: PreparedGraph, columns: list[np.ndarray], several: np.ndarray, states: int
) -> tuple[list[np.ndarray], int]:
    """Gives each of several words of an arc an arc of its own; the first keeps the frame and the scores."""
    columns = [column.copy() for column in columns]
    added: list[tuple] = []
    for arc in np.flatnonzero(several):
        words = graph.words_of(int(columns[3][arc]))
        target = int(columns[1][arc])
        columns[1][arc], columns[3][arc] = states, words[0]
        for rank, word in enumerate(words[1:], 1):
            last = rank == len(words) - 1
            added.append((states, target if last else states + 1, 0, word, 0.0, 0.0))
            states += 1
    extra = [np.array(values) for values in zip(*added)]
    return [np.concatenate([a, b.astype(a.dtype)]) for a, b in zip(columns, extra)], states


class K2Stream:
    """Implements `Stream` by gathering; see the module's text."""

    def __init__(self, searcher: K2Searcher) -> None:
        self._searcher = searcher
        self._chunks: list[np.ndarray] = []

    @property
    def memory(self) -> int:
        """See `Stream`."""
        return sum(chunk.nbytes for chunk in self._chunks)

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        self._chunks.append(check_scores(scores, self._searcher.num_pdfs))

    def _gathered(self) -> np.ndarray:
        parts: Sequence[np.ndarray] = [c for c in self._chunks if len(c)]
        return np.concatenate(parts) if parts else np.zeros((0, self._searcher.num_pdfs), np.float32)

    def partial(self) -> PartialResult:
        """See `Stream.partial`; searches all frames so far, so call it seldom."""
        scores = self._gathered()
        (lattice,) = self._searcher.lattices([scores], self._searcher.config, ends_anywhere=True)
        path = best_path(lattice, self._searcher.config.scale)
        none = np.zeros(0, np.int32)
        return PartialResult(path.word_ids if path else none, path.transition_ids if path else none, len(scores))

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`; this engine searches whole utterances and commits nothing."""
        if frames:
            raise ValueError(f"{frames} frames to be committed, 0 are settled")
        return None

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        scores = self._gathered()
        if not len(scores):
            return SearchResult(Lattice.empty(), "empty", None, 0, (self._searcher.config,))
        return self._searcher.search([scores])[0]
