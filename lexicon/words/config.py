"""Settings of the normaliser; apart from it so that a command line can show them at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hybrid.base.config import read_config, write_config
from hybrid.base.errors import quote
from hybrid.base.ranges import check_fields

__all__ = ["CASES", "SETTINGS", "TextConfig"]

CASES = ("lexicon", "upper", "lower", "keep")
SETTINGS = "text.yaml"


@dataclass(frozen=True)
class TextConfig:
    """How texts become words; kept in the lang folder as `text.yaml`.

    Attributes:
      tags: `TAG=WORD` says what a tag becomes; `TAG=` drops it untold.
    """

    normalise: bool = field(
        default=True,
        metadata={"help": "Bring texts to the lexicon's spelling, without punctuation and tags; else as they are."},
    )
    case: Literal["lexicon", "upper", "lower", "keep"] = field(
        default="lexicon", metadata={"help": "Case of words outside the lexicon; lexicon: that of most of its words."}
    )
    tags: tuple[str, ...] = field(
        default=(), metadata={"help": "What a tag becomes, e.g. '[noise]=<NOISE>'; may be repeated."}
    )
    spoken: bool = field(
        default=False, metadata={"help": "Write numbers, times, dates and money of texts in words (English)."}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for entry in self.tags:
            tag, found, word = entry.rpartition("=")
            if not found or not tag or len(word.split()) > 1 or word in ("<eps>", "#0", "<s>", "</s>"):
                raise ValueError(f"tags has '{quote(entry)}', wanted TAG=WORD, or TAG= to drop it")

    @property
    def table(self) -> dict[str, str]:
        """Tag → word, "" for one that is dropped."""
        return {entry.rpartition("=")[0]: entry.rpartition("=")[2] for entry in self.tags}

    @classmethod
    def of_folder(cls, folder: str | os.PathLike) -> TextConfig:
        """Reads the settings of a lang folder; the defaults where it has none (Kaldi's).

        Raises:
          InputError: `text.yaml` holds something else.
        """
        path = Path(folder) / SETTINGS
        return read_config(cls, path) if path.is_file() else cls()

    def write(self, folder: str | os.PathLike) -> None:
        """Writes `text.yaml` into a folder."""
        write_config(Path(folder) / SETTINGS, self)
