"""Preparation of yesno, FSDD and LibriSpeech: the real pieces, small made-up ones, and broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.artifact import content_hash, read_meta
from hybrid.base.errors import HybridError, InputError
from hybrid.data import fsdd, librispeech, yesno
from hybrid.data.manifest import load_samples, read_cuts, read_texts


def sound(path: Path, length: int = 800, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(length)
    soundfile.write(path, (random.standard_normal(length) * 0.1).clip(-1, 1), rate, "PCM_16")
    return path


def chapter(folder: Path, part: str = "dev-clean", speaker: str = "84", lines: bytes | None = None) -> Path:
    for i in range(4):
        sound(folder / part / speaker / "1" / f"{speaker}-1-000{i}.flac", 1600 + i, 16000)
    text = lines or b"".join(f"{speaker}-1-000{i} WORD {i}\n".encode() for i in range(4))
    (folder / part / speaker / "1" / f"{speaker}-1.trans.txt").write_bytes(text)
    return folder


def test_yesno_takes_alternate_files(tmp_path: Path) -> None:
    names = ["0_0_0_0_1_1_1_1", "0_0_0_1_0_0_0_1", "1_1_1_1_1_1_1_1"]
    for name in names:
        sound(tmp_path / "waves_yesno" / f"{name}.wav")
    assert yesno.prepare(tmp_path, tmp_path / "data") == {"train": 2, "test": 1}
    texts = read_texts(tmp_path / "data" / "test")
    assert texts == {names[1]: ["NO", "NO", "NO", "YES", "NO", "NO", "NO", "YES"]}
    assert read_cuts(tmp_path / "data" / "train")[0].speaker == "yesno"
    assert read_meta(tmp_path / "data" / "train")["facts"]["utterances"] == 2


def test_fsdd_splits_by_take(tmp_path: Path) -> None:
    for name in ("7_jackson_4", "7_jackson_5", "0_theo_49"):
        sound(tmp_path / "recordings" / f"{name}.wav")
    assert fsdd.prepare(tmp_path, tmp_path / "data") == {"train": 2, "test": 1}
    assert read_texts(tmp_path / "data" / "test") == {"jackson-7-4": ["SEVEN"]}
    assert [u.id for u in read_cuts(tmp_path / "data" / "train")] == ["jackson-7-5", "theo-0-49"]


def test_librispeech_keeps_ids_and_speakers(tmp_path: Path) -> None:
    chapter(tmp_path)
    assert librispeech.prepare(tmp_path, tmp_path / "data") == {"dev-clean": 4}
    utterance = read_cuts(tmp_path / "data" / "dev-clean")[1]
    assert (utterance.id, utterance.speaker, utterance.words) == ("84-1-0001", "84", ["WORD", "1"])
    samples, rate = load_samples(utterance)
    assert rate == 16000 and len(samples) == 1601


def test_librispeech_lists_what_is_broken(tmp_path: Path) -> None:
    lines = b"84-1-0000 FINE\n84-1-0001\n84-1-0002 CAF\xe9\n84-1-0009 NOT THERE\n84-1-0003 GOOD\n84-1-0003 GOOD AGAIN\n"
    chapter(tmp_path, lines=lines)
    chapter(tmp_path, speaker="85")
    assert librispeech.prepare(tmp_path, tmp_path / "data") == {"dev-clean": 6}
    failed = (tmp_path / "data" / "dev-clean" / "failed.txt").read_text().splitlines()
    text = "\n".join(failed)
    assert "84-1-0001" in text and "has an empty transcript" in text
    assert "84-1.trans.txt:3: is not UTF-8 (byte 0xe9 at column 14). Convert it to UTF-8." in text
    assert "84-1-0009" in text and "audio file is missing" in text
    assert "84-1-0002" in text and "has no line for this audio file" in text
    assert "utterance id '84-1-0003' stands for two files" in text
    assert len(failed) == 5


def test_the_same_corpus_gives_the_same_manifest(tmp_path: Path) -> None:
    chapter(tmp_path)
    for name in ("a", "b"):
        librispeech.prepare(tmp_path, tmp_path / name)
    first, second = (tmp_path / name / "dev-clean" / "cuts.jsonl.gz" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert content_hash(first.parent) == content_hash(second.parent)


def test_lhotse_reads_and_accepts_our_manifests(tmp_path: Path) -> None:
    from lhotse import CutSet
    from lhotse.qa import validate

    chapter(tmp_path)
    librispeech.prepare(tmp_path, tmp_path / "data")
    cuts = CutSet.from_file(tmp_path / "data" / "dev-clean" / "cuts.jsonl.gz").to_eager()
    validate(cuts, read_data=True)
    ours = {u.id: load_samples(u)[0] for u in read_cuts(tmp_path / "data" / "dev-clean")}
    for cut in cuts:
        assert (cut.load_audio()[0] == ours[cut.id]).all()


def test_errors(tmp_path: Path) -> None:
    for prepare, hint in ((yesno.prepare, "yesno"), (fsdd.prepare, "fsdd"), (librispeech.prepare, "librispeech")):
        with pytest.raises(InputError, match=f"no such folder; wanted .*hybrid data download {hint}"):
            prepare(tmp_path / "absent", tmp_path / "data")
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="holds no "):
            prepare(tmp_path / "empty", tmp_path / "data")
    chapter(tmp_path)
    with pytest.raises(InputError, match="no such folder; wanted the part test-other of LibriSpeech"):
        librispeech.prepare(tmp_path, tmp_path / "data", ["test-other"])
    for path in (tmp_path / "dev-clean").rglob("*.flac"):
        path.write_bytes(b"")
    with pytest.raises(HybridError, match=r"4 of 4 utterances cannot be used. First: .* is empty \(0 bytes\)"):
        librispeech.prepare(tmp_path, tmp_path / "data")


@pytest.mark.real
def test_the_real_pieces(corpora: Path, tmp_path: Path) -> None:
    assert yesno.prepare(corpora / "waves_yesno", tmp_path) == {"train": 30, "test": 30}
    assert librispeech.prepare(corpora / "LibriSpeech", tmp_path, ["test-other"]) == {"test-other": 50}
    utterances = read_cuts(tmp_path / "test-other")
    assert len({u.speaker for u in utterances}) == 5 and all(u.id.startswith(u.speaker) for u in utterances)
    assert (tmp_path / "test-other" / "failed.txt").read_text() == ""


@pytest.mark.real
@pytest.mark.slow
def test_all_real_pieces(corpora: Path, tmp_path: Path) -> None:
    assert fsdd.prepare(corpora / "fsdd", tmp_path) == {"train": 2700, "test": 120}
    assert librispeech.prepare(corpora / "LibriSpeech", tmp_path) == {
        "train-clean-100": 709, "dev-clean": 300, "test-other": 50,
    }  # fmt: skip
