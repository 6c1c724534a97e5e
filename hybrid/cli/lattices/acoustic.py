"""`hybrid rescore acoustic`: a second pass with another acoustic model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.lattices.options import (
    lattices_argument,
    output_argument,
    record,
    scale_of,
    scale_option,
    speech_options,
    speech_source,
    text_option,
)
from hybrid.cli.options import MODEL, writes_file

if TYPE_CHECKING:
    from hybrid.decode.sources import ScoreSource
    from hybrid.model.folder import Model

__all__ = ["acoustic_command"]

TOGETHER = 32  # lattices whose scores are made in one go


def _rescored(
    lattices: Path, old: Model, new: Model, source: ScoreSource, scale: float, failed: list[tuple[str, str]]
) -> Iterator[tuple[str, Any]]:
    """Yields the lattices with the scores of the new model; those without scores are noted in `failed`.

    Raises:
      InputError: there are lattices, and none has scores.
    """
    from hybrid.base.errors import InputError, quote
    from hybrid.base.log import get_logger
    from hybrid.decode.scoring import or_reason
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.rescore.acoustic_arcs import rescore_by_model
    from hybrid.search.batch import check_scores

    models, rates = (old.transition_model, new.transition_model), (old.frame_shift, new.frame_shift)

    def rescored(compact: Any, found: Any) -> Any:
        return rescore_by_model(compact, *models, check_scores(found, models[1].num_pdfs), scale, rates)

    spoken, unusable = source.utterances()
    known, reasons = {item.id: item for item in spoken}, dict(unusable)
    entries = read_compact_folder(lattices)
    done = 0
    while together := dict(itertools.islice(entries, TOGETHER)):
        items = [known[name] for name in together if name in known]
        scores = dict(zip((item.id for item in items), source.scores(new, items)))
        for name, compact in together.items():
            found = scores.get(name, reasons.get(name, "is not among what is scored"))
            if not isinstance(found, str):
                found = or_reason(rescored, compact, found)
            if isinstance(found, str):
                failed.append((name, found))
                get_logger(__name__).warning("%s left out: %s", quote(name), quote(found, 300))
            else:
                done += 1
                yield name, found
    if failed and not done:
        raise InputError.at(lattices, f"none of {len(failed)} lattices has scores", "Give the same utterances' speech.")


@click.command("acoustic")
@lattices_argument
@output_argument
@click.option("--old-model", type=MODEL, required=True, help="That made the lattices.")
@click.option("--new-model", type=MODEL, required=True, help="Whose scores are put in; it knows the same phones.")
@speech_options
@scale_option
@text_option
@writes_file("lattices", "lattices", "old_model", "new_model", "feats", "transforms", "cuts", "scores",
             argument="output", dash=True)  # fmt: skip
def acoustic_command(
    lattices: Path, output: Path, old_model: Path, new_model: Path, acoustic_scale: float | None, text: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Put another acoustic model's scores into determinised lattices, into the archive OUTPUT in Kaldi's compact form.

    Models of one tree and frame rate keep each frame's state; of others each phone keeps its stretch of time. What has
    no scores is left out and named.

    \b
    hybrid rescore acoustic exp/tri3b/decode_dev dev.nn.gz --old-model exp/tri3b --new-model exp/tdnn --feats hires/dev
    """
    from hybrid.agreement import part_of, require_fit
    from hybrid.lattice.archive import write_lattices
    from hybrid.model.folder import load_model

    source, old, new = speech_source(options), load_model(old_model), load_model(new_model)
    require_fit(part_of(lattices, "lattices"), old.part)
    require_fit(old.part, new.part)
    failed: list[tuple[str, str]] = []
    entries = _rescored(lattices, old, new, source, scale_of(lattices, acoustic_scale), failed)
    count = write_lattices(output, entries, compact=True, text=text)
    shared = {"acoustic_scale": new.acoustic_model.acoustic_scale, "frame_shift": old.frame_shift}
    settings = {"old_model": str(old_model), "new_model": str(new_model), "failed": len(failed)}
    record(output, lattices, settings, count, shared)
