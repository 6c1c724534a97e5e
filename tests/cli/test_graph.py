"""`hybrid graph`: compile and info on a small language; mismatches end in one line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hybrid.base.errors import MismatchError
from hybrid.cli.main import command
from hybrid.formats.openfst import read_fst, write_fst
from hybrid.hmm import HmmTopology, TransitionModel, read_topology
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
    topology = read_topology(lang.topo_path)
    tree = ContextTree.monophone(lang.sets, topology.pdf_class_counts())
    model = tmp_path / "model"
    model.mkdir()
    tree.write(model / "tree")
    TransitionModel(topology, tree).write(model / "transitions")
    (model / "phones.txt").write_bytes((lang.path / "phones.txt").read_bytes())
    from hybrid.formats.openfst import FstArrays

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
    assert "lang/phones.txt: phone 'SIL' is number 1, but absent from" in str(result.exception)
    assert "or one made with `hybrid lang prepare --phones`" in str(result.exception)


def own_words(folders, lexicon):
    """README's own words: a dictionary folder, the model's phones, an n-gram, a graph."""
    mine = folders / "my_dict"
    mine.mkdir(exist_ok=True)
    for name in ("silence_phones.txt", "nonsilence_phones.txt", "optional_silence.txt"):
        (mine / name).write_bytes((folders / "dict" / name).read_bytes())
    (mine / "lexicon.txt").write_text(lexicon)
    phones = {phone for line in lexicon.splitlines() for phone in line.split()[1:]}
    kept = [p for p in ("EH", "N", "OW", "S", "Y") if p in phones]
    (mine / "nonsilence_phones.txt").write_text("".join(f"{p}\n" for p in kept))
    words = [line.split()[0] for line in lexicon.splitlines() if not line.startswith("<")]
    (folders / "my_sentences.txt").write_text("".join(f"{a} {b}\n" for a in words for b in words))
    steps = (
        ("lang", "prepare", "--dict-dir", mine, "--oov", "<UNK>", "--phones", folders / "model" / "phones.txt",
         "--out-dir", folders / "my_lang"),
        ("lm", "train", folders / "my_sentences.txt", "--order", 2, "--smoothing", "witten-bell", "--out",
         folders / "my.arpa.gz"),
        ("lm", "fst", folders / "my.arpa.gz", "--lang", folders / "my_lang", "--out", folders / "my_G.fst"),
        ("graph", "compile", "--model", folders / "model", "--lang", folders / "my_lang", "--grammar",
         folders / "my_G.fst", "--out-dir", folders / "my_graph"),
    )  # fmt: skip
    for step in steps:
        result = run(*step)
        assert result.exit_code == 0, (step, result.output, result.exception)


@pytest.mark.parametrize(
    "lexicon",
    [
        "<UNK> SPN\nNO N OW\nKNOW N OW\nNOH N OW\nYES Y EH S\n",  # homophones: more disambiguation symbols
        "<UNK> SPN\nNO N OW\nOH OW\n",  # fewer phones
    ],
)
def test_own_words_for_the_same_model(folders, lexicon):
    own_words(folders, lexicon)
    assert "words: " in run("graph", "info", folders / "my_graph", "--model", folders / "model").output


def test_a_grammar_of_other_words_is_refused(folders):
    """Its numbers are words of the lang folder too, but other ones."""
    own_words(folders, "<UNK> SPN\nNO N OW\nOH OW\n")
    options = ["--model", folders / "model", "--lang", folders / "lang", "--out-dir", folders / "graph"]
    result = run("graph", "compile", *options, "--grammar", folders / "my_G.fst")
    assert isinstance(result.exception, MismatchError)
    assert "my_G.fst and " in str(result.exception) and "lang were made from different versions" in str(
        result.exception
    )
    assert "Make G again: `hybrid lm fst … --lang" in str(result.exception)
    assert not (folders / "graph").exists()


def test_a_changed_grammar_is_refused(folders):
    own_words(folders, "<UNK> SPN\nNO N OW\nYES Y EH S\n")
    write_fst(folders / "my_G.fst", read_fst(folders / "G.fst"))
    options = ["--model", folders / "model", "--lang", folders / "my_lang", "--out-dir", folders / "graph"]
    result = run("graph", "compile", *options, "--grammar", folders / "my_G.fst")
    assert isinstance(result.exception, MismatchError)
    assert "my_G.fst: was changed or damaged: found hash" in str(result.exception)


def test_negative_scale(folders):
    options = ["--model", folders / "model", "--lang", folders / "lang", "--grammar", folders / "G.fst"]
    result = run("graph", "compile", *options, "--out-dir", folders / "graph", "--transition-scale", "-1")
    assert "--transition-scale is -1, wanted at least 0" in result.output
