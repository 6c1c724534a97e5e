"""`hybrid grammar`: what a grammar accepts, before a graph is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_text_config, text_options
from hybrid.cli.options import MODEL, Whole, writes_file

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir
    from lexicon.lexicon import Lexicon
    from lm.grammar.values import Grammar

FILE = click.Path(path_type=Path)
GRAMMAR = click.argument("grammar", type=FILE)
RULE = click.option("--rule", help="The rule that is a sentence.  [default: the root, or all public ones]")


@click.group(name="grammar")
def command() -> None:
    """Check, draw and measure grammars (JSGF, SRGS); make G.fst."""


def _read(path: Path, rule: str | None) -> Grammar:
    from lm.grammar.load import read_grammar

    return read_grammar(path, rule)


@command.command(epilog="Example: hybrid grammar check phone.gram --text sentences.txt --model en-small")
@GRAMMAR
@RULE
@click.option("--text", type=FILE, help="Sentences, one a line: which are accepted, and where the others leave it.")
@click.option("--lang", type=FILE, help="Lang folder whose words have pronunciations.")
@click.option("--model", type=MODEL, help="Or a ready model, with its lexicon.")
@click.option("--words", "lists", multiple=True, type=FILE, help="Words with pronunciations; may be repeated.")
@text_options
@click.option("--strict/--no-strict", default=False, help="End with status 1 if anything was found.")
def check(grammar: Path, rule: str | None, text: Path | None, lang: Path | None, model: Path | None,
          lists: tuple[Path, ...], strict: bool, **options: Any) -> None:  # fmt: skip
    """Says what is wrong with a grammar: rules that do nothing, words without pronunciation, sentences outside it."""
    from hybrid.graph.own_words import read_words
    from lexicon.words.class_names import is_class
    from lexicon.words.normaliser import Normaliser
    from lm.grammar.rules import findings

    read = _read(grammar, rule)
    found, faults = findings(read), 0
    for names, what in ((found.unreachable, "cannot be reached"), (found.void, "can never be said"),
                        (found.empty, "has no words")):  # fmt: skip
        for name in names:
            one = read.rules[name]
            echo(f"{one.place}:{one.line}: rule <{name}> {what}")
            faults += 1
    known, own = _lexicon(lang, model), read_words(lists)
    spelling = [*own.given, *_words(known)]
    normaliser = Normaliser(make_text_config(options, lang), spelling or None, classes=True)
    said = read.with_words(normaliser.words)
    if spelling:
        lacking = sorted(w for w in set(said.words) - set(spelling) - {"<garbage>"} if not is_class(w))
        for word in lacking:
            echo(f"{grammar}: '{word}' has no pronunciation")
        faults += len(lacking)
    if text is not None:
        faults += _sentences(said, text, normaliser)
    elif not faults:
        echo(f"{grammar}: nothing wrong was found")
    if strict and faults:
        raise click.exceptions.Exit(1)


def _sentences(said: Grammar, path: Path, normaliser: Any) -> int:
    """Says which sentences of a file a grammar accepts; returns how many it does not."""
    from lexicon.text import read_user_lines
    from lm.grammar.automaton import automaton_of
    from lm.grammar.parse import stop_of

    automaton = automaton_of(said)
    count = refused = 0
    for number, line in read_user_lines(path):
        words = normaliser.words(line, path, number)
        count += 1
        stop = stop_of(automaton, words)
        if stop is None:
            echo(f"{path}:{number}: accepted")
            continue
        refused += 1
        place = f"'{words[stop.position]}' (word {stop.position + 1})" if stop.position < len(words) else "the end"
        wanted = [*(["the end"] if stop.may_end else []), *stop.wanted]
        shown = ", ".join(wanted[:10]) + (f", … ({len(wanted)} in all)" if len(wanted) > 10 else "")
        echo(f"{path}:{number}: stops at {place}, wanted {shown}")
    echo(f"{path}: {count - refused} of {count} sentences accepted")
    return refused


def _lexicon(lang: Path | None, model: Path | None) -> LangDir | Lexicon | None:
    from hybrid.model.ready import LEXICON
    from lexicon.lang_dir import LangDir
    from lexicon.lexicon import Lexicon

    if lang is not None:
        return LangDir.load(lang)
    return Lexicon.read(model / LEXICON) if model is not None and (model / LEXICON).is_file() else None


def _words(known: LangDir | Lexicon | None) -> list[str]:
    from lexicon.lexicon import Lexicon

    if known is None:
        return []
    return list(known.words) if isinstance(known, Lexicon) else list(known.spelling.words)


@command.command(epilog="Example: hybrid grammar sample phone.gram --count 5 --seed 1")
@GRAMMAR
@RULE
@click.option("--count", type=Whole(1), default=10, show_default=True, help="Sentences.")
@click.option("--seed", type=Whole(0), default=0, show_default=True, help="Of the random numbers.")
def sample(grammar: Path, rule: str | None, count: int, seed: int) -> None:
    """Draws sentences with their probabilities, one a line."""
    import numpy as np

    from lm.grammar.automaton import automaton_of
    from lm.grammar.sentences import sample as draw_one

    automaton, rng = automaton_of(_read(grammar, rule)), np.random.default_rng(seed)
    while count:
        if (words := draw_one(automaton, rng)) is not None:
            echo(" ".join(words))
            count -= 1


@command.command(epilog="Example: hybrid grammar draw phone.gram --out phone.html")
@GRAMMAR
@RULE
@click.option(
    "--out", type=FILE, required=True, help="A page of all rules if it ends in .html, else one picture (SVG)."
)
@writes_file("svg", "grammar")
def draw(grammar: Path, rule: str | None, out: Path) -> None:
    """Draws rules as railway diagrams: every way from the left to the right is a sentence."""
    from hybrid.base.artifact import atomic_path
    from hybrid.lattice.drawing import html_page
    from lm.grammar.diagram import draw_rule

    read = _read(grammar, rule)
    page = out.suffix == ".html"
    if not page and len(read.roots) > 1:
        raise click.UsageError("a picture is of one rule: give --rule, or an --out that ends in .html")
    names = list(read.rules) if page else read.roots
    drawings = [(f"<{name}>", draw_rule(read.rules[name])) for name in names]
    with atomic_path(out) as temporary:
        temporary.write_text(html_page(read.name, drawings) if page else drawings[0][1], encoding="utf-8")
    echo(f"{out}: {len(drawings)} rules")


@command.command(epilog="Example: hybrid grammar info phone.gram")
@GRAMMAR
@RULE
def info(grammar: Path, rule: str | None) -> None:
    """Counts rules, words, sentences, states and arcs, and measures the perplexity."""
    from lm.grammar.automaton import automaton_of
    from lm.grammar.grammar_acceptor import acceptor
    from lm.grammar.rules import estimate_arcs
    from lm.grammar.sentences import facts_of

    read = _read(grammar, rule)
    automaton = automaton_of(read)
    facts = facts_of(acceptor(automaton, automaton.word_numbers, len(automaton.words) + 1))
    echo(f"grammar: {read.name}, {', '.join(f'<{name}>' for name in read.roots)}")
    echo(f"rules: {len(read.rules)}")
    echo(f"words: {len(read.words)}")
    echo(f"sentences: {'without end' if facts.sentences is None else facts.sentences}")
    echo(f"words in a sentence: {facts.words:.2f}")
    echo(f"perplexity: {facts.perplexity:.2f}")
    echo(f"acceptor: {facts.states} states, {facts.arcs} arcs (at most {estimate_arcs(read)} when written out)")


@command.command(epilog="Example: hybrid grammar fst phone.gram --lang data/lang --out data/G.fst")
@GRAMMAR
@RULE
@click.option("--lang", type=FILE, required=True, help="Lang folder whose words G takes.")
@text_options
@click.option("--out", type=FILE, required=True, help="The acceptor to make, for `hybrid graph compile --grammar`.")
@writes_file("G", "grammar", "lang")
def fst(grammar: Path, rule: str | None, lang: Path, out: Path, **options: Any) -> None:
    """Makes G.fst of a grammar whose words a lang folder has."""
    from hybrid.base.artifact import write_meta
    from hybrid.base.errors import InputError, quote
    from hybrid.cli.language.options import make_normaliser
    from hybrid.formats.openfst import write_fst
    from lexicon.symbols import SymbolTable
    from lexicon.words.class_names import class_labels
    from lm.grammar.automaton import automaton_of
    from lm.grammar.grammar_acceptor import acceptor

    table = SymbolTable.read(lang / "words.txt")
    automaton = automaton_of(_read(grammar, rule).with_words(make_normaliser(options, lang, classes=True).words))
    labels = class_labels(automaton.words, table)
    table = table.extended(list(labels))
    if lacking := sorted(word for word in automaton.words if word not in table):
        shown = ", ".join(map(quote, lacking[:10])) + (", …" if len(lacking) > 10 else "")
        cure = f"Give them pronunciations in {lang}, or build a graph with `hybrid graph build --grammar`."
        raise InputError.at(grammar, f"{len(lacking)} words are not in {lang / 'words.txt'}: {shown}", cure)
    made = acceptor(automaton, {word: table[word] for word in automaton.words}, table["#0"])
    write_fst(out, made)
    facts = {"states": made.num_states, "arcs": made.num_arcs, **({"classes": labels} if labels else {})}
    write_meta(out, "G", None, {"model": grammar, "words": lang / "words.txt"}, facts)
    echo(f"{out}: {made.num_states} states, {made.num_arcs} arcs")
