"""A whole training of a neural language model: from texts to a folder that scores words."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybrid.base.artifact import content_hash, read_meta
from hybrid.base.config import config_to_dict
from hybrid.base.content import ByContent
from hybrid.base.disk import remove_mark
from hybrid.base.doors import output_folder, paths_of
from hybrid.base.errors import HybridError, InputError
from hybrid.base.log import get_logger, log_settings
from hybrid.base.reading import read_bytes
from hybrid.train.gmm.begin_and_end import work_dir
from hybrid.train.gmm.state import fingerprint
from hybrid.train.lm.lm_settings import LmTrainingConfig
from hybrid.train.lm.text_batches import (
    Stretch,
    TokenMaker,
    TokenText,
    piece_units,
    read_tokens,
    stretches,
    word_units,
)  # fmt: skip
from hybrid.train.nnet.average import FOLDER, choose, kept_models, load_average
from hybrid.train.nnet.checkpoint import TrainState, save_state
from hybrid.train.nnet.corpus import Corpus, hold_out
from hybrid.train.nnet.distributed import Group, process_group
from hybrid.train.nnet.forward import amp_dtype
from hybrid.train.nnet.log import write_rows
from hybrid.train.nnet.loop import Loop
from hybrid.train.nnet.measure import Measurer
from hybrid.train.nnet.objective import Parts
from hybrid.train.nnet.resume import begin_or_resume
from hybrid.train.nnet.run import NnetConfig
from lexicon.pieces import load_pieces
from lm.neural.config import NeuralLmConfig
from lm.neural.folder import KIND, NeuralLm, build, load_neural_lm, save_neural_lm
from lm.neural.units import Units
from lm.word_stream import read_word_list

__all__ = ["LmSources", "TokenLikelihood", "train_neural_lm"]

logger = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class LmSources(ByContent):
    """What a model is made from.

    Attributes:
      texts: a sentence a line. heldout: texts to measure on; where there are none, some of `texts` is held out.
      vocabulary: word list; without it all words of the texts.
      pieces: SentencePiece model; the tokens are then pieces of words.
      with_ids: each line of a text begins with an utterance id.
    """

    texts: tuple[Path, ...]
    heldout: tuple[Path, ...] = ()
    vocabulary: Path | None = None
    pieces: Path | None = None
    with_ids: bool = False

    def inputs(self) -> dict[str, Path]:
        """Returns all files by name, for meta.json."""
        named = {f"text{i}": path for i, path in enumerate(self.texts, 1)}
        named |= {f"heldout{i}": path for i, path in enumerate(self.heldout, 1)}
        more = {"vocabulary": self.vocabulary, "pieces": self.pieces}
        return named | {name: path for name, path in more.items() if path is not None}


class TokenLikelihood:
    """Log-likelihood of tokens; see `hybrid.train.nnet.objective`."""

    name = "log-likelihood"
    ceiling = 0.0
    advice = "A probability above one is a fault of the network."

    def __call__(self, output: Tensor, targets: Any) -> Parts:
        """Returns the parts of a batch.

        Args:
          output: float32 [N][T], log-probabilities, 0 past the lengths. targets: the lengths.
        """
        total = output.sum()
        return Parts(-total, float(np.sum(targets)), {"objective": float(total.detach())})


def train_neural_lm(
    sources: LmSources, out_dir: Path, network: NeuralLmConfig, config: LmTrainingConfig
) -> NeuralLm:  # fmt: skip
    """Trains a model and writes its folder; killed at any moment, the same call goes on.

    Returns:
      The finished model, also where it was finished before.

    Raises:
      InputError: texts, vocabulary or pieces that cannot be used.
      HybridError: see `Loop.run`.
    """
    if sources.vocabulary is not None and sources.pieces is not None:
        raise InputError.at("--vocabulary", "is of no use with --pieces, which spell any word", "Give one of them.")
    if config.threads:
        torch.set_num_threads(config.threads)
    with process_group(config.device) as (group, device):
        amp_dtype(config.amp, device)  # told before anything is read or removed
        if not group.is_first:
            return _train(sources, out_dir, network, config, group, device)
        with output_folder(out_dir, KIND, paths_of(list(sources.inputs().values()))):
            return _train(sources, out_dir, network, config, group, device)


def _train(
    sources: LmSources, out_dir: Path, shape: NeuralLmConfig, config: LmTrainingConfig, group: Group,
    device: torch.device,
) -> NeuralLm:  # fmt: skip
    identity = _identity(sources, shape, config)
    done = _finished(out_dir, identity)
    if group.agree([float(done is not None)])[0]:
        return done or load_neural_lm(out_dir)
    units = _units(sources, config)
    text, tokens, corpus = _corpus(sources, units, config)
    loop_config = config.for_the_loop(bool(corpus.heldout))
    training = loop_config.training
    torch.manual_seed(config.seed)
    network = build(shape, len(units)).to(device)
    if group.is_first:
        log_settings(logger, "lm train-neural", {**config_to_dict(shape), **config_to_dict(config)})
    logger.info("%d words, %.2f %% of them unknown; %d tokens an epoch of %d kinds; %d parameters", text.words,
                100 * text.unknown / text.words, corpus.frames, len(units),
                sum(p.numel() for p in network.parameters()))  # fmt: skip
    path, optimiser, state = begin_or_resume(network, loop_config.optimiser, out_dir, identity, group.is_first)

    def save(now: TrainState) -> None:
        if group.is_first:
            save_state(path, network, optimiser, now, identity)
        group.wait()

    maker, objective = TokenMaker(tokens, corpus.training, config.seed), TokenLikelihood()  # type: ignore[arg-type]
    heldout = replace(maker, items=corpus.heldout)  # type: ignore[arg-type]
    with Measurer(out_dir, network, objective, heldout, loop_config, corpus, group, device, save) as measure:
        Loop(
            network, objective, optimiser, maker, loop_config.batches, loop_config.optimiser, training, group, device,
            state, max(1, round(training.epochs * corpus.frames)),
            max(1, round(corpus.frames / training.evaluations)), measure, save,
        ).run()  # fmt: skip
    if group.is_first:
        lm = NeuralLm(shape, units, network.cpu(), out_dir)
        _finish(out_dir, lm, sources, config, loop_config, state, text, identity)
        shutil.rmtree(work_dir(out_dir), ignore_errors=True)
    group.wait()
    return load_neural_lm(out_dir)


def _identity(sources: LmSources, shape: NeuralLmConfig, config: LmTrainingConfig) -> str:
    """A hash of all that the weights depend on."""
    plain = {k: v for k, v in config_to_dict(config).items() if k not in ("checkpoint_minutes", "threads")}
    known = {name: content_hash(path) for name, path in sources.inputs().items()}
    return fingerprint(config_to_dict(shape), plain, known, sources.with_ids)


def _finished(out_dir: Path, identity: str) -> NeuralLm | None:
    """Returns the model of just this training, if the folder holds it whole."""
    try:
        if read_meta(out_dir).get("facts", {}).get("identity") != identity:
            return None
        lm = load_neural_lm(out_dir)
    except HybridError as error:
        logger.warning("%s It is trained again.", error)
        return None
    logger.info("%s holds this model already; nothing to do", out_dir)
    shutil.rmtree(work_dir(out_dir), ignore_errors=True)
    return lm


def _units(sources: LmSources, config: LmTrainingConfig) -> Units:
    if sources.pieces is not None:
        load_pieces(sources.pieces)  # refuses what is none
        return piece_units(sources.texts, sources.with_ids, read_bytes(sources.pieces))
    words = read_word_list(sources.vocabulary) if sources.vocabulary else None
    return word_units(sources.texts, sources.with_ids, config.min_count, words)


def _corpus(sources: LmSources, units: Units, config: LmTrainingConfig) -> tuple[TokenText, np.ndarray, Corpus]:
    """Returns the text, all tokens, and what of them is trained on and what is held out."""
    text = read_tokens(sources.texts, units, sources.with_ids)
    items: Sequence[Stretch] = stretches(text.tokens, config.context)
    if not sources.heldout:
        loop = config.for_the_loop(bool(config.heldout)).training
        return text, text.tokens, hold_out(items, {}, replace(loop, heldout=config.heldout, patience=0))
    other = read_tokens(sources.heldout, units, sources.with_ids)
    measured = stretches(other.tokens, config.context, len(text.tokens), "heldout")
    return text, np.concatenate([text.tokens, other.tokens]), Corpus(tuple(items), tuple(measured), {})


def _finish(
    out_dir: Path, lm: NeuralLm, sources: LmSources, config: LmTrainingConfig, loop_config: NnetConfig,
    state: TrainState, text: TokenText, identity: str,
) -> None:  # fmt: skip
    """Takes the best model, or the average of the best, and writes the folder."""
    remove_mark(out_dir)
    chosen = choose(kept_models(out_dir), loop_config.training.average, best=True)
    load_average(lm.network, chosen)
    write_rows(out_dir / "passes.tsv", state.rows)
    best = max(each.objective for each in chosen)
    facts = {
        "identity": identity, "tokens": len(lm.units), "words": text.words, "unknown": text.unknown,
        "parameters": sum(p.numel() for p in lm.network.parameters()), "steps": state.step,
        "seen": state.frames, "skipped_steps": state.skipped, "kept": [each.number for each in chosen],
        "heldout_perplexity": round(math.exp(-best), 3),
    }  # fmt: skip
    files = ["passes.tsv", "heldout.txt", *(f"{FOLDER}/{k.path.name}" for k in kept_models(out_dir))]
    save_neural_lm(out_dir, lm, config_to_dict(config), sources.inputs(), facts, files)
    logger.info("%s: perplexity %.2f a token on the held-out text", out_dir, math.exp(-best))
