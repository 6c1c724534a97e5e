"""One convention of boundaries in every command; Kaldi's on request."""

from __future__ import annotations

import json

from click.testing import CliRunner

from hybrid.cli.main import command


def run(*arguments: object) -> None:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    assert result.exit_code == 0, (result.output, result.exception)


def rows(path) -> list[list[str]]:
    lines = path.read_text().splitlines()
    return [line.split() for line in lines if not line.startswith(";;")]


def test_all_commands_put_boundaries_in_the_same_places(toy, tmp_path) -> None:
    """`align audio`, `gmm align --ctm` and their JSON agree on every word; `--kaldi-times` takes 7.5 ms off each."""
    starts = {}
    for option in ("--no-kaldi-times", "--kaldi-times"):
        out = tmp_path / option.strip("-")
        given = ("--model", toy.model, "--lang", toy.lang, option)
        formats = ("--format", "ctm", "--format", "json", "--format", "vtt")
        cuts, store = toy.root / "data" / "cuts.jsonl.gz", toy.root / "feats"
        run("align", "audio", *given, "--cuts", cuts, *formats, "--out-dir", out / "audio")
        run("gmm", "align", *given, "--feats", store, "--ctm", "--out-dir", out / "gmm")
        header = (out / "gmm" / "words.ctm").read_text().startswith(";; boundaries: middle between windows")
        assert header == (option == "--no-kaldi-times")
        both = [{(r[0], r[4], float(r[2])) for r in rows(out / kind / "words.ctm")} for kind in ("audio", "gmm")]
        assert len(both[0] & both[1]) > 0.9 * len(both[0])
        name = sorted((out / "audio").glob("*.json"), key=lambda p: p.name)
        record = json.loads(next(p for p in name if p.name != "meta.json").read_text())
        assert record["boundaries"].startswith("middle" if header else "frame x")
        starts[option] = [w["start"] for u in record["utterances"] for w in u["words"]]
    middle, kaldi = starts["--no-kaldi-times"], starts["--kaldi-times"]
    moved = [round(a - b, 4) for a, b in zip(middle, kaldi)]
    assert set(moved) <= {0.0, 0.0075} and moved.count(0.0075) >= len(moved) - 1
