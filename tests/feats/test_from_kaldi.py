"""Kaldi's data folders: features without audio, sets with pipes behind a flag, and sets written for Kaldi."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import HybridError, InputError
from hybrid.data.kaldi_dir import from_kaldi, to_kaldi
from hybrid.data.manifest import read_cuts
from hybrid.data.trust import Trust
from hybrid.feats.from_kaldi import features_from_kaldi
from hybrid.formats.kaldi_io import read_matrices, write_matrices


def test_features_come_without_audio(tmp_path: Path) -> None:
    folder, random = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    feats = {f"s{k % 3}-u{k:02d}": random.normal(size=(20 + k, 7)).astype(np.float32) for k in range(40)}
    write_matrices(folder / "f.ark", feats, scp=folder / "feats.scp")
    (folder / "utt2spk").write_text("".join(f"{u} {u[:2]}\n" for u in feats))
    (folder / "text").write_text("".join(f"{u} A  B\n" for u in feats))
    stats = np.zeros((2, 8))
    stats[0, -1], stats[1] = 5.0, 1.0
    write_matrices(folder / "c.ark", {"s1": stats}, scp=folder / "cmvn.scp")
    store = features_from_kaldi(folder, tmp_path / "store")
    assert (len(store), store.config.kind, store.config.dim, store.speakers()) == (40, "other", 7, ["s0", "s1", "s2"])
    np.testing.assert_array_equal(store.load("s1-u01"), feats["s1-u01"])
    assert store.text("s1-u01") == ["A", "B"] and store.stats("s1").count == 5.0
    assert store.stats("s0").count == sum(len(m) for u, m in feats.items() if u.startswith("s0"))
    feats["s0-u00"][0, 0] = np.nan
    write_matrices(folder / "f.ark", feats, scp=folder / "feats.scp")
    assert len(features_from_kaldi(folder, tmp_path / "other")) == 39
    with pytest.raises(
        HybridError, match=r"1 of 40 utterances cannot be used. First: .*'s0-u00' holds NaN or infinity"
    ):
        features_from_kaldi(folder, tmp_path / "none", max_failed=0.0)


def test_pipes_run_only_where_allowed(tmp_path: Path) -> None:
    ark = tmp_path / "a.ark"
    write_matrices(ark, {"u": np.ones((2, 3), np.float32)})
    for name in (f"ark:cat {ark} |", f"scp:{tmp_path / 'x.scp'}"):
        (tmp_path / "x.scp").write_text(f"u tail -c +3 {ark} |\n")
        with pytest.raises(InputError, match="--allow-commands"):
            list(read_matrices(name))
        ((key, matrix),) = read_matrices(name, commands=True)
        assert key == "u" and matrix.shape == (2, 3)
    assert [key for key, _ in read_matrices(f"ark:{ark}")] == ["u"]
    with pytest.raises(InputError, match=r"the command 'false \|' failed"):
        list(read_matrices("ark:false |", commands=True))


def test_sets_there_and_back(tmp_path: Path) -> None:
    folder, wav = tmp_path / "data", tmp_path / "a.wav"
    folder.mkdir()
    soundfile.write(wav, 0.1 * np.random.default_rng(0).standard_normal(16000 * 3), 16000)
    (folder / "wav.scp").write_text(f"r1 {wav}\nr2 cat {wav} |\n")
    (folder / "segments").write_text("s-a r1 0.5 1.5\ns-b r1 1.5 -1\ns-c r2 0 1\n")
    (folder / "utt2spk").write_text("s-a s\ns-b s\ns-c s\n")
    (folder / "text").write_text("s-a HELLO\ns-b WORLD\ns-c AGAIN\n")
    assert from_kaldi(folder, tmp_path / "set") == 2
    assert "r2' is a shell command" in (tmp_path / "set" / "failed.txt").read_text()
    assert from_kaldi(folder, tmp_path / "all", Trust(commands=True)) == 3
    cuts = {c.id: (c.speaker, c.text, c.start, round(c.duration, 3)) for c in read_cuts(tmp_path / "all")}
    assert cuts["s-a"] == ("s", "HELLO", 0.5, 1.0) and cuts["s-b"] == ("s", "WORLD", 1.5, 1.5)
    assert to_kaldi(tmp_path / "all", tmp_path / "back") == 3
    assert (tmp_path / "back" / "segments").read_text().splitlines()[0] == "s-a r1 0.500000 1.500000"
    assert (tmp_path / "back" / "spk2utt").read_text() == "s s-a s-b s-c\n"
    assert f"r1 {wav}" in (tmp_path / "back" / "wav.scp").read_text()
