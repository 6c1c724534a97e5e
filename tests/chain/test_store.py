"""Supervision on disk: there and back, resumption, jobs, agreement, damage."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from hybrid.agreement import Part
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.artifact import content_hash
from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.base.jobs import pool
from hybrid.chain.config import SupervisionConfig
from hybrid.chain.numerator import aligned_numerator
from hybrid.chain.store import Supervisions
from hybrid.chain.supervision import require_room
from hybrid.formats.tensors import load_arrays, map_arrays, save_arrays
from hybrid.train.chain import supervise as module
from hybrid.train.chain.supervise import AlignedSource, supervise


def chain_alignment(model, phones: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """Returns an alignment at the full frame rate, by a chain model itself."""
    ids: list[int] = []
    windows = model.tree.pad(phones.tolist())
    pdfs = [model.tree.pdf_ids(windows, np.full(len(phones), c)).tolist() for c in (0, 1)]
    for n, (phone, frames) in enumerate(zip(phones.tolist(), durations.tolist())):
        state = model.transition_state_of(phone, 0, pdfs[0][n], pdfs[1][n])
        ids += [model.transition_id_of(state, 1)] + [int(model.self_loops[state])] * (frames - 1)
    return np.array(ids, np.int32)


@pytest.fixture(scope="module")
def source(chain_model) -> AlignedSource:
    model, rng, items = chain_model(4), np.random.default_rng(0), []
    for number in range(23):
        phones = rng.integers(1, 5, 6)
        items.append((f"u{number:02d}", chain_alignment(model, phones, rng.integers(4, 9, 6))))
    items.append(("short", chain_alignment(model, np.array([1, 2, 3]), np.array([1, 1, 1]))))
    return AlignedSource(CorpusAlignments.from_items(items), model, model)


@pytest.fixture(scope="module")
def part(source) -> Part:
    model = source.model
    return Part("model", "exp/tree", {"tree": model.tree.content_hash(), "topo": model.topology.content_hash()})


@pytest.fixture()
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5)


def test_there_and_back(source, part, tmp_path, small_parts):
    made, failed = supervise(source, tmp_path / "sup", SupervisionConfig(3, 4, 6), part)
    assert failed == {"short": "3 frames have no room for its phones in their times"}
    assert (tmp_path / "sup" / "failed.txt").read_text() == f"short {failed['short']}\n"
    assert made.ids == [u for u in source.ids if u != "short"] and len(made) == 23 and "short" not in made
    assert made.config == SupervisionConfig(3, 4, 6) and made.timed
    opened = pickle.loads(pickle.dumps(Supervisions.open(tmp_path / "sup", part)))
    for utterance, item in source.items(made.ids):
        assert made[utterance] == opened[utterance] == aligned_numerator(*item, source.model)
    assert len(pickle.dumps(made)) < 3000


def test_jobs_change_nothing(source, part, tmp_path, small_parts):
    supervise(source, tmp_path / "one", SupervisionConfig(), part)
    with pool(2) as executor:
        supervise(source, tmp_path / "two", SupervisionConfig(), part, executor)
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")


def test_a_killed_run_goes_on(source, part, tmp_path, small_parts, monkeypatch):
    out = tmp_path / "sup"
    calls = []

    def stop(numerator, config, timed):
        calls.append(1)
        if len(calls) > 12:
            raise KeyboardInterrupt
        require_room(numerator, config, timed)

    monkeypatch.setattr(module, "require_room", stop)
    with pytest.raises(KeyboardInterrupt):
        supervise(source, out, SupervisionConfig(), part)
    with pytest.raises(InputError, match="holds no finished supervision"):
        Supervisions.open(out)
    parts = sorted((out / "parts").glob("*.safetensors"))
    assert len(parts) == 2
    before = [os.stat(path).st_mtime_ns for path in parts]
    monkeypatch.setattr(module, "require_room", require_room)
    made, _ = supervise(source, out, SupervisionConfig(), part)
    assert len(made) == 23 and [os.stat(path).st_mtime_ns for path in parts] == before
    supervise(source, out, SupervisionConfig(3, 0, 9), part)  # other settings: all parts anew
    assert os.stat(parts[0]).st_mtime_ns > before[0]


def test_nothing_to_use(source, part, tmp_path):
    short = CorpusAlignments.from_items([("short", source.alignments["short"])])
    with pytest.raises(HybridError, match=r"sup: no utterance can be used; the first, short: 3 frames have no room"):
        supervise(AlignedSource(short, source.model, source.model), tmp_path / "sup", SupervisionConfig(), part)


def test_another_tree_and_damage(source, part, tmp_path):
    out = tmp_path / "sup"
    supervise(source, out, SupervisionConfig(), part)
    with pytest.raises(MismatchError, match=r"different versions of the tree .*`hybrid nnet chain-sup --tree exp/b"):
        Supervisions.open(out, Part("model", "exp/b", {"tree": "0" * 64}))
    file = out / "parts" / "00000.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(MismatchError, match="was changed or damaged"):
        Supervisions.open(out, part)["u00"]
    with pytest.raises(InputError, match="is no folder; wanted a supervision"):
        Supervisions.open(tmp_path / "none")


def test_mapped_arrays_equal_loaded(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.zeros(0), "c": np.ones(1, np.float32)}
    save_arrays(tmp_path / "x.safetensors", arrays, {"note": "é"})
    mapped, metadata = map_arrays(tmp_path / "x.safetensors")
    loaded, other = load_arrays(tmp_path / "x.safetensors")
    assert metadata == other == {"note": "é"} and set(mapped) == set(loaded)
    for name in loaded:
        np.testing.assert_array_equal(mapped[name], loaded[name])
        assert mapped[name].dtype == loaded[name].dtype
    with pytest.raises(ValueError):
        mapped["a"][0, 0] = 1


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, b"\xff" * 20, b"\x05" + b"\0" * 7 + b"[1,2]", b"\x02\0\0\0\0\0\0\0{}"]
)
def test_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    if content.endswith(b"{}"):
        assert map_arrays(path) == ({}, {})
        return
    with pytest.raises(InputError, match=r"x\.safetensors"):
        map_arrays(path)


def test_arrays_beyond_the_file_are_refused(tmp_path):
    save_arrays(tmp_path / "x.safetensors", {"a": np.arange(6)})
    data = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[:-8])
    with pytest.raises(InputError, match="'a' does not lie in the file"):
        map_arrays(tmp_path / "x.safetensors")
