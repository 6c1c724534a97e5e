"""A decoding made by hand, with texts that would like to be markup, and a second one of the same speech."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.lattice.archive import write_lattices
from hybrid.lattice.trim import from_rows
from tests.tiny_recogniser import must

EVIL = "</script><script>document.title='hacked'</script>"
TEXTS = {"u0": ["A", "&amp;", "B"], "u1": [EVIL, "B"], "u2": ["B", "A"]}
FIRST = {"u0": ["A", "&amp;", "A"], "u1": [EVIL, "B", "A"], "u2": ["B", "A"]}
SECOND = {"u0": ["A", "B"], "u1": ["A", "B"], "u2": ["B", "A"]}
IDS = {"A": 1, "B": 2, "&amp;": 3, EVIL: 4}


def _decoding(folder: Path, heard: dict[str, list[str]]) -> Path:
    """Each word has a rival, A or B, with a share of 0.2."""
    folder.mkdir()
    lattices = []
    for utterance, words in heard.items():
        rows = []
        for place, word in enumerate(words):
            rival = 2 if IDS[word] == 1 else 1
            rows += [(place, place + 1, IDS[word], np.log(0.8), 0.0, (7,) * 10)]
            rows += [(place, place + 1, rival, np.log(0.2), 0.0, (7,) * 10)]
        lattices.append((utterance, from_rows(rows, {len(words): (0.0, 0.0, ())}, len(words) + 1)))
    write_lattices(folder / "lat.1.gz", lattices, compact=True)
    facts = {"acoustic_scale": 0.1, "frame_shift": 0.01, "search_lm": "tg.arpa", "second_lm": f"{folder.name}_lm"}
    (folder / "decode.json").write_text(json.dumps(facts))
    (folder / "transcript.txt").write_text("".join(f"{u} {' '.join(w)}\n" for u, w in heard.items()))
    rows = [f"{u} 1 {0.1 * n:.2f} 0.10 {word}\n" for u, words in heard.items() for n, word in enumerate(words)]
    (folder / "words.ctm").write_text(";; boundaries\n" + "".join(rows))
    return folder


@pytest.fixture(scope="session")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with data (cuts and audio), one, two (decodings), words.txt."""
    root = tmp_path_factory.mktemp("report")
    (root / "audio").mkdir()
    random = np.random.default_rng(0)
    for utterance, words in TEXTS.items():
        soundfile.write(str(root / f"audio/{utterance}.wav"), 0.1 * random.normal(size=8000), 8000, subtype="PCM_16")
        (root / f"audio/{utterance}.txt").write_text(" ".join(words) + "\n")
    must("data", "from-audio", root / "audio", "--out-dir", root / "data", "--rate", 8000)
    manifest = root / "data/cuts.jsonl.gz"
    cuts = [json.loads(line) for line in gzip.decompress(manifest.read_bytes()).splitlines()]
    for cut in cuts:  # as they are, not as they were normalised
        cut["supervisions"][0]["text"] = " ".join(TEXTS[cut["id"]])
    manifest.write_bytes(gzip.compress("".join(json.dumps(cut) + "\n" for cut in cuts).encode()))
    (root / "words.txt").write_text("<eps> 0\n" + "".join(f"{word} {number}\n" for word, number in IDS.items()))
    _decoding(root / "one", FIRST)
    _decoding(root / "two", SECOND)
    return root
