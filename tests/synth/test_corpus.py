"""Synthetic corpora: planned from ids, the same for any number of jobs, timed."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("espeakng_loader", reason="the package espeakng-loader is not installed")

from hybrid.base.artifact import content_hash
from hybrid.base.config import config_from_dict, config_to_dict
from hybrid.base.errors import HybridError
from hybrid.cli.synth import command
from hybrid.data.manifest import load_samples, read_cuts
from hybrid.synth.corpus import SynthesisConfig, plan_take, render, synthesise_corpus

CONFIG = SynthesisConfig(bases=("en", "en-us"), variants=("f*", "m1"), without=("fast",), speeds=(0.9, 1.0, 1.1))
TEXTS = {f"u{i}": words.split() for i, words in enumerate(["CALL ANNA", "STOP", "LIGHTS ON", "PLAY SOME JAZZ"])}


def test_voices_by_pattern() -> None:
    assert CONFIG.voices() == [(b, v) for b in CONFIG.bases for v in ("f1", "f2", "f3", "f4", "f5", "m1")]
    assert len(SynthesisConfig().voices()) >= 100
    with pytest.raises(HybridError, match="no voice variant 'zz\\*'"):
        replace(CONFIG, variants=("zz*",)).voices()
    with pytest.raises(HybridError, match="no voice variant is left"):
        replace(CONFIG, variants=("f1",), without=("f1",)).voices()


def test_plan_depends_on_id_and_seed_only() -> None:
    takes = [plan_take("u1", "stop", ("en", "f1"), c) for c in (CONFIG, CONFIG, replace(CONFIG, seed=1))]
    assert takes[0] == takes[1] != takes[2]
    assert plan_take("u2", "stop", ("en", "f1"), CONFIG).seed != takes[0].seed
    assert 150 <= takes[0].voice.rate <= 190


def test_phones_follow_the_speed() -> None:
    take = plan_take("u1", "stop the music", ("en-us", "m1"), replace(CONFIG, clean=1.0))
    bed = np.zeros(0, np.float32)
    normal, fast = (render(replace(take, speed=speed), 16000, bed) for speed in (1.0, 1.1))
    assert fast[1][-1].end == pytest.approx(normal[1][-1].end / 1.1)
    assert fast[1][-1].end == pytest.approx(len(fast[0]) / 16000, abs=0.002)
    peak = np.abs(normal[0]).max() / 32768
    assert 20 * np.log10(peak) == pytest.approx(take.level_db, abs=0.1)


def test_any_number_of_jobs_makes_the_same_files(tmp_path: Path) -> None:
    alone = synthesise_corpus(TEXTS, tmp_path / "a" / "train", CONFIG)
    with ThreadPoolExecutor(2) as executor:
        together = synthesise_corpus(TEXTS, tmp_path / "b" / "train", CONFIG, executor)
    assert alone == together == 4
    for name in ("wav", "phones.jsonl.gz", "failed.txt"):
        assert content_hash(tmp_path / "a" / "train" / name) == content_hash(tmp_path / "b" / "train" / name)
    one, two = (read_cuts(tmp_path / x / "train") for x in "ab")
    assert [(c.id, c.text, c.speaker, c.duration) for c in one] == [(c.id, c.text, c.speaker, c.duration) for c in two]
    assert len({c.speaker for c in one}) == 4
    samples, rate = load_samples(one[0])
    assert (rate, len(samples)) == (16000, round(one[0].duration * 16000))
    with gzip.open(tmp_path / "a" / "train" / "phones.jsonl.gz", "rt") as stream:
        timed = json.loads(next(stream))
    assert timed["id"] == "u0"
    assert all(start < end for _, start, end in timed["phones"])


def test_settings_as_yaml() -> None:
    assert config_from_dict(SynthesisConfig, config_to_dict(CONFIG)) == CONFIG


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"bases": ()}, "need at least one entry"),
        ({"noises": ("rain",)}, "noise 'rain' is none of white"),
        ({"snr_db": (9.0, 3.0)}, "snr_db is .9.0, 3.0., wanted"),
        ({"clean": 2.0}, "clean is 2, wanted 0 to 1"),
        ({"sampling_rate": 1}, "sampling_rate is 1 Hz"),
    ],
)
def test_bad_settings(bad: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **bad)


def test_command(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("u1 STOP\nu2 PLAY JAZZ\n")
    (tmp_path / "c.yaml").write_text("bases: [en-us]\nvariants: [f1, m2]\nsampling_rate: 8000\nclean: 1\n")
    words = ["corpus", "--text", tmp_path / "text", "--config", tmp_path / "c.yaml", "--out-dir", tmp_path / "set"]
    done = CliRunner().invoke(command, [str(w) for w in words])
    assert done.exit_code == 0, done.output
    assert [(c.id, c.rate) for c in read_cuts(tmp_path / "set")] == [("u1", 8000), ("u2", 8000)]
    said = CliRunner().invoke(command, ["say", "stop", "--out", str(tmp_path / "s.wav"), "--phones"])
    assert said.output.splitlines()[0].split()[2] == "s"
    assert "en-gb-scotland" in CliRunner().invoke(command, ["voices"]).output


def test_nothing_to_say(tmp_path: Path) -> None:
    with pytest.raises(HybridError, match="there is no text to speak"):
        synthesise_corpus({}, tmp_path / "x", CONFIG)
