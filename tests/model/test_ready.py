"""Ready models are called by name where no path of that name stands."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from hybrid.cli.language.lm import g2p_train
from hybrid.cli.options import MODEL, InModelPath
from hybrid.model import ready
from lm.g2p.lexicons import read_pronunciations


def test_a_path_goes_before_a_name(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "ready" / "en-small"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    (tmp_path / "ready" / "unfinished").mkdir()
    found = ready.ready_models((tmp_path / "ready",))
    assert found == {"en-small": folder}
    monkeypatch.setattr(ready, "ready_models", lambda: found)
    monkeypatch.chdir(tmp_path)
    assert ready.model_folder("en-small") == folder
    assert ready.model_folder("./en-small") == Path("./en-small")
    assert ready.model_folder("exp/mono") == Path("exp/mono") and ready.model_folder("other") == Path("other")
    (tmp_path / "en-small").mkdir()
    assert ready.model_folder("en-small") == Path("en-small")


def test_the_option_takes_a_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ready, "ready_models", lambda: {"en-small": tmp_path})

    @click.command()
    @click.option("--model", type=MODEL)
    def show(model: Path) -> None:
        """Prints."""
        click.echo(str(model))

    assert CliRunner().invoke(show, ["--model", "en-small"]).output.strip() == str(tmp_path)
    assert CliRunner().invoke(show, ["--model", "exp/x"]).output.strip() == "exp/x"


def test_a_file_of_a_model_is_named_by_the_model(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ready, "ready_models", lambda: {"en-small": tmp_path})
    phones = InModelPath("phones.txt")
    assert phones.convert("en-small", None, None) == tmp_path / "phones.txt"
    assert phones.convert(str(tmp_path), None, None) == tmp_path / "phones.txt"
    assert phones.convert("exp/mono/phones.txt", None, None) == Path("exp/mono/phones.txt")
    assert g2p_train.params[0].type.convert("en-small", None, None) == tmp_path


def test_the_ready_models_lexicon_can_be_learned_from() -> None:
    known = read_pronunciations(ready.model_folder("en-small"))
    assert len(known) > 30_000 and ("L", "AY", "T") in known["LIGHT"] and "<UNK>" not in known
