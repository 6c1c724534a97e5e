"""`hybrid score`: WER and CER with confidence intervals, sweeps, comparisons, tables of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_normaliser, text_options
from hybrid.cli.options import JOBS, Whole, writes_file, writes_folder

if TYPE_CHECKING:
    from hybrid.score.report import Score
    from hybrid.score.significance import BootstrapConfig
    from hybrid.score.transcripts import Form, Transcripts

FILE = click.Path(path_type=Path)


class DefaultGroup(click.Group):
    """`hybrid score --ref R --hyp H` means `hybrid score wer …`, with --lattices `hybrid score sweep …`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            swept = any(a.split("=")[0] == "--lattices" for a in args)
            args = ["sweep" if swept else "wer", *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup, context_settings={"show_default": True})
def command() -> None:
    """Score transcripts and lattices, compare systems, keep the table of results."""


def _common(function: Callable) -> Callable:
    for option in (
        click.option("--seed", type=Whole(), default=0, help="Of the bootstrap's draws."),
        click.option("--replications", type=Whole(1), default=10000, help="Resampled test sets of the bootstrap."),
        click.option("--top", type=Whole(), default=10, help="How many confusions of a kind to print."),
        click.option(
            "--cost",
            "costs",
            type=FILE,
            multiple=True,
            help="JSON with cpu_s and max_gb of the recognition, for the table; of several the sum.",
        ),
        click.option("--lm", help="Name of the language model, for the table."),
        click.option("--set", "set_name", help="Name of the set, for the table."),
        click.option("--system", help="Name of the system, for the table: mono, tri1, …"),
        click.option("--results", type=FILE, help="results.tsv that gets a row (needs --system, --set, --lm)."),
        click.option("--compare", type=FILE, help="Another system's transcript: paired tests against it."),
        click.option("--out-dir", type=FILE, help="Folder for report.txt, score.json, per_utt.txt, hyp.txt."),
        click.option("--utt2spk", type=FILE, help="Speakers, where --ref is text that does not tell them."),
        click.option(
            "--lang",
            type=FILE,
            help="Lang folder or words.txt: both sides take its spelling, without "
            "punctuation and tags. Without, both are brought to Unicode's NFC.",
        ),
        text_options,
        click.option("--ref", type=FILE, required=True, help="Cuts (or their folder), or `utt word word …` lines."),
    ):
        function = option(function)
    return function


@command.command()
@_common
@click.option("--hyp", type=FILE, required=True, help="Transcript: `utt word word …` lines.")
@writes_folder("score", "ref", "hyp", "compare", whole=True)
@writes_file("table", argument="results", adds=True)
def wer(hyp: Path, **options: Any) -> None:
    """Score a transcript: WER with interval, CER, speakers, confusions.

    Example: hybrid score --ref data/test/cuts.jsonl.gz --hyp exp/mono/decode_test/transcript.txt
    """
    from hybrid.score.transcripts import read_transcripts

    form = _form(options)
    reference = read_transcripts(options["ref"], options["utt2spk"]).in_form(form)
    _finish(reference, read_transcripts(hyp).in_form(form), options, {}, form)


@command.command()
@_common
@click.option("--lattices", type=FILE, required=True, multiple=True,
              help="Folder that `hybrid decode` wrote, or one archive; repeat it to pool parts.")  # fmt: skip
@click.option("--words", type=FILE, required=True, help="words.txt of the graph that made the lattices.")
@click.option("--lm-weights", default="7:17", help="FIRST:LAST[:STEP] or A,B,C; acoustic scale is 1 / weight.")
@click.option("--penalties", default="0,0.5,1", help="Word insertion penalties, likewise.")
@click.option("--widen", is_flag=True, help="Try more LM weights while the best one is the smallest or the largest.")
@click.option("--folds", type=Whole(1, 1000), default=1,
              help="Parts of the speakers, each scored with the best pair of the others; 1: all alike.")  # fmt: skip
@click.option("--tune-ref", type=FILE, help="Choose weight and penalty on this set instead of on --ref.")
@click.option("--tune-lattices", type=FILE, help="Lattices of --tune-ref.")
@click.option("--jobs", type=JOBS, default=1, help="Processes.")
@writes_folder("score", "ref", "lattices", "compare", "words", "tune_ref", "tune_lattices", whole=True)
@writes_file("table", argument="results", adds=True)
def sweep(
    lattices: tuple[Path, ...], words: Path, lm_weights: str, penalties: str, widen: bool, folds: int,
    tune_ref: Path | None, tune_lattices: Path | None, jobs: int, **options: Any,
) -> None:  # fmt: skip
    """Sweep LM weight and word insertion penalty over lattices, then score at the best pair.

    With --tune-ref and --tune-lattices the pair is chosen there and only applied to --lattices; with --folds on the
    other speakers of the set. Several --lattices, such as the folds of a cross-validation, count as one set.

    Example: hybrid score sweep --ref data/dev-clean --lattices exp/mono/decode_dev-clean --words
    exp/mono/graph/words.txt --lm-weights 7:17 --penalties 0,0.5,1
    """
    from hybrid.base.jobs import pool
    from hybrid.lattice.archive import check_words
    from hybrid.score.report import format_sweep
    from hybrid.score.sweep import SweepConfig, best_paths, parse_range
    from hybrid.score.sweep import sweep as run_sweep
    from hybrid.score.transcripts import read_transcripts
    from lexicon.symbols import SymbolTable

    if (tune_ref is None) != (tune_lattices is None):
        raise click.UsageError("--tune-ref and --tune-lattices go together")
    if tune_ref is not None and folds > 1:
        raise click.UsageError("--folds tunes on the other speakers of the set, --tune-ref on another set: give one")
    try:
        config = SweepConfig(parse_range(lm_weights), parse_range(penalties), widen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    form = _form(options)
    reference = read_transcripts(options["ref"], options["utt2spk"]).in_form(form)
    table = SymbolTable.read(words)
    for folder in (*lattices, *([tune_lattices] if tune_lattices else [])):
        check_words(folder, words)
    with pool(jobs) as executor:
        tuned = read_transcripts(tune_ref).in_form(form) if tune_ref else reference
        found = run_sweep(tuned, tune_lattices or lattices, table, config, executor, form, folds)
        best = (found.best.lm_weight, found.best.penalty)
        hypothesis = found.hypothesis
        if tune_lattices:
            hypothesis = best_paths(lattices, table, [best], executor, form)[0]
    models = _language_models(lattices)
    options["lm"] = _with_second(options["lm"], models)
    where = f" (chosen on {tune_lattices})" if tune_lattices else ""
    echo(f"LM weight {best[0]:g}, word insertion penalty {best[1]:g}{where}")
    facts = {"lm_weight": best[0], "penalty": best[1], "tuned_on": str(tune_lattices or ", ".join(map(str, lattices)))}
    for part, pair in found.folds:
        echo(f"tuned on others than {' '.join(part)}: LM weight {pair[0]:g}, word insertion penalty {pair[1]:g}")
    facts |= {**models, **({"folds": found.folds} if found.folds else {})}
    _finish(reference, hypothesis, options, facts, form, {"sweep.tsv": format_sweep(found)})


@command.command()
@click.option("--ref", type=FILE, required=True, help="Cuts (or their folder), or `utt word word …` lines.")
@click.option("--hyp", type=FILE, required=True, help="The system in question.")
@click.option("--against", type=FILE, required=True, help="The system to compare it with.")
@click.option("--replications", type=Whole(1), default=10000, help="Resampled test sets of the bootstrap.")
@click.option("--seed", type=Whole(), default=0, help="Of the bootstrap's draws.")
@click.option("--lang", type=FILE, help="Lang folder or words.txt: all take its spelling.")
@text_options
def compare(ref: Path, hyp: Path, against: Path, replications: int, seed: int, **options: Any) -> None:
    """Test whether one system is better than another: paired bootstrap and MAPSSWE.

    Example: hybrid score compare --ref data/dev-clean --hyp exp/mono/score/hyp.txt --against peer/mono.dev-clean.txt
    """
    from hybrid.score.transcripts import read_transcripts

    form = _form(options)
    sides = read_transcripts(ref).in_form(form), read_transcripts(hyp).in_form(form)
    text, _ = _compare(*sides, against, _bootstrap(replications, seed), form)
    echo(text, nl=False)


@command.command()
@click.argument("results", type=FILE)
@click.option("--into", type=FILE, help="Markdown file with marks, whose table is replaced; else print it.")
@click.option("--copy", "copy_to", type=FILE, help="Write the table of results to this file too.")
@writes_file("table", "results", "into", argument="copy_to")
def table(results: Path, into: Path | None, copy_to: Path | None) -> None:
    """Make the Markdown table of a results.tsv.

    Example: hybrid score table exp/results.tsv --into RESULTS.md
    """
    from hybrid.base.artifact import atomic_path
    from hybrid.base.errors import InputError
    from hybrid.base.reading import read_text
    from hybrid.score.results import format_table, insert_table, read_results, write_results

    rows = read_results(results)
    if not rows:
        raise InputError.at(results, "holds no results", "Run a recipe, or `hybrid score --results`.")
    if copy_to:
        write_results(copy_to, rows)
    if into is None:
        echo(format_table(rows), nl=False)
        return
    document = read_text(into)
    with atomic_path(into) as temporary:
        temporary.write_text(insert_table(document, format_table(rows), into), encoding="utf-8")


def _form(options: dict[str, Any]) -> Form:
    """Takes --lang and the text options out of a command's: what brings the words of both sides to one spelling."""
    from hybrid.score.transcripts import canonical, spelt_by

    lang = options.pop("lang")
    asked = lang is not None or options["normalise"] or options["case"] or options["tags"]
    normaliser = make_normaliser(options, lang)
    if not normaliser.config.normalise:
        return list
    return spelt_by(normaliser) if asked else canonical


def _bootstrap(replications: int, seed: int) -> BootstrapConfig:
    from hybrid.score.significance import BootstrapConfig

    try:
        return BootstrapConfig(replications=replications, seed=seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _compare(
    reference: Transcripts, first: Transcripts, path: Path, config: BootstrapConfig, form: Form
) -> tuple[str, dict[str, Any]]:
    """Compares with the transcript at `path`: text for people, and plain values."""
    import dataclasses

    from hybrid.score.edits import score_utterances
    from hybrid.score.significance import mapsswe, paired_bootstrap
    from hybrid.score.transcripts import pair, read_transcripts

    ours = pair(reference, first)
    theirs = pair(reference, read_transcripts(path).in_form(form))
    errors = score_utterances(ours), score_utterances(theirs)
    resampled = paired_bootstrap(*errors, config)
    matched = mapsswe({u: (r, h, theirs[u][1]) for u, (r, h) in ours.items()})
    text = (
        f"this {errors[0].total()}\nagainst {path}: {errors[1].total()}\n"
        f"difference {resampled.difference:+.2f} points, {100 * config.level:g} % interval {resampled.low:+.2f} – "
        f"{resampled.high:+.2f}, better on {100 * resampled.p_better:.1f} % of resampled sets\n"
        f"MAPSSWE: {matched.segments} segments, z = {matched.statistic:+.2f}, p = {matched.p_value:.3g} (two-tailed)\n"
    )
    values = {
        "against": str(path),
        "wer_against": errors[1].total().rate,
        "bootstrap": dataclasses.asdict(resampled),
        "mapsswe": dataclasses.asdict(matched),
    }
    return text, values


def _finish(
    reference: Transcripts,
    hypothesis: Transcripts,
    options: dict[str, Any],
    facts: dict[str, Any],
    form: Form,
    files: dict[str, str] | None = None,
) -> None:
    """Scores, prints, writes the folder and the row of the table."""
    from hybrid.score.report import format_report, per_utterance, score, score_to_dict
    from hybrid.score.transcripts import pair

    row = [options["system"], options["set_name"], options["lm"]]
    if options["results"] and not all(row):
        raise click.UsageError("--results needs --system, --set and --lm")
    config = _bootstrap(options["replications"], options["seed"])
    pairs = pair(reference, hypothesis)
    result = score(pairs, reference.speakers, config)
    text = format_report(result, options["top"])
    values = {**facts, **score_to_dict(result)}
    if options["compare"]:
        extra, values["compare"] = _compare(reference, hypothesis, options["compare"], config, form)
        text += "\n" + extra
    echo(text, nl=False)
    if options["out_dir"]:
        texts = {"report.txt": text, "per_utt.txt": per_utterance(pairs), **(files or {})}
        texts["hyp.txt"] = "".join(" ".join([u, *hyp]) + "\n" for u, (_, hyp) in pairs.items())
        _write_folder(options["out_dir"], values, texts, options)
    if options["results"]:
        _add_row(options["results"], row, result, options["costs"])


def _language_models(lattices: Sequence[Path]) -> dict[str, str]:
    """The language models of the search and of a second pass, as the folders of all lattices name them."""
    from hybrid.lattice.lattice_set import shared_facts

    known = [shared_facts(place) for place in lattices]
    names = {name: sorted({getattr(facts, name) for facts in known} - {""}) for name in ("search_lm", "second_lm")}
    return {name: ", ".join(found) for name, found in names.items() if found}


def _with_second(name: str | None, models: dict[str, str]) -> str | None:
    """Adds the second pass to the name of a language model in the table, unless it has it; without one the graph's."""
    name, second = name or models.get("search_lm"), models.get("second_lm")
    return f"{name} + {second}" if name and second and second not in name else name


def _write_folder(folder: Path, values: dict[str, Any], texts: dict[str, str], options: dict[str, Any]) -> None:
    import json

    from hybrid.base.artifact import atomic_folder, write_meta

    with atomic_folder(folder, "score") as temporary:
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
        (temporary / "score.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_meta(temporary, "score", {k: str(v) for k, v in options.items() if v is not None})


def _spent(costs: Sequence[Path]) -> tuple[float, float]:
    """Returns the CPU seconds of all and the peak memory of the largest."""
    from hybrid.base.errors import InputError, quote
    from hybrid.base.reading import read_json

    seconds, gigabytes = 0.0, 0.0
    for cost in costs:
        found = read_json(cost, "Give the record of a step.")
        try:
            seconds, gigabytes = seconds + float(found["cpu_s"]), max(gigabytes, float(found["max_gb"]))
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            found = f"does not tell cpu_s and max_gb ({quote(error)})"
            raise InputError.at(cost, found, "Give the record of a step.") from error
    return seconds, gigabytes


def _add_row(path: Path, names: list[str], result: Score, costs: Sequence[Path]) -> None:
    from hybrid.score.results import Result, add_result

    total = result.words.total()
    system, set_name, lm = names
    try:
        row = Result(
            system, set_name, lm,
            total.rate, result.interval.low, result.interval.high,
            total.insertions, total.deletions, total.substitutions, total.words,
            *_spent(costs),
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    add_result(path, row)
