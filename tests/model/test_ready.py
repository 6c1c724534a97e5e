"""Ready models are called by name where no path of that name stands."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from hybrid.cli.options import MODEL
from hybrid.model import ready


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
