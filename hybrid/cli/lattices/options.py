"""What the commands on lattices share: arguments, the word table, the scale, records, spelling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import SCALE, Real

if TYPE_CHECKING:
    from lexicon.symbols import SymbolTable

__all__ = ["FILE", "lattices_argument", "lm_option", "output_argument", "penalty_option", "read_table", "record",
           "scale_of", "scale_option", "spell", "text_option", "words_option"]  # fmt: skip

FILE = click.Path(path_type=Path)
lattices_argument = click.argument("lattices", type=FILE)
output_argument = click.argument("output", type=FILE)
words_option = click.option("--words", type=FILE, help="words.txt; without it words are numbers.")
scale_option = click.option(
    "--acoustic-scale", type=SCALE, help="Factor of the acoustic scores; by default that of the search, else 0.1."
)
lm_option = click.option("--lm-scale", type=Real(0), default=1.0, help="Factor of the graph scores.")
penalty_option = click.option("--word-penalty", type=Real(), default=0.0, help="Taken from the graph score per word.")
text_option = click.option("--text/--no-text", default=False, help="Write text.")


def read_table(lattices: Path, words: Path | None) -> SymbolTable | None:
    """The word table, which must be the one that the lattices were made with; None if it is not given."""
    from hybrid.lattice.archive import check_words
    from lexicon.symbols import SymbolTable

    if words is None:
        return None
    table = SymbolTable.read(words)
    check_words(lattices, words)
    return table


def scale_of(lattices: Path, given: float | None) -> float:
    """The acoustic scale that was asked for, or the one with which a folder was decoded."""
    from hybrid.lattice.lattice_set import shared_facts

    return 0.1 if (scale := given if given is not None else shared_facts(lattices).acoustic_scale) is None else scale


def record(output: Path, source: Path, settings: dict[str, Any], count: int) -> None:
    """Writes what an archive was made from, and what its source knows of words and model; a stream has no record."""
    from hybrid.agreement import part_of
    from hybrid.base.artifact import meta_path, write_meta
    from hybrid.lattice.archive import is_stream

    if is_stream(output):
        echo(f"{count} lattices", err=True)
        return
    known = part_of(source, "lattices").hashes
    inputs: dict[str, Any] = {name: known[name] for name in ("words", "tree", "topo") if name in known}
    inputs["lattices"] = meta_path(source) if meta_path(source).exists() else source
    write_meta(output, "lattices", settings, inputs, {"lattices": count})
    echo(f"{output}: {count} lattices")


def spell(ids: Any, table: SymbolTable | None, place: Path) -> str:
    """Words as text, or as numbers where there is no table."""
    return " ".join(str(w) if table is None else table.symbol(w, place) for w in ids.tolist())
