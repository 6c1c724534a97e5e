"""`hybrid synth`: speech from text by espeak-ng."""

from __future__ import annotations

from pathlib import Path

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import JOBS, Whole, writes_file, writes_folder

FILE = click.Path(path_type=Path)


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Synthesise speech with espeak-ng (needs the package espeakng-loader)."""


@command.command()
@click.option("--text", type=FILE, required=True, help="Kaldi's form: `utt-id word word …`.")
@click.option("--config", "config_file", type=FILE, help="YAML: voices, rates, noise; what it leaves out has defaults.")
@click.option("--out-dir", type=FILE, required=True, help="Gets wav/, cuts.jsonl.gz and phones.jsonl.gz.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; the files do not depend on it.")
@writes_folder("data", "text")
def corpus(text: Path, config_file: Path | None, out_dir: Path, jobs: int) -> None:
    """Speak a set of sentences with many voices, in noise.

    Example: hybrid synth corpus --text exp/text/train --config conf/voices_train.yaml --out-dir data/train --jobs 2
    """
    from hybrid.base.config import config_to_dict, read_config
    from hybrid.base.jobs import pool
    from hybrid.base.log import get_logger, log_settings
    from hybrid.score.transcripts import read_table
    from hybrid.synth.corpus import SynthesisConfig, synthesise_corpus

    config = read_config(SynthesisConfig, config_file) if config_file else SynthesisConfig()
    log_settings(get_logger("hybrid.synth"), "synthesis", config_to_dict(config))
    with pool(jobs) as executor:
        synthesise_corpus(read_table(text), out_dir, config, executor)


@command.command()
@click.argument("text")
@click.option("--voice", default="en-us", help="BASE or BASE+VARIANT.")
@click.option("--rate", type=Whole(20, 1000), default=170, help="Words a minute.")
@click.option("--pitch", type=Whole(0, 100), default=50, help="0 to 100.")
@click.option("--out", type=FILE, required=True, help="WAV file.")
@click.option("--phones", is_flag=True, help="Print each phoneme with its times.")
@writes_file("wav")
def say(text: str, voice: str, rate: int, pitch: int, out: Path, phones: bool) -> None:
    """Speak one sentence into a file.

    Example: hybrid synth say "set a timer for ten minutes" --voice en-gb-x-rp+f2 --out timer.wav
    """
    from hybrid.data.audio import write_audio
    from hybrid.synth.espeak import Voice, speak

    base, _, variant = voice.partition("+")
    try:
        speaker = Voice(base, variant, rate, pitch)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    speech = speak(text, speaker)
    write_audio(out, speech.samples, speech.rate)
    for phone in speech.phones if phones else ():
        echo(f"{phone.start:.3f} {phone.end:.3f} {phone.symbol}")


@command.command()
def voices() -> None:
    """List the accents of English and the voice variants.

    Example: hybrid synth voices
    """
    from hybrid.synth.espeak import english_bases, variants

    echo("bases: " + ", ".join(english_bases()))
    echo("variants: " + ", ".join(variants()))
