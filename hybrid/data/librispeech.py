"""LibriSpeech (OpenSLR SLR12, and mini LibriSpeech SLR31): `PART/SPEAKER/CHAPTER/*.flac` and `*.trans.txt`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.data.sets import require_folder, split_lines, write_set
from hybrid.data.utterance import Utterance

__all__ = ["PARTS", "prepare"]

PARTS = (
    "train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "dev-other", "test-clean", "test-other",
    "train-clean-5", "dev-clean-2",
)  # fmt: skip
CURE = "Get a part with `hybrid data download librispeech --part dev-clean --out-dir download`."
SUFFIXES = (".flac", ".wav", ".mp3", ".ogg")


def prepare(corpus_dir: str | os.PathLike, out_dir: str | os.PathLike, parts: Sequence[str] = ()) -> dict[str, int]:
    """Makes one set for each part present; utterance ids and speakers are the corpus's own.

    Args:
      corpus_dir: the folder that holds the parts, or one that holds it as `LibriSpeech`.
      parts: which ones; none means all that are there.

    Returns:
      Part → utterances.

    Raises:
      InputError: a wanted part is absent, or none is there.
    """
    folder = require_folder(corpus_dir, "the folder LibriSpeech", CURE)
    folder = folder / "LibriSpeech" if (folder / "LibriSpeech").is_dir() else folder
    for part in parts:
        require_folder(folder / part, f"the part {part} of LibriSpeech", CURE)
    present = list(parts) or [part for part in PARTS if (folder / part).is_dir()]
    if not present:
        raise InputError.at(folder, f"holds no part of LibriSpeech ({', '.join(PARTS)})", CURE)
    return {part: _prepare_part(folder / part, Path(out_dir) / part) for part in present}


def _prepare_part(folder: Path, out: Path) -> int:
    items: list[Utterance] = []
    failed: list[tuple[str, str]] = []
    for transcript in sorted(folder.glob("*/*/*.trans.txt")):
        good, bad = split_lines(transcript)
        failed += [(f"{transcript.name.split('.')[0]}-line{number}", reason) for number, reason in bad]
        audio = {path.stem: path for path in transcript.parent.iterdir() if path.suffix.lower() in SUFFIXES}
        for _, line in good:
            name, _, text = line.partition(" ")
            path = audio.pop(name, transcript.parent / f"{name}.flac")
            items.append(Utterance(name, path, name.split("-")[0], text.strip().upper(), language="English"))
        reason = f"{transcript}: has no line for this audio file. Add its transcript, or remove the file."
        failed += [(name, reason) for name in sorted(audio)]
    if not items:
        raise InputError.at(folder, "holds no SPEAKER/CHAPTER/*.trans.txt", CURE)
    return write_set(items, out, f"LibriSpeech {folder.name}", {"corpus": "librispeech", "part": folder.name}, failed)
