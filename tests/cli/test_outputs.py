"""Every door that takes an output decides before its work whether it may be used; nothing that stands there is lost."""

import importlib
import json
import os

import click
import pytest
from click.testing import CliRunner

from hybrid.base.artifact import write_meta
from hybrid.base.doors import output_folder
from hybrid.base.errors import HybridError, InputError
from hybrid.cli.main import GROUPS
from hybrid.cli.main import command as hybrid

OUTPUTS = {
    "out_dir",
    "out",
    "out_dict",
    "out_lang",
    "output",
    "target",
    "svg",
    "scp",
    "sentences",
    "copy_to",
    "results",
}
READ_ONLY = {("score", "table", "results"), ("graph", "build", "sentences")}


def leaves(command, name=()):
    if isinstance(command, click.Group):
        for part, child in command.commands.items():
            yield from leaves(child, (*name, part))
    else:
        yield name, command


COMMANDS = dict(
    leaf
    for group, (module, _) in GROUPS.items()
    for leaf in leaves(importlib.import_module(f"hybrid.cli.{module}").command, (group,))
)


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_door_is_guarded(name):
    taken = {p.name for p in COMMANDS[name].params} & OUTPUTS
    taken -= {option for option in taken if (*name, option) in READ_ONLY}
    assert taken <= getattr(COMMANDS[name].callback, "outputs", set())


def run(*words):
    result = CliRunner().invoke(hybrid, [str(word) for word in words])
    return result.exception


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "exp" / "mono"
    folder.mkdir(parents=True)
    (folder / "tree").write_text("weeks of work")
    write_meta(folder, "gmm")
    return folder


FOLDERS = [
    "graph compile --model M --lang L --grammar G --out-dir",
    "lang prepare --dict-dir L --out-dir",
    "lang grapheme --vocabulary L --out-dir",
    "score sweep --ref L --lattices L --words L --out-dir",
    "score wer --ref L --hyp L --out-dir",
    "gmm align --model L --feats L --lang L --out-dir",
    "gmm align-fmllr --model L --feats L --lang L --out-dir",
    "gmm decode-fmllr --model L --graph L --feats L --lang L --out-dir",
    "decode --model L --graph L --feats L --out-dir",
    "feats extract --cuts L --out-dir",
    "data subset --cuts L --out-dir",
    "data combine L --out-dir",
    "data check --cuts L --out-dir",
    "data from-audio L --out-dir",
    "synth corpus --text L --out-dir",
    "align audio --model L --lang L L --out-dir",
    "align clean --model L --lang L --cuts L --out-dir",
    "gmm scores --model L --feats L --out",
]


@pytest.mark.parametrize("line", FOLDERS)
def test_a_trained_model_is_no_place_for_other_results(line, model, tmp_path):
    error = run(*line.split(), model)
    assert isinstance(error, InputError), error
    assert "mono: holds another artifact ('gmm'); wanted a new folder, an empty one, or one that holds an ear" in str(
        error
    )
    (tmp_path / "file").write_text("mine")
    assert "file: is a file, wanted a folder. Choose another --out" in str(run(*line.split(), tmp_path / "file"))
    assert "file name too long" in str(run(*line.split(), tmp_path / ("x" * 300)))
    link = tmp_path / "loop"
    link.symlink_to(link)
    assert "loop: cannot be used (too many levels of symbolic links)" in str(run(*line.split(), link))
    assert "is a name that is not UTF-8 text" in str(run(*line.split(), os.fsdecode(bytes(tmp_path) + b"/\xff")))
    assert (model / "tree").read_text() == "weeks of work" and (tmp_path / "file").read_text() == "mine"


def test_training_does_not_go_into_the_model_it_starts_from(model):
    for line in ("train-deltas", "train-lda-mllt", "train-sat", "adapt-map", "adapt-mllr"):
        words = ["gmm", line, "--feats", "f", "--lang", "l", "--model", model, "--ali", "a", "--out-dir", model]
        if line == "adapt-map":
            words = words[:4] + words[6:]
        assert "mono: is also an input; it would be overwritten. Choose another --out-dir." in str(run(*words))


FILES = [
    "lm train T --out",
    "lm prune T --threshold 0 --out",
    "lm interpolate T --weight 1 --out",
    "lm fst T --lang T --out",
    "lm g2p-train T --out",
    "lm g2p-apply T T --out",
    "lm perplexity T T --sentences",
    "lang oov T --lang T --out",
    "feats cmvn T --out",
    "feats copy T --out",
    "lattice copy T",
    "lattice prune --beam 1 T",
    "gmm tree T --svg",
    "synth say hello --out",
]


@pytest.mark.parametrize("line", FILES)
def test_a_users_file_is_not_replaced(line, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work\n")
    words = [tmp_path / "text" if word == "T" else word for word in line.split()]
    assert "thesis.txt: is a file of another kind; wanted a new file" in str(run(*words, tmp_path / "thesis.txt"))
    assert (tmp_path / "thesis.txt").read_text() == "years of work\n"
    assert "is a folder, wanted a file" in str(run(*words, tmp_path))
    assert "file name too long" in str(run(*words, tmp_path / ("x" * 300)))
    assert "/dev/null: is a device or pipe, wanted a file" in str(run(*words, "/dev/null"))


def test_a_text_is_no_output(tmp_path):
    (tmp_path / "t.arpa").write_text("\\data\\\n")
    error = run("lm", "prune", tmp_path / "t.arpa", "--threshold", "0", "--out", tmp_path / "t.arpa")
    assert "t.arpa: is also an input; it would be overwritten. Choose another --out." in str(error)


def test_an_own_arpa_is_replaced(tmp_path):
    (tmp_path / "text").write_text("a b\nb a\n")
    for _ in range(2):
        assert run("lm", "train", tmp_path / "text", "--order", "2", "--out", tmp_path / "a.arpa") is None
    (tmp_path / "a.arpa.meta.json").unlink()
    assert run("lm", "train", tmp_path / "text", "--order", "2", "--out", tmp_path / "a.arpa") is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.arpa", "a.arpa.meta.json", "text"]


def test_a_second_run_is_told_at_the_door(tmp_path):
    import threading

    found = []
    with output_folder(tmp_path / "out", "lattices"):
        words = ("decode", "--model", "m", "--graph", "g", "--feats", "f", "--out-dir", tmp_path / "out")
        thread = threading.Thread(target=lambda: found.append(run(*words)))
        thread.start()
        thread.join()
    assert isinstance(found[0], HybridError)
    assert f"out: another run is writing to it (process {os.getpid()}, since " in str(found[0])


def test_the_mark_of_an_unfinished_run_tells_its_kind(tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "work").mkdir()
    (tmp_path / "half" / ".unfinished").write_text(json.dumps({"kind": "gmm", "pid": 1}))
    error = run("gmm", "align", "--model", "m", "--feats", "f", "--lang", "l", "--out-dir", tmp_path / "half")
    assert "half: holds another artifact ('gmm')" in str(error)
