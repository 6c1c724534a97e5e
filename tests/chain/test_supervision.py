"""Chunks of supervision beside the readable reference and Kaldi's; laws of tolerance, weights and speed."""

from __future__ import annotations

import itertools
import subprocess

import numpy as np
import pytest

from hybrid.chain.acceptor import PdfAcceptor
from hybrid.chain.config import PhoneLmConfig, SupervisionConfig
from hybrid.chain.denominator import Denominator, compile_denominator
from hybrid.chain.numerator import Numerator, NumeratorError, aligned_numerator, lattice_numerator
from hybrid.chain.phone_lm import estimate_phone_lm
from hybrid.chain.reference import chunk_sequences, denominator_score, pdf_sequences
from hybrid.chain.supervision import Cutter, fewest_phones, live, require_room
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import TransitionModel
from hybrid.nnet.sequence.arcs import Arcs
from hybrid.nnet.sequence.reference import reference_passes

PHONES = 4


@pytest.fixture(scope="module")
def model(chain_model) -> TransitionModel:
    return chain_model(PHONES, seed=3)


@pytest.fixture(scope="module")
def denominator(model) -> Denominator:
    """Of a language in which every phone may follow every other."""
    rng = np.random.default_rng(2)
    data = [rng.integers(1, PHONES + 1, 30) for _ in range(40)]
    return compile_denominator(estimate_phone_lm(data, PhoneLmConfig(2, 2, 0)).fst, model)


def random_numerator(model: TransitionModel, seed: int) -> Numerator:
    rng = np.random.default_rng(seed)
    phones = rng.integers(1, PHONES + 1, rng.integers(1, 5))
    return aligned_numerator(phones, rng.integers(3, 8, len(phones)), model)


# from, phone, to, first frame and the frame after the last: 1, then 2 3 or 2 or 4, then 1
ROWS = [(0, 1, 1, 0, 4), (1, 2, 2, 4, 8), (1, 2, 3, 4, 12), (1, 4, 3, 4, 12), (2, 3, 3, 8, 12), (3, 1, 4, 12, 17)]


def diamond(model: TransitionModel) -> Numerator:
    """The numerator of `ROWS`."""
    sources, phones, to, begin, end = np.array(ROWS).T
    finals = np.array([np.inf] * 4 + [0.0])
    fst = FstArrays.from_arcs(0, sources, phones, phones, to, np.zeros(len(ROWS)), finals)
    return lattice_numerator(fst, np.stack([begin, end], axis=1), 17, model)


def strings(acceptor: PdfAcceptor) -> dict[tuple[int, ...], float]:
    """Returns the log of the summed weights of each string of the chunk's length."""
    rows = list(zip(*(acceptor.arrays[n].tolist() for n in ("from_state", "to_state", "pdf", "log_weight"))))
    found: dict[tuple[int, ...], float] = {}

    def walk(state: int, pdfs: tuple[int, ...], score: float) -> None:
        if len(pdfs) == acceptor.num_frames:
            if np.isfinite(acceptor.final[state]):
                found[pdfs] = np.logaddexp(found.get(pdfs, -np.inf), score + float(acceptor.final[state]))
            return
        for source, to, pdf, weight in rows:
            if source == state:
                walk(to, (*pdfs, pdf), score + weight)

    for state in np.flatnonzero(np.isfinite(acceptor.initial)):
        walk(int(state), (), float(acceptor.initial[state]))
    return found


@pytest.mark.parametrize("tolerance", [0, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_chunk_is_a_window_of_the_whole(model, denominator, seed, tolerance):
    numerator = diamond(model) if seed == 0 else random_numerator(model, seed)
    config = SupervisionConfig(3, tolerance, tolerance)
    cutter, total = Cutter(denominator, config), numerator.num_frames
    for begin, frames in {(0, total), (0, min(7, total)), (2, total - 2), (total // 2, 3), (1, total // 2)}:
        wanted = chunk_sequences(numerator, config, begin, frames)
        if not wanted:
            with pytest.raises(NumeratorError, match="have no room for its phones"):
                cutter.chunk(numerator, begin, frames)
            continue
        found = strings(cutter.chunk(numerator, begin, frames))
        assert set(found) == wanted
        for pdfs, score in found.items():
            assert score == pytest.approx(denominator_score(denominator, pdfs), abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_untimed_is_every_duration(model, denominator, seed):
    numerator = diamond(model) if seed == 0 else random_numerator(model, seed)
    config = SupervisionConfig(3)
    found = strings(Cutter(denominator, config).untimed(numerator))
    assert set(found) == pdf_sequences(numerator, config, timed=False)
    for pdfs, score in found.items():
        assert score == pytest.approx(denominator_score(denominator, pdfs), abs=1e-4)


def test_without_tolerance_there_is_the_alignment(model, denominator):
    phones, durations = np.array([1, 3, 2]), np.array([2, 1, 3])
    numerator = aligned_numerator(phones, durations, model)
    forward, loop = (model.tree.pdf_ids(model.tree.pad(phones.tolist()), np.full(3, c)) for c in (0, 1))
    wanted = (forward[0], loop[0], forward[1], forward[2], loop[2], loop[2])
    assert set(strings(Cutter(denominator, SupervisionConfig(1, 0, 0)).chunk(numerator, 0, 6))) == {wanted}


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.0])
def test_numerator_at_most_denominator(model, denominator, scale):
    rng, whole = np.random.default_rng(5), Arcs(**denominator.arrays)
    cutter = Cutter(denominator)
    for seed in range(6):
        numerator = random_numerator(model, seed)
        for graph in (cutter.chunk(numerator, 0, numerator.num_frames), cutter.untimed(numerator)):
            scores = scale * rng.standard_normal((graph.num_frames, model.num_pdfs))
            part, occupancy = reference_passes(scores, Arcs(**graph.arrays))
            assert part <= reference_passes(scores, whole)[0] + 1e-6
            np.testing.assert_allclose(occupancy.sum(axis=1), 1.0)


@pytest.mark.peer
@pytest.mark.parametrize("left, right", [(5, 5), (2, 4), (3, 0)])
def test_sequences_equal_to_kaldi(kaldi_bin, tmp_path, model, left, right):
    rng = np.random.default_rng(9)
    utterances = {
        f"u{n}": (rng.integers(1, PHONES + 1, k := rng.integers(1, 5)), rng.integers(1, 8, k)) for n in range(12)
    }
    lines = (f"{u} " + " ; ".join(f"{p} {d}" for p, d in zip(*pair)) + "\n" for u, pair in utterances.items())
    (tmp_path / "phones").write_text("".join(lines))
    model.write(tmp_path / "mdl", 7)
    model.tree.write(tmp_path / "tree")
    options = [f"--left-tolerance={left}", f"--right-tolerance={right}", "--frame-subsampling-factor=3"]
    files = [tmp_path / "tree", tmp_path / "mdl", f"ark,t:{tmp_path / 'phones'}", f"ark,t:{tmp_path / 'out'}"]
    program = [kaldi_bin / "chain-get-supervision", "--lattice-input=false", *options, *files]
    subprocess.run(list(map(str, program)), check=True, capture_output=True)
    theirs = kaldi_strings((tmp_path / "out").read_text())
    config, seen = SupervisionConfig(3, left, right), 0
    for utterance, (phones, durations) in utterances.items():
        ours = pdf_sequences(aligned_numerator(phones, durations, model), config)
        assert ours == theirs.get(utterance, set())
        seen += len(ours) > 0
    assert seen > 5


@pytest.mark.peer
@pytest.mark.parametrize("width, central", [(1, 0), (2, 1), (3, 1)])
def test_lattice_equal_to_kaldi(kaldi_bin, tmp_path, chain_model, width, central):
    model = chain_model(PHONES, width, central, seed=3)
    model.write(tmp_path / "mdl", 7)
    model.tree.write(tmp_path / "tree")
    arcs = (f"{a} {to} {phone} 0,0,{'_'.join(['1'] * (end - begin))}\n" for a, phone, to, begin, end in ROWS)
    (tmp_path / "lat").write_text("u \n" + "".join(arcs) + "4 0,0,\n\n")
    options = ["--lattice-input=true", "--frame-subsampling-factor=3", "--left-tolerance=3", "--right-tolerance=2"]
    files = [tmp_path / "tree", tmp_path / "mdl", f"ark,t:{tmp_path / 'lat'}", f"ark,t:{tmp_path / 'out'}"]
    subprocess.run(list(map(str, [kaldi_bin / "chain-get-supervision", *options, *files])), check=True)
    ours = pdf_sequences(diamond(model), SupervisionConfig(3, 3, 2))
    assert ours and ours == kaldi_strings((tmp_path / "out").read_text())["u"]


def kaldi_strings(text: str) -> dict[str, set[tuple[int, ...]]]:
    """Returns the strings, as pdf ids, of each acceptor in an archive of supervisions in text form."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for piece in text.split("</Supervision>")[:-1]:
        head, *lines = piece.strip().split("\n")
        arcs = [tuple(map(int, line.split()[:3])) for line in lines if len(line.split()) > 1]
        finals = {int(line) for line in lines if len(line.split()) == 1}

        def walk(state: int, arcs=arcs, finals=finals):  # type: ignore[no-untyped-def]
            if state in finals:
                yield ()
            for source, to, label in arcs:
                if source == state:
                    yield from ((label - 1, *rest) for rest in walk(to))

        found[head.split()[0]] = set(walk(0))
    return found


def test_other_speeds(model):
    numerator = aligned_numerator(np.array([1, 2]), np.array([10, 11]), model)
    fast = numerator.at_speed(1.1, 19)
    assert fast.arcs[:, 1:3].tolist() == [[0, 9], [9, 19]] and fast.num_frames == 19
    assert numerator.at_speed(0.5, 43).arcs[:, 1:3].tolist() == [[0, 20], [20, 43]]
    assert numerator.at_speed(1.0, 21) == numerator


@pytest.mark.parametrize("width, central", [(1, 0), (2, 1), (3, 1)])
def test_ways_of_a_lattice(chain_model, width, central):
    model = chain_model(PHONES, width, central, seed=3)
    numerator = diamond(model)
    assert fewest_phones(numerator) == 3
    alone = {
        way: pdf_sequences(
            aligned_numerator(np.array([1, *way, 1]), np.array([4, *([8] if len(way) == 1 else [4, 4]), 5]), model),
            SupervisionConfig(3), timed=False,
        )
        for way in ((2, 3), (2,), (4,))
    }  # fmt: skip
    assert pdf_sequences(numerator, SupervisionConfig(3), timed=False) == set(itertools.chain(*alone.values()))
    assert not live(numerator, SupervisionConfig())[0].any()


def test_what_cannot_be_used(model, denominator):
    short = aligned_numerator(np.array([1, 2, 3]), np.array([2, 2, 2]), model)
    with pytest.raises(NumeratorError) as error:
        require_room(short, SupervisionConfig(), timed=True)
    assert str(error.value) == "6 frames have no room for its phones in their times"
    with pytest.raises(NumeratorError) as error:
        require_room(short, SupervisionConfig(), timed=False)
    assert str(error.value) == "6 frames give 2 of output, too few for 3 phones"
    with pytest.raises(NumeratorError, match="has phone 9, which the tree does not have"):
        aligned_numerator(np.array([9]), np.array([5]), model)
    with pytest.raises(NumeratorError, match="has no phones"):
        aligned_numerator(np.array([], np.int32), np.array([], np.int32), model)
    with pytest.raises(ValueError, match="frames 3 to 7 of an utterance of 6"):
        Cutter(denominator).chunk(short, 3, 4)


def test_phones_that_the_lm_does_not_know(model):
    lm = estimate_phone_lm([np.array([1, 2, 1])], PhoneLmConfig(2, 2, 0)).fst
    cutter = Cutter(compile_denominator(lm, model))
    with pytest.raises(NumeratorError) as error:
        cutter.untimed(aligned_numerator(np.array([3, 3]), np.array([9, 9]), model))
    assert str(error.value) == "has phones in a row that the phone LM of the denominator does not know"
