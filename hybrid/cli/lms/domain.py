"""`hybrid lm adapt`: a language model for a domain by text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_normaliser, prune_option, text_options
from hybrid.cli.options import apart, config_options, make_config, writes_file
from lm.config import EstimateConfig, TextAdaptConfig

__all__ = ["COMMANDS"]

FILE = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True})
@click.argument("domain", type=FILE, nargs=-1, required=True)
@click.option("--from", "general", type=FILE, multiple=True, help="Large text; sentences like the domain's are chosen.")
@click.option("--model", "models", type=FILE, multiple=True, help="Background model (ARPA) to mix in.")
@click.option("--tune-on", type=FILE, multiple=True, help="Held-out text of the domain, for choices and the report.")
@click.option("--lang", type=FILE, help="Lang folder or words.txt whose spelling the texts take.")
@click.option("--report", type=FILE, help="Write the figures of each step here (tab-separated).")
@text_options
@config_options(TextAdaptConfig)
@prune_option
@config_options(EstimateConfig, exclude=("prune", "add_unseen", "skip_special"))
@click.option("--out", type=FILE, required=True, help="The ARPA file to write; .gz compresses it.")
@apart("out", "report")
@writes_file("arpa", "domain", "general", "models", "tune_on", "lang")
@writes_file("table", "domain", "general", "models", "tune_on", "lang", argument="report")
def adapt(
    domain: tuple[Path, ...], general: tuple[Path, ...], models: tuple[Path, ...], tune_on: tuple[Path, ...],
    lang: Path | None, report: Path | None, out: Path, **options: Any,
) -> None:  # fmt: skip
    """Make a model for the domain of the texts DOMAIN: choose like sentences, scale unigrams, mix by EM.

    Prints perplexity and words outside of each step on sentences of the domain that are held out; the result, made once
    more of all of them, is a common ARPA. --prune is for the model of chosen sentences alone.

    Example: hybrid lm adapt calls.txt --from books.txt.gz --model general.arpa.gz --out calls.arpa
    """
    from hybrid.base.artifact import atomic_path, write_meta
    from hybrid.base.config import config_to_dict
    from lexicon.words.config import TextConfig
    from lexicon.words.normaliser import Normaliser
    from lm.adaptation.text_only import adapt_to_text
    from lm.arpa import read_arpa, write_arpa

    config, estimation = make_config(TextAdaptConfig, options), make_config(EstimateConfig, options)
    asked = lang is not None or any(options[name] for name in ("normalise", "tags", "case", "spoken"))
    normaliser = make_normaliser(options, lang, classes=True)
    used = normaliser if asked else Normaliser(TextConfig(normalise=False), classes=True)
    found = adapt_to_text(domain, general, [read_arpa(path) for path in models], config, estimation, used, tune_on)
    used.changes.log("texts")
    write_arpa(out, found.model)
    settings = config_to_dict(config) | config_to_dict(estimation)
    inputs = {f"{kind}{i}": path for kind, paths in (("domain", domain), ("general", general), ("model", models))
              for i, path in enumerate(paths, 1)}  # fmt: skip
    last = found.steps[-1].figures
    facts = {"ngrams": list(found.model.num_ngrams), "share": found.share, "perplexity": round(last.without_oovs, 3)}
    write_meta(out, "arpa", settings, inputs, facts)
    for step in found.steps:
        echo(step.told())
    if report is not None:
        rows = ["step\tsentences\ttokens\toovs\tppl_without_oovs\tppl_with_oovs\tweight"]
        for step in found.steps:
            f, weight = step.figures, "" if step.weight is None else f"{step.weight:.6f}"
            figures = f"{f.sentences}\t{f.tokens}\t{f.oovs}\t{f.without_oovs:.6g}\t{f.with_oovs:.6g}"
            rows.append(f"{step.name}\t{figures}\t{weight}")
        with atomic_path(report) as temporary:
            temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")


COMMANDS = (adapt,)
