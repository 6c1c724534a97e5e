"""`hybrid rescore`: a second pass over lattices with other models, or a list of phrases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hybrid.cli.lattices.acoustic import acoustic_command
from hybrid.cli.lattices.bias import bias_command
from hybrid.cli.lattices.correct import correct_command
from hybrid.cli.lattices.heard import heard_command
from hybrid.cli.lattices.neural import neural_command, tune_command
from hybrid.cli.lattices.options import FILE, lattices_argument, output_argument, read_table, record, text_option
from hybrid.cli.options import PORTION, writes_file


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Take the scores of one model out of lattices and put another's in."""


command.add_command(acoustic_command)
command.add_command(neural_command)
command.add_command(bias_command)
command.add_command(correct_command)
command.add_command(heard_command)
command.add_command(tune_command)


def _swapped(lattices: Path, old: Any, new: Any, share: float, of_graph: bool) -> Iterator[tuple[str, Any]]:
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.rescore.ngram_swap import swap_ngram

    for utterance, compact in read_compact_folder(lattices):
        yield utterance, swap_ngram(compact, old, new, share, of_graph)


@command.command("ngram")
@lattices_argument
@output_argument
@click.option("--old-lm", type=FILE, help="ARPA (or `hybrid lm map`) of the graph; without it nothing is taken out.")
@click.option("--new-lm", type=FILE, help="Likewise, of any order; without it nothing is put in.")
@click.option("--words", type=FILE, required=True, help="words.txt of the graph.")
@click.option(
    "--share", type=PORTION, default=1.0, help="Of the new model's probabilities; the rest stays the old one's."
)
@click.option("--exact-old/--graph-old", default=False,
              help="Old scores are exact (an exchange, --exact-backoff), not a graph's best back-off.")  # fmt: skip
@text_option
@writes_file("lattices", "lattices", "old_lm", "new_lm", argument="output", dash=True)
def ngram_command(
    lattices: Path, output: Path, old_lm: Path | None, new_lm: Path | None, words: Path, share: float,
    exact_old: bool, text: bool,
) -> None:  # fmt: skip
    """Exchange the n-gram scores of determinised lattices, exactly, into the archive OUTPUT in Kaldi's compact form.

    \b
    hybrid rescore ngram dev.lat.gz dev.fg.gz --old-lm tg.arpa.gz --new-lm fg.arpa.gz --words graph/words.txt
    """
    from hybrid.lattice.archive import write_lattices
    from hybrid.rescore.ngram_swap import WordModel

    if old_lm is None and new_lm is None:
        raise click.UsageError("give --old-lm, --new-lm or both")
    if share < 1 and (old_lm is None or new_lm is None):
        raise click.UsageError("--share needs both --old-lm and --new-lm")
    table = read_table(lattices, words)
    assert table is not None
    old = None if old_lm is None else WordModel.read(old_lm, table)
    new = None if new_lm is None else WordModel.read(new_lm, table)
    count = write_lattices(output, _swapped(lattices, old, new, share, not exact_old), compact=True, text=text)
    names = {"old_lm": str(old_lm), "new_lm": str(new_lm), "share": share, "exact_old": exact_old}
    record(output, lattices, names, count)
