"""Exact back-off in the lattice of a search: the sentences and scores of the ARPA file, by enumeration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.decode.graph_lm import make_lookahead_searcher
from hybrid.formats.openfst import FstArrays
from hybrid.graph.config import GraphConfig
from hybrid.graph.decoding import compile_decoding_graph
from hybrid.lattice.kernels import backward_max
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.paths import best_path
from hybrid.lookahead.compose_kernels import Source
from hybrid.lookahead.exact_backoff import Ways, part_histories
from hybrid.lookahead.numbered_grammar import BACKOFF, BEGIN, END, ROW, Language
from hybrid.search.composed_graph import exact_result
from hybrid.search.config import SearchConfig
from hybrid.search.protocol import SearchResult
from lm.arpa import read_arpa
from lm.grammar_fst import ngram_to_fst
from lm.ngram import NgramModel
from tests.graph.conftest import lang, straight_models  # noqa: F401  (fixtures)
from tests.lookahead.twin import exact_paths

WORDS = ("A", "SEA", "SEE", "SEED")
ALL = SearchConfig(beam=5000.0, lattice_beam=2000.0, max_active=1_000_000, acoustic_scale=1.0)
FRAMES = 9
Grams = dict[tuple[str, ...], tuple[float, float]]  # n-gram → log10 of its probability, of its back-off


def arpa(grams: Grams, folder: Path) -> NgramModel:
    """A model of n-grams, whose beginnings and ends must be there, too."""
    order = max(map(len, grams))
    by_length = [[gram for gram in grams if len(gram) == n] for n in range(1, order + 1)]
    lines = ["\\data\\", *(f"ngram {n}={len(level)}" for n, level in enumerate(by_length, 1)), ""]
    for n, level in enumerate(by_length, 1):
        lines += [f"\\{n}-grams:", *(f"{grams[g][0]}\t{' '.join(g)}\t{grams[g][1]}" for g in level), ""]
    (folder / "made.arpa").write_text("\n".join([*lines, "\\end\\", ""]))
    return read_arpa(folder / "made.arpa")


def closed(chosen: dict[tuple[str, ...], tuple[float, float]]) -> Grams:
    """Those n-grams with all unigrams, all their beginnings and all their ends."""
    grams: Grams = {("<s>",): (-99.0, -0.3), ("</s>",): (-0.9, 0.0), ("<unk>",): (-3.0, 0.0)}
    for word in WORDS:
        grams.setdefault((word,), (-0.7, -0.4))
    for gram, values in sorted(chosen.items(), key=lambda pair: len(pair[0])):
        for part in (gram[:-1], gram[1:]):
            grams.setdefault(part, (-1.5, -0.2))
        grams[gram] = values
    return grams


spoken = st.sampled_from(WORDS)
histories = st.tuples(spoken | st.just("<s>")) | st.tuples(spoken | st.just("<s>"), spoken)
values = st.tuples(st.floats(-3.0, -0.1), st.floats(-1.0, 0.0))
models_of_n_grams = st.dictionaries(
    st.builds(lambda h, w: (*h, w), histories, spoken | st.just("</s>")), values, min_size=1, max_size=10
).map(closed)


def searched(lang, model, grammar: FstArrays, scores: np.ndarray, exact: bool) -> Lattice:  # noqa: F811
    graph = compile_decoding_graph(lang, None, model, None, GraphConfig(transition_scale=1.0, self_loop_scale=0.1))
    searcher = make_lookahead_searcher("native", graph, model, ALL, grammar, exact_backoff=exact)
    return searcher.search([scores])[0].lattice


def sentences(lattice: Lattice, symbols) -> dict[tuple[str, ...], tuple[int, float]]:
    """All sentences of a lattice: how many paths each has, and the best score."""
    scores, finals = lattice.arc_scores(1.0), lattice.final_scores(1.0)
    at: list[dict[tuple[str, ...], tuple[int, float]]] = [{} for _ in range(lattice.num_states)]
    at[0], found = {(): (1, 0.0)}, {}

    def add(place: dict, said: tuple[str, ...], count: int, score: float) -> None:
        more, best = place.get(said, (0, -np.inf))
        place[said] = more + count, max(best, score)

    for s in range(lattice.num_states):
        for said, (count, score) in at[s].items():
            if finals[s] > -np.inf:
                add(found, said, count, score + finals[s])
            for a in range(lattice.row_splits[s], lattice.row_splits[s + 1]):
                word = lattice.word_ids[a]
                longer = (*said, symbols.symbol(word)) if word else said
                add(at[lattice.next_states[a]], longer, count, score + scores[a])
    return {said: value for said, value in found.items() if "<UNK>" not in said}


def any_words(lang, known) -> FstArrays:  # noqa: F811
    """A grammar that takes any words, at no cost."""
    labels = np.array(sorted(lang.words[word] for word in known))
    zeros = np.zeros(len(labels), np.int64)
    return FstArrays.from_arcs(0, zeros, labels, labels, zeros, zeros.astype(float), np.zeros(1))


def check(lang, model, ngrams: NgramModel, seed: int) -> tuple[Lattice, Lattice]:  # noqa: F811
    """Sentences, paths and scores are those of any words with the model's own score of each sentence.

    Returns:
      The lattices with exact back-off and without.
    """
    scores = np.random.default_rng(seed).normal(size=(FRAMES, model.num_pdfs)).astype(np.float32)
    free = sentences(searched(lang, model, any_words(lang, WORDS), scores, False), lang.words)
    grammar = ngram_to_fst(ngrams, lang.words)
    exact, epsilon = (searched(lang, model, grammar, scores, exact) for exact in (True, False))
    found = sentences(exact, lang.words)
    assert found.keys() == free.keys()
    for said, (count, score) in found.items():
        wanted = free[said][1] + ngrams.score_sentence(said)
        assert count == free[said][0], said
        assert abs(score - wanted) < 2e-3, said
    shortcuts = sentences(epsilon, lang.words)
    assert shortcuts.keys() == found.keys()
    assert all(shortcuts[said][1] >= found[said][1] - 1e-3 for said in found)
    return exact, epsilon


@pytest.mark.parametrize("name", ("mono", "triphone", "chain"))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(grams=models_of_n_grams, seed=st.integers(0, 3))
def test_sentences_have_the_scores_of_the_arpa_file(lang, straight_models, tmp_path, name, grams, seed):  # noqa: F811
    check(lang, straight_models[name], arpa(grams, tmp_path), seed)


DEAR = closed({("SEE", "A"): (-3.0, 0.0), ("<s>", "SEE"): (-0.1, -0.1), ("A", "</s>"): (-3.0, 0.0)})


def test_a_dear_n_gram_is_not_avoided(lang, straight_models, tmp_path):  # noqa: F811
    """By hand: -0.1 -3.0 -3.0 of the n-grams; backing off from SEE and from A -0.1 -0.4-0.7 -0.4-0.9."""
    exact, epsilon = check(lang, straight_models["chain"], arpa(DEAR, tmp_path), 0)
    scores = [sentences(lattice, lang.words)[("SEE", "A")][1] for lattice in (exact, epsilon)]
    assert np.isclose(scores[1] - scores[0], (6.1 - 2.5) * np.log(10), atol=2e-3)


def said_score(tree: FstArrays, transition_ids: list[int], words: list[int]) -> float:
    """The best score of transition-ids and words in H∘C∘L."""
    best = {(tree.start, 0, 0): 0.0}  # state, transition-ids and words behind it
    ends, waiting = [-np.inf], list(best)
    for key in waiting:  # no cycles but of arcs with transition-ids
        state, t, w = key
        if t == len(transition_ids) and w == len(words):
            ends.append(best[key] - tree.final_costs[state])
        for a in range(tree.row_splits[state], tree.row_splits[state + 1]):
            label, word = int(tree.ilabels[a]), int(tree.olabels[a])
            if label and transition_ids[t : t + 1] != [label] or word and words[w : w + 1] != [word]:
                continue
            after = (int(tree.next_states[a]), t + (label > 0), w + (word > 0))
            score = best[key] - tree.costs[a]
            if score > best.get(after, -np.inf):
                best[after] = score
                waiting.append(after)
    return max(ends)


@pytest.mark.parametrize("cut", (5, 12, 30))
def test_stretches_of_a_stream_go_on_from_what_was_left(lang, straight_models, tmp_path, cut):  # noqa: F811
    """The best paths of all stretches, one after the other, have the score of the file; without exact back-off not."""
    model, ngrams, off = straight_models["mono"], arpa(DEAR, tmp_path), 0.0
    for seed in range(6):
        found, wanted, parts = in_stretches(lang, model, ngrams, seed, cut, True)
        assert parts > 1 and abs(found - wanted) < 5e-3
        found, wanted, _ = in_stretches(lang, model, ngrams, seed, cut, False)
        off = max(off, found - wanted)
    assert off > 1.0


def in_stretches(lang, model, ngrams, seed: int, cut: int, exact: bool) -> tuple[float, float, int]:  # noqa: F811
    """The graph score of a stream's best paths, what it is to be, and how many stretches there were."""
    frames = 120  # every 25 it is found out what is settled
    scores = (4.0 * np.random.default_rng(seed).normal(size=(frames, model.num_pdfs))).astype(np.float32)
    narrow = SearchConfig(beam=15.0, lattice_beam=8.0, acoustic_scale=1.0)
    graph = compile_decoding_graph(lang, None, model, None, GraphConfig(transition_scale=1.0, self_loop_scale=0.1))
    grammar = ngram_to_fst(ngrams, lang.words)
    stream = make_lookahead_searcher("native", graph, model, narrow, grammar, exact_backoff=exact).open()
    parts: list[SearchResult | None] = []
    for begin in range(0, frames, cut):
        stream.advance(scores[begin : begin + cut])
        settled = stream.partial().settled_frames
        parts.append(stream.commit(settled) if settled else None)
    paths = [best_path(part.lattice, 1.0) for part in [*parts, stream.finish()] if part is not None and part.num_frames]
    ids, words = ([int(i) for path in paths for i in getattr(path, name)] for name in ("transition_ids", "word_ids"))
    assert len(ids) == frames
    own = said_score(graph.fst, ids, words) + graph.word_cost * (len(words) + 1)
    wanted = own + ngrams.score_sentence([lang.words.symbol(word) for word in words])
    return sum(path.graph_score for path in paths), wanted, len(paths)


def test_a_cut_between_back_off_and_word():
    """What the best path of a stretch has left bars words of the next; if nothing can be said, it is forgotten."""
    language = Made([], [], set(), [{0, 1}, {2}], [-1, 0]).language()
    source = Source(SimpleNamespace(word_numbers=np.array([0, 1, 2], np.int32)), language)

    def stretch(arcs, count, finals, status, frames=1):
        sources, targets, ids, words, values = (np.array(column) for column in zip(*arcs))
        ends = np.where(np.isin(np.arange(count), finals), 0.0, -np.inf)
        columns = sources, targets, ids, words, values, np.zeros(len(arcs))
        lattice = Lattice.from_arcs(count, 0, columns, (ends, ends))
        return SearchResult(lattice, status, 0, frames, (SearchConfig(lattice_beam=50.0, acoustic_scale=1.0),))

    mark = 3 + 1  # of history 1, behind three words
    first = stretch([(0, 1, 5, 0, -1.0), (1, 2, 0, mark, -0.5), (0, 2, 5, 1, -3.0)], 3, [2], "committed")
    result, left = exact_result(source, first)
    assert left == (1, 1) and result.lattice.word_ids.tolist() == [0, 0]  # the other path has left nothing
    words = stretch([(0, 1, 5, 2, -1.0), (0, 1, 5, 1, -2.0)], 2, [1], "complete")
    result, _ = exact_result(source, words, left)
    assert result.lattice.word_ids.tolist() == [1]  # history 1 has word 2, and 2 may not be said from history 0
    barred = stretch([(0, 1, 5, 2, -1.0)], 2, [1], "complete")
    assert exact_result(source, barred, left)[0].lattice.word_ids.tolist() == [2]
    beside = stretch([(0, 1, 0, mark, -1.0), (1, 2, 5, 2, -1.0)], 3, [2], "complete")
    kept = exact_result(source, beside)[0]
    assert kept.lattice.word_ids.tolist() == [0, 2] and kept.complete


def test_without_back_off_arcs_nothing_changes(lang, straight_models):  # noqa: F811
    model = straight_models["chain"]
    scores = np.random.default_rng(1).normal(size=(FRAMES, model.num_pdfs)).astype(np.float32)
    labels = np.array([lang.words["SEE"], lang.words["A"], lang.words["SEA"]])
    two = FstArrays.from_arcs(
        0, np.array([0, 1, 0]), labels, labels, np.array([1, 0, 0]), np.array([1.0, 0.5, 2.0]), np.array([0.0, 1.0])
    )
    exact, epsilon = (searched(lang, model, two, scores, exact) for exact in (True, False))
    assert exact == epsilon and exact.num_arcs


class Made(NamedTuple):
    """A small lattice whose states stand at states of G, and that G."""

    histories: list[int]
    arcs: list[tuple[int, int, int, int]]  # as of `exact_paths`
    finals: set[int]
    said: list[set[int]]
    backs: list[int]

    def language(self) -> Language:
        rows = np.zeros((len(self.said), ROW), np.int64)
        ends = np.cumsum([len(words) for words in self.said])
        rows[1:, BEGIN], rows[:, END], rows[:, BACKOFF] = ends[:-1], ends, self.backs
        numbers = np.array([word for words in self.said for word in sorted(words)], np.int32)
        none = np.zeros(0)
        return Language(0, len(self.said), rows.reshape(-1), none, numbers, none, none, none, none)


@st.composite
def made_lattices(draw) -> Made:
    count = draw(st.integers(1, 4))
    backs = [draw(st.integers(-1, h - 1)) for h in range(count)]
    said = [draw(st.sets(st.integers(0, 3))) for _ in range(count)]
    histories = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=7))
    arcs = []
    for source in range(len(histories)):
        for target in range(source + 1, len(histories)):
            here, there = histories[source], histories[target]
            kinds = ["word"] + ["step"] * (here == there) + ["back"] * (backs[here] == there)
            for kind in draw(st.lists(st.sampled_from(kinds), max_size=2)):
                word = draw(st.sampled_from(sorted(said[here] - {0}) or [4])) if kind == "word" else -1
                arcs.append((source, target, here if kind == "back" else -1, word))
    return Made(histories, arcs, draw(st.sets(st.integers(0, len(histories) - 1))), said, backs)


def all_paths(rows, nexts, which, ends) -> list[tuple[int, ...]]:
    found, stack = [], [(0, ())] if len(rows) > 1 else []
    for state, path in stack:
        found += [path] if ends[state] else []
        stack += [(int(nexts[a]), (*path, int(which[a]))) for a in range(rows[state], rows[state + 1])]
    return found


@settings(max_examples=1000, deadline=None)
@given(
    made=made_lattices(), steps=st.integers(0, 3), seed=st.integers(0, 3), floor=st.sampled_from([-np.inf, -3.0, 0.0])
)
def test_the_kernel_keeps_the_paths_of_the_twin(made, steps, seed, floor):
    """Also where histories were left before the first state, as in a stretch of a stream; and those above a floor."""
    values = np.random.default_rng(seed).normal(size=len(made.arcs))
    sources, targets, left, words = np.array(made.arcs, np.int64).reshape(-1, 4).T
    reached = {0}
    for source, target in zip(sources, targets):
        reached |= {target} if source in reached else set()
    chains = [h for h in range(len(made.backs)) if made.histories[0] in made.backs[h : h + 1]]
    before: tuple[int, ...] = ()
    while chains and len(before) < steps:
        before = (chains[0], *before)
        chains = [h for h in range(len(made.backs)) if made.backs[h] == before[0]]
    number = {state: n for n, state in enumerate(sorted(reached))}
    kept = [a for a in range(len(sources)) if sources[a] in reached]
    rows = np.searchsorted([number[sources[a]] for a in kept], np.arange(len(number) + 1))
    nexts = np.array([number[targets[a]] for a in kept], np.int32)
    ends = np.array([state in made.finals for state in sorted(reached)])
    first, last = (before[0], before[-1]) if before else (-1, -1)
    ways = Ways(rows, nexts, values[kept], backward_max(rows, nexts, values[kept], np.where(ends, 0.0, -np.inf))[0],
                left[kept], words[kept])  # fmt: skip
    new_rows, new_nexts, which, copies, totals, barred = part_histories(ways, ends, made.language(), first, last, floor)
    assert (new_nexts > np.repeat(np.arange(len(copies)), np.diff(new_rows))).all()
    found = all_paths(new_rows, new_nexts, np.array(kept, np.int64)[which], ends[copies[:, 0]] & ~barred)
    wanted = exact_paths(made.arcs, made.finals, made.said, before)
    assert len(set(found)) == len(found) and set(found) <= set(wanted)
    assert {path for path in wanted if values[list(path)].sum() > floor + 1e-6} <= set(found)
    best = np.full(len(copies), -np.inf)
    best[0] = 0.0
    for source, target, a in zip(np.repeat(np.arange(len(copies)), np.diff(new_rows)), new_nexts, which):
        best[target] = max(best[target], best[source] + ways.scores[a])
    assert np.allclose(best, totals)


@pytest.mark.parametrize("count, steps", [(50, 40), (1, 1), (2, 1), (7, 5), (20, 13)])
def test_a_lattice_of_many_histories(count, steps):
    """Histories back off to one, whose states are copied for each; the memory grows on the way."""
    last = 1 + count + steps
    shared = list(range(1 + count, last))
    arcs = [(0, 1 + h, -1, 7) for h in range(count)]
    arcs += [(1 + h, shared[0], 1 + h, -1) for h in range(count)]
    arcs += [(state, state + 1, -1, -1) for state in shared[:-1]]
    said = [{0}, *({0} if h % 2 else {1} for h in range(count))]
    made = Made([], [], set(), said, [-1] + [0] * count)
    sources, targets, left, words = (np.array(column) for column in zip(*arcs))
    rows = np.searchsorted(sources, np.arange(last + 1))
    ends = np.arange(last) == last - 1
    zeros = np.zeros(len(rows) + len(targets))
    ways = Ways(rows, targets.astype(np.int32), zeros[: len(targets)], zeros[: len(rows) - 1], left, words)
    rows, nexts, which, copies, totals, barred = part_histories(ways, ends, made.language(), -1, -1, -np.inf)
    assert not totals.any()
    assert len(copies) == 1 + count + count * steps and len(nexts) == 2 * count + count * (steps - 1) == len(which)
    assert np.count_nonzero(ends[copies[:, 0]] & ~barred) == (count + 1) // 2


def test_indices_lie_within_their_arrays():
    """Pointers that kernels are lent check none; plain Python does."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-W", "ignore", "-p", "no:cacheprovider", __file__, "-k",
               "many_histories or kernel"]  # fmt: skip
    result = subprocess.run(command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
