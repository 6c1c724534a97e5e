"""Options of commands that read texts: how they become words, by the lang folder's settings or one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.base.errors import quote
from hybrid.cli.options import make_config
from lexicon.words.config import CASES, TextConfig

if TYPE_CHECKING:
    from lexicon.words.normaliser import Normaliser

__all__ = ["make_normaliser", "make_text_config", "prune_option", "text_options"]

OPTIONS = ("normalise", "case", "tags", "spoken")


def text_options(function: Callable) -> Callable:
    """Adds `--normalise/--no-normalise`, `--case`, `--tag` and `--spoken`; `make_normaliser` takes them."""
    spoken = click.option(
        "--spoken/--no-spoken",
        default=None,
        help="Numbers, times, dates and money in words (English).  [default: as the lang folder says; else not]",
    )
    tags = click.option(
        "--tag", "tags", multiple=True, help="What a tag becomes, e.g. '[noise]=<NOISE>'; others are dropped."
    )
    case = click.option(
        "--case", type=click.Choice(CASES), help="Of words outside the lexicon.  [default: the lexicon's; else upper]"
    )
    switch = click.option(
        "--normalise/--no-normalise",
        default=None,
        help="Bring texts to the lexicon's spelling, without punctuation and tags; else as they are.  [default: as the "
        "lang folder says; else normalise]",
    )
    return switch(case(tags(spoken(function))))


def make_text_config(options: dict[str, Any], lang: Path | None = None) -> TextConfig:
    """Takes the options of `text_options` out of a command's; what is not given is the lang folder's setting."""
    folder = lang if lang is None or lang.is_dir() else lang.parent
    config = TextConfig() if folder is None else TextConfig.of_folder(folder)
    given = {name: options.pop(name) for name in OPTIONS}
    own = {name: getattr(config, name) for name in OPTIONS}
    return make_config(TextConfig, own | {name: value for name, value in given.items() if value not in (None, ())})


def make_normaliser(options: dict[str, Any], lang: Path | None = None, classes: bool = False) -> Normaliser:
    """Returns the normaliser of a command's options and of a lang folder, or of a words.txt.

    Args:
      classes: names of classes ($CONTACT) may stand in the texts.
    """
    from lexicon.symbols import SymbolTable
    from lexicon.words.normaliser import Normaliser

    config = make_text_config(options, lang)
    if lang is None:
        return Normaliser(config, classes=classes)
    return Normaliser(config, SymbolTable.read(lang / "words.txt" if lang.is_dir() else lang).symbols, classes=classes)


def prune_option(function: Callable) -> Callable:
    """Adds `--prune`, the thresholds of counts by order, int [order]."""
    return click.option(
        "--prune",
        multiple=True,
        default=("0",),
        callback=lambda context, parameter, values: _thresholds(",".join(values)),
        help="Drop n-grams seen this often or less: a value for each order from 1, the last one for all further "
        "orders; 0,0,1 (or the option three times) drops trigrams seen once.",
    )(function)


def _thresholds(value: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in value.replace(",", " ").split())
    except ValueError as error:
        raise click.BadParameter(f"'{quote(value)}' is not a list of counts such as 0,0,1") from error
