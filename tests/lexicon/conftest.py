"""A small dictionary folder, and helpers to build lang folders from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FILES = {
    "lexicon.txt": "<UNK> SPN\n!SIL SIL\nA AH\nA EY\nSEA S IY\nSEE S IY\nSEED S IY D\nSEEDS S IY D S\n",
    "silence_phones.txt": "SIL\nSPN\n",
    "nonsilence_phones.txt": "AH\nD\nEY\nIY\nS\n",
    "optional_silence.txt": "SIL\n",
    "extra_questions.txt": "AH EY IY\n",
}


def topology(nonsilence: list[int], silence: list[int]) -> str:
    """A topology of one state for each phone; the lexicon knows nothing of HMMs."""
    entries = "".join(
        f"<TopologyEntry>\n<ForPhones>\n{' '.join(map(str, ids))}\n</ForPhones>\n"
        "<State> 0 <PdfClass> 0 <Transition> 0 0.75 <Transition> 1 0.25 </State>\n<State> 1 </State>\n"
        "</TopologyEntry>\n"
        for ids in (nonsilence, silence)
    )
    return f"<Topology>\n{entries}</Topology>\n"


@pytest.fixture
def make_topo() -> Callable[[list[int], list[int]], str]:
    return topology


@pytest.fixture
def make_dict(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes the small dictionary, with some files changed, added or (None) left out."""

    def make(changes: dict[str, str | bytes | None] | None = None, name: str = "dict") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file, text in {**FILES, **(changes or {})}.items():
            if isinstance(text, str):
                (folder / file).write_text(text, encoding="utf-8", newline="")
            elif text is not None:
                (folder / file).write_bytes(text)
        return folder

    return make


@pytest.fixture
def make_lang(tmp_path: Path, make_dict: Callable[..., Path]) -> Callable[..., Path]:
    """Returns a function that makes a lang folder from the small dictionary."""
    from lexicon.lang_config import LangConfig
    from lexicon.prepare import prepare_lang

    def make(changes: dict[str, str | bytes | None] | None = None, name: str = "lang", **options: object) -> Path:
        folder = tmp_path / name
        source = make_dict(changes, f"dict_of_{name}")
        prepare_lang(source, "<UNK>", folder, topology, LangConfig(**options))  # type: ignore[arg-type]
        return folder

    return make
