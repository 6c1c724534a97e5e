"""Free Spoken Digit Dataset: single digits, files named `{digit}_{speaker}_{take}.wav`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.data.sets import require_folder, write_set
from hybrid.data.utterance import Utterance

__all__ = ["DIGITS", "prepare"]

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
NAME = re.compile(r"([0-9])_([A-Za-z]+)_([0-9]+)\Z")
TEST_TAKES = 5  # takes 0–4 are the data set's own test part
CURE = "Get it with `hybrid data download fsdd --out-dir download`."


def prepare(corpus_dir: str | os.PathLike, out_dir: str | os.PathLike) -> dict[str, int]:
    """Makes the sets `train` (takes 5 and up) and `test` (takes 0–4); ids are `{speaker}-{digit}-{take}`.

    Args:
      corpus_dir: the data set's folder (with `recordings`), or `recordings` itself.

    Returns:
      Set name → utterances.

    Raises:
      InputError: no such files there.
    """
    folder = require_folder(corpus_dir, "the Free Spoken Digit Dataset", CURE)
    folder = folder / "recordings" if (folder / "recordings").is_dir() else folder
    parts: dict[str, list[Utterance]] = {"train": [], "test": []}
    for path in sorted(folder.glob("*.wav")):
        match = NAME.fullmatch(path.stem)
        if match:
            digit, speaker, take = int(match[1]), match[2].lower(), int(match[3])
            name = "test" if take < TEST_TAKES else "train"
            parts[name].append(Utterance(f"{speaker}-{digit}-{take}", path, speaker, DIGITS[digit], language="English"))
    if not parts["train"]:
        raise InputError.at(folder, "holds no files named like 7_jackson_32.wav", CURE)
    settings = {"corpus": "fsdd"}
    return {
        name: write_set(items, Path(out_dir) / name, f"fsdd {name}", settings) for name, items in parts.items() if items
    }
