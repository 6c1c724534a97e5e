"""`hybrid lattice`: the group, and best paths; the other commands stand in `hybrid.cli.lattices`."""

from __future__ import annotations

from pathlib import Path

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.algebra import COMMANDS as ALGEBRA
from hybrid.cli.lattices.files import COMMANDS as FILES
from hybrid.cli.lattices.options import (
    lattices_argument,
    lm_option,
    penalty_option,
    read_table,
    scale_of,
    scale_option,
    spell,
    words_option,
)
from hybrid.cli.lattices.words import COMMANDS as WORDS
from hybrid.cli.options import Real, Whole


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Look at, convert and prune lattices (an archive, or a folder that `hybrid decode` wrote).

    Archives named `-` are standard input and output, so that commands make pipes.
    """


for _command in (*ALGEBRA, *FILES, *WORDS):
    command.add_command(_command)


@command.command("best-path")
@lattices_argument
@words_option
@scale_option
@lm_option
@penalty_option
def best_path_command(
    lattices: Path, words: Path | None, acoustic_scale: float | None, lm_scale: float, word_penalty: float
) -> None:
    """Print the best word sequence of each lattice.

    \b
    hybrid lattice best-path exp/mono/decode_dev --words exp/mono/graph/words.txt --acoustic-scale 0.083
    """
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.paths import best_path

    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    for utterance, lattice in read_lattice_folder(lattices):
        path = best_path(lattice, scale, lm_scale, word_penalty)
        text = "" if path is None else spell(path.word_ids, table, lattices)
        echo(f"{utterance} {text}".rstrip())


@command.command("nbest")
@lattices_argument
@words_option
@click.option("-n", "--count", type=Whole(1), default=10, help="Word sequences per lattice.")
@click.option(
    "--beam", type=Real(0, endless=True), default=float("inf"), help="Leave out what is worse than the best by more."
)
@scale_option
@lm_option
@penalty_option
def nbest_command(
    lattices: Path,
    words: Path | None,
    count: int,
    beam: float,
    acoustic_scale: float | None,
    lm_scale: float,
    word_penalty: float,
) -> None:
    """Print the best word sequences of each lattice: id, rank, graph score, acoustic score, words.

    \b
    hybrid lattice nbest exp/mono/decode_dev -n 100 --beam 8 --words exp/mono/graph/words.txt
    """
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.paths import nbest

    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    for utterance, lattice in read_lattice_folder(lattices):
        for rank, path in enumerate(nbest(lattice, count, scale, lm_scale, word_penalty, beam), 1):
            text = spell(path.word_ids, table, lattices)
            echo(f"{utterance} {rank} {path.graph_score:.6g} {path.acoustic_score:.7g} {text}".rstrip())
