"""Commands that make lattices of lattices: pruning, determinisation, pushing, minimisation, union, products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from hybrid.cli.lattices.options import (
    FILE,
    form_of,
    form_options,
    lattices_argument,
    output_argument,
    scale_of,
    scale_option,
    text_option,
    write,
)
from hybrid.cli.options import MODEL, PORTION, Real, writes_file

__all__ = ["COMMANDS"]


def _each(lattices: Path, operation: Callable[[Any], Any], stored: bool = False) -> Iterator[tuple[str, Any]]:
    """An operation on every lattice of an archive: compact, or in the form in which they are stored."""
    from hybrid.lattice.archive import read_compact_folder, read_stored_folder

    entries: Any = read_stored_folder(lattices) if stored else read_compact_folder(lattices)
    for utterance, lattice in entries:
        yield utterance, operation(lattice)


def _compact(text: bool) -> Any:
    from hybrid.lattice.archive import ArchiveForm

    return ArchiveForm(compact=True, text=text)


@click.command("prune")
@lattices_argument
@output_argument
@click.option("--beam", type=Real(0, above=True), help="Keep paths worse than the best by at most this.")
@click.option("--posterior", type=PORTION, help="Keep arcs with at least this posterior, and the best path.")
@scale_option
@form_options
@writes_file("lattices", "lattices", argument="output", dash=True)
def prune_command(
    lattices: Path, output: Path, beam: float | None, posterior: float | None, acoustic_scale: float | None,
    **options: Any,
) -> None:  # fmt: skip
    """Remove what no good path uses, or what is improbable, into the archive OUTPUT.

    \b
    hybrid lattice prune dev.lat.gz small.lat.gz --beam 4
    """
    from hybrid.lattice.prune import prune, prune_posteriors

    if beam is None and posterior is None:
        raise click.UsageError("give --beam, --posterior or both")
    scale = scale_of(lattices, acoustic_scale)

    def pruned(lattice: Any) -> Any:
        lattice = lattice if beam is None else prune(lattice, beam, scale)
        return lattice if posterior is None else prune_posteriors(lattice, posterior, scale)

    settings = {"beam": beam, "posterior": posterior, "acoustic_scale": scale}
    write(output, lattices, _each(lattices, pruned, stored=True), form_of(options), settings)


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


@click.command("determinize")
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
    scale = scale_of(lattices, acoustic_scale)
    settings = {"beam": beam, "acoustic_scale": scale}
    write(output, lattices, _determinized(lattices, beam, scale, model), _compact(text), settings)


@click.command("push")
@lattices_argument
@output_argument
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def push_command(lattices: Path, output: Path, text: bool) -> None:
    """Move scores and transition-ids towards the start of their paths, into OUTPUT, in Kaldi's compact form."""
    from hybrid.lattice.algebra.pushing import push

    write(output, lattices, _each(lattices, push), _compact(text), {})


@click.command("minimize")
@lattices_argument
@output_argument
@text_option
@writes_file("lattices", "lattices", argument="output", dash=True)
def minimize_command(lattices: Path, output: Path, text: bool) -> None:
    """Join states of determinised lattices from which the same can be said, into OUTPUT, in Kaldi's compact form.

    \b
    hybrid lattice determinize exp/tri2b/decode_dev - --model exp/tri2b | hybrid lattice minimize - dev.lat.gz
    """
    from hybrid.lattice.algebra.minimal import minimize

    write(output, lattices, _each(lattices, minimize), _compact(text), {})


def _all(lattices: Path) -> dict[str, Any]:
    from hybrid.base.errors import InputError, quote
    from hybrid.lattice.archive import read_compact_folder

    found: dict[str, Any] = {}
    for utterance, compact in read_compact_folder(lattices):
        if utterance in found:
            raise InputError.at(lattices, f"utterance '{quote(utterance)}' stands there twice", "Give each once.")
        found[utterance] = compact
    return found


def _united(lattices: Path, others: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.lattice.combine import union

    for utterance, compact in read_compact_folder(lattices):
        yield utterance, union([compact, *(other.pop(utterance) for other in others if utterance in other)])
    for number, other in enumerate(others):
        for utterance in list(other):
            yield utterance, union([o.pop(utterance) for o in others[number:] if utterance in o])


@click.command("union")
@lattices_argument
@click.argument("others", type=FILE, nargs=-1, required=True)
@output_argument
@text_option
@writes_file("lattices", "lattices", "others", argument="output", dash=True)
def union_command(lattices: Path, others: tuple[Path, ...], output: Path, text: bool) -> None:
    """Put the paths of several archives together, utterance by utterance, into OUTPUT, in Kaldi's compact form.

    \b
    hybrid lattice union tri3b.lat.gz chain.lat.gz both.lat.gz
    """
    settings = {"others": [str(other) for other in others]}
    write(output, lattices, _united(lattices, [_all(other) for other in others]), _compact(text), settings)


def _against(
    lattices: Path, others: dict[str, Any], operation: Callable[[Any, Any], Any], alone: Callable[[Any], Any]
) -> Iterator[tuple[str, Any]]:
    from hybrid.lattice.archive import read_compact_folder

    for utterance, compact in read_compact_folder(lattices):
        other = others.get(utterance)
        yield utterance, alone(compact) if other is None else operation(compact, other)


@click.command("compose")
@lattices_argument
@click.argument("other", type=FILE)
@output_argument
@text_option
@writes_file("lattices", "lattices", "other", argument="output", dash=True)
def compose_command(lattices: Path, other: Path, output: Path, text: bool) -> None:
    """Compose lattices with OTHER: a transducer over word ids (OpenFst), or an archive with an acceptor for each.

    Its scores are added to the graph's; what it does not accept is gone.

    \b
    hybrid lattice compose dev.lat.gz grammar.fst fits.lat.gz
    """
    from hybrid.base.reading import open_bytes
    from hybrid.formats.openfst import read_fst
    from hybrid.lattice.algebra.product import compose, intersect
    from hybrid.lattice.compact import no_paths

    with open_bytes(other) as stream:
        is_fst = stream.read(4) == b"\xd6\xfd\xb2\x7e"
    if is_fst:
        fst = read_fst(other)
        entries = _each(lattices, lambda compact: compose(compact, fst))
    else:
        entries = _against(lattices, _all(other), intersect, lambda _: no_paths())
    write(output, lattices, entries, _compact(text), {"other": str(other)})


@click.command("difference")
@lattices_argument
@click.argument("other", type=FILE)
@output_argument
@text_option
@writes_file("lattices", "lattices", "other", argument="output", dash=True)
def difference_command(lattices: Path, other: Path, output: Path, text: bool) -> None:
    """Keep the paths whose words no path of the same utterance in the archive OTHER has, into OUTPUT.

    \b
    hybrid lattice difference dev.lat.gz pruned.lat.gz rest.lat.gz
    """
    from hybrid.lattice.algebra.difference import difference

    entries = _against(lattices, _all(other), difference, lambda compact: compact)
    write(output, lattices, entries, _compact(text), {"other": str(other)})


COMMANDS = (
    prune_command, determinize_command, push_command, minimize_command, union_command, compose_command,
    difference_command,
)  # fmt: skip
