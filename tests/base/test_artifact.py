import errno
import gzip
import json
import os

import pytest

from hybrid.base import artifact
from hybrid.base.errors import HybridError, InputError, MismatchError


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), artifact.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(HybridError, match=r"a\.txt: the disk is full; nothing was changed\. Free some space"):
        with artifact.atomic_path(tmp_path / "a.txt"):
            raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(HybridError, match="the disk is full"), artifact.atomic_folder(tmp_path / "d", "test"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_really_full_device_is_one_line(tmp_path):
    with pytest.raises(HybridError, match="the disk is full"), artifact.atomic_path(tmp_path / "a"):
        with open("/dev/full", "w") as stream:
            stream.write("x" * 100000)


def test_a_folder_is_replaced_only_if_we_made_it(tmp_path):
    folder = tmp_path / "out"
    with artifact.atomic_folder(folder, "test") as temporary:
        (temporary / "x").write_text("1")
        artifact.write_meta(temporary, "test")
    with artifact.atomic_folder(folder, "test") as temporary:
        (temporary / "y").write_text("2")
        artifact.write_meta(temporary, "test")
    assert sorted(p.name for p in folder.iterdir()) == ["meta.json", "y"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with (
        pytest.raises(InputError, match="is a folder that this toolkit did not make"),
        artifact.atomic_folder(mine, "test"),
    ):
        pass
    assert (mine / "thesis.tex").exists()


def test_hash_is_of_the_content_not_of_the_container(tmp_path):
    (tmp_path / "a").write_text("same")
    with gzip.open(tmp_path / "b.gz", "wt") as stream:
        stream.write("same")
    assert artifact.content_hash(tmp_path / "a") == artifact.content_hash(tmp_path / "b.gz")


def test_gzip_holds_no_time(tmp_path):
    for name in ("a.gz", "b.gz"):
        with artifact.write_gzip(tmp_path / name) as stream:
            stream.write(b"text")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_meta_names_inputs_by_hash_and_does_not_count_in_the_hash(tmp_path):
    source, folder = tmp_path / "tree", tmp_path / "model"
    source.write_text("t")
    folder.mkdir()
    (folder / "w").write_text("1")
    before = artifact.content_hash(folder)
    artifact.write_meta(folder, "gmm", {"beam": 13}, {"tree": source}, {"states": 3})
    record = artifact.read_meta(folder)
    assert record["inputs"] == {"tree": artifact.content_hash(source)}
    assert record["kind"] == "gmm" and record["settings"] == {"beam": 13}
    assert artifact.content_hash(folder) == before
    (folder / "meta.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        artifact.read_meta(folder)
    (folder / "meta.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="does not hold a JSON object"):
        artifact.read_meta(folder)


def test_what_is_put_into_an_artifact_does_not_count_in_its_hash(tmp_path):
    """Graphs and decodings lie in folders of models: a training that knows one by its hash goes on beside them."""
    folder = tmp_path / "model"
    (folder / "steps").mkdir(parents=True)
    for name in ("tree", "steps/one.log.gz"):
        (folder / name).write_text(name)
    artifact.write_meta(folder, "nnet", files=["tree", "steps/one.log.gz"])
    before = artifact.content_hash(folder)
    (folder / "decode_x").mkdir()
    (folder / "decode_x/note.txt").write_text("words")
    assert artifact.content_hash(folder) == before
    (folder / "steps/one.log.gz").write_text("another")
    assert artifact.content_hash(folder) != before


def test_what_does_not_belong_together_names_both():
    artifact.require_same_hash("tree", ("graph", "ab"), ("model", "ab"), "")
    artifact.require_same_hash("tree", ("graph", None), ("model", "ab"), "")
    with pytest.raises(
        MismatchError, match=r"graph and model were made from different versions of tree.*Compile again\."
    ):
        artifact.require_same_hash("tree", ("graph", "ab"), ("model", "cd"), "Compile again.")


@pytest.mark.parametrize("record", ['{"facts": []}', '{"facts": {"hashes": 3}}', '{"inputs": "x"}', '{"files": [1]}'])
def test_records_of_another_shape_are_refused(tmp_path, record):
    (tmp_path / "meta.json").write_text(record)
    with pytest.raises(InputError, match=r"meta\.json: '(facts|hashes|inputs|files)' is no JSON object"):
        artifact.read_meta(tmp_path)
