"""G: weights of sentences against the model, Kaldi's arpa2fst, words that the graph lacks."""

import logging
import math
import subprocess
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays, read_fst, write_fst
from lexicon.symbols import SymbolTable
from lm.arpa import write_arpa
from lm.grammar_fst import ngram_to_fst


def table(words: str, oov: str = "<UNK>") -> SymbolTable:
    """A words.txt as prepare_lang makes it."""
    return SymbolTable(("<eps>", "!SIL", oov, *words, "#0", "<s>", "</s>"))


def cost(fst: FstArrays, labels: list[int], backoff: int) -> float:
    """Cost of a sentence that backs off only where it must, as the model does."""
    state, total = fst.start, 0.0

    def arc(state: int, label: int) -> int | None:
        rows = range(int(fst.row_splits[state]), int(fst.row_splits[state + 1]))
        return next((i for i in rows if fst.ilabels[i] == label), None)

    for label in labels:
        while (found := arc(state, label)) is None:
            back = arc(state, backoff)
            if back is None:
                return math.inf
            total, state = total + float(fst.costs[back]), int(fst.next_states[back])
        total, state = total + float(fst.costs[found]), int(fst.next_states[found])
    while math.isinf(fst.final_costs[state]):
        back = arc(state, backoff)
        if back is None:
            return math.inf
        total, state = total + float(fst.costs[back]), int(fst.next_states[back])
    return total + float(fst.final_costs[state])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), order=st.integers(1, 4))
def test_sentences_cost_what_the_model_says(make_model, seed, order):
    model = make_model(seed, order, "abc")
    words = table("abc")
    fst = ngram_to_fst(model, words)
    fst.check()
    for sentence in [s for n in range(4) for s in product("abc?", repeat=n)]:
        if any(w != "?" and w not in model.vocabulary for w in sentence):
            continue
        labels = [words["<UNK>"] if w == "?" else words[w] for w in sentence]
        assert cost(fst, labels, words["#0"]) == pytest.approx(-model.score_sentence(sentence), abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 9999), order=st.integers(1, 4))
def test_form(make_model, seed, order):
    """Arcs sorted, back-off arcs #0 to nothing, no state but the start and the empty context without a word arc."""
    words = table("abcde")
    fst = ngram_to_fst(make_model(seed, order), words)
    backs = fst.ilabels == words["#0"]
    assert np.array_equal(fst.olabels, np.where(backs, 0, fst.ilabels))
    for state in range(fst.num_states):
        labels = fst.ilabels[fst.row_splits[state] : fst.row_splits[state + 1]]
        assert (np.diff(labels) > 0).all()
        idle = not (labels != words["#0"]).any() and np.isinf(fst.final_costs[state])
        assert not idle or state == fst.start
    assert not np.isin(fst.ilabels, [0, words["<s>"], words["</s>"]]).any()


def test_words_that_the_graph_lacks(make_model, caplog, monkeypatch):
    model = make_model(3, 3, "abcd")
    few = table("ab")
    monkeypatch.setattr(logging.getLogger("lm"), "propagate", True)
    with caplog.at_level(logging.WARNING, "lm"):
        fst = ngram_to_fst(model, few)
    assert set(fst.ilabels.tolist()) <= {few[w] for w in ("a", "b", "<UNK>", "#0")}
    probs = [10 ** model.log10_prob(word) for word in "abcd"]
    lost = 100 * sum(probs[2:]) / sum(probs)
    assert f"left out 2 words that are not in words.txt ({lost:.1f} % of the probability): c, d" in caplog.text
    with pytest.raises(
        InputError, match="language model: 4 of 4 words are not in words.txt: a, b, c, d. Give them pronunciations"
    ):
        ngram_to_fst(model, table("xyz"))
    with pytest.raises(InputError, match="words.txt: has no back-off symbol #0"):
        ngram_to_fst(model, SymbolTable(("<eps>", "a")))


def test_unknown_word_has_a_place_only_where_the_graph_has(make_model):
    model = make_model(3, 2, "ab")
    without = SymbolTable(("<eps>", "a", "b", "#0", "<s>", "</s>"))
    assert set(ngram_to_fst(model, without).ilabels.tolist()) == {1, 2, 3}
    small = table("ab", "<unk>")
    assert small["<unk>"] in ngram_to_fst(model, small).ilabels


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(12))
def test_equals_arpa2fst(make_model, kaldi_bin, tmp_path, seed):
    model = make_model(seed, 1 + seed % 4, "abcdefgh", sentences=25)
    words = table("abcdefgh", "<unk>")
    write_arpa(tmp_path / "lm.arpa", model)
    words.write(tmp_path / "words.txt")
    command = [kaldi_bin / "arpa2fst", "--disambig-symbol=#0", f"--read-symbol-table={tmp_path}/words.txt"]
    subprocess.run([*command, tmp_path / "lm.arpa", tmp_path / "kaldi.fst"], check=True, capture_output=True)
    ours, theirs = ngram_to_fst(model, words), read_fst(tmp_path / "kaldi.fst")
    write_fst(tmp_path / "ours.fst", ours)
    assert read_fst(tmp_path / "ours.fst").equals(ours)
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    assert _canonical(ours) == _canonical(theirs)


def _canonical(fst: FstArrays) -> dict:
    """States named by their order in a search from the start; equal for equal deterministic acceptors."""
    number, queue, rows = {fst.start: 0}, [fst.start], {}
    for state in queue:
        arcs = range(int(fst.row_splits[state]), int(fst.row_splits[state + 1]))
        for i in sorted(arcs, key=lambda i: int(fst.ilabels[i])):
            target = int(fst.next_states[i])
            if target not in number:
                number[target] = len(number)
                queue.append(target)
            key = (number[state], int(fst.ilabels[i]), int(fst.olabels[i]), number[target])
            rows[key] = pytest.approx(float(fst.costs[i]), abs=1e-4)
        final = float(fst.final_costs[state])
        rows[(number[state],)] = pytest.approx(final, abs=1e-4) if math.isfinite(final) else final
    return rows
