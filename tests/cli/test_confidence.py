"""`hybrid confidence`: fitted on some speakers, applied and measured on others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.cli.main import command
from hybrid.lattice.archive import write_lattices
from hybrid.lattice.trim import from_rows


def run(*words: object):
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 utterances of 3 words of 4 speakers; each word has a rival, and posteriors are too sure of themselves."""
    folder, random = tmp_path_factory.mktemp("speech"), np.random.default_rng(0)
    lattices, texts = [], []
    for number in range(60):
        rows, said = [], []
        for place in range(3):
            share = random.uniform(0.3, 0.95)
            odds = 3.0 * np.log(share / (1.0 - share))
            rows += [(place, place + 1, word, score, 0.0, (7,)) for word, score in ((1, odds), (2, 0.0))]
            said.append("A" if random.random() < share else "BE")
        lattices.append((f"u{number:02d}", from_rows(rows, {3: (0.0, 0.0, ())}, 4)))
        texts.append(f"u{number:02d} {' '.join(said)}\n")
    write_lattices(folder / "lat.gz", lattices, compact=True)
    (folder / "words.txt").write_text("<eps> 0\nA 1\nBE 2\n")
    (folder / "text").write_text("".join(texts[:50]))
    (folder / "utt2spk").write_text("".join(f"u{n:02d} s{n % 4}\n" for n in range(60)))
    return folder


def test_train_apply_evaluate(speech: Path, tmp_path: Path) -> None:
    file, words = tmp_path / "c.json", ("--words", speech / "words.txt")
    given = (speech / "lat.gz", file, "--ref", speech / "text", "--utt2spk", speech / "utt2spk", *words)
    done = run("confidence", "train", *given)
    assert done.exit_code == 0, done.exception
    lines = done.output.splitlines()
    assert lines[0].startswith("uncalibrated: ECE 0.") and lines[1].startswith("speakers left out in turn: ECE 0.0")
    assert lines[2] == f"{file}: logistic, of 150 words of 50 utterances"
    printed = run("confidence", "apply", speech / "lat.gz", "--calibration", file, *words).output.splitlines()
    assert len(printed) == 180 and printed[0].split()[:2] == ["u00", "1"] and 0 < float(printed[0].split()[3]) < 1
    values = [float(line.split()[3]) for line in printed[:3]]
    form = run("confidence", "apply", speech / "lat.gz", "--calibration", file, *words, "--form", "utterances").output
    first = form.splitlines()[0].split()
    assert first[0] == "u00" and float(first[1]) == pytest.approx(np.mean(values), abs=1e-4) and len(first) == 5
    done = run("confidence", "evaluate", speech / "lat.gz", "--calibration", file, "--ref", speech / "text", *words)
    assert "calibrated: ECE 0.0" in done.output and "confidence  right    words" in done.output
    assert "    20 %" in done.output
    silent = run("confidence", "apply", speech / "lat.gz", "--calibration", file, *words, "--silent", "BE").output
    assert "A" in silent and " BE " not in silent


def test_refusals(speech: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("other A\n")
    given = (speech / "lat.gz", tmp_path / "c.json", "--ref", tmp_path / "text", "--words", speech / "words.txt")
    assert "has the text of none of the lattices" in str(run("confidence", "train", *given).exception)
    (tmp_path / "utt2spk").write_text("".join(f"u{n:02d} s\n" for n in range(60)))
    given = (*given[:2], "--ref", speech / "text", "--utt2spk", tmp_path / "utt2spk", *given[4:])
    assert "1 speaker, wanted two or more" in str(run("confidence", "train", *given).exception)
    assert run("confidence", "train", *given, "--folds", 0, "--method", "isotonic").exit_code == 0
