import contextlib
import errno
import fcntl
import gzip
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from hybrid.base import doors
from hybrid.base.artifact import atomic_folder, atomic_path, content_hash, write_meta
from hybrid.base.disk import make_folder
from hybrid.base.doors import output_file, output_folder, writes_into
from hybrid.base.errors import HybridError, InputError
from hybrid.base.locks import sweep, take_lock, temporary_name
from hybrid.base.output import check_file, check_folder, check_place


def elsewhere(function, *arguments, **options):
    """Calls in another thread, as another run would; raises here what was raised there."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *arguments, **options).result()


def enter(door, *arguments):
    with door(*arguments):
        pass


def make(folder, kind, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    write_meta(folder, kind)
    return folder


def test_new_empty_and_same_kind_may_be_used(tmp_path):
    assert check_folder(tmp_path / "new" / "er", "graph") == tmp_path / "new" / "er"
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty", "graph")
    check_folder(make(tmp_path / "graph", "graph", x="1"), "graph")


@pytest.mark.parametrize("whole", [False, True])
def test_another_kind_is_refused_by_name(tmp_path, whole):
    model = make(tmp_path / "mono", "gmm", tree="1")
    with pytest.raises(
        InputError,
        match=r"mono: holds another artifact \('gmm'\); wanted a new folder, an empty one, or one that holds an "
        r"earlier 'alignments'\. Choose another --out-dir\.",
    ):
        check_folder(model, "alignments", whole=whole)
    assert (model / "tree").read_text() == "1"


def test_a_users_folder_is_refused_even_with_a_meta_json_of_its_own(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    (mine / "meta.json").write_text(json.dumps({"kind": "graph"}))
    with pytest.raises(
        InputError, match=r"mine: is a folder that this toolkit did not make \('meta.json' and 1 more in it"
    ):
        check_folder(mine, "graph")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "f").write_text("mine")
    for check in (lambda p: check_folder(p, "graph"), check_place):
        with pytest.raises(InputError, match=r"f: is a file, wanted a folder\. Choose another --out-dir\."):
            check(tmp_path / "f")
        with pytest.raises(InputError, match=r"f/x/y: cannot be made, since .*/f is a file"):
            check(tmp_path / "f" / "x" / "y")
    with pytest.raises(InputError, match="is a file, wanted a folder"), atomic_folder(tmp_path / "f", "graph"):
        pass
    assert (tmp_path / "f").read_text() == "mine"


def test_an_output_is_no_input(tmp_path):
    data = make(tmp_path / "data", "data", x="1")
    with pytest.raises(InputError, match="data: is also an input; it would be overwritten"):
        check_folder(data, "data", [None, tmp_path / "absent", tmp_path / "data" / "."])
    check_folder(data, "data", [data / "x"])
    with pytest.raises(InputError, match="data: holds the input .*/data/x, which would be removed with it"):
        check_folder(data, "data", [data / "x"], whole=True)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", ["", "features", "lang", "cuts", "data", "gmm", "nnet", "graph", "lattices"])
def test_an_output_lies_in_no_input_but_models_graphs_decodings_and_sets(tmp_path, kind, whole):
    read = tmp_path / "read"
    read.mkdir()
    (read / "x").write_text("1")
    if kind == "cuts":
        (read / "cuts.jsonl.gz").touch()
    elif kind:
        write_meta(read, kind)
    (tmp_path / "link").symlink_to(read)
    for place, given in (("read/new", read), ("read/a/new", tmp_path / "link"), ("link/new", read)):
        if kind in ("cuts", "data", "gmm", "nnet", "graph", "lattices"):
            check_folder(tmp_path / place, "scores", [given], whole=whole)
            continue
        with pytest.raises(
            InputError,
            match=rf"{place}: lies in the input .*{given.name}, all of which is read\. Choose another --out-d",
        ):
            check_folder(tmp_path / place, "scores", [given], whole=whole)
    check_folder(tmp_path / "reader", "scores", [read], whole=whole)  # no part of its name counts
    check_folder(read / "new", "scores", [read / "x"], whole=whole)  # of a file nothing else is read
    check_file(read / "new.arpa", "arpa", [read])
    assert {p.name for p in read.iterdir()} <= {"x", "meta.json", "cuts.jsonl.gz"}


def test_what_holds_other_artifacts_is_not_replaced_as_a_whole(tmp_path):
    graph = make(tmp_path / "graph", "graph")
    make(graph / "decode", "lattices")
    with pytest.raises(InputError, match=r"graph: is an earlier 'graph', but holds 'decode' \('lattices'\) too"):
        check_folder(graph, "graph", whole=True)
    check_folder(graph, "graph")


@pytest.mark.parametrize("name", ["notes.txt", "phones/mine.int", ".hidden"])
def test_a_users_file_in_an_older_output_is_not_lost_with_it(tmp_path, name):
    graph = make(tmp_path / "graph", "graph")
    (graph / "phones").mkdir()
    check_folder(graph, "graph", whole=True)
    (graph / name).write_text("mine")
    with pytest.raises(InputError, match=rf"graph: is an earlier 'graph', but holds '{name}' too, which this toolkit"):
        check_folder(graph, "graph", whole=True)
    check_folder(graph, "graph")  # written into, not replaced


def test_odd_names_are_one_line(tmp_path):
    with pytest.raises(InputError, match=r"…: cannot be used \(file name too long\)\. Choose another --out-dir\."):
        check_folder(tmp_path / ("n" * 300), "graph")
    (tmp_path / "loop").symlink_to(tmp_path / "pool")
    (tmp_path / "pool").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match=r"loop: cannot be used \(too many levels of symbolic links\)"):
        check_folder(tmp_path / "loop", "graph")
    with pytest.raises(InputError, match=r"a\\udcff: is a name that is not UTF-8 text"):
        check_folder(os.fsdecode(b"a\xff"), "graph")
    with pytest.raises(InputError, match="is a name that is not UTF-8 text"), atomic_path(os.fsdecode(b"a\xff")):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_place_is_found_at_the_door(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"locked/a/b: cannot be written \(.*locked: permissions do not allow it\)"):
        check_folder(tmp_path / "locked" / "a" / "b", "graph")


@pytest.mark.parametrize("number, wanted", [
    (errno.EROFS, r"a/b: cannot be written \(.*: the file system is read-only\)\. Choose another --o.*, or mount"),
    (errno.EACCES, r"a/b: cannot be written \(.*: permissions do not allow it\)\. Choose another --o.*, or mend its"),
    (errno.ENOENT, r"a/b: cannot be used, since nothing can be made in .*\. Choose another --o"),
    (errno.EPERM, r"a/b: cannot be used, since nothing can be made in .*\. Choose another --o"),
    (errno.ENOSPC, r"a/b: the disk is full; nothing was changed"),
    (errno.EMLINK, r"a/b: cannot be made \(.*: Too many links\)\. Choose another --o"),
])  # fmt: skip
def test_a_place_that_takes_nothing_is_told_at_the_door_with_its_cause(tmp_path, monkeypatch, number, wanted):
    def refuse(path, *_):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "mkdir", refuse)
    for check in (
        lambda path: check_folder(path, "graph"),
        lambda path: check_folder(path, "graph", whole=True),
        lambda path: check_file(path, "arpa"),
        check_place,
    ):
        with pytest.raises(HybridError, match=wanted) as caught:
            check(tmp_path / "a" / "b")
        assert "probe" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
def test_a_folder_that_no_file_system_makes_is_not_said_to_be_removed():
    for made in (check_place, lambda path: check_folder(path, "graph"), make_folder):
        with pytest.raises(InputError, match=r"^/proc/foo/bar: cannot be used, since nothing can be made in /proc\."):
            made("/proc/foo/bar")


def test_links_stay_links(tmp_path):
    real = make(tmp_path / "disk" / "graph", "graph", x="1")
    link = tmp_path / "graph"
    link.symlink_to(real)
    with atomic_folder(link, "graph") as folder:
        (folder / "y").write_text("2")
        write_meta(folder, "graph")
    assert link.is_symlink() and sorted(p.name for p in real.iterdir()) == ["meta.json", "y"]
    (tmp_path / "file").symlink_to(tmp_path / "disk" / "new.txt")
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("text")
    assert (tmp_path / "file").is_symlink() and (tmp_path / "disk" / "new.txt").read_text() == "text"


def test_a_second_run_at_one_folder_is_told_whose_it_is(tmp_path):
    with output_folder(tmp_path / "out", "lattices") as out:
        (out / "part").write_text("1")
        with pytest.raises(
            HybridError, match=rf"out: another run is writing to it \(process {os.getpid()}, since 20.*: "
        ):
            elsewhere(check_folder, tmp_path / "out", "lattices")
        with pytest.raises(HybridError, match="another run is writing to it"):
            elsewhere(enter, output_folder, out, "lattices")
        with output_folder(out, "lattices"):  # its own part of the work
            pass
        assert (out / ".unfinished").exists()
    assert sorted(p.name for p in out.iterdir()) == ["part"]
    with atomic_folder(tmp_path / "graph", "graph") as folder:
        with pytest.raises(HybridError, match="graph: another run is writing to it"):
            elsewhere(check_folder, tmp_path / "graph", "graph", whole=True)
        write_meta(folder, "graph")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph", "out"]


@pytest.mark.parametrize("there", [False, True])
def test_a_command_that_fails_before_it_writes_leaves_nothing(tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()

    @writes_into("gmm")
    def work(out_dir, wrote):
        if wrote:
            (out_dir / "part").write_text("1")
        raise InputError("holds no GMM")

    with pytest.raises(InputError, match="holds no GMM"):
        work(out_dir=out, wrote=False)
    assert list(tmp_path.rglob("*")) == ([out] if there else [])
    with pytest.raises(InputError, match="holds no GMM"):
        work(out_dir=out, wrote=True)
    assert {p.name for p in out.iterdir()} == {"part", ".unfinished"}  # the next run of its kind goes on there


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_mark_is_whole_wherever_its_run_was_killed(tmp_path, monkeypatch, call):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["hybrid", "x" * 200])
    with pytest.raises(ValueError, match="first"), output_folder(tmp_path, "gmm"):
        (tmp_path / "part").write_text("1")
        raise ValueError("first")
    monkeypatch.setattr(sys, "argv", ["hybrid"])
    for name in (call, "pread"):  # killed there, then not at all
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(os, name, killed)
            enter(output_folder, tmp_path, "gmm")
    assert (tmp_path / "part").exists() and not (tmp_path / ".unfinished").exists()


@pytest.mark.parametrize("name, ours", [
    ("", True), (".tmp12-abc-1.final.safetensors", True), (".parts/1.json", True), ("work/state.safetensors", True),
    ("work/thesis.tex", False), ("thesis.tex", False), ("work", False),
])  # fmt: skip
def test_an_empty_mark_of_an_older_version_is_ours_beside_states_of_work(tmp_path, name, ours):
    file = tmp_path / "out" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if name:
        file.write_text("x")
        with (
            pytest.raises(InputError, match="did not make")
            if not file.name.startswith(".tmp")
            else contextlib.nullcontext()
        ):
            check_folder(tmp_path / "out", "gmm")  # without a mark
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / ".unfinished").touch()
    with (
        contextlib.nullcontext()
        if ours
        else pytest.raises(InputError, match="out: is a folder that this toolkit did not make")
    ):
        check_folder(tmp_path / "out", "gmm")


def test_a_lock_dies_with_its_process_and_its_kind_may_go_on(tmp_path):
    code = (
        "import os, signal; from hybrid.base.doors import output_folder\n"
        f"with output_folder({str(tmp_path / 'out')!r}, 'gmm') as out:\n"
        "    (out / 'state').write_text('1')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with pytest.raises(InputError, match="holds another artifact"):
        check_folder(tmp_path / "out", "alignments")
    with output_folder(tmp_path / "out", "gmm") as out:
        assert (out / "state").read_text() == "1"
        write_meta(out, "gmm")
    assert sorted(p.name for p in out.iterdir()) == ["meta.json", "state"]


def test_a_failed_run_may_be_tried_again_and_leaves_its_mark(tmp_path):
    with pytest.raises(ValueError, match="odd"), output_folder(tmp_path / "out", "gmm") as out:
        (out / "failed.txt").write_text("u1 odd")
        raise ValueError("odd")
    check_folder(out, "gmm")
    with pytest.raises(InputError, match="holds another artifact"):
        check_folder(out, "graph")
    (out / "failed.txt").unlink()
    check_folder(out, "graph")  # nothing is in it


@pytest.mark.parametrize("error", [FileNotFoundError("x"), None])
def test_a_folder_removed_meanwhile_is_one_line(tmp_path, error):
    import shutil

    with pytest.raises(HybridError, match=r"out: was removed or moved away while this command wrote to it\. Run the"):
        with output_folder(tmp_path / "out", "lattices") as out:
            shutil.rmtree(out)
            if error:
                raise error


def test_the_mark_does_not_count_in_the_hash(tmp_path):
    before = content_hash(make(tmp_path / "a", "graph", x="1"))
    with output_folder(tmp_path / "a", "graph"):
        assert content_hash(tmp_path / "a") == before


def test_without_an_exchange_of_names_a_kill_between_two_renames_is_mended(tmp_path, monkeypatch):
    graph = make(tmp_path / "graph", "graph", x="old")
    monkeypatch.setattr(doors, "_exchange", lambda first, second: False)
    real, count = os.replace, []

    def killed(first, second):
        count.append(first)
        if len(count) == 2:
            raise KeyboardInterrupt
        real(first, second)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt), atomic_folder(graph, "graph") as folder:
        (folder / "x").write_text("new")
    assert not graph.exists()
    monkeypatch.setattr(os, "replace", real)
    with pytest.raises(RuntimeError), atomic_folder(graph, "graph"):
        assert (graph / "x").read_text() == "old"
        raise RuntimeError
    assert (graph / "x").read_text() == "old"
    with pytest.raises(InputError, match="holds another artifact"), atomic_folder(graph, "lang"):
        pass
    with atomic_folder(graph, "graph") as folder:
        (folder / "x").write_text("new")
        write_meta(folder, "graph")
    assert (graph / "x").read_text() == "new" and list(tmp_path.iterdir()) == [graph]


def test_names_are_exchanged_in_one_step(tmp_path, monkeypatch):
    graph = make(tmp_path / "graph", "graph", x="old")
    seen = []
    exchange = doors._exchange
    monkeypatch.setattr(doors, "_exchange", lambda a, b: seen.append(exchange(a, b)) or seen[-1])
    with atomic_folder(graph, "graph") as folder:
        write_meta(folder, "graph")
    assert not (graph / "x").exists()
    if sys.platform == "linux":
        assert seen == [True]


def test_files_have_the_permissions_of_the_umask(tmp_path):
    import numpy as np

    from hybrid.formats.tensors import save_arrays

    before = os.umask(0o027)
    try:
        save_arrays(tmp_path / "a.safetensors", {"x": np.zeros(3)})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o640


def test_a_device_or_folder_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: is a device or pipe, wanted a file\."), atomic_path(tmp_path / "pipe"):
        pass
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError, match=r"d: is a folder, wanted a file\."), atomic_path(tmp_path / "d"):
        pass


def test_temporary_names_differ_in_one_process(tmp_path):
    with atomic_path(tmp_path / "a.txt") as first, atomic_path(tmp_path / "a.txt") as second:
        assert first != second and first.suffix == second.suffix == ".txt"
    with atomic_path(tmp_path / ("ü" * 120 + ".txt")) as temporary:  # 244 bytes, nearly the longest name
        temporary.write_text("1")


def test_a_lock_on_a_removed_file_does_not_count(tmp_path):
    lock = tmp_path / ".lock.a"
    with take_lock("a", lock, "graph") as descriptor:
        lock.unlink()
        lock.write_text("another run's")
    assert lock.read_text() == "another run's"
    with open(lock) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(HybridError, match="a: another run is writing to it. Wait"),
            take_lock("a", lock, "x"),
        ):
            pass
    assert descriptor


KALDI = b"u1  [\n  1 2 ]\n"
FILES = [
    ("arpa", b"\\data\\\nngram 1=3\n"),
    ("G", b"\xd6\xfd\xb2\x7e\x06\0\0\0vector"),
    ("archive", KALDI),
    ("archive", b"u1 \0BFM \4"),
    ("archive", b"u1 \n0\t1\t3\t4.5,6,2\n"),
    ("scp", b"u1 /a b/x.ark:3\n"),
    ("table", b"word\t3\tu1\n"),
    ("wav", b"RIFF\0\0\0\0WAVEfmt "),
    ("mdl", b"<TransitionModel> \n"),
    ("svg", b"<?xml version='1.0'?>\n<svg>"),
]


@pytest.mark.parametrize(("kind", "content"), FILES)
def test_a_file_is_replaced_by_its_own_format_only(tmp_path, kind, content):
    check_file(tmp_path / "new" / "f", kind)
    for name, data in (("f", content), ("f.gz", gzip.compress(content)), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        assert check_file(tmp_path / name, kind) == tmp_path / name
    (tmp_path / "mine").write_text("Chapter one, in which nobody is recognised\n")
    with pytest.raises(
        InputError, match=rf"mine: is a file of another kind; wanted a new file, or an earlier '{kind}' to replace\. Ch"
    ):
        check_file(tmp_path / "mine", kind)
    write_meta(tmp_path / "f", "other")
    with pytest.raises(InputError, match=r"f: is another artifact \('other'\); wanted a new file"):
        check_file(tmp_path / "f", kind)
    write_meta(tmp_path / "mine", kind)
    check_file(tmp_path / "mine", kind)


def test_a_file_is_no_input_no_folder_no_device(tmp_path):
    (tmp_path / "a.arpa").write_bytes(FILES[0][1])
    with pytest.raises(
        InputError, match=r"a\.arpa: is also an input; it would be overwritten\. Choose another --out\."
    ):
        check_file(tmp_path / "a.arpa", "arpa", [tmp_path / "a.arpa"])
    with pytest.raises(InputError, match="is a folder, wanted a file"):
        check_file(tmp_path, "arpa")
    with pytest.raises(InputError, match="/dev/null: is a device or pipe, wanted a file"):
        check_file("/dev/null", "arpa")
    with pytest.raises(InputError, match=r"a\.arpa/b: cannot be made, since .*a\.arpa is a file"):
        check_file(tmp_path / "a.arpa" / "b", "arpa")


def test_a_second_run_at_one_file_is_told(tmp_path):
    with output_file(tmp_path / "d" / "a.arpa", "arpa"):
        with pytest.raises(HybridError, match=r"a\.arpa: another run is writing to it \(process"):
            elsewhere(check_file, tmp_path / "d" / "a.arpa", "arpa")
    assert list((tmp_path / "d").iterdir()) == []


def test_a_function_gets_its_folder_lent(tmp_path):
    class Store:
        path = tmp_path / "store"

    @writes_into("gmm", "store", "more")
    def work(store, out_dir, more=()):
        assert (out_dir / ".unfinished").exists()
        return 3

    make(Store.path, "gmm")
    assert work(Store(), tmp_path / "out") == work(store=Store(), out_dir=tmp_path / "out") == 3
    for arguments in ((Store(), Store.path), (None, Store.path, [Store.path])):
        with pytest.raises(InputError, match="store: is also an input"):
            work(*arguments)


@pytest.mark.parametrize("door", [lambda path: atomic_path(path), lambda path: atomic_folder(path, "graph")])
def test_what_a_killed_command_left_goes_with_the_next_that_writes_there(tmp_path, door):
    """Only what processes of this host that have ended left: others may be at work, and hidden files may be users'."""
    killed = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    ours = temporary_name("out.gz")
    left, host = ours.replace(str(os.getpid()), killed.stdout.strip(), 1), ours.split("-")[1]
    kept = [ours, left.replace(f"-{host}-", "-ffffff-"), ".tmp.mine", f".tmp{2**70}-x", ".lock.out.gz"]
    for name in (left, *kept):
        (tmp_path / name).write_text("")
    (tmp_path / left.replace("out.gz", "graph")).mkdir()
    (tmp_path / left.replace("out.gz", "graph") / "HCLG.fst").write_text("half")
    sweep.cache_clear()
    with door(tmp_path / "new") as temporary:
        if temporary.is_dir():
            write_meta(temporary, "graph")
    assert {path.name for path in tmp_path.iterdir()} == {"new", *kept}
