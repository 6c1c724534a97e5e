"""What is read once comes from a pipe as well; what is read again is told to want a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from hybrid.base.errors import InputError
from hybrid.data.audio import probe_audio
from hybrid.data.find_audio import scan
from tests.tiny_recogniser import Tiny, must

TEXT = "LOW MID HIGH\nHIGH LOW\n"


def pipe(content: bytes) -> Path:
    """A pipe as the shell's <(…) is one, that gives this once."""
    reader, writer = os.pipe()

    def feed() -> None:
        """Writes it, and that is all."""
        with os.fdopen(writer, "wb") as stream:
            stream.write(content)

    Thread(target=feed, daemon=True).start()
    return Path(f"/dev/fd/{reader}")


def given(text: str, *arguments: object) -> str:
    command = [sys.executable, "-m", "hybrid.cli.main", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_audio_and_lattices(tiny: Tiny, bursts, save_wav, tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    save_wav(sound, bursts(["LOW", "HIGH"], 3))
    graph = ("--model", tiny.model, "--graph", tiny.graph)
    pipes = [pipe(sound.read_bytes()) for _ in range(2)]
    assert must("decode", *graph, *pipes).stdout == "pipe-1 LOW HIGH\npipe-2 LOW HIGH\n"
    must("decode", *graph, "--out-dir", tmp_path / "out", sound)
    lattices = pipe((tmp_path / "out" / "lat.1.gz").read_bytes())
    assert must("lattice", "best-path", lattices, "--words", tiny.graph / "words.txt").stdout == "a LOW HIGH\n"
    with pytest.raises(InputError, match=r"fd/\d+: is a pipe, and audio is read more than once\. Write it into a file"):
        scan([pipe(b"RIFF")])


def test_what_is_no_audio_is_told_by_the_name_that_the_user_knows(tiny: Tiny, tmp_path: Path) -> None:
    for name in ("a.mp3", "a.wav"):
        (tmp_path / name).write_text("a text")
    command = [sys.executable, "-m", "hybrid.cli.main", "decode", "--model", tiny.model, "--graph", tiny.graph, "-",
               shell := pipe(b"a text"), tmp_path / "a.mp3", tmp_path / "a.wav", "/dev/null", tmp_path]  # fmt: skip
    done = subprocess.run(
        [*map(str, command)], input="a text", capture_output=True, text=True, pass_fds=[int(shell.name)]
    )
    told = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert "/dev/null: is a device or pipe, wanted an audio file. Give a file." in done.stderr
    assert "failed: stdin standard input: cannot be read as audio (Format not recognised)." in done.stderr
    assert f"failed: pipe-2 {shell}: cannot be read as audio (Format not recognised)." in done.stderr
    assert done.stderr.count("a.mp3: cannot be read as audio (Format not recognised). Wanted") == 2
    assert len(told) == 7 and "hybrid-decode-" not in "".join(told)
    with pytest.raises(InputError, match="/dev/null: is a device, wanted a file or folder"):
        scan(["/dev/null"])
    with pytest.raises(InputError, match="is a folder, wanted an audio file"):
        probe_audio(tmp_path)


def test_texts(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("<eps> 0\nLOW 1\n")
    given(TEXT, "lm", "train", "-", "--order", 2, "--smoothing", "witten-bell", "--out", tmp_path / "a.arpa")
    piped = pipe(TEXT.encode())
    must("lm", "train", piped, "--order", 2, "--smoothing", "witten-bell", "--out", tmp_path / "b.arpa")
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()
    assert "2 sentences" in given(TEXT, "lm", "perplexity", tmp_path / "a.arpa", "-")
    assert "HIGH" in given(TEXT, "lang", "oov", "--lang", tmp_path / "words.txt", "-")


def named(path: Path, content: bytes) -> Path:
    """A pipe with a name (mkfifo) into which this is written once."""
    os.mkfifo(path)
    Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    return path


def test_a_named_pipe_is_read_once_and_nothing_waits_for_another_writer(tmp_path: Path) -> None:
    arpa, words, text = (tmp_path / name for name in ("a.arpa", "words.txt", "text"))
    text.write_text(TEXT)
    words.write_text("<eps> 0\nLOW 1\n")
    within(
        "lm", "train", named(tmp_path / "a", TEXT.encode()), "--order", 2, "--smoothing", "witten-bell", "--out", arpa
    )
    assert json.loads((tmp_path / "a.arpa.meta.json").read_text())["inputs"] == {}  # it cannot be hashed any more
    assert "2 sentences" in within("lm", "perplexity", named(tmp_path / "b", arpa.read_bytes()), text).stdout
    again = named(tmp_path / "c", TEXT.encode())
    told = within("lang", "oov", "--lang", words, again, again, code=1).stderr
    assert f"{again}: is a pipe that was read, and it is wanted again. Write it into a file first." in told


def within(*arguments: object, code: int = 0) -> subprocess.CompletedProcess:
    """A command that ends by itself, with this exit code."""
    command = [sys.executable, "-m", "hybrid.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done
