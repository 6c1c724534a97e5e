"""`hybrid rescore bias`: a list of phrases over lattices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import (
    FILE,
    lattices_argument,
    output_argument,
    read_table,
    record,
    scale_of,
    scale_option,
    speech_options,
    speech_source,
    text_option,
)  # fmt: skip
from hybrid.cli.options import MODEL, Real, apart, config_options, make_config, refuse_if_given, writes_file
from hybrid.search.config import SearchConfig

if TYPE_CHECKING:
    from hybrid.decode.lattice_phrases import LatticePhrases
    from hybrid.lattice.algebra.lattice_biasing import BiasShare, BiasWhy
    from lexicon.symbols import SymbolTable
    from lm.biasing.bias_list import BiasLine, BiasList

__all__ = ["bias_command"]

BOOST = 5.0
EXPLAINING = ("model", "graph", "lm", "feats", "transforms", "cuts", "scores", "allow_urls", "allow_commands")
READ = ("lattices", "phrases", "words", *EXPLAINING[:7])


def _biased(
    lattices: Path, phrases: BiasList, scale: float, share: BiasShare, told: dict[str, list[BiasWhy]] | None,
    missed: LatticePhrases | None,
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    """Yields the lattices with their phrases raised; counts what these wrote, and tells what became of each."""
    from hybrid.lattice.algebra.lattice_biasing import biased, explain_bias
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.compact import expand
    from hybrid.lattice.paths import best_path

    automaton = phrases.automaton()
    for utterance, compact in read_compact_folder(lattices):
        lattice = biased(compact, automaton)
        before, after = (best_path(expand(one), scale) for one in (compact, lattice))
        plain = [] if before is None else before.word_ids.tolist()
        share.add(plain, [] if after is None else after.word_ids.tolist())
        if told is not None:
            rows = explain_bias(lattice, phrases, scale, plain)
            told[utterance] = rows if missed is None else missed.explain(utterance, lattice, rows)
        yield utterance, lattice


def _missed(
    lattices: Path, table: SymbolTable, lines: tuple[BiasLine, ...], scale: float, options: dict[str, Any]
) -> LatticePhrases | None:
    """What explains phrases without a path, where model, graph and speech are given for it."""
    from hybrid.agreement import part_of, require_fit
    from hybrid.decode.lattice_phrases import LatticePhrases
    from hybrid.decode.system import SystemSpec

    model, graph, lm = (options.pop(name) for name in ("model", "graph", "lm"))
    if model is None or graph is None:
        _refuse_any("--model and --graph")
        return None
    search = make_config(SearchConfig, {**options, "acoustic_scale": scale})
    spec = SystemSpec(str(model), str(graph), search=search, lm=None if lm is None else str(lm))
    found = LatticePhrases.of(spec, table, lines, speech_source(options))
    require_fit(part_of(lattices, "lattices"), found.system.model.part)
    return found


def _refuse_any(partners: str) -> None:
    """Refuses options that explain phrases without a path, where others are not given without which they do nothing."""
    widths = (field.name for field in fields(SearchConfig) if field.name != "acoustic_scale")
    for name in (*EXPLAINING, *widths):
        refuse_if_given(name, partners)


@click.command("bias")
@lattices_argument
@output_argument
@click.option("--list", "phrases", type=FILE, required=True,
              help="A phrase a line; after a tab its boost per word, after another the words that must stand before "
              "it.")  # fmt: skip
@click.option("--boost", type=Real(), default=BOOST, show_default=True,
              help="Natural log per word of phrases without their own; below 0 they are pushed down.")  # fmt: skip
@click.option("--words", type=FILE, required=True, help="words.txt of the graph.")
@click.option("--why", type=FILE, help="Write what became of each phrase in each utterance: lines of JSON.")
@click.option("--model", type=MODEL, help="With --why: of the lattices; it explains phrases that they have no path of, "
              "together with --graph, the speech, and the widths of the search that made them.")  # fmt: skip
@click.option("--graph", type=FILE, help="With --model: graph folder of the lattices.")
@click.option("--lm", type=FILE, help="With --graph, one for look-ahead: the language model that it was searched with.")
@speech_options
@config_options(SearchConfig, exclude=("acoustic_scale",))
@scale_option
@text_option
@apart("output", "why")
@writes_file("lattices", *READ, argument="output", dash=True)
@writes_file("why", *READ, argument="why")
def bias_command(
    lattices: Path, output: Path, phrases: Path, boost: float, words: Path, why: Path | None,
    acoustic_scale: float | None, text: bool, **options: Any,
) -> None:  # fmt: skip
    """Raise the phrases of a list in determinised lattices, into the archive OUTPUT in Kaldi's compact form.

    \b
    hybrid rescore bias dev.lat.gz dev.biased.gz --list names.txt --words graph/words.txt --why why.jsonl
    """
    from hybrid.base.log import get_logger
    from hybrid.lattice.algebra.lattice_biasing import BiasShare
    from hybrid.lattice.archive import write_lattices
    from lm.biasing.bias_list import read_bias_lines, read_bias_list

    table = read_table(lattices, words)
    assert table is not None
    found, scale, share = read_bias_list(phrases, table, boost), scale_of(lattices, acoustic_scale), BiasShare()
    told: dict[str, list[BiasWhy]] | None = None if why is None else {}
    if why is None:
        _refuse_any("--why")
    missed = None if why is None else _missed(lattices, table, read_bias_lines(phrases, boost), scale, options)
    count = write_lattices(output, _biased(lattices, found, scale, share, told, missed), compact=True, text=text)
    record(output, lattices, {"list": str(phrases), "boost": boost}, count)
    if why is not None and told is not None:
        _write_why(why, told, table)
    if share.warning():
        get_logger(__name__).warning("%s: %s", phrases, share.warning())
    echo(share.summary(), err=True)


def _write_why(path: Path, told: dict[str, list[BiasWhy]], table: SymbolTable) -> None:
    """Writes a line of JSON for each utterance; see `why_line`."""
    from hybrid.base.artifact import atomic_path
    from hybrid.lattice.algebra.lattice_biasing import why_line

    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.writelines(why_line(utterance, rows, table) + "\n" for utterance, rows in told.items())
