"""Real utterances: k2, the native engine and the reference find the same paths; our engines the same lattices."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.feats.store import FeatureStore
from hybrid.formats.openfst import FstArrays, write_fst
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.paths import best_path
from hybrid.search.config import SearchConfig
from hybrid.search.together.torch_search import TorchSearcher

pytestmark = [pytest.mark.real, pytest.mark.slow]
DIGITS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]


@pytest.fixture(scope="module")
def fsdd(corpora: Path, hybrid, tmp_path_factory) -> Path:
    """A monophone model of digits, trained on 300 utterances, with a graph of a digit loop and test features."""
    root = tmp_path_factory.mktemp("fsdd")
    recipe = Path(__file__).resolve().parents[2] / "egs" / "fsdd"

    def must(*arguments: object) -> None:
        result = hybrid(*arguments)
        assert result.exit_code == 0, (arguments, result.output, result.exception)

    must("data", "fsdd", "--corpus-dir", corpora / "fsdd", "--out-dir", root)
    cuts = root / "train" / "cuts.jsonl.gz"
    import gzip

    lines = gzip.decompress(cuts.read_bytes()).decode().splitlines()[::9]
    (root / "some").mkdir()
    (root / "some" / "cuts.jsonl.gz").write_bytes(gzip.compress("".join(f"{x}\n" for x in lines).encode()))
    for name in ("some", "test"):
        must("feats", "extract", "--cuts", root / name / "cuts.jsonl.gz", "--config", recipe / "conf" / "mfcc.yaml",
             "--out-dir", root / "feats" / name)  # fmt: skip
    must("lang", "prepare", "--dict-dir", recipe / "local" / "dict", "--oov", "<UNK>", "--out-dir", root / "lang")
    must("gmm", "train-mono", "--feats", root / "feats" / "some", "--lang", root / "lang", "--total-gaussians", 200,
         "--num-passes", 12, "--last-mix-up-pass", 8, "--out-dir", root / "mono")  # fmt: skip
    from lexicon.symbols import SymbolTable

    words = SymbolTable.read(root / "lang" / "words.txt")
    ids = np.array(sorted(words[w] for w in DIGITS), np.int32)
    cost = math.log(11)
    write_fst(
        root / "G.fst", FstArrays(0, np.array([0, 10]), ids, ids, np.zeros(10), np.full(10, cost), np.array([cost]))
    )
    must("graph", "compile", "--model", root / "mono", "--lang", root / "lang", "--grammar", root / "G.fst",
         "--out-dir", root / "graph")  # fmt: skip
    return root


def system(root: Path, engine: str) -> System:
    config = SearchConfig(beam=13.0, lattice_beam=6.0, acoustic_scale=0.1)
    return load_system(SystemSpec(str(root / "mono"), str(root / "graph"), search=config, engine=engine))


@pytest.mark.k2
@pytest.mark.parametrize("engine", ["k2", "native"])
def test_engines_agree_with_the_reference(fsdd: Path, engine: str) -> None:
    store, reference = FeatureStore.open(fsdd / "feats" / "test"), system(fsdd, "reference")
    utterances = store.ids[::2][:50]
    model = reference.model
    scores = [model.scores(model.pipeline.features(store, u)) for u in utterances]
    slow, fast = reference.searcher.search(scores), system(fsdd, engine).searcher.search(scores)
    assert len(slow) == 50 and [r.status for r in slow] == [r.status for r in fast]
    right = 0
    for utterance, a, b in zip(utterances, slow, fast):
        ours, theirs = best_path(a.lattice, 0.1), best_path(b.lattice, 0.1)
        assert ours is not None and theirs is not None
        assert ours.transition_ids.tolist() == theirs.transition_ids.tolist()
        assert ours.word_ids.tolist() == theirs.word_ids.tolist()
        assert theirs.graph_score == pytest.approx(ours.graph_score, rel=1e-5)
        assert theirs.acoustic_score == pytest.approx(ours.acoustic_score, rel=1e-5)
        right += ours.word_ids.tolist() == [reference.words[w] for w in store.text(utterance)]
    assert right >= 35


def arcs_of(lattice: Lattice) -> list[tuple]:
    """What a lattice holds, whatever the numbers of its states."""
    frames = lattice.state_frames[lattice.sources].tolist()
    columns = lattice.transition_ids, lattice.word_ids, lattice.graph_scores, lattice.acoustic_scores
    return sorted(zip(frames, *(column.tolist() for column in columns)))


def test_our_engines_make_the_same_lattices(fsdd: Path) -> None:
    """Triton's interpreter is slow: it gets the first frames of three utterances, the others whole ones."""
    store, reference = FeatureStore.open(fsdd / "feats" / "test"), system(fsdd, "reference")
    scores = [reference.model.scores(reference.model.pipeline.features(store, u)) for u in store.ids[::20][:12]]
    for engine, some in (("native", scores), ("torch", scores), ("triton", [each[:4] for each in scores[:3]])):
        searcher = system(fsdd, engine if engine != "triton" else "torch").searcher
        if engine == "triton":
            if not find_spec("triton"):
                continue
            searcher = TorchSearcher(searcher.graph, searcher.config, kernels="triton")
        for slow, fast in zip(reference.searcher.search(some), searcher.search(some)):
            assert (slow.status, slow.limited_frames) == (fast.status, fast.limited_frames)
            assert arcs_of(slow.lattice) == arcs_of(fast.lattice), engine


def test_streams_equal_whole_utterances(fsdd: Path) -> None:
    store, native = FeatureStore.open(fsdd / "feats" / "test"), system(fsdd, "native")
    model = native.model
    for utterance in store.ids[:10]:
        scores = model.scores(model.pipeline.features(store, utterance))
        stream = native.searcher.open()
        for begin in range(0, len(scores), 17):
            stream.advance(scores[begin : begin + 17])
        result, (whole,) = stream.finish(), native.searcher.search([scores])
        assert np.array_equal(result.lattice.acoustic_scores, whole.lattice.acoustic_scores)
        assert np.array_equal(result.lattice.next_states, whole.lattice.next_states)
