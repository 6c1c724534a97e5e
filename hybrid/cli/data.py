"""`hybrid data`: corpora as lhotse manifests."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Make, check and download corpora."""


def _corpus_options(function):  # type: ignore[no-untyped-def]
    function = click.option("--out-dir", type=FILE, required=True, help="Gets one folder per set.")(function)
    return click.option("--corpus-dir", type=FILE, required=True, help="The corpus in its public layout.")(function)


@command.command()
@_corpus_options
def yesno(corpus_dir: Path, out_dir: Path) -> None:
    """yesno: sets train and test, alternate files.

    Example: hybrid data yesno --corpus-dir download/waves_yesno --out-dir data
    """
    from hybrid.data.yesno import prepare

    prepare(corpus_dir, out_dir)


@command.command()
@_corpus_options
def fsdd(corpus_dir: Path, out_dir: Path) -> None:
    """Free Spoken Digit Dataset: sets train (takes 5 and up) and test (takes 0-4).

    Example: hybrid data fsdd --corpus-dir download/fsdd --out-dir data
    """
    from hybrid.data.fsdd import prepare

    prepare(corpus_dir, out_dir)


@command.command()
@_corpus_options
@click.option("--part", "parts", multiple=True, help="Which parts (default: all that are there).")
def librispeech(corpus_dir: Path, out_dir: Path, parts: tuple[str, ...]) -> None:
    """LibriSpeech: one set per part.

    Example: hybrid data librispeech --corpus-dir download/LibriSpeech --out-dir data --part dev-clean
    """
    from hybrid.data.librispeech import prepare

    prepare(corpus_dir, out_dir, parts)
