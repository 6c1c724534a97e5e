"""Files of strangers cannot write to the terminal: short lines without control characters, whatever they hold."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from hybrid.cli.main import main

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
INVISIBLE = re.compile(rf"{CONTROL.pattern}|\u202e")  # words of results may have what messages escape
NAMES = {"escapes": ESCAPE, "endless": "x" * 1_000_000, "both": ESCAPE * 10_000, "turned": "a\u202eb"}


def _lexicon(root: Path, name: str) -> list[list[object]]:
    folder = root / "dict"
    folder.mkdir()
    (folder / "lexicon.txt").write_text(f"{name} a {name}\n<UNK> spn\n{name}\n")
    for file, text in (("silence_phones.txt", "sil\nspn\n"), ("optional_silence.txt", "sil\n"),
                       ("nonsilence_phones.txt", f"a\nb {name}\n{name}\n"), ("extra_questions.txt", "")):  # fmt: skip
        (folder / file).write_text(text)
    (root / "words").write_text(f"{name}\n")
    (root / "cmudict").write_text(f"{name}  AH0\n{name}(9)  {name}\n")
    return [
        ["lang", "prepare", "--dict-dir", folder, "--oov", "<UNK>", "--out-dir", root / "o1"],
        ["lang", "validate", folder],
        ["lang", "cmudict", "--cmudict", root / "cmudict", "--out-dir", root / "o2"],
        ["lang", "grapheme", "--vocabulary", root / "words", "--out-dir", root / "o3"],
        ["lm", "g2p-train", folder / "lexicon.txt", "--out", root / "g2p"],
    ]


def _transcript(root: Path, name: str) -> list[list[object]]:
    (root / "ref").write_text(f"u1 A B\n{name} A {name}\n")
    (root / "hyp").write_text(f"u1 A {name}\n{name}2 B\n")
    (root / "twice").write_text(f"{name} A\n{name} B\n")
    (root / "utt2spk").write_text(f"u1 {name}\n{name} {name} {name}\n")
    return [
        ["score", "wer", "--ref", root / "ref", "--hyp", root / "hyp"],
        ["score", "wer", "--ref", root / "twice", "--hyp", root / "twice"],
        ["score", "wer", "--ref", root / "ref", "--hyp", root / "ref", "--utt2spk", root / "utt2spk"],
        ["lm", "train", root / "ref", "--order", 2, "--out", root / "lm", "--vocabulary", root / "twice"],
    ]


def _manifest(root: Path, name: str) -> list[list[object]]:
    source = {"type": "file", "channels": [0], "source": f"/nowhere/{name}.wav"}
    recording = {"id": name, "sources": [source], "sampling_rate": 8000, "num_samples": 800, "duration": 0.1}
    cut = {"id": name, "start": 0, "duration": 0.1, "channel": 0, "type": "MonoCut", "recording": recording,
           "supervisions": [{"id": name, "recording_id": name, "start": 0, "duration": 0.1, "text": name,
                             "speaker": name}]}  # fmt: skip
    worse = cut | {"id": "u", "recording": recording | {"sources": [source | {"type": name}]}}
    for file, record in (("a.jsonl", cut), ("b.jsonl", worse), ("c.jsonl", cut | {"id": "u", "type": name}),
                         ("d.jsonl", cut | {"id": "u", name: name})):  # fmt: skip
        (root / file).write_text(json.dumps(record) + "\n")
    return [
        [*step, "--cuts", root / f"{file}.jsonl", "--out-dir", root / f"o{file}{step[0]}"]
        for file in "abcd"
        for step in (["data", "check"], ["feats", "extract", "--set", "sampling_rate=8000"])
    ] + [["lang", "oov", root / "a.jsonl", "--lang", root]]


def _lattice(root: Path, name: str) -> list[list[object]]:
    (root / "lat").write_text(f"{name} \n0 1 1 1 1.0,2.0,1_2\n1 {name}\n\n")
    (root / "good").write_text(f"{name} \n0 1 1 1 1.0,2.0,1_2\n1 0,0,\n\n")
    (root / "words.txt").write_text(f"<eps> 0\n{name} 1\n")
    return [
        ["lattice", "info", root / "lat"],
        ["lattice", "best-path", root / "lat", "--words", root / "words.txt"],
        ["lattice", "info", root / "good"],
        ["lattice", "copy", root / "good", root / "o", "--compact"],
    ]


def _arpa(root: Path, name: str) -> list[list[object]]:
    head, unigrams = "\\data\\\nngram 1=3\n\n\\1-grams:\n", "-1 <s>\n-1 </s>\n"
    (root / "a").write_text(f"{head}{unigrams}{name} A\n\\end\\\n")
    (root / "b").write_text(f"{head}{unigrams}-1 {name}\n-1 {name}\n\\end\\\n")
    (root / "c").write_text(f"\\data\\\nngram 1={name}\n")
    (root / "d").write_text(f"{head}{unigrams}-1 A -2 {name}\n\\end\\\n")
    return [["lm", "info", root / file] for file in "abcd"]


@pytest.mark.parametrize("kind", [_lexicon, _transcript, _manifest, _lattice, _arpa])
@pytest.mark.parametrize("name", NAMES)
def test_messages(kind, name, tmp_path, monkeypatch, capfd) -> None:  # type: ignore[no-untyped-def]
    for arguments in kind(tmp_path, NAMES[name]):
        monkeypatch.setattr(sys, "argv", ["hybrid", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            if isinstance(end.code, str):
                sys.stderr.write(f"{end.code}\n")
        said = capfd.readouterr()
        where = " ".join(map(str, arguments))
        assert not CONTROL.search(said.out) and not INVISIBLE.search(said.err), f"{where}: {said.err[:500]!r}"
        for line in said.err.replace(str(tmp_path), "").splitlines():
            assert len(line) <= 400 or " INFO " in line, f"{where}: {len(line)}: {line[:600]}"
