"""`hybrid lattice`: look at lattices, take best paths, prune, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import (
    lattices_argument,
    lm_option,
    output_argument,
    penalty_option,
    read_table,
    record,
    scale_of,
    scale_option,
    spell,
    text_option,
    words_option,
)
from hybrid.cli.lattices.words import COMMANDS as WORDS
from hybrid.cli.options import MODEL, Real, Whole, writes_file

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Look at, convert and prune lattices (an archive, or a folder that `hybrid decode` wrote).

    Archives named `-` are standard input and output, so that commands make pipes.
    """


for _command in WORDS:
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


def _pruned(lattices: Path, beam: float, scale: float) -> Iterator[tuple[str, Any]]:
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.prune import prune

    for utterance, lattice in read_lattice_folder(lattices):
        yield utterance, prune(lattice, beam, scale)


@command.command("prune")
@lattices_argument
@output_argument
@click.option("--beam", type=Real(0, above=True), required=True, help="Keep paths worse than the best by at most this.")
@scale_option
@click.option("--compact/--no-compact", default=False, help="Write Kaldi's compact form.")
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def prune_command(
    lattices: Path, output: Path, beam: float, acoustic_scale: float | None, compact: bool, text: bool
) -> None:
    """Remove what no good path uses, into the archive OUTPUT."""
    from hybrid.lattice.archive import write_lattices

    if beam < 0:
        raise click.UsageError(f"--beam {beam} is negative")
    scale = scale_of(lattices, acoustic_scale)
    count = write_lattices(output, _pruned(lattices, beam, scale), compact, text)
    record(output, lattices, {"beam": beam, "acoustic_scale": scale}, count)


def _determinized(lattices: Path, beam: float, scale: float, model: Path | None) -> Iterator[tuple[str, Any]]:
    from hybrid.agreement import part_of, require_fit
    from hybrid.base.errors import quote
    from hybrid.base.log import get_logger
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.determinize import determinize
    from hybrid.model.folder import load_model

    starts = None
    if model is not None:
        loaded = load_model(model)
        require_fit(part_of(lattices, "lattices"), loaded.part)
        starts = loaded.transition_model.phone_starts
    for utterance, lattice in read_lattice_folder(lattices):
        found = determinize(lattice, beam, scale, phone_starts=starts)
        if found.beam < beam:
            get_logger(__name__).warning("%s: too large, complete within a beam of %.2f", quote(utterance), found.beam)
        yield utterance, found.lattice


@command.command("determinize")
@lattices_argument
@output_argument
@click.option("--beam", type=Real(0, above=True), default=6.0, help="Keep words worse than the best by at most this.")
@scale_option
@click.option("--model", type=MODEL, help="That made the lattices; with it large lattices take less time.")
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def determinize_command(
    lattices: Path, output: Path, beam: float, acoustic_scale: float | None, model: Path | None, text: bool
) -> None:
    """Keep of each word sequence the best path, into the archive OUTPUT, in Kaldi's compact form.

    \b
    hybrid lattice determinize exp/tri2b/decode_dev dev.lat.gz --model exp/tri2b
    """
    from hybrid.lattice.archive import write_lattices

    scale = scale_of(lattices, acoustic_scale)
    count = write_lattices(output, _determinized(lattices, beam, scale, model), compact=True, text=text)
    record(output, lattices, {"beam": beam, "acoustic_scale": scale}, count)


@command.command("copy")
@lattices_argument
@output_argument
@click.option("--compact/--no-compact", default=False, help="Write Kaldi's compact form.")
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def copy_command(lattices: Path, output: Path, compact: bool, text: bool) -> None:
    """Convert between the forms of Kaldi's archives: plain and compact, binary and text, .gz and not."""
    from hybrid.lattice.archive import read_lattice_folder, write_lattices

    record(output, lattices, {}, write_lattices(output, read_lattice_folder(lattices), compact, text))


@command.command("info")
@lattices_argument
@click.option("--each/--no-each", default=False, help="A line for each lattice too.")
def info_command(lattices: Path, each: bool) -> None:
    """Print states, arcs, frames and depth."""
    from hybrid.lattice.archive import read_lattice_folder

    count = states = arcs = frames = crossing = 0
    for utterance, lattice in read_lattice_folder(lattices):
        count, states, arcs = count + 1, states + lattice.num_states, arcs + lattice.num_arcs
        frames, crossing = frames + lattice.num_frames, crossing + int((lattice.transition_ids > 0).sum())
        if each:
            echo(
                f"{utterance}: {lattice.num_states} states, {lattice.num_arcs} arcs, {lattice.num_frames} frames, "
                f"depth {lattice.depth:.2f}"
            )
    depth = crossing / frames if frames else 0.0
    echo(f"{count} lattices: {states} states, {arcs} arcs, {frames} frames, depth {depth:.2f}")
