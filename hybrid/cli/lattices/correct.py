"""`hybrid rescore correct`: words that are not sure become phrases of a list that sound alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.lattices.options import FILE, lattices_argument, output_argument, scale_of, scale_option
from hybrid.cli.options import apart, config_options, make_config, writes_file
from lm.biasing.correction_config import CorrectionConfig

if TYPE_CHECKING:
    from lm.biasing.correction import Corrector

__all__ = ["correct_command"]

HEAD = ("utterance", "word", "written", "instead_of", "confidence", "cost")


def _corrected(lattices: Path, corrector: Corrector, scale: float, words: Any, rows: list[str]) -> Iterator[str]:
    """Yields the lines of the transcript; appends those of the changes to `rows`."""
    from hybrid.decode.correcting import sure_words
    from hybrid.lattice.archive import read_compact_folder
    from lm.biasing.correction import corrected

    for utterance, compact in read_compact_folder(lattices):
        said, sure = sure_words(compact, scale, words)
        changes = corrector(said, sure)
        for one in changes:
            shown = (one.phrase, " ".join(one.instead_of), f"{one.confidence:.4f}", f"{one.cost:.3f}")
            rows.append("\t".join([utterance, str(one.begin), *shown]))
        yield " ".join([utterance, *corrected(said, changes)]) + "\n"


def _confusions(texts: tuple[Path, Path] | None) -> list[tuple[list[str], list[str]]]:
    """The words of utterances that both texts have."""
    from hybrid.score.transcripts import read_table

    if texts is None:
        return []
    said, heard = (read_table(path) for path in texts)
    return [(words, heard[name]) for name, words in said.items() if name in heard]


@click.command("correct", context_settings={"show_default": True})
@lattices_argument
@output_argument
@click.option("--list", "phrases", type=FILE, required=True, help="A phrase a line; boosts and contexts do not count.")
@click.option("--graph", type=FILE, required=True, help="Graph folder of the lattices: words and how they are spoken.")
@click.option("--g2p", type=FILE, help="Guesses how words are spoken that the graph lacks.")
@click.option("--confusions", type=FILE, nargs=2, metavar="SAID HEARD",
              help="Two transcripts of some speech, said and heard: learn costs of confusions.")  # fmt: skip
@config_options(CorrectionConfig)
@scale_option
@click.option("--changes", type=FILE, help="Write each change to this table.")
@apart("output", "changes")
@writes_file("transcript", "lattices", "phrases", "graph", "g2p", argument="output")
@writes_file("changes", "lattices", "phrases", "graph", "g2p", argument="changes")
def correct_command(
    lattices: Path, output: Path, phrases: Path, graph: Path, g2p: Path | None, confusions: tuple[Path, Path] | None,
    acoustic_scale: float | None, changes: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Write the transcript OUTPUT: words that are not sure and sound like a phrase of a list become that phrase.

    \b
    hybrid rescore correct exp/chain/decode_dev dev.txt --list names.txt --graph exp/chain/graph --changes changes.tsv
    """
    from hybrid.base.artifact import atomic_path, write_meta
    from hybrid.decode.correcting import corrector_of
    from hybrid.graph.decoding import DecodingGraph
    from lm.biasing.bias_list import read_bias_lines
    from lm.g2p.guesser import g2p_guesser

    loaded, scale = DecodingGraph.load(graph), scale_of(lattices, acoustic_scale)
    corrector = corrector_of(
        loaded, read_bias_lines(phrases, 0.0), make_config(CorrectionConfig, options),
        None if g2p is None else g2p_guesser(g2p), _confusions(confusions),
    )  # fmt: skip
    rows: list[str] = []
    settings = {**asdict(corrector.config), "acoustic_scale": scale}
    made_from = {"list": phrases, "words": graph / "words.txt"}
    with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.writelines(_corrected(lattices, corrector, scale, loaded.words, rows))
    write_meta(output, "transcript", settings, made_from, {"corrections": len(rows)})
    if changes is not None:
        with atomic_path(changes) as temporary:
            temporary.write_text("".join(f"{row}\n" for row in ("\t".join(HEAD), *rows)), encoding="utf-8")
        write_meta(changes, "changes", settings, made_from, {"corrections": len(rows)})
    echo(f"{output}: {len(rows)} corrections", err=True)
