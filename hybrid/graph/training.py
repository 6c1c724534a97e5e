"""Training graphs: H∘C∘L∘text of each utterance, compiled once and used in every pass.

Transition-ids in, word-ids out, no epsilons on the input side. Self-loops follow the transition that
they belong to (Kaldi's `reorder=true`). Graphs hold pronunciation and silence probabilities only;
transition probabilities change from pass to pass and are added when a graph is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from hybrid.agreement import Part, part_of, require_fit
from hybrid.base.artifact import write_meta
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.integrity import check
from hybrid.base.jobs import map_in_order
from hybrid.base.ranges import NATURAL, check_fields
from hybrid.base.reading import reading
from hybrid.formats.openfst import FstArrays
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.graph.hmm_expand import HmmExpander
from hybrid.graph.phone_graph import LexiconIndex, add_context
from hybrid.hmm import TransitionModel
from hybrid.tree import ContextTree

__all__ = [
    "TrainingGraphCompiler",
    "TrainingGraphConfig",
    "TrainingGraphs",
    "compile_training_graphs",
    "transition_costs",
    "with_transition_costs",
]

BLOCK = 64  # utterances a job takes at a time


@dataclass(frozen=True)
class TrainingGraphConfig:
    """Settings of training graphs.

    Attributes:
      transition_scale: of transition probabilities (self-loops aside) in the graph.
      self_loop_scale: of the probabilities of taking or leaving self-loops in the graph.
    """

    transition_scale: float = field(default=0.0, metadata={"help": "Scale of transition probabilities in the graph."})
    self_loop_scale: float = field(default=0.0, metadata={"help": "Scale of self-loop probabilities in the graph."})

    def __post_init__(self) -> None:
        check_fields(self, transition_scale=NATURAL, self_loop_scale=NATURAL)


def transition_costs(model: TransitionModel, transition_scale: float, self_loop_scale: float) -> np.ndarray:
    """Returns what each transition-id adds to the cost of an arc, float32 [num_transition_ids + 1].

    An arc that leaves its HMM state costs its probability given that it is no self-loop, times the
    transition scale, and the probability that the self-loop is left, times the self-loop scale. With equal
    scales that is the probability of the transition.
    """
    leave = model.log_probs_not_self_loop[model.transition_states]
    forward = transition_scale * model.log_probs_ignoring_self_loops + self_loop_scale * leave
    costs = -np.where(model.is_self_loop, self_loop_scale * model.log_probs, forward)
    costs[0] = 0.0
    return costs.astype(np.float32)


def with_transition_costs(graph: FstArrays, costs: np.ndarray) -> FstArrays:
    """Returns the graph with the cost of its transition-id added to each arc (see `transition_costs`)."""
    return replace(graph, costs=graph.costs + costs[graph.ilabels])


class TrainingGraphCompiler:
    """Compiles texts into training graphs; picklable, so that jobs can share it."""

    def __init__(
        self,
        lexicon: Any,
        transition_model: TransitionModel,
        config: TrainingGraphConfig = TrainingGraphConfig(),  # noqa: B008  (frozen)
    ) -> None:
        """Makes a compiler.

        Args:
          lexicon: a LangDir, or L itself as FstArrays (phones in, words out, no disambiguation symbols).
          transition_model: with its topology and tree.
        """
        self.config = config
        self._lexicon = lexicon if isinstance(lexicon, FstArrays) else lexicon.L_arrays()
        self._symbols = None if isinstance(lexicon, FstArrays) else lexicon.words
        self._expander = HmmExpander(transition_model)
        tree = transition_model.tree
        self._left = tree.central_position
        self._right = tree.context_width - 1 - tree.central_position

    @cached_property
    def _index(self) -> LexiconIndex:
        return LexiconIndex(self._lexicon)

    @cached_property
    def _costs(self) -> np.ndarray | None:
        if self.config == TrainingGraphConfig(0.0, 0.0):
            return None
        model = self._expander.transition_model
        return transition_costs(model, self.config.transition_scale, self.config.self_loop_scale)

    def __call__(self, word_ids: Sequence[int]) -> FstArrays:
        """Returns the graph of a text: transition-ids in, word-ids out.

        Args:
          word_ids: ids of words.txt, none 0. An empty text gives optional silence.

        Raises:
          InputError: a word has no pronunciation, or a phone of the lexicon is not the model's.
        """
        phones = self._index.phone_graph(word_ids, self._name)
        graph = self._expander.expand(*add_context(phones, self._left, self._right))
        return graph if self._costs is None else with_transition_costs(graph, self._costs)

    def _name(self, word_id: int) -> str:
        known = self._symbols is not None and word_id in self._symbols.ids
        return f"'{quote(self._symbols.symbol(word_id))}'" if known else f"id {word_id}"  # type: ignore[union-attr]


def compile_training_graphs(
    compiler: TrainingGraphCompiler,
    texts: Iterable[tuple[str, Sequence[int]]],
    executor: Executor | None = None,
) -> tuple[TrainingGraphs, dict[str, str]]:
    """Compiles the graphs of many utterances.

    Args:
      texts: (utterance id, word ids) pairs.
      executor: for jobs; results do not depend on it.

    Returns:
      The graphs, and the reason of each utterance that has none.
    """
    failed: dict[str, str] = {}

    def packs() -> Iterator[TrainingGraphs]:
        for pack, reasons in map_in_order(_compile_block, _blocks(texts), executor, shared=compiler):
            failed.update(reasons)
            yield pack

    return TrainingGraphs.join(packs()), failed


def _blocks(texts: Iterable[tuple[str, Sequence[int]]]) -> Iterator[list[tuple[str, Sequence[int]]]]:
    block: list[tuple[str, Sequence[int]]] = []
    for item in texts:
        block.append(item)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _compile_block(
    compiler: TrainingGraphCompiler, block: Sequence[tuple[str, Sequence[int]]]
) -> tuple[TrainingGraphs, dict[str, str]]:
    graphs: dict[str, FstArrays] = {}
    failed: dict[str, str] = {}
    for utterance, word_ids in block:
        try:
            graphs[utterance] = compiler(word_ids)
        except HybridError as error:
            failed[utterance] = str(error)
    return TrainingGraphs.pack(graphs), failed


@dataclass(frozen=True, eq=False)
class TrainingGraphs:
    """Graphs of many utterances, one after another in long arrays.

    Attributes:
      ids: utterance ids, in the order of the graphs.
      starts: int32 [num_utterances].
      state_splits, arc_splits: int64 [num_utterances + 1], first state and arc of each utterance.
      arrays: row_splits (each graph's own, one row more than it has states), ilabels, olabels,
        next_states, costs, final_costs of all graphs.
    """

    ids: tuple[str, ...]
    starts: np.ndarray
    state_splits: np.ndarray
    arc_splits: np.ndarray
    arrays: Mapping[str, np.ndarray]

    NAMES = ("row_splits", "ilabels", "olabels", "next_states", "costs", "final_costs")

    @classmethod
    def pack(cls, graphs: Mapping[str, FstArrays]) -> TrainingGraphs:
        """Packs graphs; their order is kept."""
        values = list(graphs.values())

        def splits(counts: list[int]) -> np.ndarray:
            return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)

        arrays = {n: np.concatenate([getattr(g, n) for g in values or [FstArrays.empty()]]) for n in cls.NAMES}
        starts = np.array([g.start for g in values], np.int32)
        states, arcs = splits([g.num_states for g in values]), splits([g.num_arcs for g in values])
        return cls(tuple(graphs), starts, states, arcs, arrays)

    @classmethod
    def join(cls, packs: Iterable[TrainingGraphs]) -> TrainingGraphs:
        """Puts packs one after another, array by array, so that no more than one of them is ever held twice."""
        ids: list[str] = []
        columns: dict[str, list[np.ndarray]] = {name: [] for name in ("starts", "states", "arcs", *cls.NAMES)}
        for pack in packs:
            if not len(pack):
                continue
            ids += pack.ids
            own = {"starts": pack.starts, "states": np.diff(pack.state_splits), "arcs": np.diff(pack.arc_splits)}
            for name, array in {**pack.arrays, **own}.items():
                columns[name].append(array)
        if not ids:
            return cls.pack({})
        joined = {name: np.concatenate(columns.pop(name)) for name in list(columns)}
        starts, *splits = joined.pop("starts"), *(np.append(0, np.cumsum(joined.pop(n))) for n in ("states", "arcs"))
        return cls(tuple(ids), starts, splits[0], splits[1], joined)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {utterance: number for number, utterance in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._index

    def graph(self, utterance: str) -> FstArrays:
        """Returns the graph of an utterance; its arrays are views.

        Raises:
          KeyError: there is none.
        """
        number = self._index[utterance]
        states = slice(int(self.state_splits[number]), int(self.state_splits[number + 1]))
        arcs = slice(int(self.arc_splits[number]), int(self.arc_splits[number + 1]))
        rows = slice(states.start + number, states.stop + number + 1)
        pick = {"row_splits": rows, "final_costs": states}
        return FstArrays(int(self.starts[number]), **{n: self.arrays[n][pick.get(n, arcs)] for n in self.NAMES})

    def items(self) -> Iterator[tuple[str, FstArrays]]:
        """Yields (utterance id, graph)."""
        for utterance in self.ids:
            yield utterance, self.graph(utterance)

    def save(self, path: str | os.PathLike, transition_model: TransitionModel) -> None:
        """Saves the graphs as safetensors with their provenance beside them."""
        names = np.frombuffer("\n".join(self.ids).encode(), np.uint8)
        own = {"ids": names, "starts": self.starts, "state_splits": self.state_splits, "arc_splits": self.arc_splits}
        save_arrays(path, {**self.arrays, **own})
        inputs = {"tree": transition_model.tree.content_hash(), "topo": transition_model.topology.content_hash()}
        facts = {"utterances": len(self), "states": int(self.state_splits[-1]), "arcs": int(self.arc_splits[-1])}
        write_meta(path, "training-graphs", inputs=inputs, facts=facts)

    @classmethod
    def load(cls, path: str | os.PathLike, tree: ContextTree | None = None) -> TrainingGraphs:
        """Loads what `save` saved, and checks that it was made with `tree` where one is given.

        Raises:
          InputError: missing, cut short, or no training graphs.
          MismatchError: made with another tree.
        """
        check(path, cached=True)
        arrays, _ = load_arrays(path)
        wanted = {*cls.NAMES, "ids", "starts", "state_splits", "arc_splits"}
        if set(arrays) != wanted:
            raise InputError.at(path, "does not hold training graphs", "Compile the graphs again.")
        if tree is not None:
            require_fit(part_of(path, "training-graphs"), Part("model", "the model", {"tree": tree.content_hash()}))
        with reading(path, "training graphs", "Compile the graphs again."):
            text = arrays.pop("ids").tobytes().decode()
            own = [arrays.pop(n) for n in ("starts", "state_splits", "arc_splits")]
            graphs = cls(tuple(text.split("\n")) if text else (), own[0], own[1], own[2], arrays)
            for utterance, graph in graphs.items():
                graph.check(f"{path}: utterance '{quote(utterance)}'")
        return graphs
