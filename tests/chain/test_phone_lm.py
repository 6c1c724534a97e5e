"""The phone LM without smoothing: by hand, laws, and Kaldi's chain-est-phone-lm."""

from __future__ import annotations

import math
import re
import subprocess

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.chain.config import PhoneLmConfig
from hybrid.chain.phone_lm import estimate_phone_lm
from hybrid.formats.kaldi_io import write_int_vectors
from hybrid.formats.openfst import FstArrays, read_fst
from hybrid.fst.ops import log_sums


def score(fst: FstArrays, phones: list[int]) -> float:
    """Returns the log-probability of a sequence and its end; −inf where it is impossible."""
    state, total = fst.start, 0.0
    for phone in phones:
        arcs = np.arange(fst.row_splits[state], fst.row_splits[state + 1])
        arcs = arcs[fst.ilabels[arcs] == phone]
        if not len(arcs):
            return -math.inf
        assert len(arcs) == 1
        state, total = int(fst.next_states[arcs[0]]), total - float(fst.costs[arcs[0]])
    return total - float(fst.final_costs[state])


def test_bigram_by_hand():
    lm = estimate_phone_lm([np.array([1, 2]), np.array([1, 2]), np.array([1, 1])], PhoneLmConfig(2, 2, 0))
    assert lm.fst.num_states == 3 and lm.fst.num_arcs == 3 and lm.num_phones == 9  # histories: begin, 1, 2
    assert score(lm.fst, [1, 2]) == pytest.approx(math.log(2 / 4))  # after 1: 2 twice, 1 once, the end once
    assert score(lm.fst, [1, 1, 2]) == pytest.approx(math.log(1 / 4 * 2 / 4))
    assert score(lm.fst, [1]) == pytest.approx(math.log(1 / 4))
    assert score(lm.fst, [2]) == -math.inf
    assert lm.perplexity == pytest.approx(math.exp(-(4 * math.log(2 / 4) / 2 + 2 * math.log(1 / 4)) / 9))


def test_what_costs_least_is_given_up():
    # after 4 3, as after 5 3, comes 1; after 1 3 comes 2: a history that says what others say is given up first
    data = [np.array(s) for s in ([4, 3, 1], [5, 3, 1], [4, 3, 1], [1, 3, 2], [1, 3, 2], [1, 3, 2])]
    whole, less, least = (estimate_phone_lm(data, PhoneLmConfig(3, 2, extra)) for extra in (1000, 2, 0))
    assert [lm.fst.num_states for lm in (whole, less, least)] == [9, 8, 6] and least.num_histories == 9
    assert score(whole.fst, [1, 3, 1]) == score(less.fst, [1, 3, 1]) == -math.inf < score(least.fst, [1, 3, 1])
    assert whole.perplexity == pytest.approx(less.perplexity) and less.perplexity < least.perplexity


@pytest.mark.parametrize("order, kept, extra", [(2, 1, 0), (3, 3, 10), (4, 3, 20), (4, 3, 1000), (5, 2, 8)])
def test_laws(sentences, order, kept, extra):
    lm = estimate_phone_lm(sentences, PhoneLmConfig(order, kept, extra))
    np.testing.assert_allclose(log_sums(lm.fst), 0, atol=1e-5)
    scores = [score(lm.fst, s.tolist()) for s in sentences]
    assert np.isfinite(scores).all()
    assert lm.perplexity == pytest.approx(math.exp(-sum(scores) / sum(len(s) + 1 for s in sentences)), rel=1e-5)


@pytest.mark.peer
@pytest.mark.parametrize("order, kept, extra", [(2, 2, 0), (3, 2, 5), (4, 3, 20), (4, 2, 10), (4, 3, 1000), (5, 3, 0)])
def test_equal_to_kaldi(kaldi_bin, tmp_path, sentences, order, kept, extra):
    write_int_vectors(tmp_path / "phones", [(f"u{n}", s) for n, s in enumerate(sentences)])
    options = [f"--ngram-order={order}", f"--no-prune-ngram-order={kept}", f"--num-extra-lm-states={extra}"]
    files = [f"ark:{tmp_path / 'phones'}", tmp_path / "lm.fst"]
    words = list(map(str, [kaldi_bin / "chain-est-phone-lm", *options, *files]))
    log = subprocess.run(words, check=True, capture_output=True, text=True).stderr
    theirs = read_fst(tmp_path / "lm.fst")
    ours = estimate_phone_lm(sentences, PhoneLmConfig(order, kept, extra))
    assert (ours.fst.num_states, ours.fst.num_arcs) == (theirs.num_states, theirs.num_arcs)
    found = re.search(r"Perplexity on training data is: (\S+)", log)
    assert found and ours.perplexity == pytest.approx(float(found[1]), rel=1e-5)
    for phones in sentences:
        assert score(ours.fst, phones.tolist()) == pytest.approx(score(theirs, phones.tolist()), abs=1e-4)


def test_no_phones_are_refused():
    with pytest.raises(InputError) as error:
        estimate_phone_lm([np.zeros(0, np.int32)])
    assert str(error.value) == ("phone LM: has no phone sequences to be estimated from. Look into failed.txt.")


def test_orders_that_contradict_are_refused():
    with pytest.raises(ValueError, match="no_prune_ngram_order 4 is more than ngram_order 3"):
        PhoneLmConfig(3, 4)
