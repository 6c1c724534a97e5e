"""A manifest names files and nothing else: no door runs what it holds, unless it is told to."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.data.audio import AudioInfo
from hybrid.data.check import CheckConfig, check_cuts
from hybrid.data.manifest import load_samples, parse_cut, read_cuts, read_texts, write_cuts
from hybrid.data.sets import cut_record
from hybrid.data.trust import Trust, lhotse_cut, load_by_lhotse, resampled
from hybrid.data.utterance import Utterance

COMMANDS = Trust(commands=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands would write PWNED into the current folder; whatever a test does, it must not appear there."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).standard_normal(8000) * 0.1
    soundfile.write("a.wav", noise.clip(-1, 1), 8000, "PCM_16")


def record(name: str = "utt") -> dict:
    return cut_record(Utterance(name, Path("a.wav"), "spk", "HELLO"), AudioInfo("a.wav", 8000, 1, 8000, "WAV"))


def of_source(kind: str, source: str) -> dict:
    found = record()
    found["recording"]["sources"][0].update(type=kind, source=source)
    return found


def command() -> dict:
    return of_source("command", "touch PWNED; cat a.wav")


def with_transform(cut: dict) -> dict:
    cut["recording"]["transforms"] = [{"name": "Volume", "kwargs": {"factor": 0.5}}]
    return cut


def mixed(cut: dict) -> dict:
    tracks = [{"cut": copy.deepcopy(one), "type": one.pop("type"), "offset": 0.0} for one in (record(), cut)]
    return {"id": "utt", "tracks": tracks, "type": "MixedCut"}


def custom(value: dict) -> dict:
    return {**record(), "custom": {"other": value}}


def stored(kind: str, path: str, key: str = "k") -> dict:
    return {"storage_type": kind, "storage_path": path, "storage_key": key, "shape": [1]}


def reverb(cut: dict) -> dict:
    found = record()
    rir = {"rir": cut, "rir_channels": [0]}
    found["recording"]["transforms"] = [{"name": "ReverbWithImpulseResponse", "kwargs": rir}]
    return found


HOSTILE: dict[str, tuple[Callable[[], dict], str]] = {
    "command": (command, r"a shell command \(touch PWNED; cat a.wav\)"),
    "url": (lambda: of_source("url", "https://example.org/a.wav"), r"a URL \(https://example.org/a.wav\)"),
    "url that is a pipe": (lambda: of_source("url", "pipe:touch PWNED; cat a.wav"), "a shell command"),
    "url that is a path": (lambda: of_source("url", "/etc/passwd"), "a source of type 'url' that is none"),
    "file that is a pipe": (lambda: of_source("file", "pipe:touch PWNED"), "a shell command"),
    "file that is a Kaldi pipe": (lambda: of_source("file", "touch PWNED |"), "a shell command"),
    "file that is a bucket": (lambda: of_source("file", "s3://bucket/a.wav"), "a URL"),
    "memory": (lambda: of_source("memory", "UklGRg=="), "a source of type 'memory', wanted a file"),
    "unknown": (lambda: of_source("telnet", "x"), "a source of type 'telnet', wanted a file"),
    "track": (lambda: mixed(command()), "a shell command"),
    "impulse response": (lambda: reverb(command()["recording"]), "a shell command"),
    "impulse response of a cut": (lambda: reverb(command()), "a shell command"),
    "custom recording": (lambda: custom(command()["recording"]), "a shell command"),
    "custom array": (lambda: custom(stored("numpy_files", "pipe:touch PWNED")), "a shell command"),
    "pickled array": (lambda: custom(stored("memory_raw", "")), "data stored as 'memory_raw', wanted files"),
    "image": (lambda: custom({**stored("pillow_files", ".", "s3://b/i.png"), "width": 1}), "a URL"),
    "features": (lambda: {**record(), "features": stored("lilcom_url", "s3://b/")}, "a URL"),
    "features stored as a list": (lambda: {**record(), "features": stored([], "x")}, r"data stored as '\[\]'"),
    "features of Kaldi": (lambda: {**record(), "features": stored("kaldiio", "x.ark")}, "data stored as 'kaldiio'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_file_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    make, found = HOSTILE[name]
    write_cuts("cuts.jsonl.gz", [record("before"), make()])
    with pytest.raises(
        InputError, match=rf"cuts.jsonl.gz:2: cut 'utt' has {found}.*, which is not allowed\. "
    ) as error:
        read_cuts("cuts.jsonl.gz")
    cure = "--allow-commands" if "command" in found else "--allow-urls" if "URL" in found else "Write the audio into"
    assert cure in str(error.value)
    report = check_cuts("cuts.jsonl.gz", CheckConfig())
    assert [(f.utterance, f.problem) for f in report.findings if not f.repair] == [("utt", "not-allowed")]
    assert [kept["id"] for kept in report.records] == ["before"]
    for use in (lhotse_cut, load_by_lhotse, lambda record: resampled(record, 16000)):
        with pytest.raises(InputError, match="cut 'utt': has .*, which is not allowed"):
            use(make())
    assert read_texts("cuts.jsonl.gz")["before"] == ["HELLO"]
    assert not Path("PWNED").exists()


def test_a_transform_whose_name_is_none_fails_by_name() -> None:
    cut = with_transform(record())
    cut["recording"]["transforms"][0]["name"] = ["Volume"]
    with pytest.raises(InputError, match="has an unknown transform"):
        load_samples(parse_cut(cut, "here"))


@pytest.mark.parametrize("name", ["; touch PWNED; echo .sph", "a'; touch PWNED; '.opus", "$(touch PWNED).sph"])
def test_names_of_files_are_no_commands(name: str) -> None:
    Path(name).write_bytes(Path("a.wav").read_bytes())
    cut = with_transform(of_source("file", name))
    samples, _ = load_samples(parse_cut(cut, "here"))  # lhotse's own choice of a reader gives the name to a shell
    assert len(samples) == 8000 and not Path("PWNED").exists()


DOORS = {
    "check": "data check --cuts cuts.jsonl.gz",
    "subset": "data subset --cuts cuts.jsonl.gz --out-dir out",
    "combine": "data combine cuts.jsonl.gz --out-dir out",
    "extract": "feats extract --cuts cuts.jsonl.gz --set sampling_rate=8000 --out-dir out",
}


def run(line: str) -> tuple[int, str]:
    group, *arguments = line.split()
    result = CliRunner().invoke(importlib.import_module(f"hybrid.cli.{group}").command, arguments)
    return result.exit_code, result.output + str(result.exception or "")


@pytest.mark.parametrize("kind", ["command", "url that is a pipe", "track", "custom recording", "impulse response"])
@pytest.mark.parametrize("door", DOORS)
def test_commands_that_read_manifests_run_nothing(door: str, kind: str) -> None:
    write_cuts("cuts.jsonl.gz", [HOSTILE[kind][0]()])
    code, _ = run(DOORS[door])
    assert code != 0 and not Path("PWNED").exists()


@pytest.mark.parametrize("kind", ["command", "url that is a pipe", "track", "custom recording"])
def test_decoding_and_aligning_run_nothing(kind: str) -> None:
    from hybrid.aligner.speech_source import items_of_cuts
    from hybrid.decode.sources import CutSource

    write_cuts("cuts.jsonl.gz", [HOSTILE[kind][0]()])
    with pytest.raises(InputError, match="cuts.jsonl.gz:1: cut 'utt' has a shell command"):
        CutSource("cuts.jsonl.gz").utterances()
    with pytest.raises(InputError, match="cuts.jsonl.gz:1: cut 'utt' has a shell command"):
        items_of_cuts("cuts.jsonl.gz")
    assert not Path("PWNED").exists()


def test_texts_are_read_without_a_look_at_the_audio() -> None:
    from hybrid.score.transcripts import read_transcripts
    from lexicon.word_sources import read_utterances

    write_cuts("cuts.jsonl.gz", [command()])
    assert read_transcripts("cuts.jsonl.gz").words == {"utt": ["HELLO"]}
    assert list(read_utterances("cuts.jsonl.gz")) == [("utt", ["HELLO"])]
    assert read_cuts("cuts.jsonl.gz", audio=False)[0].record == {}
    assert not Path("PWNED").exists()


def test_commands_run_where_the_user_allows_them() -> None:
    write_cuts("cuts.jsonl.gz", [command()])
    samples, rate = load_samples(read_cuts("cuts.jsonl.gz", COMMANDS)[0])
    assert (len(samples), rate) == (8000, 8000) and Path("PWNED").exists()
    Path("PWNED").unlink()
    assert run(f"{DOORS['extract']} --allow-urls")[0] != 0 and not Path("PWNED").exists()
    code, output = run(f"{DOORS['extract']} --allow-commands")
    assert code == 0 and Path("PWNED").exists(), output
    code, output = run(f"{DOORS['check']} --allow-commands --out-dir checked")
    assert code == 0 and len(read_cuts("checked", COMMANDS)) == 1, output
    code, output = run("data subset --cuts checked --out-dir chosen --allow-commands")
    assert code == 0 and len(read_cuts("chosen", COMMANDS)) == 1, output
    assert run("feats extract --help")[1].count("Run the shell commands") == 1


def test_lhotse_gets_only_what_is_known() -> None:
    cut = {**with_transform(record()), "custom": {"a": 1}, "features": {}, "surprise": {"__import__": "os"}}
    cut["recording"]["surprise"] = cut["recording"]["sources"][0]["video"] = {"fps": 1}
    found = lhotse_cut(cut)
    assert found.keys() == {"id", "start", "duration", "channel", "recording", "type"}
    assert "surprise" not in json.dumps(found) and "video" not in json.dumps(found)
    for change in ({"name": "Unknown", "kwargs": {}}, {"name": "Speed", "kwargs": {"factor": 1e-9}}, "Speed",
                   {"name": "Resample", "kwargs": {"target_sampling_rate": 1e12}}):  # fmt: skip
        cut["recording"]["transforms"] = [change]
        with pytest.raises(InputError, match="cut 'utt': has (an unknown transform|a transform of)"):
            lhotse_cut(cut)
    with pytest.raises(InputError, match="is of kind 'Module', wanted MonoCut"):
        lhotse_cut({**record(), "type": "Module"})
    with pytest.raises(InputError, match="none.wav: audio file is missing"):
        lhotse_cut(of_source("file", "none.wav"))


def test_resampled_lines_are_lhotses() -> None:
    from lhotse.serialization import deserialize_item

    for cut in (record(), mixed(record("b")), {**record(), "custom": {"note": "kept"}}):
        wanted = deserialize_item(copy.deepcopy(cut)).resample(16000).to_dict()
        found = resampled(cut, 16000)
        assert json.dumps(found) == json.dumps(wanted)
        assert len(load_samples(parse_cut(json.loads(json.dumps(found)), "here"))[0]) == 16000
