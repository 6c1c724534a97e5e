"""Slots: a graph with open places and what fills them say what the graph with everything compiled into it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.base.errors import HybridError
from hybrid.decode.slot_trace import SlotTracer
from hybrid.formats.openfst import FstArrays
from hybrid.fst.equivalence import randomly_equivalent
from hybrid.graph.config import GraphConfig
from hybrid.graph.decoding import DecodingGraph, compile_decoding_graph
from hybrid.graph.filling import Filler, Filling
from hybrid.graph.phrase_graph import Phrase
from hybrid.graph.places import Ghosts
from hybrid.graph.slot_table import SlotTable
from hybrid.graph.unfolded import unfold
from hybrid.graph.word_classes import Classes
from hybrid.search.protocol import Searcher
from lexicon.lang_dir import LangDir
from lexicon.symbols import SymbolTable
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar_fst import ngram_to_fst

CONFIG = GraphConfig(transition_scale=1.0, self_loop_scale=0.1)
SENTENCES = ("A $X SEA", "$X", "SEE $X $Y", "$Y $X ADS", "SEEDS $X", "A SEED", "$X $X A")
MODELS = ("mono", "biphone", "triphone", "chain")
PHRASES = {
    "$X": [("SEED", 0.5), ("A", 1.0), ("SEE", 1.5), ("SEA", 0.7), ("SEE A SEED", 2.0), ("SEE A", 2.5)],
    "$Y": [("ADS ADS", 0.0)],
}


@dataclass(frozen=True, eq=False)
class Language:
    """A grammar with two classes, and what can be made of it."""

    lang: LangDir
    grammar: FstArrays
    labels: dict[str, int]

    def phrases(self, contents: dict[str, list[tuple[str, float]]]) -> dict[str, list[Phrase]]:
        words = self.lang.words
        return {
            name: [Phrase(tuple(words[w] for w in text.split()), cost) for text, cost in phrases]
            for name, phrases in contents.items()
        }

    def acceptor(self, phrases: list[Phrase]) -> FstArrays:
        """One path for each phrase, beginnings shared as a tree."""
        arcs: dict[tuple[int, int], int] = {}
        finals = {}
        for phrase in phrases:
            state = 0
            for word in phrase.words:
                state = arcs.setdefault((state, word), len(arcs) + 1)
            finals[state] = phrase.cost
        sources, words = np.array(list(arcs)).T
        final_costs = [finals.get(state, np.inf) for state in range(len(arcs) + 1)]
        return FstArrays.from_arcs(0, sources, words, words, list(arcs.values()), 0.0 * words, np.array(final_costs))

    def static(self, model, contents) -> FstArrays:
        acceptors = {name: self.acceptor(some) for name, some in self.phrases(contents).items()}
        classes = Classes(self.labels, acceptors)
        return compile_decoding_graph(self.lang, self.grammar, model, None, CONFIG, classes=classes).fst

    def open(self, model) -> DecodingGraph:
        return compile_decoding_graph(self.lang, self.grammar, model, None, CONFIG, classes=Classes(self.labels))

    def filler(self, model, graph: DecodingGraph) -> Filler:
        assert graph.slots is not None
        return Filler(graph.slots, model, (1.0, 0.1))

    def spoken(self) -> dict[int, list[tuple[tuple[int, ...], float]]]:
        found: dict[int, list[tuple[tuple[int, ...], float]]] = {}
        for word, _, *phones in self.lang.align_lexicon:
            found.setdefault(word, []).append((tuple(phones), 0.0))
        return found


@pytest.fixture(scope="module")
def language(lang) -> Language:
    classes = ("$X", "$Y")
    table = SymbolTable((*lang.words.symbols, *classes))
    estimated, _ = estimate_from_sentences([s.split() for s in SENTENCES] * 2, EstimateConfig(order=2))
    return Language(lang, ngram_to_fst(estimated, table), {name: table[name] for name in classes})


@pytest.mark.parametrize("name", MODELS)
def test_filled_slots_are_the_static_graph(language, models, name):
    graph = language.open(models[name])
    filling = language.filler(models[name], graph)(language.phrases(PHRASES), language.spoken())
    ours = unfold(graph.fst, graph.slots, filling)
    theirs = language.static(models[name], PHRASES)
    assert not randomly_equivalent(ours, theirs, 100, 2e-4)  # OpenFst's rounding to 1/1024 nat would differ by 2e-3


def test_a_slot_begins_as_words_of_the_lexicon_do(language, models):
    model = models["triphone"]
    table = SlotTable.of(("$X",), language.lang, model.tree, model.num_transition_ids)
    lg = FstArrays.from_arcs(0, [0, 0, 1], [90, 3, 3], [0, 2, 0], [1, 1, 2], [2.5, 0.1, 0.0], [np.inf, np.inf, 0.0])
    made = Ghosts(table, (90,), 91).open(lg, model.tree)
    costs = made.costs[(made.sources() == 0) & (made.ilabels > 90)]
    assert np.allclose(np.exp(2.5 - costs), table.first_shares) and sum(table.first_shares) == pytest.approx(1)
    known = dict(zip(table.first, table.first_shares))  # S begins four words of the lexicon, IY none
    assert known[language.lang.phones["S_B"]] > known[language.lang.phones["IY_B"]] > 0


def test_what_follows_a_place_is_counted(language, models):
    table = language.open(models["triphone"]).slots
    known = dict(zip(table.after, table.after_shares))
    assert sum(known.values()) == pytest.approx(1) and min(known.values()) > 0
    assert known[language.lang.phones["S_B"]] > known[language.lang.phones["IY_S"]]  # no word is IY, but $Y may be


def enumerate_language(fst: FstArrays) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """(transition-ids, words) → the cost of the cheapest way, of a graph without cycles but self-loops, taken never."""
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    stack: list[tuple[int, tuple[int, ...], tuple[int, ...], float]] = [(fst.start, (), (), 0.0)]
    while stack:
        state, ids, words, cost = stack.pop()
        if np.isfinite(fst.final_costs[state]):
            found[ids, words] = min(found.get((ids, words), np.inf), cost + float(fst.final_costs[state]))
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            label, word, target = int(fst.ilabels[arc]), int(fst.olabels[arc]), int(fst.next_states[arc])
            if target != state:
                more = (*ids, label) if label else ids
                stack.append((target, more, (*words, word) if word else words, cost + float(fst.costs[arc])))
    return found


WORDS = ("A", "SEA", "SEE", "SEED", "SEEDS", "ADS")
phrases = st.lists(
    st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join), st.floats(0.0, 4.0)),
    min_size=1, max_size=4, unique_by=lambda phrase: phrase[0],
)  # fmt: skip
sentences = st.lists(
    st.lists(st.sampled_from(("$X", "$Y", "A", "SEED")), min_size=1, max_size=2).map(" ".join),
    min_size=1, max_size=2, unique=True,
)  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoken=sentences, x=phrases, y=phrases)
def test_the_weighted_language_is_identical(language, straight_models, name, spoken, x, y):
    used = [c for c in ("$X", "$Y") if any(c in s.split() for s in spoken)]
    table = {**language.labels, **{w: language.lang.words[w] for w in WORDS}}
    paths = [Phrase(tuple(table[w] for w in s.split()), 0.5 * n) for n, s in enumerate(spoken)]
    made = replace(language, grammar=language.acceptor(paths), labels={c: language.labels[c] for c in used})
    if not used:
        return
    contents = {c: phrases for c, phrases in (("$X", x), ("$Y", y)) if c in used}
    model = straight_models[name]
    graph = made.open(model)
    filling = made.filler(model, graph)(made.phrases(contents), made.spoken())
    ours = enumerate_language(unfold(graph.fst, graph.slots, filling))
    theirs = enumerate_language(made.static(model, contents))
    assert ours.keys() == theirs.keys()
    assert all(abs(cost - theirs[key]) < 0.02 for key, cost in ours.items())


@pytest.mark.parametrize("name", MODELS)
def test_words_around_a_slot_are_not_told_to_be_in_it(language, straight_models, name):
    """The last phone of a slot knows the first one behind it, so that the word of that phone is said on the way out."""
    table = {**language.labels, **{w: language.lang.words[w] for w in WORDS}}
    grammar = language.acceptor([Phrase(tuple(table[w] for w in ("ADS", "$X", "SEEDS", "SEA")), 0.0)])
    made, model = replace(language, grammar=grammar, labels={"$X": table["$X"]}), straight_models[name]
    graph = made.open(model)
    filling = made.filler(model, graph)(made.phrases({"$X": PHRASES["$X"]}), made.spoken())
    tracer = SlotTracer.of(cast(Searcher, None), graph, model, filling)
    paths = enumerate_language(unfold(graph.fst, graph.slots, filling))
    assert {len(words) for _, words in paths} == {4, 5, 6}
    for ids, words in paths:
        assert tracer.spans(np.array(ids), np.array(words)) == [("$X", 1, len(words) - 2)]


def equal(one: Filling, other: Filling) -> bool:
    tables = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ("entry", "exit", "entry_costs"))
    return tables and one.fst.equals(other.fst)


def test_the_order_of_filling_is_of_no_account(language, models):
    filler = language.filler(models["triphone"], language.open(models["triphone"]))
    contents, spoken = language.phrases(PHRASES), language.spoken()
    turned = {name: some[::-1] for name, some in reversed(contents.items())}
    assert equal(filler(contents, spoken), filler(turned, spoken))


@pytest.mark.parametrize("name", MODELS)
def test_what_a_filler_remembers_changes_nothing(language, models, name, monkeypatch):
    """One filler, other phrases each time and back, gives what new fillers give; also where it remembers no more."""
    graph = language.open(models[name])
    lists = [language.phrases(PHRASES), {"$X": language.phrases(PHRASES)["$X"][:1]}, {}, language.phrases(PHRASES)]
    for most in (10_000, 1):
        monkeypatch.setattr("hybrid.graph.filling.MOST_GROUPS", most)
        one = language.filler(models[name], graph)
        for contents in lists:
            ours, new = (filler(contents, language.spoken()) for filler in (one, language.filler(models[name], graph)))
            assert ours.fst.equals(new.fst)
            assert (ours.entry == new.entry).all() and (ours.exit == new.exit).all()


def test_an_emptied_slot_is_an_empty_one(language, models):
    """What was never filled and what was filled and emptied say what the grammar says without its classes."""
    graph = language.open(models["triphone"])
    before = [array.copy() for array in (graph.fst.ilabels, graph.fst.next_states, graph.fst.costs)]
    filler = language.filler(models["triphone"], graph)
    filler(language.phrases(PHRASES), language.spoken())
    emptied, never = filler({"$X": [], "$Y": []}, {}), filler({}, {})
    assert equal(emptied, never)
    after = (graph.fst.ilabels, graph.fst.next_states, graph.fst.costs)
    assert all(np.array_equal(a, b) for a, b in zip(before, after))
    left = unfold(graph.fst, graph.slots, emptied)
    words = {language.lang.words[w] for w in ("A", "SEED")}  # of the one sentence without a class
    assert set(left.olabels.tolist()) - {0} >= words


def test_a_tree_that_looks_two_phones_ahead_is_refused(language, models):
    with pytest.raises(
        HybridError, match="the tree looks 2 phones back and 2 ahead; slots know one phone on each side"
    ):
        language.open(models["quinphone"])


def test_a_class_that_stands_nowhere_is_told(language, models):
    labels = {**language.labels, "$Z": 99}
    with pytest.raises(HybridError, match=r"the class '\$Z' stands nowhere in the grammar"):
        replace(language, labels=labels).open(models["mono"])


def test_classes_inside_classes(language, models):
    """A class whose content is a slot is that slot."""
    x, y = (language.labels[name] for name in ("$X", "$Y"))
    nested = FstArrays.from_arcs(0, [0], [x], [x], [1], [0.25], [np.inf, 0.0])
    around = Classes(language.labels, {"$Y": nested})
    model = models["triphone"]
    graph = compile_decoding_graph(language.lang, language.grammar, model, None, CONFIG, classes=around)
    filling = language.filler(model, graph)(language.phrases({"$X": PHRASES["$X"]}), language.spoken())
    inner = language.acceptor(language.phrases(PHRASES)["$X"])
    static = Classes(language.labels, {"$X": inner, "$Y": nested})
    theirs = compile_decoding_graph(language.lang, language.grammar, model, None, CONFIG, classes=static).fst
    assert not randomly_equivalent(unfold(graph.fst, graph.slots, filling), theirs, 60, 2e-3)
    assert y not in graph.fst.olabels


def test_a_class_that_contains_itself_is_refused(language):
    x = language.labels["$X"]
    loop = FstArrays.from_arcs(0, [0], [x], [x], [1], [0.25], [np.inf, 0.0])
    with pytest.raises(HybridError, match=r"classes stand inside one another more than 20 deep: \$X"):
        Classes({"$X": x}, {"$X": loop}).expand(language.grammar)


def test_a_folder_keeps_its_slots(language, models, tmp_path):
    graph = language.open(models["biphone"])
    graph.save(tmp_path / "graph")
    loaded = DecodingGraph.load(tmp_path / "graph")
    assert loaded.slots == graph.slots and loaded.fst.equals(graph.fst)
    (tmp_path / "graph" / "slots.json").write_text("{}")
    with pytest.raises(HybridError, match="slots.json: was changed or damaged"):
        DecodingGraph.load(tmp_path / "graph")
