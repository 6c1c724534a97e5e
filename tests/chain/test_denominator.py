"""The denominator: its weights by enumeration of phones and durations, minimisation, initial state, folder, Kaldi's."""

from __future__ import annotations

import itertools
import math
import subprocess

import numpy as np
import pytest

from hybrid.agreement import Part
from hybrid.base.errors import InputError, MismatchError
from hybrid.chain.config import PhoneLmConfig
from hybrid.chain.cycle import minimize_cycle, reverse
from hybrid.chain.denominator import Denominator, compile_denominator, initial_probabilities, pdf_acceptor
from hybrid.chain.folder import load_chain_model, load_denominator, save_denominator
from hybrid.chain.phone_lm import estimate_phone_lm
from hybrid.formats.openfst import FstArrays, read_fst, write_fst
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import ContextTree


def total(fst: FstArrays, labels: list[int], initial: np.ndarray | None = None, end: bool = True) -> float:
    """Returns the log of the summed weights of all paths of a string; epsilons may lead out of the start only."""
    now = np.zeros(fst.num_states)
    now[fst.start] = 1.0
    now = now if initial is None else initial.copy()
    sources, weights = fst.sources(), np.exp(-fst.costs.astype(np.float64))
    for label in labels:
        taken = fst.ilabels == label
        now = np.bincount(fst.next_states[taken], weights[taken] * now[sources[taken]], fst.num_states)
    with np.errstate(divide="ignore"):
        return float(np.log((now * np.exp(-fst.final_costs.astype(np.float64))).sum() if end else now.sum()))


def enumerated(lm: FstArrays, model: TransitionModel, pdfs: list[int]) -> float:
    """Adds up all phone sequences and durations that give the pdfs."""
    mass = 0.0
    rows = list(zip(lm.sources().tolist(), lm.ilabels.tolist(), lm.next_states.tolist(), lm.costs.tolist()))

    def ways(state: int, phones: list[int], cost: float):  # type: ignore[no-untyped-def]
        if np.isfinite(lm.final_costs[state]) and phones:
            yield phones, cost + float(lm.final_costs[state])
        if len(phones) < len(pdfs):
            for source, phone, to, more in rows:
                if source == state:
                    yield from ways(to, [*phones, phone], cost + more)

    for phones, cost in ways(lm.start, [], 0.0):
        windows = model.tree.pad(phones)
        classes = [model.tree.pdf_ids(windows, np.full(len(phones), c)) for c in (0, 1)]
        for cuts in itertools.combinations(range(1, len(pdfs)), len(phones) - 1):
            bounds = [0, *cuts, len(pdfs)]
            made = [
                int(classes[int(t > a)][n]) for n, (a, b) in enumerate(zip(bounds, bounds[1:])) for t in range(a, b)
            ]
            mass += math.exp(-cost) * 0.5 ** len(pdfs) * (made == pdfs)
    return math.log(mass) if mass else -math.inf


@pytest.mark.parametrize("width, central", [(1, 0), (2, 1), (3, 1)])
def test_equal_to_enumeration(chain_model, width, central):
    model = chain_model(3, width, central, seed=width)
    data = [np.array(s) for s in ([1, 2, 1], [1, 3, 2, 1], [1], [1, 2, 2, 1])]
    lm = estimate_phone_lm(data, PhoneLmConfig(3, 2, 3)).fst
    whole = pdf_acceptor(lm, model)
    small = minimize_cycle(whole)
    rng, seen = np.random.default_rng(0), 0
    sources = whole.sources()
    for _ in range(40):
        state, pdfs = whole.start, []
        for _ in range(5):
            arc = int(rng.choice(np.flatnonzero(sources == state)))
            state, pdfs = int(whole.next_states[arc]), [*pdfs, int(whole.ilabels[arc]) - 1]
        wanted, labels = enumerated(lm, model, pdfs), [p + 1 for p in pdfs]
        assert total(whole, labels) == pytest.approx(wanted, abs=1e-5)
        assert total(small, labels) == pytest.approx(wanted, abs=5e-3)
        seen += np.isfinite(wanted)
    assert seen > 5


def test_reverse_by_hand():
    fst = FstArrays.from_arcs(0, np.array([0, 0, 1]), np.array([1, 2, 3]), np.array([1, 2, 3]), np.array([1, 2, 2]),
                              np.array([0.5, 1, 2]), np.array([np.inf, np.inf, 0.25]))  # fmt: skip
    back = reverse(fst)
    rows = zip(back.sources().tolist(), back.ilabels.tolist(), back.next_states.tolist(), back.costs.tolist())
    assert set(rows) == {(0, 0, 3, 0.25), (2, 1, 1, 0.5), (3, 2, 1, 1.0), (3, 3, 2, 2.0)}
    assert back.start == 0 and back.final_costs.tolist() == [np.inf, 0.0, np.inf, np.inf]


def test_equal_pasts_and_futures_become_one():
    # a and b lead to states with one future; c and d come from states with one past
    arcs = [(0, 1, 1), (0, 2, 2), (1, 3, 3), (2, 3, 3), (0, 4, 4), (0, 4, 5), (4, 5, 3), (5, 6, 3)]
    sources, labels, to = np.array(arcs).T
    finals = np.array([np.inf, np.inf, np.inf, 0, np.inf, np.inf])
    small = minimize_cycle(FstArrays.from_arcs(0, sources, labels, labels, to, np.ones(8), finals))
    assert small.num_states == 4 and small.num_arcs == 6


def test_initial_probabilities():
    # 0 → 1, and 1 goes on for ever with one half or ends: all but the first frame are in 1
    fst = FstArrays.from_arcs(0, np.array([0, 1]), np.array([1, 1]), np.array([1, 1]), np.array([1, 1]),
                              np.array([0.0, math.log(2)]), np.array([np.inf, math.log(2)]))  # fmt: skip
    np.testing.assert_allclose(initial_probabilities(fst), [0.01, 0.99])


def test_every_state_begins_somewhere(chain_model, sentences):
    denominator = compile_denominator(estimate_phone_lm(sentences, PhoneLmConfig(4, 3, 20)).fst, chain_model(6))
    assert np.exp(denominator.initial).sum() == pytest.approx(1.0, abs=1e-5)
    assert (denominator.final == 0).all() and np.isfinite(denominator.end).any()
    again = Denominator.from_fst(denominator.to_fst(), denominator.num_pdfs)
    np.testing.assert_allclose(again.initial, denominator.initial, atol=1e-5)
    np.testing.assert_array_equal(again.to_state, denominator.to_state)


@pytest.mark.peer
@pytest.mark.parametrize("width, central", [(1, 0), (2, 1), (3, 1)])
def test_weights_equal_to_kaldi(kaldi_bin, tmp_path, chain_model, sentences, width, central):
    model = chain_model(6, width, central, seed=7)
    lm = estimate_phone_lm(sentences, PhoneLmConfig(4, 3, 20)).fst
    model.tree.write(tmp_path / "tree")
    model.write(tmp_path / "mdl", 7)
    write_fst(tmp_path / "lm.fst", lm)
    files = [tmp_path / name for name in ("tree", "mdl", "lm.fst", "den.fst", "norm.fst")]
    subprocess.run([str(kaldi_bin / "chain-make-den-fst"), *map(str, files)], check=True, capture_output=True)
    theirs, ours = read_fst(tmp_path / "den.fst"), compile_denominator(lm, model)
    assert ours.num_states <= theirs.num_states and ours.num_arcs <= theirs.num_arcs
    fst, rng = ours.to_fst(), np.random.default_rng(1)
    pairs = [(fst, np.exp(ours.initial.astype(np.float64))), (theirs, initial_probabilities(theirs))]
    for _ in range(30):
        state, labels = int(rng.integers(fst.num_states)), []
        for _ in range(20):
            arc = int(rng.integers(fst.row_splits[state], fst.row_splits[state + 1]))
            state, labels = int(fst.next_states[arc]), [*labels, int(fst.ilabels[arc])]
        mine, other = (total(one, labels, initial, end=False) for one, initial in pairs)
        assert mine == pytest.approx(other, abs=0.1)  # costs there are rounded to 0.01, six times


@pytest.fixture()
def folder(tmp_path, chain_model, sentences):
    model = chain_model(6)
    (tmp_path / "tree").mkdir()
    model.tree.write(tmp_path / "tree" / "tree")
    model.write(tmp_path / "tree" / "transitions")
    (tmp_path / "tree" / "phones.txt").write_text("<eps> 0\n" + "".join(f"p{n} {n}\n" for n in range(1, 7)))
    lm = estimate_phone_lm(sentences)
    loaded, part = load_chain_model(tmp_path / "tree")
    denominator = compile_denominator(lm.fst, loaded)
    save_denominator(tmp_path / "den", denominator, lm, part, {})
    return tmp_path, denominator, part


def test_folder_there_and_back(folder):
    path, denominator, part = folder
    assert load_denominator(path / "den", part) == denominator
    other = Part("model", "exp/other", {"tree": "0" * 64})
    with pytest.raises(MismatchError, match=r"different versions of the tree .* `hybrid nnet chain-den --tree exp/oth"):
        load_denominator(path / "den", other)


def test_damage_is_told(folder):
    path, _, _ = folder
    file = path / "den" / "den.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(MismatchError, match="was changed or damaged"):
        load_denominator(path / "den")
    with pytest.raises(InputError, match="does not hold a denominator"):
        file.write_bytes((path / "den" / "phone_lm.fst").read_bytes())
        (path / "den" / "meta.json").unlink()
        from hybrid.formats.tensors import save_arrays

        save_arrays(file, {"from_state": np.zeros(1)})
        load_denominator(path / "den")


def test_states_that_do_not_fit_are_refused():
    good = {"from_state": [0], "to_state": [0], "pdf": [0], "log_weight": [0.0], "initial": [0.0], "end": [0.0]}
    for name, value, text in (
        ("to_state", [1], "to_state hold 1 to 1, wanted 0 to 0"),
        ("log_weight", [np.nan], "a weight is not a log-probability"),
        ("end", [0.0, 0.0], "do not describe 1 states"),
        ("pdf", [], "arrays of arcs differ in length"),
    ):
        with pytest.raises(ValueError, match=text):
            Denominator(**{**good, name: value}, start=0, num_pdfs=1)


def test_a_phone_without_hmm_is_refused(chain_model):
    lm = estimate_phone_lm([np.array([1, 9, 1])]).fst
    with pytest.raises(InputError, match="has phone 9, which has no HMM"):
        pdf_acceptor(lm, chain_model(3))
    topology = HmmTopology.kaldi_default([1, 2], [3])
    three = TransitionModel(topology, ContextTree.monophone([[1], [2], [3]], topology.pdf_class_counts()))
    with pytest.raises(InputError, match="gives phone 1 3 states"):
        pdf_acceptor(lm, three)
