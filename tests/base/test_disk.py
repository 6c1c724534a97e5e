"""What a file system refuses is one line with the path and the cure; what was synced outlasts a loss of power."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from hybrid.base import artifact, doors, jobs
from hybrid.base.disk import disk_error, make_folder, remove_mark
from hybrid.base.errors import HybridError
from hybrid.data.audio import write_audio
from hybrid.formats.tensors import save_arrays

CURES = {
    errno.ENOSPC: r"the disk is full; nothing was changed\. Free some space and run",
    errno.EDQUOT: r"your disk quota is used up; nothing was changed\. Free some space",
    errno.EFBIG: r"the file would be larger than is allowed; nothing was changed\. Raise the limit \(ulimit -f\)",
    errno.EIO: r"the disk reports an error \(Input/output error\)\. Look at the system's log",
    errno.EROFS: r"not writable \(Read-only file system\)\. Choose another output folder",
    errno.EACCES: r"not writable \(Permission denied\)\. Choose another output folder",
    errno.ENOENT: r"was removed, or its folder, while the command ran\. Run the same command again",
    errno.ENAMETOOLONG: r"cannot be used \(File name too long\)\. Correct the path, or choose another name",
    errno.EMFILE: r"too many open files\. Raise the limit \(ulimit -n\)",
    errno.ENOTEMPTY: r"another command wrote there meanwhile\. Run one command at a time",
}


@pytest.mark.parametrize("number", CURES)
def test_every_refusal_is_one_line_with_path_and_cure(tmp_path, number):
    with pytest.raises(HybridError, match=rf"^{tmp_path}/a: {CURES[number]}"), artifact.atomic_path(tmp_path / "a"):
        raise OSError(number, os.strerror(number))
    assert not list(tmp_path.iterdir())


def test_a_huge_name_to_read_is_shortened_and_not_said_to_be_written():
    name = "n" * 400
    done = subprocess.run(
        [sys.executable, "-m", "hybrid.cli.main", "feats", "info", name], capture_output=True, text=True
    )
    assert f"hybrid: {'n' * 299}…: cannot be read (file name too long). Correct the path" in done.stderr
    assert done.returncode == 1


def test_the_name_is_the_final_one_not_the_temporary_one(tmp_path):
    inside = OSError(errno.ENOSPC, "full", "exp/.tmp123.graph/.tmp123.words.txt")
    assert str(disk_error(inside, "x")).startswith("exp/graph/words.txt: the disk is full")
    assert str(disk_error(OSError(errno.ENOSPC, "full"), "exp/.tmp123.lang/L.fst")).startswith("exp/lang/L.fst: ")
    assert disk_error(ConnectionResetError(errno.ECONNRESET, "reset"), "x") is None


@pytest.fixture
def file_limit() -> Iterator[None]:
    """No file may grow past 1000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def save_npy(path):
    with artifact.atomic_path(path) as temporary:
        np.save(temporary.with_suffix(".npy"), np.zeros(5000))


def save_gzip(path):
    with artifact.write_gzip(path) as stream:
        stream.write(np.random.RandomState(0).bytes(5000))


WRITERS = {
    "safetensors": lambda path: save_arrays(path, {"a": np.zeros(5000)}),
    "wav": lambda path: write_audio(path, np.zeros(5000, np.int16), 8000),
    "gz": save_gzip,
    "npy": save_npy,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_past_the_limit_is_one_line_and_is_not_there(tmp_path, file_limit, kind):
    with pytest.raises(
        HybridError, match=rf"^{tmp_path}/a\.{kind}: (the file would be larger|cannot be written .*limit)"
    ):
        WRITERS[kind](tmp_path / f"a.{kind}")
    assert not (tmp_path / f"a.{kind}").exists()


def test_a_folder_deleted_meanwhile_is_one_line(tmp_path):
    with pytest.raises(HybridError, match=r"out/a: was removed, or its folder, while the command ran"):
        with artifact.atomic_path(tmp_path / "out" / "a") as temporary:
            shutil.rmtree(tmp_path / "out")
            temporary.write_text("x")


def test_an_older_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    def write(text):
        with artifact.atomic_folder(tmp_path / "out", "test") as temporary:
            (temporary / "x").write_text(text)
            artifact.write_meta(temporary, "test")

    write("old")
    real = os.replace

    def replace(source, target):
        if os.path.basename(source).startswith(".tmp") and target == tmp_path / "out":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(doors, "_exchange", lambda first, second: False)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(HybridError, match="out: the disk is full"):
        write("new")
    assert (tmp_path / "out" / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_no_shared_memory_is_one_line(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jobs, "ProcessPoolExecutor", refuse)
    with pytest.raises(HybridError, match=r"^/dev/shm or .*cannot be started \(No space left.*or use --jobs 1\.$"):
        jobs.WorkerPool(2)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hybrid.cli.main", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("hybrid: standard output: the disk is full") and done.stderr.count("\n") == 1


@pytest.fixture
def order(monkeypatch) -> list[str]:
    """The names of what was synced and of what was renamed, in their order."""
    calls: list[str] = []
    sync, replace, unlink = os.fsync, os.replace, os.unlink

    def record(what: str, path: str) -> None:
        calls.append(f"{what} {artifact_name(path)}")

    def fsync(descriptor):
        record("sync", os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def rename(source, target):
        record("rename", os.fspath(target))
        replace(source, target)

    def remove(path, *args, **kwargs):
        unlink(path, *args, **kwargs)
        record("remove", os.fspath(path))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    monkeypatch.setattr(os, "unlink", remove)
    return calls


def artifact_name(path: str) -> str:
    """The last part of a path, without what makes it temporary."""
    name = os.path.basename(path)
    return name.split(".", 2)[2] if name.startswith(".tmp") else name


def test_a_file_is_synced_before_its_name_and_its_folder_after(tmp_path, order):
    with artifact.atomic_path(tmp_path / "new" / "a") as temporary:
        temporary.write_text("x")
    assert order == [f"sync {tmp_path.name}", "sync a", "rename a", "sync new"]


def test_every_file_of_a_folder_is_synced_before_the_folder_is_renamed(tmp_path, order):
    with artifact.atomic_folder(tmp_path / "out", "test") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a").write_text("x")
        (temporary / "b").write_text("x")
    made = [f"sync {name}" for name in ("a", "sub", "b", "out")]
    assert order[:6] == [*made, "rename out", f"sync {tmp_path.name}"]


def test_a_mark_is_gone_for_good_before_anything_new_is_written(tmp_path, order):
    (tmp_path / "meta.json").write_text("{}")
    remove_mark(make_folder(tmp_path))
    assert order == ["remove meta.json", f"sync {tmp_path.name}"]
    remove_mark(tmp_path)
    assert len(order) == 2
