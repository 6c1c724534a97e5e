"""A second pass with a neural language model, or any function, over whole archives of lattices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, Range, check_fields
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.rescore.arc_batch import score_arcs
from hybrid.rescore.histories import WordHistories
from hybrid.rescore.nbest_lattice import nbest_lattice
from hybrid.rescore.ngram_swap import WordModel
from hybrid.rescore.pruned_composition import CompositionConfig, compose_pruned
from hybrid.rescore.scored import Mixture, ScoredLattice, without_old
from lexicon.symbols import SymbolTable

__all__ = ["SecondPassConfig", "score_lattice", "second_pass"]


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class SecondPassConfig:
    """How lattices are scored with another model."""

    method: Literal["arcs", "compose", "nbest"] = _help(
        "arcs", "arcs: each word after the best way to it, in one batch; compose: whole lattices, the best first; "
        "nbest: the best word sequences.",
    )  # fmt: skip
    posterior: float = _help(0.02, "arcs: from this posterior on, an arc has a history of its own behind it.")
    beam: float = _help(8.0, "compose: behind the best path.")
    order: int = _help(4, "compose: words that tell histories apart, the next one included; 0: all.")
    nbest: int = _help(100, "nbest: word sequences.")
    share: float = _help(0.5, "Of the new model.")
    mixing: Literal["linear", "log"] = _help("linear", "Of probabilities (needs an old model), or of their logs.")
    batch_lattices: int = _help(16, "Lattices scored together.")

    def __post_init__(self) -> None:
        check_fields(self, posterior=POSITIVE, beam=NATURAL, order=Range(0, 100), nbest=COUNT, share=Range(0, 1),
                     batch_lattices=COUNT)  # fmt: skip
        for name, wanted in (("method", ("arcs", "compose", "nbest")), ("mixing", ("linear", "log"))):
            if getattr(self, name) not in wanted:
                raise ValueError(f"{name} is '{getattr(self, name)}', wanted one of {', '.join(wanted)}")

    @property
    def mixture(self) -> Mixture:
        """How the models are mixed."""
        return Mixture(self.share, self.mixing == "linear")


def score_lattice(
    compact: CompactLattice, histories: WordHistories, acoustic_scale: float, config: SecondPassConfig | None = None,
    old: WordModel | None = None, of_graph: bool = False, earlier: Sequence[Sequence[str]] = (),
) -> ScoredLattice:  # fmt: skip
    """Scores one lattice; see `second_pass`."""
    config = config or SecondPassConfig(mixing="linear" if old else "log")
    return _scored([compact], histories, acoustic_scale, config, old, of_graph, [earlier])[0]


def _scored(
    lattices: Sequence[CompactLattice], histories: WordHistories, acoustic_scale: float, config: SecondPassConfig,
    old: WordModel | None, of_graph: bool, earlier: Sequence[Sequence[Sequence[str]]],
) -> list[ScoredLattice]:  # fmt: skip
    if config.method == "nbest":
        lattices = [nbest_lattice(compact, config.nbest, acoustic_scale) for compact in lattices]
    bare = [without_old(compact, old, of_graph) for compact in lattices]
    begins = [histories.begin(said) for said in earlier]
    threshold = config.posterior if config.method == "arcs" else 2.0
    found = score_arcs(bare, histories, begins, acoustic_scale, threshold)
    if config.method != "compose":
        return found
    limits = CompositionConfig(config.beam, config.order)
    return [compose_pruned(scored, histories, begin, acoustic_scale, config.mixture, limits)
            for scored, begin in zip(found, begins)]  # fmt: skip


def second_pass(
    lattices: Iterable[tuple[str, CompactLattice]], histories: Callable[[], WordHistories], acoustic_scale: float,
    config: SecondPassConfig, old: WordModel | None = None, of_graph: bool = False,
    speakers: Mapping[str, str] | None = None, words: SymbolTable | None = None,
) -> Iterator[tuple[str, ScoredLattice]]:  # fmt: skip
    """Scores lattices with a new model.

    Args:
      lattices: utterance id and determinised lattice, in the order in which they were said.
      histories: makes the tree of a batch; it is dropped after the batch.
      acoustic_scale: with which the best way to an arc, and the beam, are meant.
      old: n-gram model whose scores are in the lattices, and mixed with the new one's.
      of_graph: they are there as a graph gave them.
      speakers: of utterances: each is scored after what was recognised of the same speaker before it.
      words: of the lattices, with `speakers`.
    """
    if speakers is not None:
        assert words is not None
        yield from _one_by_one(lattices, histories, acoustic_scale, config, old, of_graph, speakers, words)
        return

    def together(some: list[CompactLattice]) -> list[ScoredLattice]:
        return _scored(some, histories(), acoustic_scale, config, old, of_graph, [()] * len(some))

    names: list[str] = []
    waiting: list[CompactLattice] = []
    for utterance, compact in lattices:
        names.append(utterance)
        waiting.append(compact)
        if len(names) == config.batch_lattices:
            yield from zip(names, together(waiting))
            names, waiting = [], []
    yield from zip(names, together(waiting))


def _one_by_one(
    lattices: Iterable[tuple[str, CompactLattice]], histories: Callable[[], WordHistories], acoustic_scale: float,
    config: SecondPassConfig, old: WordModel | None, of_graph: bool, speakers: Mapping[str, str], words: SymbolTable,
) -> Iterator[tuple[str, ScoredLattice]]:  # fmt: skip
    said: dict[str, list[list[str]]] = {}
    for utterance, compact in lattices:
        earlier = said.setdefault(speakers.get(utterance, utterance), [])
        scored = _scored([compact], histories(), acoustic_scale, config, old, of_graph, [earlier])[0]
        yield utterance, scored
        path = best_path(expand(scored.mixed(config.mixture)), acoustic_scale)
        if path is not None:
            earlier.append([words.symbol(word, utterance) for word in path.word_ids.tolist()])
