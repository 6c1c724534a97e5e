"""Segments and wav.scp of Kaldi's data folders that hold no numbers or no files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import HybridError
from hybrid.data.kaldi_dir import from_kaldi


@pytest.mark.parametrize(
    ("wav", "segment", "reason"),
    [
        ("a.wav", "r nan 1", "segments: 'r nan 1' is no recording, start and end"),
        ("a.wav", "r 0 nan", "segments: 'r 0 nan' is no recording"),
        ("a.wav", "r 0 inf", "segments: 'r 0 inf' is no recording"),
        ("", "r 0 1", "wav.scp: 'r' has no file"),
        ("http://example.org/a.wav", "r 0 1", "wav.scp: 'http://example.org/a.wav' is a URL. Fetch it"),
        ("x" * 300 + ".wav", "r 0 1", "audio file is missing"),
        ("a.wav", "r 0 9", "from 0 s lasting 9 s does not lie in 2.000 s"),
    ],
)
def test_what_is_no_number_or_file_fails_by_name(tmp_path: Path, wav: str, segment: str, reason: str) -> None:
    folder = tmp_path / "kaldi"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.zeros(16000), 8000)
    for name, line in {"wav.scp": f"r {wav}", "segments": f"u {segment}", "text": "u A", "utt2spk": "u s"}.items():
        (folder / name).write_text(line + "\n")
    with pytest.raises(HybridError, match="cannot be used") as caught:
        from_kaldi(folder, tmp_path / "out")
    assert reason in str(caught.value)
