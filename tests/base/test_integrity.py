"""Recorded hashes held against what lies there: whole files, swapped halves, files looked at once, old artifacts."""

from __future__ import annotations

import json
import os

import pytest

from hybrid.base import integrity
from hybrid.base.artifact import content_hash, write_gzip, write_meta
from hybrid.base.errors import InputError, MismatchError
from hybrid.base.integrity import check, recorded_files, recorded_hash, state_of, tell_changes

OLD = 1_000_000_000  # seconds; long ago


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An artifact of two files, one in a folder of it, and an artifact inside it; a cache of its own."""
    monkeypatch.setenv("HYBRID_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(integrity, "FRESH_NS", -1)
    folder = tmp_path / "made"
    (folder / "blocks").mkdir(parents=True)
    (folder / "graph").mkdir()
    (folder / "weights").write_bytes(b"left right")
    (folder / "blocks" / "0.f32").write_bytes(bytes(1000))
    (folder / "graph" / "HCLG.fst").write_bytes(b"fst")
    (folder / ".tmp1.x").write_bytes(b"half")
    write_meta(folder / "graph", "graph")
    write_meta(folder, "model")
    return folder


def test_every_file_is_recorded_but_those_of_artifacts_inside(made):
    assert list(recorded_files(made / "meta.json")) == ["blocks/0.f32", "weights"]
    assert recorded_hash(made / "graph" / "HCLG.fst")[0] == made / "graph" / "meta.json"
    for name in ("weights", "blocks/0.f32", "graph/HCLG.fst", "absent"):
        check(made / name)


@pytest.mark.parametrize("cached", [False, True])
def test_swapped_halves_are_found_at_the_first_reading(made, cached):
    check(made / "weights", cached)
    times = os.stat(made / "weights")
    (made / "weights").write_bytes(b"right left")
    os.utime(made / "weights", ns=(times.st_atime_ns, times.st_mtime_ns))  # as a copy that keeps times
    found, wanted = content_hash(made / "weights")[:12], recorded_files(made / "meta.json")["weights"][:12]
    message = (
        f"made/weights: was changed or damaged: found hash {found}, meta.json records {wanted}. Copy or make "
        f"{made} again; `hybrid doctor --verify {made}` looks at all of it."
    )
    with pytest.raises(MismatchError) as raised:
        check(made / "weights", cached)
    assert str(raised.value).endswith(message)


def test_a_state_of_a_large_file_is_hashed_once_by_all_processes(made, monkeypatch):
    hashed = []
    monkeypatch.setattr(integrity, "content_hash", lambda path: hashed.append(path) or content_hash(path))
    for _ in range(3):
        check(made / "blocks" / "0.f32", cached=True)
    monkeypatch.setattr(integrity, "_memory", integrity._Memory())  # another process
    check(made / "blocks" / "0.f32", cached=True)
    assert len(hashed) == 1
    os.utime(made / "blocks" / "0.f32", (OLD, OLD))
    check(made / "blocks" / "0.f32", cached=True)
    check(made / "weights")
    check(made / "weights")
    assert len(hashed) == 4


@pytest.mark.parametrize("cached", [False, True])
def test_what_is_recorded_but_gone_is_told(made, cached):
    (made / "weights").unlink()
    with pytest.raises(InputError, match=r"weights: is missing, and meta.json records it. Copy or make \S+made again."):
        check(made / "weights", cached)


def test_a_file_that_may_change_within_a_tick_is_looked_at_again(made, monkeypatch):
    monkeypatch.undo()
    hashed = []
    monkeypatch.setenv("HYBRID_CACHE_DIR", str(made.parent / "cache"))
    monkeypatch.setattr(integrity, "content_hash", lambda path: hashed.append(path) or content_hash(path))
    for _ in range(2):
        check(made / "weights", cached=True)
    assert len(hashed) == 2


def test_without_a_cache_folder_it_is_hashed_each_time(made, monkeypatch):
    (made.parent / "file").write_text("in the way")
    monkeypatch.setenv("HYBRID_CACHE_DIR", str(made.parent / "file" / "cache"))
    for _ in range(2):
        check(made / "weights", cached=True)
    (made / "weights").write_bytes(b"right left")
    with pytest.raises(MismatchError, match="was changed or damaged"):
        check(made / "weights", cached=True)


def test_a_single_file_has_its_record_beside_it(tmp_path):
    with write_gzip(tmp_path / "lm.arpa.gz") as stream:
        stream.write(b"\\data\\")
    write_meta(tmp_path / "lm.arpa.gz", "arpa")
    check(tmp_path / "lm.arpa.gz")
    with write_gzip(tmp_path / "lm.arpa.gz", level=1) as stream:  # packed anew
        stream.write(b"\\data\\")
    check(tmp_path / "lm.arpa.gz")
    with write_gzip(tmp_path / "lm.arpa.gz") as stream:
        stream.write(b"\\date\\")
    with pytest.raises(MismatchError, match=r"lm\.arpa\.gz: was changed or damaged.*make .*/lm\.arpa\.gz again"):
        check(tmp_path / "lm.arpa.gz")


def test_what_has_no_record_passes(made, forget_files):
    forget_files(made)
    (made / "weights").write_bytes(b"right left")
    check(made / "weights")
    (made / "meta.json").unlink()
    check(made / "weights")


def test_a_damaged_record_is_one_line(made):
    record = json.loads((made / "meta.json").read_text())
    for wrong, found in (([], "is no JSON object"), ({"weights": 3}, "does not give the hash of each file")):
        (made / "meta.json").write_text(json.dumps({**record, "files": wrong}))
        with pytest.raises(InputError, match=rf"meta\.json: 'files' {found}\. Make the"):
            check(made / "weights")


def test_a_state_changes_with_every_file_of_a_folder(made):
    before = state_of(made)
    assert before == state_of(made)
    (made / "weights").write_bytes(b"right left")
    assert state_of(made) != before
    assert state_of(made / "nothing") == state_of(None) == ()


def test_whoever_edits_a_single_file_is_told_how_to_keep_it(tmp_path):
    file = tmp_path / "lm.arpa"
    file.write_text("one")
    write_meta(file, "arpa")
    file.write_text("two")
    with pytest.raises(MismatchError, match=r"again; if you changed it yourself, remove lm\.arpa\.meta\.json; `hybrid"):
        check(file)
    (tmp_path / "lm.arpa.meta.json").unlink()
    check(file)


def test_an_edit_of_a_file_that_users_edit_is_told_once(made, caplog):
    tell_changes(made / "weights")
    tell_changes(made / "absent")
    (made / "weights").write_bytes(b"right left")
    tell_changes(made / "weights")
    tell_changes(made / "weights")
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        f"{made}/weights: was changed since it was made (meta.json records another hash) and is used as it is. "
        "If nobody did that on purpose, copy or make it again."
    )
    (made / "meta.json").write_text("[]")
    tell_changes(made / "weights")
    assert "meta.json: does not hold a JSON object" in caplog.records[-1].getMessage()
