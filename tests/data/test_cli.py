"""`hybrid data` commands that make corpora."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.cli.data import command


@pytest.mark.real
def test_yesno(corpora: Path, tmp_path: Path) -> None:
    arguments = ["yesno", "--corpus-dir", str(corpora / "waves_yesno"), "--out-dir", str(tmp_path)]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    assert (tmp_path / "test" / "cuts.jsonl.gz").exists()


@pytest.mark.parametrize("corpus", ["yesno", "fsdd", "librispeech"])
def test_a_missing_corpus_says_how_to_get_it(tmp_path: Path, corpus: str) -> None:
    with pytest.raises(InputError, match=f"Get .* with `hybrid data download {corpus}"):
        CliRunner().invoke(
            command, [corpus, "--corpus-dir", str(tmp_path / "no"), "--out-dir", str(tmp_path)], catch_exceptions=False
        )


def test_librispeech_comes_in_parts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LibriSpeech comes in parts. Choose from train-clean-100"):
        CliRunner().invoke(command, ["download", "librispeech", "--out-dir", str(tmp_path)], catch_exceptions=False)


def test_every_command_has_a_true_example() -> None:
    for name, sub in command.commands.items():  # type: ignore[attr-defined]
        assert f"Example: hybrid data {name} " in (sub.help or "")
