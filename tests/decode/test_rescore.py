"""A second pass by one option: decoded, rescored and told in one go; both language models are named in every result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.artifact import read_meta
from hybrid.base.errors import InputError
from hybrid.decode.language import search_lm
from hybrid.lattice.archive import read_compact_folder
from hybrid.lattice.compact import expand
from hybrid.lattice.paths import nbest
from hybrid.model.folder import load_model
from hybrid.recogniser import Recogniser
from hybrid.rescore.decoding_pass import passes_of
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from hybrid.search.config import SearchConfig
from tests.tiny_recogniser import Tiny, must, run

WIDE = ("--lattice-beam", 12, "--beam", 16)


@pytest.fixture(scope="module")
def world(tiny: Tiny, tmp_path_factory) -> Path:
    """Two ARPA files and a graph of the first."""
    root = tmp_path_factory.mktemp("lms")
    (root / "a.txt").write_text("LOW HIGH MID\nHIGH LOW\nMID\nLOW\nHIGH MID MID LOW\n" * 3)
    (root / "b.txt").write_text("HIGH HIGH\nMID LOW HIGH\nLOW LOW\nMID MID\n" * 5)
    for name, order in (("a", 2), ("b", 3)):
        must(
            "lm",
            "train",
            root / f"{name}.txt",
            "--order",
            order,
            "--smoothing",
            "witten-bell",
            "--out",
            root / f"{name}.arpa",
        )
    must("lm", "fst", root / "a.arpa", "--lang", tiny.root / "lang", "--out", root / "G.fst")
    must("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--grammar", root / "G.fst",
         "--out-dir", root / "graph")  # fmt: skip
    must(
        "graph",
        "compile",
        "--model",
        tiny.model,
        "--lang",
        tiny.root / "lang",
        "--lookahead",
        "--out-dir",
        root / "hcl",
    )
    return root


def decode(tiny: Tiny, world: Path, out: Path, *rest: object):
    return run("decode", "--model", tiny.model, "--graph", world / "graph", "--feats", tiny.feats, "--out-dir", out,
               "--nbest", 3, *WIDE, *rest)  # fmt: skip


@pytest.mark.parametrize("before", [(), ("--rescore", "b.arpa")])
@pytest.mark.parametrize("where", ["lattice", "search"])
def test_a_list_of_phrases_does_what_the_command_does(tiny, world: Path, tmp_path: Path, before, where: str) -> None:
    (tmp_path / "list.txt").write_text("mid low\t4\nhigh\n")
    models = [world / one if one == "b.arpa" else one for one in before]
    boosts = ("--bias", tmp_path / "list.txt", "--bias-boost", 6, "--bias-pass", where, "--bias-why")
    assert decode(tiny, world, tmp_path / "plain", *models).exit_code == 0
    assert decode(tiny, world, tmp_path / "biased", *models, *boosts).exit_code == 0
    must("rescore", "bias", tmp_path / "plain", tmp_path / "by_hand.gz", "--list", tmp_path / "list.txt",
         "--boost", 6, "--words", world / "graph" / "words.txt", "--why", tmp_path / "why.jsonl")  # fmt: skip
    told, wanted = (list(map(json.loads, file.read_text().splitlines()))
                    for file in (tmp_path / "biased" / "why.jsonl", tmp_path / "why.jsonl"))  # fmt: skip
    said = [[[row for row in one["phrases"] if row["outcome"] == "said"] for one in some] for some in (told, wanted)]
    assert said[0] == said[1] and any(said[0])
    inside = [[row for row in one["phrases"] if row["outcome"] in ("said", "beaten")] for one in told]
    assert inside == [one["phrases"] for one in wanted] or where == "search"
    assert "words were written by the list" in (tmp_path / "biased" / "decode.log").read_text()
    by_hand = dict(read_compact_folder(tmp_path / "by_hand.gz"))
    for utterance, compact in read_compact_folder(tmp_path / "biased"):
        ours, theirs = (nbest(expand(one), 20, 0.1) for one in (compact, by_hand[utterance]))
        if where == "search":  # what is worse than the best path by more than the lattice beam may be there or not
            ours, theirs = ours[:1], theirs[:1]
        assert [p.word_ids.tolist() for p in ours] == [p.word_ids.tolist() for p in theirs]
        assert [p.graph_score for p in ours] == pytest.approx([p.graph_score for p in theirs], abs=1e-3)
    said = nbest(expand(dict(read_compact_folder(tmp_path / "plain"))["ann-ann_03"]), 1, 0.1)[0]  # HIGH HIGH
    raised = nbest(expand(by_hand["ann-ann_03"]), 1, 0.1)[0]
    assert raised.graph_score == pytest.approx(said.graph_score + 12, abs=1e-3)


@pytest.mark.parametrize("where", ["lattice", "search"])
def test_why_no_path_says_a_phrase(tiny, world: Path, tmp_path: Path, where: str) -> None:
    """What the beam lost is told from what it rightly dropped; the boost that is told to be needed is what it takes."""

    def told(name: str, boost: float, *rest: object) -> dict[str, dict]:
        (tmp_path / "list.txt").write_text(f"mid high\t{boost}\n")
        given = ("--bias", tmp_path / "list.txt", "--bias-pass", where, "--bias-why", *rest)
        assert decode(tiny, world, tmp_path / name, *given).exit_code == 0
        rows = map(json.loads, (tmp_path / name / "why.jsonl").read_text().splitlines())
        return {row["utterance"]: row for row in rows}

    narrow = told("narrow", 0.1, "--beam", 10, "--lattice-beam", 0.5)
    assert all(row["neither"]["no path"] == 0 for row in narrow.values())
    found = {name: row["phrases"][0] for name, row in narrow.items() if row["phrases"]}
    missed = {name: row for name, row in found.items() if row["outcome"] in ("pruned", "acoustics")}
    assert missed
    for row in missed.values():
        lost = row["acoustics"] + row["graph"]
        assert row["needed"] == pytest.approx(0.1 + lost / 2, abs=0.01)
        assert (row["outcome"] == "pruned") == (lost + (0.2 if where == "lattice" else 0) <= 0.5)
    name, row = min(missed.items(), key=lambda pair: pair[1]["needed"])
    wide = ("--beam", 50, "--lattice-beam", 40)
    for more, outcome in ((0.2, "said"), (-0.2, "beaten")):
        assert told(outcome, row["needed"] + more, *wide)[name]["phrases"][0]["outcome"] == outcome
    enough = told("dropped", row["needed"] + 0.2, "--lattice-beam", 0.5)[name]["phrases"][0]["outcome"]
    assert enough == ("said" if where == "search" else "pruned")  # it would win where it is raised


@pytest.mark.parametrize("graph", ["graph", "hcl"])
def test_why_is_told_by_the_command_and_of_graphs_for_lookahead(tiny, world: Path, tmp_path: Path, graph: str) -> None:
    """Of lattices that are there as of those that decoding makes; by what is lost to the best path."""
    pairs = [f"{one} {other}\t0.1\n" for one in ("low", "mid", "high") for other in ("low", "mid", "high")]
    (tmp_path / "list.txt").write_text("".join(pairs))
    made = ("--model", tiny.model, "--graph", world / graph, "--feats", tiny.feats)
    made += () if graph == "graph" else ("--lm", world / "a.arpa")
    widths = ("--beam", 10, "--lattice-beam", 0.5)
    given = ("--bias", tmp_path / "list.txt", "--bias-pass", "lattice", "--bias-why")
    must("decode", *made, *widths, *given, "--out-dir", tmp_path / "biased")
    must("decode", *made, *widths, "--out-dir", tmp_path / "plain")
    command = ("rescore", "bias", tmp_path / "plain", tmp_path / "by_hand.gz", "--list", tmp_path / "list.txt",
               "--words", world / graph / "words.txt", "--why", tmp_path / "why.jsonl")  # fmt: skip
    must(*command)
    told = {name: list(map(json.loads, (tmp_path / name).read_text().splitlines()))
            for name in ("why.jsonl", "biased/why.jsonl")}  # fmt: skip
    assert sum(row["neither"]["no path"] for row in told["why.jsonl"])
    must(*command, *made, *widths)
    wanted = [json.loads(line) for line in (tmp_path / "why.jsonl").read_text().splitlines()]
    assert wanted == told["biased/why.jsonl"] and not any(row["neither"]["no path"] for row in wanted)
    rows = [row for one in wanted for row in one["phrases"] if row["outcome"] in ("pruned", "acoustics")]
    assert rows
    for row in rows:
        assert row["needed"] == pytest.approx(0.1 + (row["acoustics"] + row["graph"]) / 2, abs=0.01)


def test_what_explains_goes_together(tiny, world: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("mid high\n")
    assert decode(tiny, world, tmp_path / "plain").exit_code == 0
    command = ("rescore", "bias", tmp_path / "plain", tmp_path / "out.gz", "--list", tmp_path / "list.txt", "--words",
               world / "graph" / "words.txt")  # fmt: skip
    why, both = ("--why", tmp_path / "why.jsonl"), ("--model", tiny.model, "--graph", world / "graph")
    assert "--model goes with --why" in run(*command, *both, "--feats", tiny.feats).output
    assert "--feats goes with --model and --graph" in run(*command, *why, "--feats", tiny.feats).output
    assert "--beam goes with --model and --graph" in run(*command, *why, "--beam", 9).output
    assert "give one of --feats STORE, --cuts FILE, --scores SCORES" in run(*command, *why, *both).output
    store = tmp_path / "scores"
    store.mkdir()
    np.save(store / "nobody.npy", np.zeros((3, load_model(tiny.model).transition_model.num_pdfs), np.float32))
    done = run(*command, *why, *both, "--scores", store)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("where", ["lattice", "search"])
def test_a_list_that_swallows_everything_is_told(tiny, world: Path, tmp_path: Path, where: str) -> None:
    """Also where the search has nothing else in its lattices any more; lattices must hold the words to write them."""
    (tmp_path / "list.txt").write_text("mid mid\t300\nmid\t300\n")
    wide = ("--beam", 60, "--lattice-beam", 50) if where == "lattice" else ()
    given = ("--bias", tmp_path / "list.txt", "--bias-pass", where, *wide)
    assert decode(tiny, world, tmp_path / "out", *given).exit_code == 0
    told = (tmp_path / "out" / "decode.log").read_text()
    assert "words were written by the list alone; its boosts are too high. Lower them." in told


def test_one_option_does_what_the_commands_do(tiny, world: Path, tmp_path: Path) -> None:
    assert decode(tiny, world, tmp_path / "first").exit_code == 0
    assert decode(tiny, world, tmp_path / "second", "--rescore", world / "b.arpa").exit_code == 0
    must("rescore", "ngram", tmp_path / "first", tmp_path / "by_hand.gz", "--old-lm", world / "a.arpa",
         "--new-lm", world / "b.arpa", "--words", world / "graph" / "words.txt")  # fmt: skip
    by_hand = dict(read_compact_folder(tmp_path / "by_hand.gz"))
    kept = dict(read_compact_folder(tmp_path / "second"))
    scale = json.loads((tmp_path / "second" / "decode.json").read_text())["acoustic_scale"]
    assert sorted(kept) == sorted(by_hand)
    for utterance, compact in kept.items():
        ours, theirs = (nbest(expand(one), 20, scale) for one in (compact, by_hand[utterance]))
        assert [p.word_ids.tolist() for p in ours] == [p.word_ids.tolist() for p in theirs]
        assert [p.graph_score for p in ours] == pytest.approx([p.graph_score for p in theirs], rel=1e-5)
    words = ("--words", world / "graph" / "words.txt")
    assert (
        must("lattice", "best-path", tmp_path / "by_hand.gz", *words, "--acoustic-scale", scale).output
        == (tmp_path / "second" / "transcript.txt").read_text()
    )
    first = [(tmp_path / name / "nbest.txt").read_text() for name in ("first", "second")]
    assert first[0] != first[1]


def test_both_models_are_named_in_every_result(tiny, world: Path, tmp_path: Path) -> None:
    decode(tiny, world, tmp_path / "out", "--rescore", world / "b.arpa", "--format", "json")
    facts = json.loads((tmp_path / "out" / "decode.json").read_text())
    assert (facts["search_lm"], facts["second_lm"]) == ("a.arpa", "b.arpa")
    meta = read_meta(tmp_path / "out")
    assert meta["facts"]["second_lm"] == "b.arpa" and "second_lm" in meta["inputs"]
    record = json.loads(next((tmp_path / "out" / "recordings").glob("*.json")).read_text())
    assert (record["search_lm"], record["second_lm"]) == ("a.arpa", "b.arpa")
    said = "".join(f"ann-{p.stem} {p.read_text()}" for p in sorted((tiny.audio / "ann").glob("*.txt")))
    (tmp_path / "ref.txt").write_text(said)
    must("score", "sweep", "--ref", tmp_path / "ref.txt", "--lattices", tmp_path / "out", "--words",
         world / "graph" / "words.txt", "--results", tmp_path / "results.tsv", "--system", "mono", "--set", "test",
         "--lm", "bigram", "--out-dir", tmp_path / "score")  # fmt: skip
    assert (tmp_path / "results.tsv").read_text().splitlines()[1].split("\t")[2] == "bigram + b.arpa"
    score = json.loads((tmp_path / "score" / "score.json").read_text())
    assert (score["search_lm"], score["second_lm"]) == ("a.arpa", "b.arpa")


def test_a_neural_model_by_its_folder(tiny, world: Path, tmp_path: Path) -> None:
    must("lm", "train-neural", world / "b.txt", "--dim", 8, "--epochs", 1, "--out-dir", tmp_path / "lstm")
    assert decode(tiny, world, tmp_path / "first").exit_code == 0
    assert decode(tiny, world, tmp_path / "second", "--rescore", tmp_path / "lstm").exit_code == 0
    facts = json.loads((tmp_path / "second" / "decode.json").read_text())
    assert facts["second_lm"] == "lstm"
    must("rescore", "neural", tmp_path / "first", tmp_path / "by_hand.gz", "--old-lm", world / "a.arpa", "--graph-old",
         "--lm", tmp_path / "lstm", "--words", world / "graph" / "words.txt", "--batch-lattices", 1)  # fmt: skip
    by_hand, kept = (dict(read_compact_folder(tmp_path / name)) for name in ("by_hand.gz", "second"))
    for utterance, compact in kept.items():
        ours, theirs = (nbest(expand(one), 9, facts["acoustic_scale"]) for one in (compact, by_hand[utterance]))
        assert [p.word_ids.tolist() for p in ours] == [p.word_ids.tolist() for p in theirs]
        assert [p.graph_score for p in ours] == pytest.approx([p.graph_score for p in theirs], abs=1e-4)


def test_in_python_and_several_models(tiny, world: Path, bursts) -> None:
    samples, search = bursts(["LOW", "HIGH", "MID"], 77), SearchConfig(beam=16, lattice_beam=12)
    plain = Recogniser.load(tiny.model, world / "graph", search).recognise(samples, 8000)
    assert (plain.search_lm, plain.second_lm) == ("a.arpa", "")
    loaded = Recogniser.load(tiny.model, world / "graph", search, rescore=[world / "b.arpa", world / "a.arpa"])
    found = loaded.recognise(samples, 8000)
    assert found.second_lm == "b.arpa + a.arpa" and found.to_dict()["second_lm"] == found.second_lm
    models = [WordModel.read(world / f"{name}.arpa", loaded.system.words) for name in "ab"]
    wanted = swap_ngram(swap_ngram(plain.segments[0].compact, *models), models[1], models[0], of_graph=False)
    ours, theirs = (nbest(expand(one), 9, 0.1) for one in (found.segments[0].compact, wanted))
    assert np.allclose([p.graph_score for p in ours], [p.graph_score for p in theirs], atol=1e-4)


def test_a_graph_of_own_sentences_keeps_its_model(tiny, world: Path, tmp_path: Path) -> None:
    """What `graph build` estimated lies in the graph's folder, so that a second pass finds what to take out."""
    built, other = tmp_path / "built", tmp_path / "other.arpa"
    must("graph", "build", "--model", tiny.model, "--lang", tiny.root / "lang", "--sentences", world / "a.txt",
         "--order", 2, "--out-dir", built)  # fmt: skip
    assert "lm.arpa" in read_meta(built)["files"]
    shutil.copytree(built, tmp_path / "moved")
    found = run("decode", "--model", tiny.model, "--graph", tmp_path / "moved", "--feats", tiny.feats, "--out-dir",
                tmp_path / "out", "--rescore", world / "b.arpa", *WIDE)  # fmt: skip
    facts = json.loads((tmp_path / "out" / "decode.json").read_text())
    assert found.exit_code == 0 and (facts["search_lm"], facts["second_lm"]) == ("lm.arpa", "b.arpa")
    must("lm", "train", world / "b.txt", "--order", 1, "--smoothing", "witten-bell", "--out", other)
    (tmp_path / "moved" / "lm.arpa").write_bytes(other.read_bytes())
    assert search_lm(tmp_path / "moved").arpa is None, "it is not the graph's any more"


def test_what_cannot_be_rescored(tiny, world: Path, tmp_path: Path) -> None:
    result = run("decode", "--model", tiny.model, "--graph", tiny.graph, "--feats", tiny.feats, "--out-dir",
                 tmp_path / "o", "--rescore", world / "b.arpa")  # fmt: skip
    assert isinstance(result.exception, InputError)
    assert "whose ARPA file no record leads to, or has changed. Name it with --search-lm." in str(result.exception)
    done = run("decode", "--model", tiny.model, "--graph", tiny.graph, "--feats", tiny.feats, "--out-dir",
               tmp_path / "o", "--rescore", world / "b.arpa", "--search-lm", world / "a.arpa")  # fmt: skip
    assert done.exit_code == 0
    assert json.loads((tmp_path / "o" / "decode.json").read_text())["search_lm"] == "a.arpa"
    with pytest.raises(InputError, match="nowhere: is not there, wanted an ARPA file or the folder of a neural mo"):
        passes_of([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="is a neural model, whose place no other can take. Name it last."):
        passes_of([tmp_path, world / "b.arpa"])
    shared = passes_of([world / "a.arpa", world / "b.arpa"], 0.3)
    assert shared is not None and [one.share for one in shared.passes] == [1.0, 0.3]  # type: ignore[attr-defined]
    raw = decode(tiny, world, tmp_path / "r", "--raw", "--rescore", world / "b.arpa")
    assert (
        raw.exit_code == 2
        and "--rescore and --bias-pass lattice go over determinised lattices, not with --raw" in raw.output
    )
    lonely = decode(tiny, world, tmp_path / "r", "--rescore-share", 0.5)
    assert lonely.exit_code == 2 and "--rescore-share goes with --rescore" in lonely.output
