"""The state of a training: whole it goes on to the last bit, damaged the training starts afresh."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.train.gmm.em import EmState, PassRecord
from hybrid.train.gmm.state import load_state, save_state


@pytest.fixture
def state(model) -> EmState:
    alignments = CorpusAlignments.from_items([("u", np.array([1, 2])), ("v", np.array([3]))])
    record = PassRecord(**dict.fromkeys(PassRecord.__dataclass_fields__, 1))
    return EmState(3, 20, 2, model.acoustic_model.gmm, model.transition_model, model.pipeline, alignments,
                   occupancy=np.ones(model.tree.num_pdfs), history=(record,))  # fmt: skip


def test_there_and_back(tmp_path, state):
    save_state(tmp_path / "s", state, "me")
    found = load_state(tmp_path / "s", "me", state.transition_model)
    assert found is not None and found.next_pass == 3 and found.history == state.history
    assert found.gmm.content_hash() == state.gmm.content_hash()
    assert dict(found.alignments.items()).keys() == {"u", "v"} and found.alignments["v"].tolist() == [3]
    assert load_state(tmp_path / "s", "another", state.transition_model) is None


@pytest.mark.parametrize(
    "name, value",
    [
        ("row_splits", [0, 9, 3]),
        ("row_splits", [0, 3]),
        ("transition_ids", [1, 2, 10**6]),
        ("transition_ids", [0, 1, 2]),
    ],
)
def test_alignments_that_lead_elsewhere_are_not_continued(tmp_path, state, name, value):
    save_state(tmp_path / "s", state, "me")
    arrays, metadata = load_arrays(tmp_path / "s")
    save_arrays(tmp_path / "s", {**arrays, name: np.array(value)}, {"record": metadata["record"]})
    assert load_state(tmp_path / "s", "me", state.transition_model) is None


def test_changed_bytes_are_noticed(tmp_path, state, caplog):
    save_state(tmp_path / "s", state, "me")
    arrays, metadata = load_arrays(tmp_path / "s")
    changed = {**metadata, "record": metadata["record"].replace('"next_pass": 3', '"next_pass": 4')}
    for values, told in (({**arrays, "occupancy": arrays["occupancy"] + 1}, metadata), (arrays, changed)):
        caplog.clear()
        save_arrays(tmp_path / "s", values, told)
        assert load_state(tmp_path / "s", "me", state.transition_model) is None
        assert "s: was changed or damaged: found hash " in caplog.text and "; starting afresh" in caplog.text
        assert f", wanted {metadata['hash'][:12]}." in caplog.text


@pytest.mark.parametrize("change", [{"pipeline": 3}, {"history": [[]]}, {"ids": 5}, {"history": {"a": 1}}])
def test_records_of_another_shape_are_not_continued(tmp_path, state, change):
    save_state(tmp_path / "s", state, "me")
    arrays, metadata = load_arrays(tmp_path / "s")
    record = json.dumps({**json.loads(metadata["record"]), **change})
    save_arrays(tmp_path / "s", arrays, {"record": record})
    assert load_state(tmp_path / "s", "me", state.transition_model) is None
    save_arrays(tmp_path / "s", arrays, {"record": "[" * 100_000})
    assert load_state(tmp_path / "s", "me", state.transition_model) is None
