"""`hybrid graph`: compile and info on a small language; mismatches end in one line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hybrid.base.errors import MismatchError
from hybrid.base.openfst import write_fst
from hybrid.cli.main import command
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.tree import ContextTree
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "dict").mkdir()
    for name, text in {
        "lexicon.txt": "<UNK> SPN\nYES Y EH S\nNO N OW\n",
        "silence_phones.txt": "SIL\nSPN\n",
        "nonsilence_phones.txt": "EH\nN\nOW\nS\nY\n",
        "optional_silence.txt": "SIL\n",
    }.items():
        (tmp_path / "dict" / name).write_text(text)

    def topo(nonsilence, silence):
        return HmmTopology.kaldi_default(nonsilence, silence).to_text()

    prepare_lang(tmp_path / "dict", "<UNK>", tmp_path / "lang", topo)
    lang = LangDir.load(tmp_path / "lang")
    topology = HmmTopology.read(lang.topo_path)
    tree = ContextTree.monophone(lang.sets, topology.pdf_class_counts())
    model = tmp_path / "model"
    model.mkdir()
    tree.write(model / "tree")
    TransitionModel(topology, tree).write(model / "transitions")
    (model / "phones.txt").write_bytes((lang.path / "phones.txt").read_bytes())
    from hybrid.base.openfst import FstArrays

    yes, no = lang.words["YES"], lang.words["NO"]
    write_fst(tmp_path / "G.fst", FstArrays(0, [0, 2], [yes, no], [yes, no], [0, 0], [0.7, 0.7], [0.7]))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=True)


def test_compile_and_info(folders):
    options = ["--model", folders / "model", "--lang", folders / "lang", "--grammar", folders / "G.fst"]
    result = run("graph", "compile", *options, "--out-dir", folders / "graph", "--self-loop-scale", "1.0")
    assert result.exit_code == 0, result.output
    assert "HCLG.fst: " in result.output and " states, " in result.output
    result = run("graph", "info", folders / "graph", "--model", folders / "model")
    assert result.exit_code == 0 and f"belongs to {folders / 'model'}" in result.output
    assert "HCLG: self-loops" in result.output and "arcs without input" in result.output
    result = run("graph", "info", folders / "G.fst")
    assert "states: 1\narcs: 2" in result.output


def test_phones_of_another_lang(folders):
    (folders / "model" / "phones.txt").write_text("<eps> 0\nX 1\n")
    options = ["--model", folders / "model", "--lang", folders / "lang", "--grammar", folders / "G.fst"]
    result = run("graph", "compile", *options, "--out-dir", folders / "graph")
    assert isinstance(result.exception, MismatchError)
    assert "model and" in str(result.exception) and "different versions of phones.txt" in str(result.exception)


def test_negative_scale(folders):
    options = ["--model", folders / "model", "--lang", folders / "lang", "--grammar", folders / "G.fst"]
    result = run("graph", "compile", *options, "--out-dir", folders / "graph", "--transition-scale", "-1")
    assert "must not be negative" in result.output
