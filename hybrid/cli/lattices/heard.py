"""`hybrid rescore heard`: a second pass by what else was heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.cli.lattices.options import (
    FILE,
    lattices_argument,
    output_argument,
    read_table,
    record,
    scale_of,
    scale_option,
    speakers_of,
    text_option,
)
from hybrid.cli.options import PORTION, writes_file

__all__ = ["heard_command"]


@click.command("heard")
@lattices_argument
@output_argument
@click.option("--old-lm", type=FILE, required=True, help="ARPA (or `hybrid lm map`) of the lattices.")
@click.option("--new-lm", type=FILE, help="Likewise, the model that is scaled; by default the old one.")
@click.option("--words", type=FILE, required=True, help="words.txt of the graph.")
@click.option("--groups", type=FILE, help="Utterances that are heard together: lines of utterance and group (a "
              "recording, a speaker), or cuts, which tell the speaker; by default all are one group.")  # fmt: skip
@click.option("--domain-text", "texts", type=FILE, multiple=True,
              help="Sentences of the domain, one a line, or cuts, whose words count as well. "
              "May be repeated.")  # fmt: skip
@click.option("--exponent", type=PORTION, default=0.4, show_default=True,
              help="Of how much likelier a word is here than in the model; 0 changes nothing.")  # fmt: skip
@click.option("--exact-old/--graph-old", default=False,
              help="Old scores are exact (an exchange, --exact-backoff), not a graph's best back-off.")  # fmt: skip
@scale_option
@text_option
@writes_file("lattices", "lattices", "old_lm", "new_lm", "groups", "texts", argument="output", dash=True)
def heard_command(
    lattices: Path, output: Path, old_lm: Path, new_lm: Path | None, words: Path, groups: Path | None,
    texts: tuple[Path, ...], exponent: float, exact_old: bool, acoustic_scale: float | None, text: bool,
) -> None:  # fmt: skip
    """Scale the n-gram model of determinised lattices to the words that were heard in the other utterances.

    \b
    Each utterance gets a model of its own, in which the words of the others of its
    group, as far as the lattices are sure of them, are likelier. OUTPUT is an
    archive in Kaldi's compact form.
    hybrid rescore heard exp/chain/decode_dev dev.heard.gz --old-lm tg.arpa.gz --words graph/words.txt --groups talks
    """
    from hybrid.base.errors import InputError
    from hybrid.base.log import get_logger
    from hybrid.lattice.archive import is_stream, read_compact_folder, write_lattices
    from hybrid.rescore.heard_words import HeardModels, HeardWords, adapt_to_heard
    from hybrid.rescore.ngram_swap import WordModel
    from lm.mapped_model import read_scorer

    if is_stream(lattices):
        raise InputError.at("standard input", "lattices are read twice, wanted a file or folder", "Write them first.")
    table, scale = read_table(lattices, words), scale_of(lattices, acoustic_scale)
    assert table is not None
    scorer = read_scorer(new_lm or old_lm)
    new = WordModel.of(scorer, table, new_lm or old_lm)
    old = new if new_lm is None else WordModel.read(old_lm, table)
    known = None if groups is None else speakers_of(groups)
    heard = HeardWords(read_compact_folder(lattices), new, scale, known, groups)
    if 2 * heard.alone > len(heard.groups) and not texts:
        told = "%s: %d of %d utterances are alone in their groups, with nothing heard beside them"
        get_logger(__name__).warning(told, lattices, heard.alone, len(heard.groups))
    models = HeardModels(heard, new, exponent, _counts(scorer, texts))
    made = adapt_to_heard(read_compact_folder(lattices), models, old, not exact_old)
    count = write_lattices(output, made, compact=True, text=text)
    names = {"old_lm": str(old_lm), "new_lm": str(new_lm or old_lm), "exponent": exponent, "exact_old": exact_old}
    record(output, lattices, names | {"texts": [str(one) for one in texts]}, count)


def _counts(scorer: Any, texts: tuple[Path, ...]) -> Any:
    """Counts the words of texts, read as `hybrid lm adapt` reads them; None without any."""
    from lexicon.words.config import TextConfig
    from lexicon.words.normaliser import Normaliser
    from lm.adaptation.marginals import word_counts
    from lm.word_stream import read_sentences

    plain = Normaliser(TextConfig(normalise=False))
    return sum(word_counts(scorer, filter(None, read_sentences(path, plain))) for path in texts) if texts else None
