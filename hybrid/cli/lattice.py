"""`hybrid lattice`: look at lattices, take best paths, prune, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import SCALE, Real, Whole, writes_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexicon.symbols import SymbolTable

FILE = click.Path(path_type=Path)
lattices_argument = click.argument("lattices", type=FILE)
words_option = click.option("--words", type=FILE, help="words.txt; without it words are numbers.")
scale_option = click.option(
    "--acoustic-scale", type=SCALE, help="Factor of the acoustic scores; by default that of the search, else 0.1."
)
lm_option = click.option("--lm-scale", type=Real(0), default=1.0, help="Factor of the graph scores.")
penalty_option = click.option("--word-penalty", type=Real(), default=0.0, help="Taken from the graph score per word.")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Look at, convert and prune lattices (an archive, or a folder that `hybrid decode` wrote)."""


def _table(lattices: Path, words: Path | None) -> SymbolTable | None:
    from hybrid.lattice.archive import check_words
    from lexicon.symbols import SymbolTable

    if words is None:
        return None
    table = SymbolTable.read(words)
    check_words(lattices, words)
    return table


def _scale(lattices: Path, given: float | None) -> float:
    """The acoustic scale that was asked for, or the one with which a folder was decoded."""
    from hybrid.lattice.lattice_set import shared_facts

    return 0.1 if (scale := given if given is not None else shared_facts(lattices).acoustic_scale) is None else scale


def _record(output: Path, source: Path, settings: dict[str, Any], count: int) -> None:
    """Writes what an archive was made from, and what its source knows of words and model."""
    from hybrid.agreement import part_of
    from hybrid.base.artifact import meta_path, write_meta

    known = part_of(source, "lattices").hashes
    inputs: dict[str, Any] = {name: known[name] for name in ("words", "tree", "topo") if name in known}
    inputs["lattices"] = meta_path(source) if meta_path(source).exists() else source
    write_meta(output, "lattices", settings, inputs, {"lattices": count})
    echo(f"{output}: {count} lattices")


def _spell(ids: Any, table: SymbolTable | None, place: Path) -> str:
    return " ".join(str(w) if table is None else table.symbol(w, place) for w in ids.tolist())


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

    table, scale = _table(lattices, words), _scale(lattices, acoustic_scale)
    for utterance, lattice in read_lattice_folder(lattices):
        path = best_path(lattice, scale, lm_scale, word_penalty)
        text = "" if path is None else _spell(path.word_ids, table, lattices)
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
    """Print the best word sequences of each lattice: id, rank, graph score, acoustic score, words."""
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.paths import nbest

    table, scale = _table(lattices, words), _scale(lattices, acoustic_scale)
    for utterance, lattice in read_lattice_folder(lattices):
        for rank, path in enumerate(nbest(lattice, count, scale, lm_scale, word_penalty, beam), 1):
            text = _spell(path.word_ids, table, lattices)
            echo(f"{utterance} {rank} {path.graph_score:.6g} {path.acoustic_score:.7g} {text}".rstrip())


def _pruned(lattices: Path, beam: float, scale: float) -> Iterator[tuple[str, Any]]:
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.prune import prune

    for utterance, lattice in read_lattice_folder(lattices):
        yield utterance, prune(lattice, beam, scale)


@command.command("prune")
@lattices_argument
@click.argument("output", type=FILE)
@click.option("--beam", type=Real(0, above=True), required=True, help="Keep paths worse than the best by at most this.")
@scale_option
@click.option("--compact/--no-compact", default=False, help="Write Kaldi's compact form.")
@click.option("--text/--no-text", default=False, help="Write text.")
@writes_file("archive", "lattices", argument="output")
def prune_command(
    lattices: Path, output: Path, beam: float, acoustic_scale: float | None, compact: bool, text: bool
) -> None:
    """Remove what no good path uses, into the archive OUTPUT."""
    from hybrid.lattice.archive import write_lattices

    if beam < 0:
        raise click.UsageError(f"--beam {beam} is negative")
    scale = _scale(lattices, acoustic_scale)
    count = write_lattices(output, _pruned(lattices, beam, scale), compact, text)
    _record(output, lattices, {"beam": beam, "acoustic_scale": scale}, count)


def _determinized(lattices: Path, beam: float, scale: float, model: Path | None) -> Iterator[tuple[str, Any]]:
    from hybrid.agreement import part_of, require_fit
    from hybrid.base.errors import quote
    from hybrid.base.log import get_logger
    from hybrid.lattice.archive import read_lattice_folder
    from hybrid.lattice.compact import expand
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
        yield utterance, expand(found.lattice)


@command.command("determinize")
@lattices_argument
@click.argument("output", type=FILE)
@click.option("--beam", type=Real(0, above=True), default=6.0, help="Keep words worse than the best by at most this.")
@scale_option
@click.option("--model", type=FILE, help="That made the lattices; with it large lattices take less time.")
@click.option("--text/--no-text", default=False, help="Write text.")
@writes_file("archive", "lattices", argument="output")
def determinize_command(
    lattices: Path, output: Path, beam: float, acoustic_scale: float | None, model: Path | None, text: bool
) -> None:
    """Keep of each word sequence the best path, into the archive OUTPUT, in Kaldi's compact form.

    \b
    hybrid lattice determinize exp/tri2b/decode_dev dev.lat.gz --model exp/tri2b
    """
    from hybrid.lattice.archive import write_lattices

    scale = _scale(lattices, acoustic_scale)
    count = write_lattices(output, _determinized(lattices, beam, scale, model), compact=True, text=text)
    _record(output, lattices, {"beam": beam, "acoustic_scale": scale}, count)


@command.command("copy")
@lattices_argument
@click.argument("output", type=FILE)
@click.option("--compact/--no-compact", default=False, help="Write Kaldi's compact form.")
@click.option("--text/--no-text", default=False, help="Write text.")
@writes_file("archive", "lattices", argument="output")
def copy_command(lattices: Path, output: Path, compact: bool, text: bool) -> None:
    """Convert between the forms of Kaldi's archives: plain and compact, binary and text, .gz and not."""
    from hybrid.lattice.archive import read_lattice_folder, write_lattices

    _record(output, lattices, {}, write_lattices(output, read_lattice_folder(lattices), compact, text))


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
