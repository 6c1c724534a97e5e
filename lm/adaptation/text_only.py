"""`adapt_to_text`: sentences chosen, models estimated, scaled and mixed; what each step has brought.

Few sentences are too few to choose by, and being neighbours of those that are learned from they speak for learning
too much. Then share, exponent and weights are those that were best, together, for one chapter of each of 20 books of
LibriSpeech's train-clean-100, adapted to 10, 25, 100 or all sentences of its other chapters.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.base.reading import open_text
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser
from lm.adaptation.marginals import domain_factors, scale_by_factors
from lm.adaptation.selection import domain_pair, entropy_differences, least
from lm.config import EstimateConfig, TextAdaptConfig
from lm.estimate import estimate, estimate_from_sentences
from lm.interpolate import interpolate, tune_weights
from lm.ngram import NgramModel
from lm.perplexity import Perplexity, sentence_scores, text_ids
from lm.word_stream import read_sentences

__all__ = ["Adapted", "Step", "adapt_to_text"]

logger = get_logger(__name__)
Sentences = list[list[str]]
SHARE = EXPONENT = 0.25  # of the large text, and of the domain's unigrams, where nothing can be tried
CHOSEN_WEIGHT = 0.1  # of a mixture, that the model of chosen sentences is given before anything is known
DOMAIN_WEIGHT, MOST = 0.0012, 0.3  # likewise the domain's: so much by the root of its words
CLEAR, CLEAR_SUM = (
    0.1,
    10.0,
)  # nats a token, and in all, by which few held-out sentences have to be better to be followed


@dataclass(frozen=True)
class Step:
    """A model on the way, and its figures on the held-out text.

    Attributes:
      name: what it is. weight: in the mixture; None of what is no part of it.
    """

    name: str
    figures: Perplexity
    weight: float | None = None

    def told(self) -> str:
        """Returns one line."""
        oov = 100 * self.figures.oovs / max(1, self.figures.tokens - self.figures.sentences)
        weight = "" if self.weight is None else f", weight {self.weight:.3f}"
        return f"{self.name}: perplexity {self.figures.without_oovs:.2f}, {oov:.2f} % OOV{weight}"


@dataclass(frozen=True)
class Adapted:
    """An adapted model.

    Attributes:
      model: the mixture, of all sentences of the domain. steps: the models given and made, in their order, as they are
        without the sentences held out.
      share: of the large text that was chosen; 0 without one. sentences, held_out: of the domain.
    """

    model: NgramModel
    steps: tuple[Step, ...]
    share: float
    sentences: int
    held_out: int


@dataclass(frozen=True)
class _Settings:
    """What is tried; one of each is taken as it is. exponents: for the model of chosen sentences and each one given."""

    shares: tuple[float, ...]
    exponents: tuple[tuple[float, ...], ...]


def adapt_to_text(
    domain: Sequence[str | os.PathLike],
    general: Sequence[str | os.PathLike],
    models: Sequence[NgramModel],
    config: TextAdaptConfig,
    estimation: EstimateConfig,
    normaliser: Normaliser | None = None,
    held_out: Sequence[str | os.PathLike] = (),
) -> Adapted:
    """Makes a model for the domain of some text.

    Choices are made on sentences that are held out; the model is then made once more of all.

    Args:
      domain: texts of the domain, one sentence a line.
      general: large texts, from which sentences are chosen; may be none.
      models: background models, mixed in; may be none where there is a large text.
      normaliser: makes words of the lines; None: what stands between blanks.
      held_out: texts of the domain for all choices, and for nothing else; none: every n-th sentence of `domain`, n
        `config.held_out`.

    Raises:
      InputError: nothing to adapt, or a text of the domain that is too short.
    """
    if not general and not models:
        raise InputError.at("lm adapt", "neither a large text nor a model is given", "Give one of them.")
    normaliser = normaliser or Normaliser(TextConfig(normalise=False))
    own, aside = _parts(domain, held_out, config.held_out, normaliser)
    num_tokens = sum(map(len, aside)) + len(aside)
    settings = _Settings(config.shares, ((0.0, *config.exponents),) * (len(models) + 1))
    if num_tokens < config.least_choice:
        logger.info("%d tokens are held out, less than %d: nothing is tried", num_tokens, config.least_choice)
        settings = _Settings((SHARE,), ((EXPONENT,),) * (len(models) + 1))
    with tempfile.TemporaryDirectory(prefix="hybrid-adapt-") as scratch:
        work = _Work(Path(scratch), models, estimation, _write(Path(scratch, "held_out"), aside))
        if general:
            work.take(_without(_all(general, normaliser), aside), config.least_count)
        steps = [Step(f"model {i}", work.figures(model)) for i, model in enumerate(models, 1)]
        parts, settled = work.make(own, settings)
        mixed = [model for _, model in parts]
        believed = _believed(len(mixed), sum(map(len, own)), len(mixed) - len(models))
        weights = _weights(mixed, work.held_out, believed, config.prior_tokens, num_tokens < config.least_choice)
        steps += [Step(name, work.figures(m), w) for (name, m), w in zip(parts, weights)]
        model = _mixture(mixed, weights, config.least_weight)
        steps.append(Step("adapted", work.figures(model)))
        if not held_out:
            model = _mixture([m for _, m in work.make(own + aside, settled)[0]], weights, config.least_weight)
    return Adapted(model, tuple(steps), settled.shares[0] if general else 0.0, len(own), len(aside))


class _Work:
    """The texts in a scratch folder, and what is made of them."""

    def __init__(self, folder: Path, models: Sequence[NgramModel], estimation: EstimateConfig, held_out: Path) -> None:
        self.folder, self.models, self.estimation, self.held_out = folder, models, estimation, held_out
        self.whole = replace(estimation, prune=())  # what little text there is of the domain is not pruned
        self.words = set().union(*(map(bytes.decode, model.vocabulary.words[3:]) for model in models))
        self.tokens = 0  # of the large text

    def take(self, general: Iterable[list[str]], least_count: int) -> None:
        """Writes the large text where it is read again, and takes its words that are seen often enough."""
        counts: Counter[str] = Counter()
        _write(self.folder / "general", _counted(general, counts))
        self.words |= {word for word, count in counts.items() if count >= least_count}
        self.tokens = counts.total()

    def figures(self, model: NgramModel) -> Perplexity:
        """Returns the figures of a model on the held-out text."""
        return _figures(model, self.held_out)

    def make(self, own: Sentences, settings: _Settings) -> tuple[list[tuple[str, NgramModel]], _Settings]:
        """Makes the models to mix, and finds the settings that are best.

        Returns:
          By name the domain's model, that of chosen sentences where there is a large text, and those given, scaled; and
          the one share and exponents that made them.
        """
        first, _ = estimate_from_sentences(own, self.whole)
        named, shares = [(f"model {i}", model) for i, model in enumerate(self.models, 1)], settings.shares
        if self.tokens:
            share, chosen = self._choose(own, shares)
            named, shares = [(f"chosen {100 * share:.3g} %", chosen), *named], (share,)
        exponents = settings.exponents[len(settings.exponents) - len(named) :]
        scaled = [self._scale(model, own, tried, name) for (name, model), tried in zip(named, exponents)]
        parts = [(f"domain ({len(own)} sentences)", first), *((name, model) for name, model, _ in scaled)]
        return parts, _Settings(shares, tuple((exponent,) for _, _, exponent in scaled))

    def _choose(self, own: Sentences, shares: Sequence[float]) -> tuple[float, NgramModel]:
        """The share of the large text whose model is best on the held-out text, and that model."""
        general, words = self.folder / "general", sorted(self.words.union(*own))
        wanted = max(1, round(self.tokens / max(1, sum(map(len, own)))))  # every n-th sentence: about as many words
        sample = [line.split() for i, line in enumerate(_lines(general)) if i % wanted == 0]
        differences = entropy_differences(*domain_pair(own, sample, self.whole), general)
        best: tuple[float, float, NgramModel] | None = None
        for share in shares:
            with open(self.folder / "chosen", "w", encoding="utf-8") as stream:
                stream.writelines(least(differences, share, _lines(general)))
            model, _ = estimate([self.folder / "chosen"], self.estimation, words)
            found = self.figures(model).with_oovs
            logger.info("%.3g %% of the large text: perplexity %.2f, OOVs as unknown words", 100 * share, found)
            if best is None or found < best[0]:
                best = found, share, model
        assert best is not None
        return best[1:]

    def _scale(
        self, model: NgramModel, own: Sentences, exponents: Sequence[float], name: str
    ) -> tuple[str, NgramModel, float]:
        """The model scaled by the domain's unigrams, by the exponent that is best on the held-out text."""
        tried = []
        for exponent in exponents:
            scaled = scale_by_factors(model, domain_factors(model, own, exponent)) if exponent else model
            tried.append((self.figures(scaled).without_oovs, exponent, scaled))
        _, exponent, found = min(tried, key=lambda entry: entry[:2])
        return f"{name}, unigrams to the power {exponent:g}" if exponent else name, found, exponent


def _all(paths: Iterable[str | os.PathLike], normaliser: Normaliser) -> Iterator[list[str]]:
    for path in paths:
        yield from (words for words in read_sentences(path, normaliser) if words)


def _parts(
    domain: Sequence[str | os.PathLike], held_out: Sequence[str | os.PathLike], every: int, normaliser: Normaliser
) -> tuple[Sentences, Sentences]:
    """The sentences to learn from and those for choices."""
    own, aside = list(_all(domain, normaliser)), list(_all(held_out, normaliser))
    if not held_out:
        every = min(every, len(own)) or 1
        aside = own[every - 1 :: every]
        own = [sentence for i, sentence in enumerate(own) if i % every != every - 1]
    if not own or not aside:
        place = ", ".join(os.fspath(path) for path in (held_out if own and held_out else domain))
        raise InputError.at(place, "holds too few sentences, wanted 2 or more", "Give more text, or a held-out one.")
    return own, aside


def _counted(sentences: Iterable[list[str]], counts: Counter[str]) -> Iterator[list[str]]:
    for words in sentences:
        counts.update(words)
        yield words


def _without(sentences: Iterable[list[str]], aside: Sentences) -> Iterator[list[str]]:
    """All but those that are held out, which would choose themselves."""
    kept_out = set(map(tuple, aside))
    yield from (words for words in sentences if tuple(words) not in kept_out)


def _believed(count: int, words: int, new: int) -> list[float]:
    """Weights before anything is known: little for the models that were made for the domain.

    Args:
      count: of models. words: of the domain. new: how many of the models, the first ones, were made for it.
    """
    found = [min(MOST, DOMAIN_WEIGHT * math.sqrt(words)), CHOSEN_WEIGHT][:new]
    if new == count:
        return [found[0], 1 - found[0]] if new > 1 else [1.0]
    return [*found, *[(1 - sum(found)) / (count - new)] * (count - new)]


def _weights(
    models: Sequence[NgramModel], held_out: Path, believed: list[float], prior: float, few: bool
) -> list[float]:
    """Weights of the mixture by EM, drawn towards what is believed.

    Args:
      prior: tokens that the belief counts as, beside those of the held-out text.
      few: the text is small: it has to contradict the belief clearly, or that is taken as it is.
    """
    if len(models) == 1:
        return believed
    tuned = tune_weights(models, [held_out])
    if few:
        gain = math.log(_figures(_mixture(models, believed, 0.0), held_out).without_oovs / tuned.perplexities[-1])
        if gain < CLEAR or gain * tuned.tokens < CLEAR_SUM:
            return believed
        logger.info("the held-out text wants other weights: perplexity %.2f", tuned.perplexities[-1])
    total = tuned.tokens + prior
    return [(tuned.tokens * found + prior * share) / total for found, share in zip(tuned.weights, believed)]


def _mixture(models: Sequence[NgramModel], weights: Sequence[float], least_weight: float) -> NgramModel:
    used = [i for i, weight in enumerate(weights) if weight > least_weight]
    total = sum(weights[i] for i in used)
    return interpolate([models[i] for i in used], [weights[i] / total for i in used])


def _write(path: Path, sentences: Iterable[Sequence[str]]) -> Path:
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(" ".join(words) + "\n" for words in sentences)
    return path


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as stream:
        yield from stream


def _figures(model: NgramModel, path: Path) -> Perplexity:
    total = Perplexity(0, 0, 0, 0.0, 0.0)
    for scores in sentence_scores(model, text_ids(model, path)):
        total += scores.total()
    return total
