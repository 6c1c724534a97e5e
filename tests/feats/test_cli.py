"""`hybrid feats` from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from hybrid.base.errors import HybridError, InputError
from hybrid.cli.data import command as data
from hybrid.cli.feats import command as feats
from hybrid.formats.kaldi_io import read_matrices


def run(group, *arguments: object) -> Result:  # type: ignore[no-untyped-def]
    return CliRunner().invoke(group, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("cli")
    random = np.random.default_rng(0)
    for name in ("ann/one", "ann/two", "bob/one"):
        path = found / "in" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (random.standard_normal(8000) * 0.1).clip(-1, 1), 16000)
    assert run(data, "from-audio", found / "in", "--out-dir", found / "data").exit_code == 0
    (found / "mfcc.yaml").write_text("high_freq: 5500\nnum_ceps: 10\n")
    arguments = ["--cuts", found / "data", "--config", found / "mfcc.yaml", "--set", "num_ceps=7"]
    assert run(feats, "extract", *arguments, "--out-dir", found / "feats").exit_code == 0
    return found


def test_info(folder: Path) -> None:
    lines = run(feats, "info", folder / "feats", "--speakers").output.splitlines()
    assert lines[:7] == [
        "kind mfcc", "dimension 7", "sampling_rate 16000", "utterances 3", "speakers 2", "frames 144", "seconds 1.50",
    ]  # fmt: skip
    assert lines[7].startswith("speaker ann utterances 2 seconds 1.0 mean ")


def test_copy_and_cmvn(folder: Path) -> None:
    out = run(feats, "copy", folder / "feats", "--cmvn", "speaker", "--deltas", 2, "--out", folder / "f.ark").output
    assert out.startswith("3 utterances of dimension 21 written to ")
    found = dict(read_matrices(folder / "f.ark"))
    assert sorted(found) == ["ann-one", "ann-two", "bob-one"] and found["bob-one"].shape == (48, 21)
    assert abs(found["bob-one"][:, :7].mean()) < 1e-4
    run(feats, "cmvn", folder / "feats", "--out", folder / "c.txt", "--text")
    stats = dict(read_matrices(folder / "c.txt"))
    assert stats["ann"].shape == (2, 8) and stats["ann"][0, 7] == 96


def test_vad(folder: Path) -> None:
    with pytest.raises(HybridError, match="none of 1 file"):
        run(feats, "vad", folder / "mfcc.yaml")
    assert run(feats, "vad", folder / "in" / "ann" / "one.wav").exit_code == 0


def test_bad_settings_get_one_line(folder: Path) -> None:
    for setting, message in (
        ("num_cepts=3", "unknown setting 'num_cepts'"),
        ("num_ceps", "'num_ceps' is not NAME=VALUE"),
        ("sampling_rate=1", "sampling_rate is 1, wanted 100 to 1000000"),
    ):
        with pytest.raises(InputError, match=message):
            run(feats, "extract", "--cuts", folder / "data", "--set", setting, "--out-dir", folder / "x")


def test_check_subset_combine(folder: Path) -> None:
    (folder / "words").write_text("A\n")
    arguments = ["--cuts", folder / "data", "--no-need-text", "--words", folder / "words", "--rate", 8000]
    out = run(data, "check", *arguments, "--out-dir", folder / "checked").output.splitlines()
    assert out[0].startswith("utterances 3, usable 3, failed 0") and out[1].startswith(
        "other-rate: 0 failed, 3 repaired"
    )
    run(data, "subset", "--cuts", folder / "data", "--speaker", "ann", "--out-dir", folder / "ann")
    run(data, "subset", "--cuts", folder / "data", "--not-speaker", "ann", "--out-dir", folder / "bob")
    out = run(data, "combine", folder / "ann", folder / "bob", "--out-dir", folder / "both").output
    assert out.startswith("3 utterances in ")
    with pytest.raises(HybridError, match=r"3 of 3 utterances failed \(allowed: 10%\)"):
        run(data, "check", "--cuts", folder / "data")
