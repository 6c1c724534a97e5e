"""`hybrid lattice copy`, `info`, `to-slf`, `from-slf`, `draw`: forms, sizes and pictures of lattices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import (
    FILE,
    form_of,
    form_options,
    lattices_argument,
    output_argument,
    read_table,
    scale_of,
    scale_option,
    shift_of,
    text_option,
    words_option,
    write,
)
from hybrid.cli.options import SCALE, Real, writes_file

__all__ = ["COMMANDS"]

shift_option = click.option("--frame-shift", type=SCALE, help="Seconds per frame; by default the lattices', else 0.01.")


@click.command("copy")
@lattices_argument
@output_argument
@words_option
@click.option("--scp", type=FILE, help="Write an index of OUTPUT: utterance, file and offset.")
@form_options
@writes_file("lattices", "lattices", argument="output", dash=True)
@writes_file("scp", "lattices", "output", argument="scp")
def copy_command(lattices: Path, output: Path, words: Path | None, scp: Path | None, **options: Any) -> None:
    """Convert between forms: Kaldi's plain and compact, binary and text, .gz and not; lines of JSON.

    An scp file is read like an archive.
    """
    from hybrid.lattice.archive import copy_entries

    table = read_table(lattices, words)
    write(output, lattices, copy_entries(lattices), form_of(options, table), {}, scp)


@click.command("info")
@lattices_argument
@click.option("--each/--no-each", default=False, help="A line for each lattice too.")
def info_command(lattices: Path, each: bool) -> None:
    """Print states, arcs, frames, depth (arcs over a frame) and density (arcs with words for each word of the best)."""
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.density import word_density
    from hybrid.lattice.paths import best_path

    count = states = arcs = frames = crossing = links = spoken = 0
    for utterance, lattice in read_lattice_folder(lattices):
        count, states, arcs = count + 1, states + lattice.num_states, arcs + lattice.num_arcs
        frames, crossing = frames + lattice.num_frames, crossing + int((lattice.transition_ids > 0).sum())
        best = best_path(lattice, 0.1)
        said = 0 if best is None else len(best.word_ids)
        links, spoken = links + int((lattice.word_ids > 0).sum()), spoken + said
        if each:
            echo(
                f"{utterance}: {lattice.num_states} states, {lattice.num_arcs} arcs, {lattice.num_frames} frames, "
                f"depth {lattice.depth:.2f}, density {word_density(lattice, said):.2f}"
            )
    depth = crossing / frames if frames else 0.0
    density = links / max(spoken, 1)
    echo(f"{count} lattices: {states} states, {arcs} arcs, {frames} frames, depth {depth:.2f}, density {density:.2f}")


@click.command("to-slf")
@lattices_argument
@output_argument
@click.option("--words", type=FILE, required=True, help="words.txt.")
@shift_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def to_slf_command(lattices: Path, output: Path, words: Path, frame_shift: float | None) -> None:
    """Write lattices in HTK's standard lattice format, one after the other, into the file OUTPUT.

    \b
    hybrid lattice to-slf dev.lat.gz dev.slf.gz --words graph/words.txt
    """
    from hybrid.cli.lattices.options import record
    from hybrid.lattice.archive import read_compact_folder, write_slf

    table = read_table(lattices, words)
    assert table is not None
    shift = shift_of(lattices, frame_shift)
    record(output, lattices, {"frame_shift": shift}, write_slf(output, read_compact_folder(lattices), table, shift))


def _read_slf(files: tuple[Path, ...], words: Path, shift: float) -> Iterator[tuple[str, Any]]:
    from hybrid.lattice.archive import read_slf
    from lexicon.symbols import SymbolTable

    table = SymbolTable.read(words)
    for file in files:
        yield from read_slf(file, table, shift)


@click.command("from-slf")
@click.argument("lattices", type=FILE, nargs=-1, required=True)
@output_argument
@click.option("--words", type=FILE, required=True, help="words.txt.")
@click.option("--frame-shift", type=SCALE, default=0.01, help="Seconds per frame.")
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def from_slf_command(lattices: tuple[Path, ...], output: Path, words: Path, frame_shift: float, text: bool) -> None:
    """Read files in HTK's standard lattice format into the archive OUTPUT, in Kaldi's compact form.

    \b
    hybrid lattice from-slf htk/*.lat dev.lat.gz --words words.txt
    """
    from hybrid.lattice.archive import ArchiveForm

    entries = _read_slf(lattices, words, frame_shift)
    write(output, lattices[0], entries, ArchiveForm(compact=True, text=text), {"frame_shift": frame_shift})


@click.command("draw")
@lattices_argument
@output_argument
@click.option("--utterance", required=True, help="Which one.")
@click.option("--words", type=FILE, help="words.txt; without it words are numbers.")
@click.option("--what", type=click.Choice(["lattice", "network", "both"]), default="both",
              help="States and arcs, or the confusion network.")  # fmt: skip
@click.option("--beam", type=Real(0, above=True), default=4.0, help="Draw what is worse than the best by at most this.")
@scale_option
@writes_file("svg", "lattices", argument="output", dash=True)
def draw_command(
    lattices: Path, output: Path, utterance: str, words: Path | None, what: str, beam: float,
    acoustic_scale: float | None,
) -> None:  # fmt: skip
    """Draw a determinised lattice: OUTPUT is a page if it ends in .html, else one picture (SVG).

    \b
    hybrid lattice draw dev.lat.gz u1.html --utterance 84-121123-0000 --words graph/words.txt
    """
    from hybrid.base.artifact import atomic_path
    from hybrid.base.errors import InputError, quote
    from hybrid.lattice.archive import is_stream, read_compact_folder
    from hybrid.lattice.drawing import draw_lattice, draw_network, html_page
    from hybrid.lattice.lattice import LatticeError
    from hybrid.lattice.mbr import mbr_decode
    from hybrid.lattice.prune import prune

    page = output.suffix == ".html"
    if what == "both" and not page:
        raise click.UsageError("a picture is of one thing: give --what lattice or network, or an OUTPUT.html")
    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    found = next((compact for key, compact in read_compact_folder(lattices) if key == utterance), None)
    if found is None:
        raise InputError.at(
            lattices, f"has no utterance '{quote(utterance)}'", "`hybrid lattice info --each` lists them."
        )
    found = prune(found, beam, scale)

    def name(word: int) -> str:
        return str(word) if table is None else table.symbol(word, lattices)

    drawings = []
    if what != "lattice":
        drawings.append(("Confusion network", draw_network(mbr_decode(found, scale).network, name)))
    if what != "network":
        try:
            drawings.append(("Lattice", draw_lattice(found, name, scale)))
        except LatticeError as error:
            raise InputError.at(
                lattices, f"utterance '{quote(utterance)}' {error}", "Give a smaller --beam."
            ) from error
    text = html_page(utterance, drawings) if page else drawings[0][1]
    if is_stream(output):
        echo(text.rstrip())
    else:
        with atomic_path(output) as temporary:
            temporary.write_text(text, encoding="utf-8")


COMMANDS = (copy_command, info_command, to_slf_command, from_slf_command, draw_command)
