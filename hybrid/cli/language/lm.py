"""`hybrid lm`: n-gram language models."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_normaliser, prune_option, text_options
from hybrid.cli.lms.domain import COMMANDS as DOMAIN
from hybrid.cli.lms.neural import COMMANDS as NEURAL
from hybrid.cli.options import MODEL, PORTION, TEXT, Real, Whole, config_options, make_config, named_files, writes_file
from lexicon.words.config import TextConfig
from lm.config import EstimateConfig
from lm.g2p.config import GraphoneAlignConfig

if TYPE_CHECKING:
    from lm.ngram import NgramModel

FILE = click.Path(path_type=Path)
out_option = click.option("--out", type=FILE, required=True, help="The ARPA file to write; .gz compresses it.")
ids_option = click.option("--with-ids", is_flag=True, help="Each line of a text begins with its utterance id.")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Train, prune, mix and test n-gram language models; make G.fst. Train and test neural ones."""


for _command in (*DOMAIN, *NEURAL):
    command.add_command(_command)


@command.command()
@click.argument("texts", type=TEXT, nargs=-1, required=True)
@out_option
@ids_option
@click.option("--vocabulary", type=FILE, help="Words that the model may hold: a word list, or the words.txt of a lang.")
@click.option(
    "--lang", type=FILE, help="Lang folder or words.txt: texts take its spelling, without punctuation and tags."
)
@text_options
@prune_option
@config_options(EstimateConfig, exclude=("prune",))
@writes_file("arpa", "texts", "vocabulary", "lang")
def train(
    texts: tuple[Path, ...], out: Path, with_ids: bool, vocabulary: Path | None, lang: Path | None, **options: Any
) -> None:
    """Estimate a model from TEXTS (one sentence a line, gzip or not, or lhotse cuts).

    Without --lang, words are what stands between blanks, in Unicode's NFC.

    Example: hybrid lm train text.txt --order 3 --prune 0,0,1 --vocabulary vocab.txt --out lm.arpa.gz
    """
    from hybrid.base.config import config_to_dict
    from hybrid.base.log import get_logger, log_settings
    from lm.estimate import estimate
    from lm.word_stream import read_word_list

    config = make_config(EstimateConfig, options)
    canonical = options["normalise"] is not False
    asked = lang is not None or any(options[name] for name in ("normalise", "tags", "case", "spoken"))
    normaliser = make_normaliser(options, lang, classes=True)
    logger = get_logger("hybrid.lm")
    log_settings(logger, "lm train", config_to_dict(config))
    words = read_word_list(vocabulary) if vocabulary else None
    used = normaliser if asked and canonical else None
    model, report = estimate(texts, config, words, with_ids, normaliser=used, canonical=canonical)
    normaliser.changes.log("texts")
    inputs = {f"text{i}": path for i, path in enumerate(texts, 1)}
    _write(out, model, config_to_dict(config), inputs | ({"vocabulary": vocabulary} if vocabulary else {}))
    share = 100 * report.out_of_vocabulary / max(1, report.tokens)
    logger.info("%d sentences, %d words, %.2f %% outside the vocabulary", report.sentences, report.tokens, share)
    for n, (seen, kept) in enumerate(zip(report.seen, report.kept), 1):
        discounts = " ".join(f"{d:.6g}" for d in report.discounts[n - 1]) if report.discounts else "Witten-Bell"
        fallback = " (fall-back)" if n in report.fallback_orders else ""
        added = report.added if n == 1 else 0
        more = f" and {added} unseen words added" if added else ""
        logger.info("%d-grams: %d of %d kept%s, discounts %s%s", n, kept - added, seen, more, discounts, fallback)


@command.command()
@click.argument("model", type=FILE)
@click.option("--threshold", type=Real(0), required=True, help="Relative rise of perplexity, e.g. 1e-7.")
@click.option("--min-order", type=Whole(2, 9), default=2, help="Shorter n-grams stay.")
@out_option
@writes_file("arpa", "model")
def prune(model: Path, threshold: float, min_order: int, out: Path) -> None:
    """Drop n-grams whose loss hardly changes the model (entropy pruning, Stolcke 1998).

    Example: hybrid lm prune lm.arpa --threshold 1e-7 --out small.arpa
    """
    from lm.arpa import read_arpa
    from lm.entropy_pruning import prune_entropy

    pruned = prune_entropy(read_arpa(model), threshold, min_order)
    _write(out, pruned, {"threshold": threshold, "min_order": min_order}, {"model": model})


@command.command()
@click.argument("models", type=FILE, nargs=-1, required=True)
@click.option("--weight", "weights", type=Real(0), multiple=True, help="One for each model, in their order.")
@click.option("--tune-on", type=FILE, multiple=True, help="Held-out text; EM finds the weights on it.")
@ids_option
@out_option
@writes_file("arpa", "models", "tune_on")
def interpolate(
    models: tuple[Path, ...], weights: tuple[float, ...], tune_on: tuple[Path, ...], with_ids: bool, out: Path
) -> None:
    """Mix MODELS linearly into one, with given weights or with weights tuned on held-out text.

    Example: hybrid lm interpolate books.arpa speech.arpa --tune-on dev.txt --out mixed.arpa
    """
    from hybrid.base.log import get_logger
    from lm.arpa import read_arpa
    from lm.interpolate import interpolate as mix
    from lm.interpolate import tune_weights

    if bool(weights) == bool(tune_on):
        raise click.UsageError("Give either --weight for each model or --tune-on TEXT.")
    loaded = [read_arpa(path) for path in models]
    if tune_on:
        tuned = tune_weights(loaded, tune_on, with_ids)
        weights = tuned.weights
        first, last = tuned.perplexities[0], tuned.perplexities[-1]
        message = "EM: %d iterations, perplexity of the held-out text %.2f, equal weights %.2f, %d of %d tokens OOV"
        total = tuned.tokens + tuned.oovs
        get_logger("hybrid.lm").info(message, len(tuned.perplexities), last, first, tuned.oovs, total)
    for path, weight in zip(models, weights):
        get_logger("hybrid.lm").info("weight %.6f %s", weight, path)
    inputs = {f"model{i}": path for i, path in enumerate(models, 1)}
    _write(out, mix(loaded, weights), {"weights": list(weights)}, inputs)


@command.command()
@click.argument("model", type=FILE)
@click.argument("texts", type=TEXT, nargs=-1, required=True)
@ids_option
@click.option("--skip-special", is_flag=True, help="Pass over <s> and </s> in the text; else they are refused.")
@click.option("--sentences", type=FILE, help="Write the figures of each sentence here (tab-separated).")
@writes_file("table", "model", "texts", argument="sentences")
def perplexity(
    model: Path, texts: tuple[Path, ...], with_ids: bool, skip_special: bool, sentences: Path | None
) -> None:
    """Print the perplexity of MODEL on each text, and on all, without and with out-of-vocabulary words.

    Example: hybrid lm perplexity lm.arpa dev.txt --sentences dev.tsv
    """
    from hybrid.base.artifact import atomic_path
    from lm.arpa import read_arpa
    from lm.perplexity import Perplexity, figures_line, sentence_scores, text_ids

    loaded = read_arpa(model)
    totals: list[Perplexity] = []
    with contextlib.ExitStack() as stack:
        table = None
        if sentences:
            table = stack.enter_context(open(stack.enter_context(atomic_path(sentences)), "w", encoding="utf-8"))
            table.write("file\tsentence\ttokens\toovs\tlog10_prob\tppl_without_oovs\tppl_with_oovs\n")
        for path in texts:
            total, number = Perplexity(0, 0, 0, 0.0, 0.0), 0
            for scores in sentence_scores(loaded, text_ids(loaded, path, skip_special, with_ids)):
                total += scores.total()
                for each in scores.each() if table else ():
                    number += 1
                    log_prob = each.log10_prob + each.log10_prob_oovs
                    values = f"{log_prob:.6f}\t{each.without_oovs:.6g}\t{each.with_oovs:.6g}"
                    table.write(f"{path}\t{number}\t{each.tokens}\t{each.oovs}\t{values}\n")  # type: ignore[union-attr]
            echo(figures_line(str(path), total))
            totals.append(total)
        if len(totals) > 1:
            echo(figures_line("all", sum(totals[1:], totals[0])))


@command.command()
@click.argument("model", type=FILE)
@click.option("--lang", type=FILE, required=True, help="The lang folder, or its words.txt.")
@click.option("--backoff-symbol", default="#0", help="Input label of back-off arcs.")
@click.option("--normalise/--no-normalise", default=None, help="Find words of the model by other spellings "
              "(case, Unicode form, marks).  [default: as the lang folder says; else normalise]")  # fmt: skip
@click.option("--max-left-out", type=PORTION, default=0.5, help="Share of the words, by unigram probability, "
              "that words.txt may lack.")  # fmt: skip
@click.option("--out", type=FILE, required=True, help="The G.fst to write.")
@writes_file("G", "model", "lang")
def fst(model: Path, lang: Path, backoff_symbol: str, normalise: bool | None, max_left_out: float, out: Path) -> None:
    """Make G.fst, the acceptor of a model for decoding graphs.

    Words of the model that begin with $ and that the lang folder lacks are classes: `hybrid graph compile` puts lists
    in their place, or leaves them open as slots.

    Example: hybrid lm fst lm.arpa.gz --lang data/lang --out data/lang/G.fst
    """
    from hybrid.base.artifact import write_meta
    from hybrid.base.log import get_logger
    from hybrid.formats.openfst import write_fst
    from lexicon.symbols import SymbolTable
    from lexicon.words.class_names import class_labels
    from lm.arpa import read_arpa
    from lm.grammar_fst import ngram_to_fst

    words = lang / "words.txt" if lang.is_dir() else lang
    respell = TextConfig.of_folder(words.parent).normalise if normalise is None else normalise
    loaded, table = read_arpa(model), SymbolTable.read(words)
    labels = class_labels(loaded.vocabulary.symbols, table)
    graph = ngram_to_fst(loaded, table.extended(list(labels)), backoff_symbol, respell, max_left_out)
    write_fst(out, graph)
    facts = {"states": graph.num_states, "arcs": graph.num_arcs, **({"classes": labels} if labels else {})}
    write_meta(
        out, "G", {"backoff_symbol": backoff_symbol, "normalise": respell}, {"model": model, "words": words}, facts
    )
    get_logger("hybrid.lm").info("%s: %d states, %d arcs", out, graph.num_states, graph.num_arcs)


@command.command()
@click.argument("texts", type=FILE, nargs=-1, required=True)
@click.option("--class", "classes", multiple=True, required=True, metavar="NAME=LIST",
              help="Words and phrases that become $NAME; may be repeated.")  # fmt: skip
@click.option("--lang", type=FILE, help="Lang folder or words.txt, whose spelling texts and lists take.")
@text_options
@click.option("--out", type=FILE, required=True, help="The text to write.")
@click.option("--counted", "counted", type=FILE, help="Folder for the lists with counts (NAME.txt), to fill with.")
@writes_file("text", "texts", "lang")
def tag(
    texts: tuple[Path, ...], classes: tuple[str, ...], lang: Path | None, out: Path, counted: Path | None,
    **options: Any,
) -> None:  # fmt: skip
    """Put classes ($NAME) into TEXTS where entries of lists stand, the longest first, and count these.

    Example: hybrid lm tag calls.txt --class CONTACT=contacts.txt --counted lists --out tagged.txt
    """
    from hybrid.base.artifact import atomic_path
    from hybrid.base.disk import make_folder
    from lm.tagging import Tagger
    from lm.word_list import check_entries, read_word_list
    from lm.word_stream import read_sentences

    normaliser = make_normaliser(options, lang, classes=True)
    lists = {}
    for name, file in named_files("--class", classes).items():
        entries = (replace(e, words=tuple(normaliser.words(e.text, file))) for e in read_word_list(file))
        lists[name if name.startswith("$") else f"${name}"] = check_entries(entries, file)
    tagger = Tagger(lists)
    with atomic_path(out) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        for text in texts:
            for words in read_sentences(text, normaliser):
                stream.write(" ".join(tagger.tag(words)) + "\n")
    for name, counts in tagger.counts.items():
        echo(f"{name}: {counts.total()} times, {len(counts)} of {len(lists[name])} entries")
        if counted is not None:
            make_folder(counted)
            lines = "".join(f"{entry.line()}\n" for entry in tagger.counted(name))
            with atomic_path(counted / f"{name[1:]}.txt") as temporary:
                temporary.write_text(lines, encoding="utf-8")


@command.command()
@click.argument("model", type=FILE)
def info(model: Path) -> None:
    """Say what an ARPA file holds.

    Example: hybrid lm info lm.arpa.gz
    """
    from lm.arpa import read_arpa

    loaded = read_arpa(model)
    echo(f"order {loaded.order}\nwords {len(loaded.vocabulary) - 3}\nunknown word {loaded.vocabulary.unknown}")
    for n, count in enumerate(loaded.num_ngrams, 1):
        echo(f"{n}-grams {count}")


cmudict_option = click.option("--cmudict", is_flag=True, help="LEXICON is CMUdict (stress is removed).")


@command.command("g2p-train")
@click.argument("lexicon", type=MODEL)
@cmudict_option
@click.option("--order", type=click.IntRange(1, 9), default=8, help="Length of the longest n-grams of graphones.")
@click.option("--held-out", type=Whole(), default=0, help="Test on each N-th word, left out; 0: none.")
@config_options(GraphoneAlignConfig)
@click.option("--out", type=FILE, required=True, help="The model to write (ARPA over graphones; .gz compresses it).")
@writes_file("g2p", "lexicon")
def g2p_train(lexicon: Path, cmudict: bool, order: int, held_out: int, out: Path, **options: Any) -> None:
    """Learn from LEXICON how words are spoken (joint n-gram; Bisani and Ney, 2008).

    LEXICON is a file, a dictionary folder, or a ready model that has one (en-small).
    Pronunciations that cannot be aligned are listed in OUT.failed.txt.

    Example: hybrid lm g2p-train data/dict --order 8 --out g2p.arpa.gz
    """
    from hybrid.base.artifact import write_meta
    from hybrid.base.config import config_to_dict
    from hybrid.base.failures import write_failed
    from hybrid.base.log import get_logger
    from lm.g2p.evaluate import held_out as split
    from lm.g2p.evaluate import score_g2p
    from lm.g2p.lexicons import read_pronunciations
    from lm.g2p.model import train_g2p

    config = make_config(GraphoneAlignConfig, options)
    entries = read_pronunciations(lexicon, cmudict)
    train, test = split(list(entries), held_out) if held_out else (list(entries), [])
    model, report = train_g2p(((word, phones) for word in train for phones in entries[word]), order, config)
    model.save(out)
    settings = {"order": order, "held_out": held_out, **config_to_dict(config)}
    write_meta(out, "g2p", settings, {"lexicon": lexicon}, {"pairs": report.pairs, "graphones": report.graphones})
    write_failed(f"{out}.failed.txt", report.failed)
    message = "%s: %d pronunciations, %d graphones, %d left out, %d passes of EM"
    counts = (report.pairs, report.graphones, len(report.failed), len(report.log_likelihoods))
    get_logger("hybrid.lm").info(message, out, *counts)
    if test:
        echo(f"held out {score_g2p(model, {word: entries[word] for word in test})}")


@command.command("g2p-test")
@click.argument("model", type=FILE)
@click.argument("lexicon", type=FILE)
@cmudict_option
def g2p_test(model: Path, lexicon: Path, cmudict: bool) -> None:
    """Print phone and word error of MODEL on the words of LEXICON (any of a word's pronunciations is right).

    Example: hybrid lm g2p-test g2p.arpa.gz names/lexicon.txt
    """
    from lm.g2p.evaluate import score_g2p
    from lm.g2p.lexicons import read_pronunciations
    from lm.g2p.model import G2pModel

    echo(str(score_g2p(G2pModel.load(model), read_pronunciations(lexicon, cmudict))))


@command.command("g2p-apply")
@click.argument("model", type=FILE)
@click.argument("words", type=TEXT, nargs=-1, required=True)
@click.option("--lexicon", type=FILE, help="Words of this lexicon are known and left out.")
@click.option("--nbest", type=click.IntRange(1, 100), default=1, help="Most pronunciations of a word.")
@click.option("--least-share", type=PORTION, default=0.1, help="Of the best one; further ones need it.")
@click.option("--beam", type=Real(0, above=True, endless=True), default=12.0, help="Width of the search, in nats.")
@click.option("--out", type=FILE, required=True, help="The lexicon to write; lexiconp.txt holds probabilities.")
@writes_file("guessed lexicon", "model", "words", "lexicon")
def g2p_apply(
    model: Path, words: tuple[Path, ...], lexicon: Path | None, nbest: int, least_share: float, beam: float, out: Path
) -> None:
    """Guess the pronunciations of WORDS (word lists) and write them as a lexicon.

    All of them are guesses: OUT.guessed.tsv has their scores, OUT.failed.txt the words without one.

    Example: hybrid lm g2p-apply g2p.arpa.gz names.txt --nbest 2 --out guessed/lexiconp.txt
    """
    from hybrid.base.artifact import write_meta
    from hybrid.base.errors import InputError
    from hybrid.base.log import get_logger
    from lm.g2p.lexicons import guess_lexicon, read_pronunciations, write_guesses
    from lm.g2p.model import G2pModel
    from lm.word_stream import read_word_list

    known = read_pronunciations(lexicon) if lexicon else {}
    wanted = [word for path in words for word in read_word_list(path) if word not in known]
    rows, failed = guess_lexicon(G2pModel.load(model, beam), wanted, nbest, least_share)
    write_guesses(out, rows, failed)
    get_logger("hybrid.lm").info("%s: %d pronunciations guessed, %d words failed", out, len(rows), len(failed))
    if wanted and not rows:
        raise InputError.at(model, f"pronounces none of {len(wanted)} words", "Was it trained on this alphabet?")
    if rows:
        settings = {"nbest": nbest, "least_share": least_share, "beam": beam}
        write_meta(out, "guessed lexicon", settings, {"model": model}, {"guessed": True, "failed": len(failed)})


def _write(out: Path, model: NgramModel, settings: dict[str, Any], inputs: dict[str, Path]) -> None:
    from hybrid.base.artifact import write_meta
    from hybrid.base.log import get_logger
    from lm.arpa import write_arpa

    write_arpa(out, model)
    write_meta(out, "arpa", settings, inputs, {"ngrams": list(model.num_ngrams)})
    get_logger("hybrid.lm").info("%s: %s n-grams", out, " / ".join(str(count) for count in model.num_ngrams))
