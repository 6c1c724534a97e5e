"""`hybrid lm`: the commands one after the other, and their messages."""

import json

import pytest
from click.testing import CliRunner

from hybrid.base.errors import HybridError, MismatchError
from hybrid.cli.language.lm import command
from hybrid.formats.openfst import read_fst
from lexicon.symbols import SymbolTable
from lm.arpa import read_arpa

TEXT = "THE CAT SAT\nTHE DOG SAT\nTHE CAT RAN AWAY\n\nA DOG RAN\n" * 3


def run(*arguments) -> str:
    """Runs `hybrid lm …` and returns what it prints."""
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text").write_text(TEXT)
    (tmp_path / "dev").write_text("THE CAT RAN\nTHE ZEBRA SAT\n")
    SymbolTable(("<eps>", "<UNK>", "A", "CAT", "DOG", "RAN", "SAT", "THE", "#0", "<s>", "</s>")).write(
        tmp_path / "words.txt"
    )
    run("train", tmp_path / "text", "--order", 3, "--out", tmp_path / "lm.arpa.gz")
    return tmp_path


def test_train(folder):
    model = read_arpa(folder / "lm.arpa.gz")
    assert model.order == 3 and "CAT" in model.vocabulary
    meta = json.loads((folder / "lm.arpa.gz.meta.json").read_text())
    assert meta["kind"] == "arpa" and meta["settings"]["order"] == 3 and set(meta["inputs"]) == {"text1"}
    run(
        "train",
        folder / "text",
        "--prune",
        "0,0,4",
        "--vocabulary",
        folder / "words.txt",
        "--out",
        folder / "small.arpa",
    )
    small = read_arpa(folder / "small.arpa")
    assert "AWAY" not in small.vocabulary and sum(small.num_ngrams) < sum(model.num_ngrams)
    run("train", folder / "text", "--smoothing", "witten-bell", "--order", 2, "--out", folder / "wb.arpa")
    assert read_arpa(folder / "wb.arpa").order == 2


def test_unseen_words_are_counted_apart(folder, caplog):
    (folder / "more").write_text("A\nAWAY\nCAT\nDOG\nRAN\nSAT\nTHE\nZEBRA\nGNU\n")
    caplog.set_level("INFO")
    run(
        "train",
        folder / "text",
        "--order",
        1,
        "--vocabulary",
        folder / "more",
        "--add-unseen",
        "--out",
        folder / "u.arpa",
    )
    assert "1-grams: 10 of 10 kept and 2 unseen words added" in caplog.text  # 7 words, <s>, </s>, <unk>


def test_a_model_of_other_figures_than_it_was_written_with_is_refused(folder):
    run("train", folder / "text", "--order", 2, "--out", folder / "lm.arpa")
    text = (folder / "lm.arpa").read_text()
    (folder / "lm.arpa").write_text(text.replace("CAT", "COW"))
    with pytest.raises(MismatchError, match=r"lm\.arpa: was changed or damaged.*remove lm\.arpa\.meta\.json; `hybrid"):
        run("info", folder / "lm.arpa")
    (folder / "lm.arpa.meta.json").unlink()
    assert "words 7" in run("info", folder / "lm.arpa")


def test_thresholds_given_one_by_one_are_the_list(folder):
    repeated = ["--prune", 0, "--prune", 0, "--prune", 4]
    for name, options in (("list", ["--prune", "0,0,4"]), ("repeated", repeated), ("all", ["--prune", 4])):
        run("train", folder / "text", *options, "--out", folder / f"{name}.arpa")
    assert (folder / "list.arpa").read_text() == (folder / "repeated.arpa").read_text()
    assert (folder / "list.arpa").read_text() != (folder / "all.arpa").read_text()


def test_perplexity(folder):
    out = run("perplexity", folder / "lm.arpa.gz", folder / "dev", folder / "text", "--sentences", folder / "table")
    lines = out.splitlines()
    assert lines[0].startswith(f"{folder / 'dev'}: perplexity ") and "2 sentences, 8 tokens, 1 OOVs" in lines[0]
    assert lines[2].startswith("all: ") and "17 sentences" in lines[2]
    rows = [row.split("\t") for row in (folder / "table").read_text().splitlines()]
    assert rows[0][:4] == ["file", "sentence", "tokens", "oovs"] and len(rows) == 18
    assert rows[2][1:4] == ["2", "4", "1"] and float(rows[2][5]) < float(rows[2][6])


def test_prune_interpolate_fst_info(folder):
    run("prune", folder / "lm.arpa.gz", "--threshold", 1e-2, "--out", folder / "pruned.arpa")
    before, after = read_arpa(folder / "lm.arpa.gz"), read_arpa(folder / "pruned.arpa")
    assert sum(after.num_ngrams) < sum(before.num_ngrams)
    two = [folder / "pruned.arpa", folder / "lm.arpa.gz"]
    run("interpolate", *two, "--tune-on", folder / "dev", "--out", folder / "mixed.arpa")
    run("interpolate", *two, "--weight", 0.5, "--weight", 0.5, "--out", folder / "mixed2.arpa")
    assert read_arpa(folder / "mixed2.arpa").num_ngrams == before.num_ngrams
    run("fst", folder / "mixed.arpa", "--lang", folder, "--out", folder / "G.fst")
    assert read_fst(folder / "G.fst").num_states > 3
    assert json.loads((folder / "G.fst.meta.json").read_text())["kind"] == "G"
    assert "order 3\nwords 7\nunknown word <unk>\n1-grams 10\n" in run("info", folder / "lm.arpa.gz")


def test_messages(folder):
    result = CliRunner().invoke(command, ["train", str(folder / "text"), "--prune", "x", "--out", "a"])
    assert result.exit_code == 2 and "'x' is not a list of counts such as 0,0,1" in result.output
    result = CliRunner().invoke(command, ["train", str(folder / "text"), "--prune", "1,0", "--out", "a"])
    assert result.exit_code == 2 and "must not fall" in result.output
    result = CliRunner().invoke(command, ["interpolate", str(folder / "lm.arpa.gz"), "--out", "a"])
    assert result.exit_code == 2 and "Give either --weight for each model or --tune-on TEXT" in result.output
    (folder / "empty").write_text("")
    with pytest.raises(HybridError, match=r"empty: holds no word\. Give text"):
        run("train", folder / "empty", "--out", folder / "a.arpa")
    assert not (folder / "a.arpa").exists()
    with pytest.raises(HybridError, match="text:1: .* no ARPA language model"):
        run("info", folder / "text")
