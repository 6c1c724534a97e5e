"""`hybrid decode` for users: what it prints, the formats, standard input, failures, exit codes, the log."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.log import log_file, log_settings, setup_logging
from tests.tiny_recogniser import Tiny, run


@pytest.fixture(scope="module")
def folder(tiny: Tiny, bursts, save_wav, tmp_path_factory) -> Path:
    """Two files in folders, one of them long, one damaged."""
    root = tmp_path_factory.mktemp("spoken")
    save_wav(root / "ann" / "one.wav", bursts(["LOW", "HIGH", "MID"], 77))
    said = ["LOW", "HIGH", "MID", "LOW"]
    save_wav(root / "bob" / "long.wav", np.concatenate([bursts([w], 90 + i, pause=0.6) for i, w in enumerate(said)]))
    (root / "bob" / "broken.wav").write_bytes(b"RIFF")
    (root / "bob" / "notes.doc").write_text("no audio")
    return root


def decode(tiny: Tiny, *rest: object):
    return run("decode", "--model", tiny.model, "--graph", tiny.graph, "--max-length", 3, *rest)


def test_a_file_is_printed_and_nothing_is_written(tiny, folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = decode(tiny, folder / "ann" / "one.wav")
    assert result.exit_code == 0 and result.stdout == "one LOW HIGH MID\n"
    assert list(tmp_path.iterdir()) == []
    result = decode(tiny, "--format", "srt", folder / "ann" / "one.wav")
    assert result.stdout.startswith("1\n00:00:00,") and result.stdout.endswith("LOW HIGH MID\n")
    result = decode(tiny, "--format", "json", folder / "ann" / "one.wav")
    record = json.loads(result.stdout)
    assert record["recording"] == "one" and record["utterances"][0]["text"] == "LOW HIGH MID"
    assert 0 < record["utterances"][0]["confidence"] <= 1
    many = decode(tiny, "--format", "json", folder / "ann" / "one.wav", folder / "bob" / "long.wav")
    assert [one["recording"] for one in json.loads(many.stdout)] == ["long", "one"]  # one document
    assert [one["recording"] for one in json.loads(decode(tiny, "--format", "json", folder / "ann").stdout)] == ["one"]
    for name in ("srt", "vtt", "textgrid", "textgrid-short"):
        refused = decode(tiny, "--format", name, folder)
        assert refused.exit_code == 2 and f"--format {name} holds one recording, and there are 3: " in refused.output
    ctm = decode(tiny, "--format", "ctm", folder / "ann" / "one.wav").stdout.splitlines()
    assert [line.split()[4] for line in ctm[1:]] == ["LOW", "HIGH", "MID"] and len(ctm[1].split()) == 6


def test_text_alone_is_read_off_the_best_path(tiny, folder: Path, monkeypatch) -> None:
    """What is printed and not kept needs no lattices, and little speech no kernels that are not compiled yet."""
    file = folder / "ann" / "one.wav"
    monkeypatch.setattr("hybrid.decode.reader.determinize", None)
    assert decode(tiny, file).stdout == decode(tiny, "--format", "txt", file).stdout == "one LOW HIGH MID\n"
    for wanted in (["--format", "ctm"], ["--reject-below", 0.1], ["--raw"]):
        assert "object is not callable" in str(decode(tiny, *wanted, file).exception)


def test_little_speech_does_not_wait_for_kernels(tiny, folder: Path, tmp_path: Path, monkeypatch) -> None:
    file, told = folder / "ann" / "one.wav", "engine: torch, for native is not compiled yet (once, a few minutes: "
    for compiled in (False, True):
        monkeypatch.setattr("hybrid.search.engines.native.NativeSearcher.compiled", compiled)
        result = decode(tiny, file)
        assert result.stdout == "one LOW HIGH MID\n" and (told in result.stderr) != compiled
    monkeypatch.setattr("hybrid.search.engines.native.NativeSearcher.compiled", False)
    monkeypatch.setattr("hybrid.cli.decoding.decode.BRIEF", 0.5)
    assert "engine: native (the fastest on a CPU)" in decode(tiny, file).stderr
    monkeypatch.undo()
    assert "engine: native" in decode(tiny, "--out-dir", tmp_path / "out", file).stderr


@pytest.mark.slow
def test_the_first_decoding_compiles_little(tiny, folder: Path, tmp_path: Path) -> None:
    """In a fresh cache: ten kernels of a second at most, not the ninety of the native search and its lattices."""
    command = [sys.executable, "-m", "hybrid.cli.main", "decode", "--model", tiny.model, "--graph", tiny.graph]
    fresh = {**os.environ, "HYBRID_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([*map(str, command), str(folder / "ann" / "one.wav")], capture_output=True, env=fresh)
    assert done.stdout == b"one LOW HIGH MID\n" and b"compiling kernels, " in done.stderr
    kept = [file.name for file in tmp_path.glob("kernels/*.kernel")]
    assert 5 <= len(kept) <= 16 and not any("native_kernels" in name or "determinize" in name for name in kept)


def test_what_only_files_hold_wants_a_folder(tiny, folder: Path) -> None:
    for name in ("--phones", "--nbest=2"):
        assert f"{name.split('=')[0]} goes with --out-dir" in decode(tiny, name, folder / "ann" / "one.wav").output


def test_a_folder_its_failures_and_formats(tiny, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    formats = [part for name in ("txt", "json", "srt", "vtt", "ctm", "textgrid") for part in ("--format", name)]
    result = decode(tiny, "--out-dir", out, *formats, folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == (out / "transcript.txt").read_text()
    assert result.stdout.splitlines()[-1] == "one LOW HIGH MID"
    assert re.search(r"^failed: broken .*broken\.wav: .*", result.stderr, re.MULTILINE)
    names = sorted(p.name for p in (out / "recordings").iterdir())
    assert names == sorted(
        [f"{r}.{e}" for r in ("long", "one") for e in ("txt", "json", "srt", "vtt", "TextGrid")]
        + ["words.ctm", "phones.ctm"]
    )
    assert (out / "recordings" / "long.txt").read_text().split() == ["LOW", "HIGH", "MID", "LOW"]
    assert (out / "recordings" / "words.ctm").read_bytes() == (out / "words.ctm").read_bytes()
    record = json.loads((out / "recordings" / "long.json").read_text())
    assert record["search_lm"] == "G.fst" and len(record["utterances"]) > 1
    assert all(0 < w["confidence"] <= 1 and w["phones"] for u in record["utterances"] for w in u["words"])
    files = json.loads((out / "meta.json").read_text())["files"]
    assert "recordings/one.srt" in files and "decode.log" not in files
    assert decode(tiny, "--out-dir", out, folder).exit_code == 0 and not (out / "recordings").exists()
    assert json.loads((out / "decode.json").read_text())["search_lm"] == "G.fst"


def test_exit_codes(tiny, folder: Path, tmp_path: Path) -> None:
    assert decode(tiny, "--strict", "--out-dir", tmp_path / "a", folder).exit_code == 1
    assert decode(tiny, "--strict", "--out-dir", tmp_path / "b", folder / "ann").exit_code == 0
    result = decode(tiny, folder / "bob" / "broken.wav")
    assert result.exit_code == 1 and "failed: broken " in result.stderr and result.stdout == ""
    assert "1 of 1 utterances could not be decoded. The reasons stand above." in str(result.exception)
    (junk := tmp_path / "junk.mp3").write_text("no audio")
    result = decode(tiny, junk, folder / "bob" / "broken.wav", folder / "ann" / "one.wav")  # what was found is printed
    assert result.exit_code == 1 and result.stdout == "one LOW HIGH MID\n"
    assert "junk.mp3, …: 2 of 3 utterances could not be decoded" in str(result.exception)
    assert decode(tiny).exit_code == 2
    assert "give --out-dir, or audio FILES" in decode(tiny, "--feats", tiny.feats).output
    assert decode(tiny, "--format", "srt", "--format", "vtt", folder / "ann").exit_code == 2


def test_a_closed_standard_output_is_told(tiny, folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hybrid.cli.main",
        "decode",
        "--model",
        str(tiny.model),
        "--graph",
        str(tiny.graph),
    ]
    line = shlex.join([*command, str(folder / "ann" / "one.wav")])
    result = subprocess.run(["bash", "-c", f"{line} >&-"], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == ("hybrid: standard output: is closed. Leave it open, or give --out-dir.")


def test_quiet_prints_what_failed_and_no_more(tiny, folder: Path, tmp_path: Path) -> None:
    result = decode(tiny, "--quiet", "--out-dir", tmp_path / "out", folder)
    warnings, failed = result.stderr.splitlines()[:-1], result.stderr.splitlines()[-1]
    assert result.stdout == "" and failed.startswith("failed: broken ")
    assert all(" WARNING " in line for line in warnings)
    assert "totals:" in (tmp_path / "out" / "decode.log").read_text()
    alone = decode(tiny, "--quiet", folder / "ann" / "one.wav")  # what it was called for is told all the same
    assert alone.stdout == "one LOW HIGH MID\n" and " INFO " not in alone.stderr


def test_standard_input_is_a_recording(tiny, folder: Path) -> None:
    given = (folder / "ann" / "one.wav").read_bytes()
    command = [sys.executable, "-m", "hybrid.cli.main", "decode", "--model", tiny.model, "--graph", tiny.graph, "-"]
    done = subprocess.run([str(c) for c in command], input=given, capture_output=True)
    assert done.returncode == 0 and done.stdout == b"stdin LOW HIGH MID\n"
    assert b"versions:" not in done.stderr
    assert "stands for standard input, which can be read once" in str(decode(tiny, "-", "-").exception)


def test_settings_and_versions_stand_in_the_log_alone(tmp_path: Path, capsys) -> None:
    setup_logging()
    logger = logging.getLogger("hybrid.test")
    with log_file(tmp_path / "a.log"):
        log_settings(logger, "decode", {"beam": 13})
        logger.info("on both")
    seen, kept = capsys.readouterr().err, (tmp_path / "a.log").read_text()
    assert "on both" in seen and "beam=13" not in seen and "versions:" not in seen
    assert "decode: beam=13" in kept and "versions: python" in kept and "on both" in kept
    log_settings(logger, "train", {"passes": 3})
    assert "train: passes=3" in capsys.readouterr().err  # without a log file the screen is the log
    for name in ("hybrid", "lexicon", "lm"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def test_unsure_words_and_utterances_are_left_out(tiny, folder: Path, tmp_path: Path) -> None:
    wide = ("--lattice-beam", 15, "--beam", 20, "--acoustic-scale", 0.003, "--out-dir")
    file = folder / "ann" / "one.wav"
    decode(tiny, *wide, tmp_path / "all", "--format", "json", file)
    words = json.loads((tmp_path / "all" / "recordings" / "one.json").read_text())["utterances"][0]["words"]
    least = min(w["confidence"] for w in words) + 1e-3
    decode(tiny, *wide, tmp_path / "some", "--reject-below", least, file)
    left = [w["word"] for w in words if w["confidence"] >= least]
    assert (tmp_path / "some" / "transcript.txt").read_text().split()[1:] == left and len(left) < len(words)
    ctm = (tmp_path / "some" / "words.ctm").read_text().splitlines()[1:]
    assert [line.split()[4] for line in ctm] == left
    head, row = (line.split("\t") for line in (tmp_path / "some" / "utterances.tsv").read_text().splitlines())
    assert dict(zip(head, row))["rejected"] == str(len(words) - len(left))
    decode(tiny, *wide, tmp_path / "none", "--reject-utterances-below", 1, file)
    assert (tmp_path / "none" / "transcript.txt").read_text() == "one\n"
    assert "--reject-below is 1.5, wanted 0 to 1" in decode(tiny, "--reject-below", 1.5, file).output
