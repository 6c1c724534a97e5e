"""A second pass with a neural language model, or any function, over whole archives of lattices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.rescore.arc_batch import score_arcs
from hybrid.rescore.histories import WordHistories
from hybrid.rescore.nbest_lattice import nbest_lattice
from hybrid.rescore.ngram_swap import WordModel
from hybrid.rescore.pass_config import SecondPassConfig
from hybrid.rescore.pruned_composition import CompositionConfig, compose_pruned
from hybrid.rescore.scored import ScoredLattice, without_old
from lexicon.symbols import SymbolTable

__all__ = ["score_lattice", "second_pass"]


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
