"""`hybrid graph`: compile and inspect decoding graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_text_config, text_options
from hybrid.cli.options import MODEL, Real, config_options, make_config, named_files, refuse_if_given, writes_folder

__all__ = ["command"]

FILE = click.Path(path_type=Path)


def _config_class() -> type:
    from hybrid.graph.config import GraphConfig

    return GraphConfig


def _mixture_class() -> type:
    from hybrid.graph.own_grammar import MixtureConfig

    return MixtureConfig


def slot_options(function: Any) -> Any:
    """Adds --class, --slot and --open."""
    for option in (
        click.option("--class", "classes", multiple=True, metavar="NAME=LIST",
                     help="Words and phrases in the place of a class ($NAME in the text); may be repeated."),
        click.option("--open/--closed", "open_vocabulary", default=False,
                     help="Leave a place for new words, which are added when the graph is used."),
        click.option("--slot", "slots", multiple=True, metavar="NAME",
                     help="A class ($NAME in the text) that is filled when the graph is used; may be repeated."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group(name="graph")
def command() -> None:
    """Compile and inspect decoding graphs (HCLG)."""


@command.command(epilog="Example: hybrid graph compile --model exp/mono --lang data/lang --grammar data/lang/G.fst "
                        "--out-dir exp/mono/graph")  # fmt: skip
@click.option("--model", required=True, type=MODEL, help="Model folder (tree, transitions).")
@click.option("--lang", required=True, type=click.Path(path_type=Path), help="Lang folder (L_disambig.fst, words.txt).")
@click.option("--grammar", type=click.Path(path_type=Path), help="G.fst over the words of the lang.")
@click.option("--lookahead", is_flag=True, help="Instead of --grammar: a graph of H, C and L, the language model for "
              "which is given when it is used (hybrid decode --lm).")  # fmt: skip
@slot_options
@click.option("--out-dir", required=True, type=click.Path(path_type=Path), help="Graph folder to make.")
@config_options(_config_class())
@writes_folder("graph", "model", "lang", "grammar", whole=True)
def compile(
    model: Path, lang: Path, grammar: Path | None, lookahead: bool, classes: tuple[str, ...], slots: tuple[str, ...],
    open_vocabulary: bool, out_dir: Path, **options: object,
) -> None:  # fmt: skip
    """Compiles HCLG from a model, a lang folder and a grammar; or HCL, which is composed with any while it is used."""
    from hybrid.agreement import lang_part, part_of, require_fit
    from hybrid.base.integrity import check
    from hybrid.base.log import get_logger, log_settings, peak_memory_gb
    from hybrid.graph.decoding import compile_decoding_graph
    from hybrid.graph.word_classes import Classes, labels_of
    from hybrid.hmm import read_transition_model
    from hybrid.model.folder import is_model_dir, load_model
    from hybrid.tree import read_tree
    from lexicon.lang_dir import LangDir
    from lm.word_list import read_word_list

    if lookahead == (grammar is not None):
        raise click.UsageError("give --grammar, or --lookahead")
    if lookahead and (classes or slots or open_vocabulary):
        raise click.UsageError("--class, --slot and --open go with --grammar")
    config: Any = make_config(_config_class(), options)
    if is_model_dir(model):
        acoustic_model = load_model(model).acoustic_model
        config = config.of_model(acoustic_model.transition_scale, acoustic_model.self_loop_scale)
    logger = get_logger("hybrid.graph")
    log_settings(
        logger, "graph", {"model": model, "lang": lang, "grammar": grammar, "out_dir": out_dir, **vars(config)}
    )
    folder = LangDir.load(lang)
    for name in ("tree", "transitions", "phones.txt"):
        check(model / name)
    tree = read_tree(model / "tree")
    transitions = read_transition_model(model / "transitions", tree)
    require_fit(lang_part(lang), part_of(model, "model"))
    contents = {name: read_word_list(file) for name, file in named_files("--class", classes).items()}
    found = Classes()
    if grammar is not None:
        found = Classes.of(labels_of(grammar), slots, contents, folder.words, grammar)
        found = replace(found, takes_words=open_vocabulary)
    report = compile_decoding_graph(folder, grammar, transitions, out_dir, config, model, classes=found).report
    assert report is not None
    last = report.operations[-1]
    echo(
        f"{out_dir}/HCLG.fst: {last.states} states, {last.arcs} arcs, {report.cpu_seconds:.1f} CPU s, "
        f"peak {max(report.peak_gb, peak_memory_gb()):.2f} GB"
    )


@command.command(epilog="Example: hybrid graph build --model exp/tri2b --lang data/lang --sentences say.txt "
                        "--words my_words.txt --g2p g2p.arpa.gz --out-dir my_graph")  # fmt: skip
@click.option("--model", required=True, type=MODEL, help="Model folder.")
@click.option("--sentences", multiple=True, type=FILE, help="What may be said, a sentence a line; may be repeated.")
@click.option("--words", "lists", multiple=True, type=FILE,
              help="Words to recognise, one a line, with phones or without; may be repeated.")  # fmt: skip
@click.option("--lang", type=FILE, help="Lang folder whose words and pronunciations are known.  "
              "[default: lexicon.txt of the model, where it has one]")  # fmt: skip
@click.option("--g2p", type=FILE, help="Model that guesses what is missing still (hybrid lm g2p-train).")
@click.option("--order", type=click.IntRange(1, 5), default=3, show_default=True, help="Of the n-grams.")
@click.option("--grammar", type=FILE, help="What may be said as a grammar (JSGF, SRGS); alone, or beside --sentences.")
@click.option("--rule", help="The rule of the grammar that is a sentence.  [default: its root, or all public ones]")
@text_options
@slot_options
@config_options(_mixture_class())
@click.option("--out-dir", required=True, type=FILE, help="Graph folder to make.")
@config_options(_config_class())
@writes_folder("graph", "model", "lang", "sentences", "lists", "g2p", "grammar", whole=True)
def build(
    model: Path, sentences: tuple[Path, ...], lists: tuple[Path, ...], lang: Path | None, g2p: Path | None,
    order: int, grammar: Path | None, rule: str | None, classes: tuple[str, ...], slots: tuple[str, ...],
    open_vocabulary: bool, out_dir: Path, **options: Any,
) -> None:  # fmt: skip
    """Builds a graph of your own sentences, words or grammar: pronunciations, language model and HCLG in one step."""
    from hybrid.aligner.guess import g2p_guesser
    from hybrid.graph.own_words import PRONUNCIATIONS, build_graph, read_words
    from hybrid.model.folder import load_model
    from hybrid.model.ready import LEXICON
    from lexicon.lang_dir import LangDir
    from lexicon.lexicon import Lexicon
    from lm.grammar.load import read_grammar
    from lm.word_list import read_word_list

    if not sentences and not lists and grammar is None:
        raise click.UsageError("Give --sentences, --words or --grammar.")
    if grammar is None or not sentences:
        refuse_if_given("grammar_weight", "--grammar and --sentences")
    if grammar is None:
        refuse_if_given("rule", "--grammar")
        refuse_if_given("garbage", "--grammar")
    said = None if grammar is None else read_grammar(grammar, rule)
    mixture: Any = make_config(_mixture_class(), options)
    text = make_text_config(options, lang)
    acoustic_model = load_model(model).acoustic_model
    config: Any = make_config(_config_class(), options)
    config = config.of_model(acoustic_model.transition_scale, acoustic_model.self_loop_scale)
    known: LangDir | Lexicon | None = LangDir.load(lang) if lang is not None else None
    if known is None and (own := model / LEXICON).is_file():
        known = Lexicon.read(own)
    guess = g2p_guesser(g2p) if g2p is not None else None
    contents = {name: read_word_list(file) for name, file in named_files("--class", classes).items()}
    graph = build_graph(model, sentences, out_dir, read_words(lists), known, guess, text, order, config, said, mixture,
                        slots, open_vocabulary, contents)  # fmt: skip
    echo(f"{out_dir}: {len(graph.words) - 5} words, see {out_dir / PRONUNCIATIONS}")


@command.command(epilog="Example: hybrid graph words my_graph")
@click.argument("graph", type=FILE)
def words(graph: Path) -> None:
    """Says what a graph can recognise: each word with its pronunciations, guessed ones marked."""
    from hybrid.base.reading import text_lines
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.graph.own_words import PRONUNCIATIONS

    loaded = DecodingGraph.load(graph)
    own = graph / PRONUNCIATIONS
    if own.is_file():
        for _, line in text_lines(own):
            word, source, phones = (line.split("\t") + ["", ""])[:3]
            echo(f"{word} {phones}{'  (guessed)' if source == 'guessed' else ''}")
        return
    lexicon = graph / "phones" / "align_lexicon.txt"
    if lexicon.is_file():
        for _, line in text_lines(lexicon):
            word, _, phones = line.partition(" ")
            if word != "<eps>":
                echo(f"{word} {phones.partition(' ')[2]}")
        return
    for word in loaded.words.symbols[1:]:
        echo(word)


@command.command(epilog="Example: hybrid graph lint --lang data/lang --grammar data/lang/G.fst --lm lm.arpa.gz")
@click.option("--lang", required=True, type=FILE, help="Lang folder (L_disambig.fst, words.txt).")
@click.option("--grammar", required=True, type=FILE, help="G.fst over the words of the lang.")
@click.option("--lm", type=FILE, help="ARPA that the grammar was made of: also what words.txt lacks of it.")
def lint(lang: Path, grammar: Path, lm: Path | None) -> None:
    """Says what is wrong with a lexicon and a grammar, each with its cure; status 1 if no graph comes of them."""
    from hybrid.formats.openfst import read_fst
    from hybrid.lint.findings import ERROR
    from hybrid.lint.findings import lint as look
    from lexicon.lang_dir import LangDir
    from lm.arpa import read_arpa

    found = look(LangDir.load(lang), read_fst(grammar), None if lm is None else read_arpa(lm))
    for finding in found:
        echo(str(finding))
    if not found:
        echo("nothing found")
    if any(finding.kind == ERROR for finding in found):
        raise click.exceptions.Exit(1)


@command.command(epilog="Example: hybrid graph estimate --model exp/tri3b --lang data/lang --grammar data/lang/G.fst")
@click.option("--model", type=MODEL, help="Model folder, for its context and states.  [default: triphones of 3 states]")
@click.option("--lang", required=True, type=FILE, help="Lang folder (L_disambig.fst).")
@click.option("--grammar", required=True, type=FILE, help="G.fst over the words of the lang.")
@click.option("--memory-gb", type=Real(0, above=True), help="What compilation may take.  [default: what is free]")
def estimate(model: Path | None, lang: Path, grammar: Path, memory_gb: float | None) -> None:
    """Predicts states, arcs, seconds and memory of each step of `graph compile`; status 1 if memory will not do."""
    from hybrid.base.errors import HybridError
    from hybrid.base.limited import available_memory
    from hybrid.formats.openfst import read_fst
    from hybrid.hmm import read_transition_model
    from hybrid.lint.forecast import forecast, peak_gb, states_per_phone
    from hybrid.tree import read_tree
    from lexicon.lang_dir import LangDir

    shape: tuple[int, int, float] = (3, 1, 3.0)
    if model is not None:
        tree = read_tree(model / "tree")
        states = states_per_phone(read_transition_model(model / "transitions", tree))
        shape = tree.context_width, tree.central_position, states
    operations = forecast(LangDir.load(lang).L_arrays(disambig=True), read_fst(grammar), *shape)
    for operation in operations:
        echo(operation.line())
    most, seconds = peak_gb(operations), sum(operation.cpu_seconds for operation in operations)
    echo(f"in all {seconds:.1f} CPU s, {most:.2f} GB at most")
    free = available_memory()
    allowed = memory_gb or (free / 1e9 if free is not None else most)
    if most > allowed:
        raise HybridError(
            f"{grammar}: its graph will want about {most:.3g} GB, {allowed:.3g} GB are there. "
            "Prune the model (`hybrid lm prune`), write the grammar with fewer alternatives, or use more memory."
        )


@command.command(epilog="Example: hybrid graph info exp/mono/graph")
@click.argument("graph", type=click.Path(path_type=Path))
@click.option("--model", type=MODEL, help="Also check that the graph belongs to this model.")
def info(graph: Path, model: Path | None) -> None:
    """Prints what a graph folder or an FST file holds."""
    from hybrid.base.reading import reading
    from hybrid.formats.openfst import read_fst
    from hybrid.graph.info import describe

    if graph.is_file():
        echo(describe(read_fst(graph)))
        return
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.hmm import read_transition_model
    from hybrid.tree import read_tree

    loaded = DecodingGraph.load(graph)
    if model is not None:
        loaded.check_model(read_transition_model(model / "transitions", read_tree(model / "tree")), model)
        echo(f"belongs to {model}")
    echo(describe(loaded.fst))
    echo(f"words: {len(loaded.words)}")
    with reading(graph / "meta.json", "report of operations", "Compile the graph again."):
        rows = [_operation(row) for row in loaded.meta.get("facts", {}).get("operations", [])]
    for line in rows:
        echo(line)


def _operation(row: dict[str, Any]) -> str:
    """Returns the line of one operation of a graph's report."""
    return (
        f"{row['name']:<18} {row['states']:>9} states {row['arcs']:>10} arcs {row['cpu_seconds']:>8.1f} CPU s "
        f"{row['peak_gb']:>6.2f} GB  state costs {row['min_cost']:+.4f} to {row['max_cost']:+.4f}"
    )
