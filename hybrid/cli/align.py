"""`hybrid align`: audio and text to words and phones with times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hybrid.align.config import AlignConfig
from hybrid.aligner.config import BiasedConfig, CleanConfig, LongConfig, SpeechAlignConfig
from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_text_config, text_options
from hybrid.cli.options import CHANNEL, JOBS, MODEL, PORTION, config_options, make_config, writes_file, writes_folder

FILE = click.Path(path_type=Path)
FORMATS = ("ctm", "textgrid", "textgrid-short", "json", "srt", "vtt", "txt", "lhotse")
model_option = click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder.")
lang_option = click.option("--lang", "lang_dir", type=FILE, required=True, help="Lang folder of the model.")
speakers_option = click.option(
    "--speakers", type=click.Choice(["folder", "prefix", "file", "one"]), default="folder",
    help="Who speaks without a TextGrid: the folder, the name up to - or _, each file, one.",
)  # fmt: skip
jobs_option = click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
dict_option = click.option("--pronunciations", type=FILE, help="Lines 'WORD PHONE …' for words the lang folder lacks.")
g2p_option = click.option("--g2p", type=FILE, help="Model that guesses what is missing still (hybrid lm g2p-train).")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Align audio with text: words and phones with times; clean corpora."""


@command.command()
@model_option
@lang_option
@click.option(
    "--out-dir", type=FILE, required=True, help="Gets the formats, as the folders of PATHS lie; reports; as a whole."
)
@click.option("--text", type=FILE, help="Lines 'NAME TEXT'; else NAME.txt, .lab or .TextGrid beside each file.")
@click.option("--whole-text", type=FILE, help="Instead: a file that is the text of the one audio file given.")
@click.option("--cuts", type=FILE, help="Align the utterances of this manifest instead of files.")
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True, default=("ctm", "textgrid"),
              help="What to write; may be given several times.")  # fmt: skip
@speakers_option
@click.option("--channel", type=CHANNEL, default=-1, help="Channel of the files, from 0; -1: the mean of all.")
@text_options
@dict_option
@g2p_option
@jobs_option
@click.option("--max-failed", type=PORTION, default=0.5, help="Share of files that may fail.")
@config_options(SpeechAlignConfig)
@config_options(LongConfig)
@config_options(BiasedConfig)
@config_options(AlignConfig, exclude=("transition_scale", "self_loop_scale"))
@click.argument("paths", nargs=-1, type=FILE)
@writes_folder("aligned-speech", "model_dir", "lang_dir", "text", "whole_text", "cuts", "paths", whole=True)
def audio(
    model_dir: Path, lang_dir: Path, out_dir: Path, text: Path | None, whole_text: Path | None, cuts: Path | None,
    formats: tuple[str, ...], speakers: str, channel: int, pronunciations: Path | None, g2p: Path | None, jobs: int,
    max_failed: float, paths: tuple[Path, ...], **options: Any,
) -> None:  # fmt: skip
    """Align files, folders or long recordings (PATHS) with their texts.

    \b
    hybrid align audio --model exp/mono --lang data/lang --out-dir out my_corpus/
    hybrid align audio --model exp/mono --lang data/lang --out-dir out --whole-text book.txt --format srt chapter1.flac
    """
    from hybrid.aligner.align_speech import ProductConfig, align_speech
    from hybrid.aligner.guess import make_pronouncer
    from hybrid.aligner.speech_source import items_of_cuts, items_of_files
    from hybrid.base.jobs import pool
    from hybrid.data.find_audio import place_of
    from hybrid.model.folder import load_model
    from lexicon.lang_dir import LangDir
    from lexicon.words.normaliser import Normaliser

    long, align = make_config(LongConfig, options), make_config(AlignConfig, options)
    if bool(paths) == (cuts is not None):
        raise click.UsageError("give audio files or folders, or --cuts FILE")
    if text is not None and whole_text is not None:
        raise click.UsageError("give either --text or --whole-text")
    lang = LangDir.load(lang_dir)
    normaliser = Normaliser(make_text_config(options, lang_dir), lang.spelling)
    if cuts is not None:
        items, failures = items_of_cuts(cuts)
    else:
        items, failures = items_of_files(paths, text, speakers, channel, normaliser, whole_text)
    model = load_model(model_dir)
    speech = replace(make_config(SpeechAlignConfig, options), align=align, long=long)
    biased = make_config(BiasedConfig, options)
    config = ProductConfig(speech=speech, biased=biased, formats=formats, max_failed=max_failed)
    pronouncer = make_pronouncer(pronunciations, g2p, lang)
    with pool(min(jobs, max(1, len(items)))) as executor:
        places = {item.recording: place_of(Path(item.path), paths) for item in items} if paths else None
        totals = align_speech(model, lang, items, failures, out_dir, config, pronouncer, executor, places)
    echo(f"{out_dir}: {totals.done} aligned, {totals.failed} failed")


@command.command()
@lang_option
@click.option("--model", "model_dir", type=MODEL, help="Hold each text against its audio too, by this model.")
@click.option("--text", type=FILE, help="Lines 'NAME TEXT'; else NAME.txt, .lab or .TextGrid beside each file.")
@speakers_option
@click.option("--channel", type=CHANNEL, default=-1, help="Channel of the files, from 0; -1: the mean of all.")
@text_options
@dict_option
@g2p_option
@jobs_option
@click.option("--out", type=FILE, help="Table of what was found: kind, name, what, and whether it fails.")
@click.argument("paths", nargs=-1, required=True, type=FILE)
@writes_file("table", "lang_dir", "text", "paths")
def validate(
    lang_dir: Path, model_dir: Path | None, text: Path | None, speakers: str, channel: int,
    pronunciations: Path | None, g2p: Path | None, jobs: int, out: Path | None, paths: tuple[Path, ...], **options: Any,
) -> None:  # fmt: skip
    """Look through a corpus before it is trained on or aligned: audio, texts, words without pronunciation, speakers.

    Every problem is named; the command fails where something cannot be used.

    Example: hybrid align validate --lang data/lang my_corpus/
    """
    from hybrid.aligner.corpus_faults import hear_all, require_usable, validate_corpus
    from hybrid.aligner.guess import make_pronouncer
    from hybrid.aligner.speech_source import items_of_files
    from hybrid.aligner.text_aligner import TextAligner
    from hybrid.base.jobs import pool
    from hybrid.data.find_audio import scan
    from hybrid.model.folder import check_phones, load_model
    from lexicon.lang_dir import LangDir
    from lexicon.vocabulary import TextLexicon
    from lexicon.words.normaliser import Normaliser

    lang, there = LangDir.load(lang_dir), scan(paths)
    items, failures = items_of_files(
        paths, text, speakers, channel, Normaliser(make_text_config(options, lang_dir), lang.spelling)
    )
    vocabulary = {word for item in items for word in item.words}
    lexicon = TextLexicon.make(lang, vocabulary, make_pronouncer(pronunciations, g2p, lang))
    aligner = None
    if model_dir is not None:
        model = load_model(model_dir)
        check_phones(model, lang_dir / "phones.txt")
        aligner = TextAligner(model, lexicon)
    with pool(min(jobs, len(there.audio))) as executor:
        facts = hear_all([path for _, path in there.audio], channel, executor)
        report = validate_corpus(there, paths, items, failures, facts, lexicon, aligner, executor)
    for line in report.lines():
        echo(line)
    if out is not None:
        report.write(out)
    require_usable(report)


@command.command()
@model_option
@lang_option
@click.option("--cuts", type=FILE, required=True, help="Manifest to clean (hybrid data …).")
@click.option("--out-dir", type=FILE, required=True, help="Gets cuts.jsonl.gz, bad.tsv and failed.txt.")
@dict_option
@g2p_option
@jobs_option
@config_options(CleanConfig)
@config_options(BiasedConfig)
@writes_folder("data", "model_dir", "lang_dir", "cuts")
def clean(
    model_dir: Path, lang_dir: Path, cuts: Path, out_dir: Path, pronunciations: Path | None, g2p: Path | None,
    jobs: int, **options: Any,
) -> None:  # fmt: skip
    """Cut out of a corpus, and list, what is not said as its text has it.

    Example: hybrid align clean --model exp/mono --lang data/lang --cuts data/train/cuts.jsonl.gz --out-dir data/clean
    """
    from hybrid.aligner.clean import clean_corpus
    from hybrid.aligner.guess import make_pronouncer
    from hybrid.aligner.speech_source import items_of_cuts
    from hybrid.base.jobs import pool
    from hybrid.model.folder import load_model
    from lexicon.lang_dir import LangDir

    config, biased = make_config(CleanConfig, options), make_config(BiasedConfig, options)
    items, failures = items_of_cuts(cuts)
    model, lang = load_model(model_dir), LangDir.load(lang_dir)
    pronouncer = make_pronouncer(pronunciations, g2p, lang)
    with pool(jobs) as executor:
        kept, bad = clean_corpus(model, lang, items, failures, out_dir, config, biased, pronouncer, executor)
    echo(f"{out_dir}: {kept} cuts, {bad} stretches cut out (bad.tsv)")
