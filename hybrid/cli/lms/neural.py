"""`hybrid lm train-neural` and `perplexity-neural`: LSTM and Transformer language models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import PORTION, Whole, config_options, writes_file, writes_folder
from hybrid.train.lm.lm_settings import LmTrainingConfig
from lm.neural.config import NeuralLmConfig

__all__ = ["COMMANDS"]

FILE = click.Path(path_type=Path)
PARTS: dict[str, Any] = {"network": NeuralLmConfig, "training": LmTrainingConfig}


@click.command("train-neural")
@click.argument("texts", type=FILE, nargs=-1, required=True)
@click.option("--config", "config_file", type=FILE, help="YAML with sections network and training; options given here "
              "go before it.")  # fmt: skip
@click.option("--vocabulary", type=FILE, help="Words that the model shall know; by default those of the texts.")
@click.option("--pieces", type=FILE, help="SentencePiece model: pieces of words are read and predicted instead.")
@click.option("--heldout-text", type=FILE, multiple=True, help="Text to measure on, instead of some of TEXTS.")
@click.option("--with-ids", is_flag=True, help="Each line of a text begins with its utterance id.")
@click.option("--out-dir", type=FILE, required=True, help="Model folder; a killed training goes on in it.")
@config_options(NeuralLmConfig)
@config_options(LmTrainingConfig)
@writes_folder("neural-lm", "texts", "vocabulary", "pieces", "heldout_text")
def train_neural(
    texts: tuple[Path, ...], config_file: Path | None, vocabulary: Path | None, pieces: Path | None,
    heldout_text: tuple[Path, ...], with_ids: bool, out_dir: Path, **options: Any,
) -> None:  # fmt: skip
    """Train an LSTM or Transformer on TEXTS (one sentence a line, gzip or not, or lhotse cuts).

    Example: hybrid lm train-neural text.txt --vocabulary vocab.txt --dim 256 --out-dir exp/lstm_lm
    """
    from hybrid.train.lm.train_lm import LmSources, train_neural_lm

    shape, config = _settings(config_file, options)
    sources = LmSources(texts, heldout_text, vocabulary, pieces, with_ids)
    train_neural_lm(sources, out_dir, shape, config)


def _settings(file: Path | None, options: dict[str, Any]) -> tuple[NeuralLmConfig, LmTrainingConfig]:
    """Reads the YAML file; an option that was given goes before what stands there."""
    from hybrid.base.config import config_from_dict, read_yaml
    from hybrid.base.errors import InputError, quote

    values, context = read_yaml(file) if file else {}, click.get_current_context()
    place: object = file or "settings"
    for name, section in values.items():
        if name not in PARTS:
            raise InputError.at(place, f"unknown section '{quote(name)}'", f"Sections are: {', '.join(PARTS)}.")
        if not isinstance(section, dict):
            raise InputError.at(place, f"section '{quote(name)}' holds no 'name: value' lines", "Mend it.")
    made = []
    for part, cls in PARTS.items():
        names = [field.name for field in dataclasses.fields(cls)]
        given = {n: options[n] for n in names
                 if context.get_parameter_source(n) is click.core.ParameterSource.COMMANDLINE}  # fmt: skip
        made.append(config_from_dict(cls, {**values.get(part, {}), **given}, f"{place}: {part}"))
    return made[0], made[1]


@click.command("perplexity-neural")
@click.argument("model", type=FILE)
@click.argument("texts", type=FILE, nargs=-1, required=True)
@click.option("--with-ids", is_flag=True, help="Each line of a text begins with its utterance id.")
@click.option("--history", type=Whole(0, 1 << 16), default=0, help="Tokens of the sentences before that are read too.")
@click.option("--ngram", type=FILE, help="ARPA: the mixture of both is told too.")
@click.option(
    "--share", type=PORTION, help="Of the neural model in the mixture; by default the best one for each text."
)
@click.option("--device", default="cpu", help="cpu, cuda, cuda:1.")
def perplexity_neural(
    model: Path, texts: tuple[Path, ...], with_ids: bool, history: int, ngram: Path | None, share: float | None,
    device: str,
) -> None:  # fmt: skip
    """Print the perplexity of the neural MODEL on each text, and of its mixture with an n-gram model.

    Example: hybrid lm perplexity-neural exp/lstm_lm dev.txt --ngram lm.arpa.gz
    """
    from hybrid.model.device import usable_device
    from lexicon.word_sources import read_utterances
    from lm.neural.folder import load_neural_lm
    from lm.neural.text_scores import known_words, mixed_share, ngram_log_probs, sentence_scores_of, word_log_probs
    from lm.perplexity import figures_line

    place = usable_device(device)
    lm = load_neural_lm(model, place)
    for path in texts:
        sentences = [words for _, words in read_utterances(path, with_ids)]
        own, known = word_log_probs(lm, sentences, place, history), known_words(lm, sentences)
        echo(figures_line(str(path), sentence_scores_of(own, known).total()))
        if ngram is None:
            continue
        other = ngram_log_probs(ngram, sentences)
        echo(figures_line(f"{path}, {ngram}", sentence_scores_of(other, known).total()))
        chosen, mixture = mixed_share(own, other, known, share)
        echo(figures_line(f"{path}, {chosen:.3f} neural", sentence_scores_of(mixture, known).total()))


@click.command("map")
@click.argument("model", type=FILE)
@click.option("--out", type=FILE, required=True, help="The file to write.")
@writes_file("ngram-automaton", "model")
def map_command(model: Path, out: Path) -> None:
    """Write the ARPA file MODEL in the form that `hybrid rescore` maps into memory, for models of many n-grams.

    Example: hybrid lm map fg.arpa.gz --out fg.map
    """
    from hybrid.base.artifact import write_meta
    from lm.arpa import read_arpa
    from lm.mapped_model import KIND, write_mapped

    found = read_arpa(model)
    write_mapped(out, found)
    write_meta(out, KIND, {}, {"model": model}, {"ngrams": list(found.num_ngrams)})
    echo(f"{out}: {' / '.join(str(count) for count in found.num_ngrams)} n-grams")


COMMANDS = (train_neural, perplexity_neural, map_command)
