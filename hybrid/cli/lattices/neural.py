"""`hybrid rescore neural` and `tune`: a second pass with a neural language model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
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
)  # fmt: skip
from hybrid.cli.options import Whole, config_options, make_config, writes_file, writes_folder
from hybrid.rescore.pass_config import SecondPassConfig

if TYPE_CHECKING:
    from hybrid.rescore.scored import ScoredLattice
    from lexicon.symbols import SymbolTable

__all__ = ["neural_command", "tune_command"]


def _scoring(function: Callable) -> Callable:
    """Adds the options that both commands share."""
    for option in (
        config_options(SecondPassConfig),
        click.option("--amp", type=click.Choice(["none", "float16", "bfloat16"]), default="none",
                     help="Arithmetic of the network."),
        click.option("--device", default="cpu", help="cpu, cuda, cuda:1."),
        click.option("--batch", type=Whole(1, 1 << 20), default=512, help="Histories that the network reads together."),
        click.option("--history", type=Whole(0, 1 << 16), default=0,
                     help="Tokens of a speaker's utterances before that are read too (needs --speakers)."),
        click.option("--speakers", type=FILE, help="Cuts, or utt2spk, that tell the speaker of each utterance; "
                     "utterances of one follow each other as the lattices do."),
        scale_option,
        click.option("--exact-old/--graph-old", default=True,
                     help="Old scores are exact (an exchange, --exact-backoff), not a graph's best back-off."),
        click.option("--old-lm", type=FILE, help="ARPA (or `hybrid lm map`) of the lattices; without it nothing is "
                     "taken out, and the share of the new model's logs is added (--mixing log)."),
        click.option("--words", type=FILE, required=True, help="words.txt of the graph."),
        click.option("--lm", type=FILE, required=True, help="Folder of the model (hybrid lm train-neural)."),
    ):  # fmt: skip
        function = option(function)
    return function


def _scored(lattices: Path, options: dict[str, Any]) -> tuple[Iterator[tuple[str, ScoredLattice]], SymbolTable, Any]:
    """Scores an archive as the options say; returns the lattices, the words and the settings."""
    from hybrid.lattice.archive import read_compact_folder
    from hybrid.model.device import usable_device
    from hybrid.rescore.histories import NeuralHistories
    from hybrid.rescore.ngram_swap import WordModel
    from hybrid.rescore.second_pass import second_pass
    from lm.neural.folder import load_neural_lm

    config = make_config(SecondPassConfig, options)
    if options["old_lm"] is None and config.mixing == "linear":
        raise click.UsageError("--mixing linear needs --old-lm, with whose probabilities the new ones are mixed")
    if (options["history"] > 0) != (options["speakers"] is not None):
        raise click.UsageError("--history and --speakers go together")
    table = read_table(lattices, options["words"])
    assert table is not None
    device = usable_device(options["device"])
    lm = load_neural_lm(options["lm"], device)
    old = None if options["old_lm"] is None else WordModel.read(options["old_lm"], table)
    speakers = None if options["speakers"] is None else speakers_of(options["speakers"])

    def histories() -> NeuralHistories:
        return NeuralHistories(lm, table, device, options["batch"], options["amp"], options["history"])

    scale = scale_of(lattices, options["acoustic_scale"])
    found = second_pass(read_compact_folder(lattices), histories, scale, config, old, not options["exact_old"],
                        speakers, table)  # fmt: skip
    return found, table, config


@click.command("neural")
@lattices_argument
@output_argument
@_scoring
@click.option("--weights", type=FILE, help="weights.json of `hybrid rescore tune`, whose share is taken.")
@text_option
@writes_file("lattices", "lattices", "lm", "old_lm", "weights", argument="output", dash=True)
def neural_command(lattices: Path, output: Path, weights: Path | None, text: bool, **options: Any) -> None:
    """Score determinised lattices with a neural model, into the archive OUTPUT in Kaldi's compact form.

    \b
    hybrid rescore neural dev.fg.gz dev.nn.gz --lm exp/lstm_lm --old-lm fg.arpa.gz --words graph/words.txt --share 0.5
    """
    from hybrid.base.errors import InputError
    from hybrid.base.reading import read_json
    from hybrid.lattice.archive import write_lattices

    if weights is not None:
        found = read_json(weights)
        share = found.get("share") if isinstance(found, dict) else None
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise InputError.at(weights, "holds no share of 0 to 1", "Make it with `hybrid rescore tune`.")
        options["share"] = float(share)
    scored, _, config = _scored(lattices, options)
    mixed = ((utterance, one.mixed(config.mixture)) for utterance, one in scored)
    count = write_lattices(output, mixed, compact=True, text=text)
    names = {"lm": str(options["lm"]), "old_lm": str(options["old_lm"]), "share": config.share,
             "mixing": config.mixing, "method": config.method, "history": options["history"]}  # fmt: skip
    record(output, lattices, names, count)


@click.command("tune")
@lattices_argument
@_scoring
@click.option("--ref", type=FILE, required=True, help="Cuts (or their folder), or `utt word word …` lines.")
@click.option("--utt2spk", type=FILE, help="Speakers, where --ref is text that does not tell them.")
@click.option("--shares", default="0:1:0.1", help="Of the new model: FIRST:LAST[:STEP] or A,B,C.")
@click.option("--lm-weights", default="7:17", help="Likewise; acoustic scale is 1 / weight.")
@click.option("--penalties", default="0,0.5,1", help="Word insertion penalties, likewise.")
@click.option("--folds", type=Whole(1, 1000), default=2,
              help="Parts of the speakers; each is recognised with weights tuned on the others.")  # fmt: skip
@click.option("--out-dir", type=FILE, required=True, help="Folder for weights.json, folds.tsv, hyp.txt.")
@writes_folder("weights", "lattices", "lm", "old_lm", "ref", whole=True)
def tune_command(
    lattices: Path, ref: Path, utt2spk: Path | None, shares: str, lm_weights: str, penalties: str, folds: int,
    out_dir: Path, **options: Any,
) -> None:  # fmt: skip
    """Choose the new model's share, LM weight and penalty; recognise each speaker with weights tuned on others.

    \b
    hybrid rescore tune dev.fg.gz --ref data/dev --lm exp/lstm_lm --old-lm fg.arpa.gz --words graph/words.txt
      --out-dir exp/weights
    """
    from hybrid.base.artifact import atomic_folder, write_meta
    from hybrid.score.sweep import parse_range
    from hybrid.score.transcripts import read_transcripts
    from hybrid.score.tune_mixture import MixtureGrid, cross_validate

    try:
        grid = MixtureGrid(parse_range(shares), parse_range(lm_weights), parse_range(penalties),
                           options["mixing"] == "linear")  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    reference = read_transcripts(ref, utt2spk)
    scored, table, _ = _scored(lattices, options)
    result = cross_validate(reference, dict(scored), table, grid, folds)
    with atomic_folder(out_dir, "weights", [lattices, ref]) as folder:
        (folder / "weights.json").write_text(json.dumps(result.whole._asdict()) + "\n", encoding="utf-8")
        lines = ["speakers\tshare\tlm_weight\tpenalty"]
        lines += [f"{' '.join(part)}\t{w.share:g}\t{w.lm_weight:g}\t{w.penalty:g}" for part, w in result.folds]
        (folder / "folds.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        said = "".join(" ".join([utterance, *words]) + "\n" for utterance, words in sorted(result.words.items()))
        (folder / "hyp.txt").write_text(said, encoding="utf-8")
        write_meta(folder, "weights", {"shares": shares, "lm_weights": lm_weights, "penalties": penalties,
                                       "folds": folds}, {"lm": options["lm"], "reference": ref})  # fmt: skip
    for line in lines[1:]:
        part, share, weight, penalty = line.split("\t")
        echo(f"tuned on others than {part}: share {share}, LM weight {weight}, word insertion penalty {penalty}")
