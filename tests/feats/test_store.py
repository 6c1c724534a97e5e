"""Extraction into a store: equal for any jobs, resumable, bad utterances listed; and the pipeline on top of it."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.artifact import content_hash
from hybrid.base.config import read_yaml, write_yaml
from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.data.audio import AudioInfo
from hybrid.data.manifest import write_cuts
from hybrid.data.sets import cut_record
from hybrid.data.trust import Trust
from hybrid.data.utterance import Utterance
from hybrid.feats import build
from hybrid.feats.build import ExtractConfig, extract_features
from hybrid.feats.cmvn import CmvnConfig, CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.feats.context import add_deltas
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.feats.transform import LinearTransform
from hybrid.formats.tensors import save_arrays

CONFIG = FeatureConfig(sampling_rate=8000, num_ceps=5)


def make_set(folder: Path, count: int = 70, rate: int = 8000) -> Path:
    """A set of `count` utterances of noise by three speakers; returns its folder."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    records = []
    for i in range(count):
        name = f"s{i % 3}-{i:03d}"
        length = 800 + 40 * i
        path = folder / "audio" / f"{name}.wav"
        soundfile.write(path, (random.standard_normal(length) * 0.1).clip(-1, 1), rate, "PCM_16")
        info = AudioInfo(str(path), rate, 1, length, "WAV")
        records.append(cut_record(Utterance(name, path, name[:2], f"WORD {i}"), info))
    write_cuts(folder / "cuts.jsonl.gz", records)
    return folder


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def store(cuts: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return extract_features(cuts, tmp_path_factory.mktemp("feats") / "store", CONFIG)


def test_what_is_stored_is_what_was_extracted(cuts: Path, store: FeatureStore) -> None:
    assert len(store) == 70 and store.ids == sorted(store.ids) and store.speakers() == ["s0", "s1", "s2"]
    for name in ("s0-000", "s1-064", "s0-069"):
        samples, rate = soundfile.read(cuts / "audio" / f"{name}.wav", dtype="float32")
        assert (store.load(name) == FeatureExtractor(CONFIG)(samples, rate)).all()
        assert store.num_frames(name) == len(store.load(name))
        assert store.duration(name) == pytest.approx(len(samples) / rate)
    assert store.text("s1-064") == ["WORD", "64"] and store.speaker("s1-064") == "s1"
    together = CmvnStats.of(np.concatenate([store.load(name) for name in store.utterances_of("s1")]))
    np.testing.assert_allclose(store.stats("s1").to_matrix(), together.to_matrix(), rtol=1e-9)
    assert store.global_stats().count == sum(store.num_frames(name) for name in store.ids)


def test_jobs_change_no_byte(cuts: Path, store: FeatureStore, tmp_path: Path) -> None:
    extract_features(cuts, tmp_path / "two", CONFIG, jobs=2)
    assert content_hash(tmp_path / "two") == content_hash(store.path)


def test_a_finished_store_is_left_alone_and_a_changed_one_made_anew(tmp_path: Path) -> None:
    cuts = make_set(tmp_path / "set", 40)
    first = extract_features(cuts, tmp_path / "store", CONFIG)
    stamp = (first.path / "blocks" / "00001.f32").stat().st_mtime_ns
    extract_features(cuts, tmp_path / "store", CONFIG)
    assert (first.path / "blocks" / "00001.f32").stat().st_mtime_ns == stamp
    changed = extract_features(cuts, tmp_path / "store", FeatureConfig(sampling_rate=8000, num_ceps=4))
    assert changed.load("s0-000").shape[1] == 4
    assert changed.digest != first.digest


def test_changed_audio_is_found_and_place_and_time_change_no_content(tmp_path: Path) -> None:
    first = extract_features(make_set(tmp_path / "one", 40), tmp_path / "store", CONFIG)
    other = extract_features(make_set(tmp_path / "two", 40), tmp_path / "other", CONFIG)
    assert first.digest == other.digest and content_hash(first.path) == content_hash(other.path)
    soundfile.write(tmp_path / "one" / "audio" / "s0-000.wav", np.full(800, 0.25), 8000)
    again = extract_features(tmp_path / "one", tmp_path / "store", CONFIG)
    assert again.digest != first.digest and again.load("s0-000").std(axis=0).max() < 1e-3


def test_blocks_that_are_finished_are_kept(tmp_path: Path) -> None:
    cuts = make_set(tmp_path / "set", 70)
    whole = extract_features(cuts, tmp_path / "store", CONFIG)
    blocks = whole.path / "blocks"
    before = content_hash(whole.path)
    (whole.path / "meta.json").unlink()  # as a kill leaves it
    (whole.path / ".unfinished").write_text(json.dumps({"kind": "features", "pid": 1}))
    (blocks / "00002.meta.json").unlink()
    (blocks / "00001.f32").write_bytes(b"cut")
    kept = (blocks / "00000.f32").stat().st_mtime_ns
    again = extract_features(cuts, tmp_path / "store", CONFIG)
    assert (blocks / "00000.f32").stat().st_mtime_ns == kept
    assert content_hash(again.path) == before


SLOW = """
import sys, time
import hybrid.feats.build as build
from hybrid.feats.config import FeatureConfig
inner = build._features_of
def slow(*arguments):
    time.sleep(0.02)
    return inner(*arguments)
build._features_of = slow
build.extract_features(sys.argv[1], sys.argv[2], FeatureConfig(sampling_rate=8000, num_ceps=5))
"""


def test_killed_in_the_middle_it_goes_on(cuts: Path, store: FeatureStore, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(cuts), str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "blocks" / "00000.meta.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (out / "blocks" / "00000.meta.json").exists() and not (out / "meta.json").exists()
    with pytest.raises(InputError, match="holds no finished features.*Run `hybrid feats extract` again"):
        FeatureStore.open(out)
    stamp = (out / "blocks" / "00000.f32").stat().st_mtime_ns
    extract_features(cuts, out, CONFIG)
    assert (out / "blocks" / "00000.f32").stat().st_mtime_ns == stamp
    assert content_hash(out) == content_hash(store.path)


def test_an_older_store_stands_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts, out = make_set(tmp_path / "set", 70), tmp_path / "store"
    first = extract_features(cuts, out, CONFIG)
    others = [FeatureConfig(sampling_rate=8000, num_ceps=count) for count in (4, 6)]
    fresh = [extract_features(cuts, tmp_path / f"fresh{i}", other) for i, other in enumerate(others)]
    inner, count = build._features_of, 0

    def killed(*arguments):
        nonlocal count
        count += 1
        if count > 40:
            raise KeyboardInterrupt
        return inner(*arguments)

    monkeypatch.setattr(build, "_features_of", killed)
    with pytest.raises(KeyboardInterrupt):  # in the second block
        extract_features(cuts, out, others[0])
    found = FeatureStore.open(out)
    assert found.digest == first.digest and found.load("s0-000").shape[1] == 5
    with pytest.raises(HybridError, match=r"gave no features.*\.next/failed\.txt"):
        monkeypatch.setattr(build, "_features_of", lambda *_: (_ for _ in ()).throw(InputError("no")))
        extract_features(cuts, out, FeatureConfig(sampling_rate=8000, num_ceps=7))
    assert FeatureStore.open(out).digest == first.digest
    monkeypatch.setattr(build, "_features_of", inner)
    for other, wanted in zip(others, fresh):
        extract_features(cuts, out, other)
        assert content_hash(out) == content_hash(wanted.path)


def test_killed_while_new_blocks_take_their_places_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts, out, other = make_set(tmp_path / "set", 70), tmp_path / "store", FeatureConfig(sampling_rate=8000, num_ceps=4)
    extract_features(cuts, out, CONFIG)
    wanted = extract_features(cuts, tmp_path / "fresh", other)
    replace, count = os.replace, 0

    def killed(source, target):
        nonlocal count
        count += str(Path(source).parent).endswith(".next/blocks") and Path(target).parent == out / "blocks"
        if count == 4:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        extract_features(cuts, out, other)
    with pytest.raises(InputError, match="holds no finished features"):
        FeatureStore.open(out)
    monkeypatch.setattr(os, "replace", replace)
    extract_features(cuts, out, other)
    assert content_hash(out) == content_hash(wanted.path)


def test_what_failed_for_its_command_or_tracks_is_tried_again(tmp_path: Path) -> None:
    cuts, late = make_set(tmp_path / "set", 4), tmp_path / "late.wav"
    lines = gzip.decompress((cuts / "cuts.jsonl.gz").read_bytes()).splitlines()
    records = [json.loads(line) for line in lines]
    records[0]["recording"]["sources"][0].update(type="command", source=f"cat {late}")
    records[1]["recording"]["sources"][0]["source"] = str(late)
    mixed = {"cut": records[1], "type": records[1].pop("type"), "offset": 0.0}
    records[1] = {"id": records[1]["id"], "tracks": [mixed], "type": "MixedCut"}
    write_cuts(cuts / "cuts.jsonl.gz", records)
    options = ExtractConfig(max_failed=0.5, trust=Trust(commands=True))
    for _ in range(2):
        assert len(extract_features(cuts, tmp_path / "store", CONFIG, options)) == 2
    soundfile.write(late, np.ones(960) / 9, 8000, "PCM_16")
    assert len(extract_features(cuts, tmp_path / "store", CONFIG, options)) == 4
    stamp = (tmp_path / "store" / "index.tsv").stat().st_mtime_ns
    extract_features(cuts, tmp_path / "store", CONFIG, options)
    assert (tmp_path / "store" / "index.tsv").stat().st_mtime_ns == stamp


def test_bad_utterances_are_listed_and_the_rest_is_used(tmp_path: Path) -> None:
    cuts = make_set(tmp_path / "set", 40)
    audio = cuts / "audio"
    (audio / "s0-003.wav").unlink()
    (audio / "s1-004.wav").write_bytes((audio / "s1-004.wav").read_bytes()[:300])
    soundfile.write(audio / "s2-005.wav", np.zeros(1000), 16000)
    soundfile.write(audio / "s0-006.wav", np.full(1040, np.nan), 8000, "FLOAT")
    soundfile.write(audio / "s1-007.wav", np.zeros(1080), 8000)
    store = extract_features(cuts, tmp_path / "store", CONFIG, ExtractConfig(max_failed=0.2))
    assert len(store) == 36 and np.isfinite(store.load("s1-007")).all()
    failed = dict(line.split(" ", 1) for line in (store.path / "failed.txt").read_text().splitlines())
    assert "audio file is missing" in failed["s0-003"]
    assert "is cut short" in failed["s1-004"]
    assert "has a rate of 16000 Hz, the manifest says 8000" in failed["s2-005"]
    assert "NaN" in failed["s0-006"]
    with pytest.raises(HybridError, match=r"4 of 40 utterances gave no features \(allowed: 5%, --max-failed\)"):
        extract_features(cuts, tmp_path / "strict", CONFIG, ExtractConfig(max_failed=0.05))


def test_wrong_rate_fails_or_is_resampled(tmp_path: Path) -> None:
    cuts = make_set(tmp_path / "set", 3, rate=16000)
    with pytest.raises(HybridError, match="has a rate of 16000 Hz, the features want 8000 Hz. Use --resample"):
        extract_features(cuts, tmp_path / "store", CONFIG)
    store = extract_features(cuts, tmp_path / "store", CONFIG, ExtractConfig(resample=True))
    assert store.num_frames("s0-000") == CONFIG.num_frames(400)


def test_one_frame_and_less(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    records = []
    for name, length in (("one", 200), ("none", 199)):
        path = tmp_path / "a" / f"{name}.wav"
        soundfile.write(path, np.full(length, 0.1), 8000)
        records.append(cut_record(Utterance(name, path, "s", "A"), AudioInfo(str(path), 8000, 1, length, "WAV")))
    write_cuts(tmp_path / "cuts.jsonl.gz", records)
    store = extract_features(tmp_path, tmp_path / "store", CONFIG, ExtractConfig(max_failed=0.5))
    assert store.ids == ["one"] and store.load("one").shape == (1, 5)
    assert "199 samples are shorter than one frame" in (tmp_path / "store" / "failed.txt").read_text()
    pipeline = FeaturePipeline.for_store(store, delta_order=2)
    assert pipeline.features(store, "one").shape == (1, 15)


def test_a_full_disk_gets_one_line(cuts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HybridError, match="the disk is full; nothing was changed"):
        extract_features(cuts, tmp_path / "store", CONFIG)


def test_damaged_stores(store: FeatureStore, cuts: Path, tmp_path: Path, forget_files) -> None:
    with pytest.raises(InputError, match="no such folder; wanted features"):
        FeatureStore.open(tmp_path / "absent")
    with pytest.raises(InputError, match="has no utterance 'nobody'"):
        store.load("nobody")
    with pytest.raises(InputError, match="has no CMVN statistics of speaker 'nobody'"):
        store.stats("nobody")
    mine = extract_features(cuts, tmp_path / "store", CONFIG)
    forget_files(mine.path)
    with open(mine.path / "blocks" / "00002.f32", "r+b") as stream:
        stream.truncate(100)
    with pytest.raises(InputError, match="is cut short: utterance 's2-068' lies beyond its end"):
        mine.load("s2-068")
    (mine.path / "index.tsv").write_text("one\ttwo\n")
    with pytest.raises(InputError, match=r"index.tsv:1: is damaged"):
        FeatureStore.open(mine.path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "meta.json").write_text(json.dumps({"kind": "graph", "versions": {}}))
    with pytest.raises(InputError, match=r"holds another artifact \('graph'\)"):
        extract_features(cuts, tmp_path / "other", CONFIG)


LINE = "s0-000\ts0\t00000\t0\t8\t0.1\tWORD 0\n"
INDEX = {
    "a path": (LINE.replace("00000", "../x"), r"block \.\./x"),
    "before the start": (LINE.replace("\t0\t8", "\t-5\t8"), r"block 00000, -5\+8 frames"),
    "no frames": (LINE.replace("\t0\t8", "\t0\t0"), r"0\+0 frames"),
    "no time": (LINE.replace("0.1", "nan"), "is damaged"),
    "twice": (LINE + LINE, "utterance 's0-000' stands twice"),
    "spaces": (LINE.replace("s0-000", "a b"), "an id has white space"),
    "fields": (LINE.replace("WORD 0", "WORD\t0"), "too many values"),
}


@pytest.mark.parametrize("name", INDEX)
def test_damaged_indexes(name: str, store: FeatureStore, tmp_path: Path, forget_files) -> None:
    path = Path(shutil.copytree(store.path, tmp_path / "store"))
    forget_files(path)
    (path / "index.tsv").write_text(INDEX[name][0])
    with pytest.raises(InputError, match=rf"index.tsv:\d: is damaged.*{INDEX[name][1]}|{INDEX[name][1]}"):
        FeatureStore.open(path)


def test_damaged_parts_of_a_store(store: FeatureStore, cuts: Path, tmp_path: Path, forget_files) -> None:
    path = Path(shutil.copytree(store.path, tmp_path / "store"))
    forget_files(path)
    (path / "index.tsv").write_text(LINE.replace("\t8\t", f"\t{10**15}\t"))
    with pytest.raises(InputError, match="is cut short: utterance 's0-000' lies beyond its end"):
        FeatureStore.open(path).load("s0-000")
    (path / "meta.json").write_text(json.dumps({"kind": "features", "facts": [1]}))
    with pytest.raises(InputError, match=r"meta\.json: 'facts' is no JSON object"):
        FeatureStore.open(path)
    (path / "meta.json").write_text(json.dumps({"kind": "features", "facts": {}, "versions": {}}))
    assert FeatureStore.open(path).digest == ""
    save_arrays(path / "cmvn.safetensors", {"speakers": np.frombuffer(b"s0", np.uint8), "counts": np.ones(1),
                                            "sums": np.ones((1, 3)), "squares": np.ones((1, 3))})  # fmt: skip
    with pytest.raises(InputError, match=r"cmvn.safetensors: is damaged \(statistics of shape \(3,\), wanted \(5,\)\)"):
        FeatureStore.open(path)
    whole = (path / "blocks" / "00001.meta.json").read_text()
    for field, value in (("rows", [[1]]), ("rows", 3), ("failed", [1]), ("stats", {"s0": [1, [2], [3]]}), ("name", 5),
                         ("stats", []), ("content", None), ("digest", None)):  # fmt: skip
        damaged = {**json.loads(whole), field: value}
        (path / "blocks" / "00001.meta.json").write_text(json.dumps(damaged))
        made = extract_features(cuts, path, CONFIG)
        assert (path / "blocks" / "00001.meta.json").read_text() == whole and made.digest == store.digest


def test_flipped_features_are_found_and_made_again(cuts: Path, tmp_path: Path) -> None:
    mine = extract_features(cuts, tmp_path / "store", CONFIG)
    block = mine.path / "blocks" / "00001.f32"
    before, whole = block.read_bytes(), content_hash(mine.path)
    values = np.frombuffer(before, "<f4").copy()
    values[:1000] *= -1
    block.write_bytes(values.tobytes())
    utterance = next(u for u in mine if mine._entry(u).block == "00001")
    for store in (FeatureStore.open(mine.path), pickle.loads(pickle.dumps(mine))):
        with pytest.raises(
            MismatchError, match=r"blocks/00001\.f32: was changed or damaged: .* Copy or make .*/store ag"
        ):
            store.load(utterance)
    extract_features(cuts, tmp_path / "store", CONFIG)
    assert block.read_bytes() == before and content_hash(mine.path) == whole
    (mine.path / "index.tsv").write_text((mine.path / "index.tsv").read_text().replace("\ts0\t", "\ts1\t", 1))
    with pytest.raises(MismatchError, match=r"index\.tsv: was changed or damaged"):
        FeatureStore.open(mine.path)
    extract_features(cuts, tmp_path / "store", CONFIG)
    assert content_hash(mine.path) == whole


def test_subsets(store: FeatureStore) -> None:
    part = store.subset(["s0-003", "s0-000"])
    assert part.ids == ["s0-000", "s0-003"] and part.stats("s0") is store.stats("s0")
    assert store.shortest(2).ids == ["s0-000", "s1-001"]
    with pytest.raises(InputError, match="has no utterance 'x'"):
        store.subset(["x"])


def test_pickled_it_is_small_and_reads_the_same(store: FeatureStore) -> None:
    part = store.subset(["s0-000"])
    data = pickle.dumps(part)
    back = pickle.loads(data)
    assert len(data) < 2000 and back.ids == ["s0-000"]
    assert (back.load("s0-000") == store.load("s0-000")).all()
    assert (back.stats("s0").sums == store.stats("s0").sums).all()


def test_pipeline_is_its_steps_in_turn(store: FeatureStore) -> None:
    random = np.random.default_rng(0)
    lda = LinearTransform("lda", random.standard_normal((4, 45)), 45)
    pipeline = FeaturePipeline.for_store(store, CmvnConfig(), delta_order=2, splice_left=1, splice_right=1)
    assert pipeline.dim == 45
    pipeline = pipeline.with_transforms(lda)
    assert pipeline.dim == 4 and pipeline.frame_shift == 0.01
    static = store.load("s1-001")
    centred = static - store.stats("s1").mean.astype(np.float32)
    wide = add_deltas(centred, 2)
    spliced = np.concatenate([wide[[0, *range(len(wide) - 1)]], wide, wide[[*range(1, len(wide)), -1]]], axis=1)
    found = pipeline.features(store, "s1-001")
    np.testing.assert_allclose(found, spliced @ lda.matrix.T, atol=1e-3)
    fmllr = np.concatenate([2 * np.eye(4), np.ones((4, 1))], axis=1).astype(np.float32)
    np.testing.assert_allclose(pipeline.features(store, "s1-001", fmllr), 2 * found + 1, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"delta_window": 1.5}, "delta_window is '1.5', wanted a whole number"),
        ({"splice_left": -1}, "wanted 0 to 1000"),
    ],
)
def test_pipeline_of_impossible_settings(setting: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeaturePipeline.from_dict({"delta_order": 2, **setting}, {})


def test_pipeline_saved_and_loaded_is_the_same(store: FeatureStore, tmp_path: Path) -> None:
    lda = LinearTransform("lda", np.ones((2, 15), np.float32), 15)
    pipeline = FeaturePipeline.for_store(store, delta_order=2, transforms=(lda,))
    write_yaml(tmp_path / "p.yaml", pipeline.to_dict())
    back = FeaturePipeline.from_dict(read_yaml(tmp_path / "p.yaml"), pipeline.arrays())
    assert back.to_dict() == pipeline.to_dict()
    assert (back.features(store, "s1-001") == pipeline.features(store, "s1-001")).all()
    with pytest.raises(InputError, match="the matrix of transform 0 is missing"):
        FeaturePipeline.from_dict(pipeline.to_dict(), {})


def test_pipeline_from_samples_equals_a_store_of_an_unknown_speaker(cuts: Path, store: FeatureStore) -> None:
    pipeline = FeaturePipeline.for_store(store, delta_order=1)
    samples, rate = soundfile.read(cuts / "audio" / "s2-065.wav", dtype="float32")
    assert (pipeline.from_samples(samples, rate) == pipeline.apply(store.load("s2-065"))).all()
    assert pipeline.from_samples(np.repeat(samples, 2), 16000).shape == pipeline.apply(store.load("s2-065")).shape


def test_pipeline_refuses_what_does_not_fit(store: FeatureStore) -> None:
    pipeline = FeaturePipeline.for_store(store)
    with pytest.raises(InputError, match=r"have shape \(3, 4\), wanted \[frames\]\[5\]"):
        pipeline.apply(np.zeros((3, 4), np.float32))
    bad = store.load("s1-001")
    bad[2, 1] = np.nan
    with pytest.raises(InputError, match=r"value 1 of frame 2 is nan \(1 such values\)"):
        pipeline.apply(bad)
    with pytest.raises(InputError, match="199 of them are shorter than one frame of 25 ms"):
        pipeline.from_samples(np.zeros(199, np.float32), 8000)
    other = FeaturePipeline(FeatureConfig(sampling_rate=8000, num_ceps=6))
    with pytest.raises(InputError, match="features have num_ceps 5, the model wants 6"):
        other.features(store, "s1-001")
    with pytest.raises(ValueError, match="transform 'lda' takes dimension 7, found 5"):
        pipeline.with_transforms(LinearTransform("lda", np.ones((2, 7)), 7))
    with pytest.raises(ValueError, match="CMVN prior of dimension 1, features of 5"):
        FeaturePipeline(CONFIG, CmvnConfig(prior_mean=(1.0,), prior_var=(1.0,)))
    with pytest.raises(InputError, match="unknown setting 'delta'"):
        FeaturePipeline.from_dict({"delta": 3})
