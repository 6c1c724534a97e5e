"""What the commands on lattices share: arguments, the word table, the scale, records, spelling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import SCALE, Real, make_trust, trust_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hybrid.decode.sources import ScoreSource
    from hybrid.lattice.archive import ArchiveForm
    from lexicon.symbols import SymbolTable

__all__ = ["FILE", "form_of", "form_options", "lattices_argument", "lm_option", "output_argument", "penalty_option",
           "read_table", "record", "scale_of", "scale_option", "shift_of", "speakers_of", "speech_options",
           "speech_source", "spell", "text_option", "words_option", "write"]  # fmt: skip

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


def speech_options(function: Callable) -> Callable:
    """Adds the options that name the speech of lattices, for a model to score; `speech_source` takes them."""
    for option in (
        click.option("--scores", type=FILE, help="Log-likelihoods of the model: a Kaldi archive, an scp, or a folder "
                     "of UTT.npy (hybrid nnet scores)."),
        trust_options,
        click.option("--cuts", type=FILE, help="Cuts of the speech; each is normalised by itself."),
        click.option("--transforms", type=FILE, help="With --feats: transforms of the speakers, for a model trained "
                     "on such."),
        click.option("--feats", type=FILE, help="Feature store of the model (hybrid feats extract)."),
    ):  # fmt: skip
        function = option(function)
    return function


def speech_source(options: dict[str, Any]) -> ScoreSource:
    """Takes the options of `speech_options`: what the scores of a model are made of."""
    from hybrid.adapt.sources import AdaptedFeatureFolder
    from hybrid.decode.sources import CutSource, FeatureFolder, ScoreFolder

    trust, transforms = make_trust(options), options["transforms"]
    given = [name for name in ("feats", "cuts", "scores") if options[name] is not None]
    if len(given) != 1 or (transforms is not None and given != ["feats"]):
        raise click.UsageError(
            "give one of --feats STORE, --cuts FILE, --scores SCORES; --transforms goes with --feats"
        )
    path = str(options[given[0]])
    if transforms is not None:
        return AdaptedFeatureFolder(path, str(transforms))
    if given == ["cuts"]:
        return CutSource(path, trust)
    return (ScoreFolder if given == ["scores"] else FeatureFolder)(path)


def form_options(function: Callable) -> Callable:
    """Adds the options of the form in which lattices are written; `form_of` takes them."""
    compact = click.option(
        "--compact/--no-compact", default=None, help="Kaldi's compact form, or plain; by default as they come."
    )
    json = click.option("--json/--no-json", default=False, help="Write lines of JSON.")
    return compact(text_option(json(function)))


def form_of(options: dict[str, Any], table: SymbolTable | None = None) -> ArchiveForm:
    """The form that the options of `form_options` ask for.

    Args:
      table: words told in lines of JSON.
    """
    from hybrid.lattice.archive import ArchiveForm

    if options["json"] and options["text"]:
        raise click.UsageError("give --text or --json, not both")
    spelling = None if table is None else table.symbol
    return ArchiveForm(options["compact"], options["text"], options["json"], spelling)


def write(
    output: Path, source: Path, entries: Iterable[tuple[str, Any]], form: ArchiveForm, settings: dict[str, Any],
    scp: Path | None = None,
) -> None:  # fmt: skip
    """Writes an archive and its record."""
    from hybrid.lattice.archive import write_lattices

    record(output, source, settings, write_lattices(output, entries, scp=scp, form=form))


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
    """The acoustic scale that was asked for, or the one of the search as the lattices' record tells it."""
    from hybrid.lattice.lattice_set import shared_facts

    return 0.1 if (scale := given if given is not None else shared_facts(lattices).acoustic_scale) is None else scale


def shift_of(lattices: Path, given: float | None) -> float:
    """The seconds per frame that were asked for, or those that the lattices' record tells."""
    from hybrid.lattice.lattice_set import shared_facts

    return given or shared_facts(lattices).frame_shift or 0.01


def record(
    output: Path, source: Path, settings: dict[str, Any], count: int, shared: Mapping[str, float] | None = None,
    boundary_lag: float | None = None,
) -> None:  # fmt: skip
    """Writes what an archive was made from, and what its source knows; a stream has none.

    Args:
      shared: scale and seconds per frame, where they are not the source's.
      boundary_lag: of the model whose frames words were put on, where the source does not tell it.
    """
    from hybrid.agreement import part_of
    from hybrid.base.artifact import meta_path, write_meta
    from hybrid.lattice.archive import is_stream
    from hybrid.lattice.lattice_set import NUMBERS, shared_facts

    if is_stream(output):
        echo(f"{count} lattices", err=True)
        return
    known = part_of(source, "lattices").hashes
    inputs: dict[str, Any] = {name: known[name] for name in ("words", "tree", "topo") if name in known}
    if not is_stream(source):
        inputs["lattices"] = meta_path(source) if meta_path(source).exists() else source
    if shared is None:
        told = shared_facts(source)
        shared = {name: value for name in NUMBERS if (value := getattr(told, name)) is not None}
        lag = told.boundary_lag if boundary_lag is None else boundary_lag
        shared |= {} if lag is None else {"boundary_lag": lag}
        if "frame_shift" in settings:
            shared["frame_shift"] = settings["frame_shift"]
    write_meta(output, "lattices", settings, inputs, {"lattices": count, **shared})
    echo(f"{output}: {count} lattices")


def speakers_of(path: Path) -> dict[str, str]:
    """Reads the speaker, or another group, of each utterance: cuts, their folder, or lines as of utt2spk.

    Raises:
      InputError: a line of more or less than an utterance and its group; see `read_table` and `read_transcripts`.
    """
    from hybrid.base.errors import InputError, quote
    from hybrid.score.transcripts import read_table, read_transcripts

    if path.is_dir() or path.name.removesuffix(".gz").endswith(".jsonl"):
        return dict(read_transcripts(path).speakers)
    table = read_table(path)
    for utterance, values in table.items():
        if len(values) != 1:  # a name with blanks would be cut, and groups fall together
            found = f"the line of '{quote(utterance)}' has {1 + len(values)} columns, wanted 2: utterance and group"
            raise InputError.at(path, found, "Give each group a name without blanks.")
    return {utterance: group for utterance, (group,) in table.items()}


def spell(ids: Any, table: SymbolTable | None, place: Path) -> str:
    """Words as text, or as numbers where there is no table."""
    return " ".join(str(w) if table is None else table.symbol(w, place) for w in ids.tolist())
