"""`adapt_to_text`: sentences chosen, models estimated, scaled and mixed; what each step has brought."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
OWN_SHARE = 0.1  # of a mixture, that a model of the domain is given before anything is known


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
      model: the mixture. steps: the models given and made, in their order; the last is `model`.
      share: of the large text that was chosen; 0 without one. sentences, held_out: of the domain.
    """

    model: NgramModel
    steps: tuple[Step, ...]
    share: float
    sentences: int
    held_out: int


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

    Args:
      domain: texts of the domain, one sentence a line.
      general: large texts, from which sentences are chosen; may be none.
      models: background models, mixed in; may be none where there is a large text.
      normaliser: makes words of the lines; None: what stands between blanks.
      held_out: texts of the domain for all choices; none: every n-th sentence of `domain`, n `config.held_out`.

    Raises:
      InputError: nothing to adapt, or a text of the domain that is too short.
    """
    if not general and not models:
        raise InputError.at("lm adapt", "neither a large text nor a model is given", "Give one of them.")
    normaliser = normaliser or Normaliser(TextConfig(normalise=False))
    own, aside = _parts(domain, held_out, config.held_out, normaliser)
    with tempfile.TemporaryDirectory(prefix="hybrid-adapt-") as scratch:
        folder = Path(scratch)
        _write(folder / "held_out", aside)
        steps = [Step(f"model {i}", _figures(model, folder / "held_out")) for i, model in enumerate(models, 1)]
        words = {word for sentence in own for word in sentence}.union(
            *(map(bytes.decode, m.vocabulary.words[3:]) for m in models)
        )
        share, chosen = 0.0, None
        if general:
            counts: Counter[str] = Counter()
            _write(folder / "general", _counted(_without(_all(general, normaliser), aside), counts))
            words |= {word for word, count in counts.items() if count >= config.least_count}
            share, chosen = _choose(folder, own, counts.total(), sorted(words), config, estimation)
        parts = [_scale(model, own, folder / "held_out", config, f"model {i}") for i, model in enumerate(models, 1)]
        if chosen is not None:
            parts.insert(0, _scale(chosen, own, folder / "held_out", config, f"chosen {100 * share:.3g} %"))
        first, _ = estimate_from_sentences(own, estimation)
        parts.insert(0, (f"domain ({len(own)} sentences)", first))
        mixed = [model for _, model in parts]
        weights = _weights(mixed, folder / "held_out", len(mixed) - len(models), config.prior_tokens)
        steps += [Step(name, _figures(m, folder / "held_out"), w) for (name, m), w in zip(parts, weights)]
        used = [i for i, weight in enumerate(weights) if weight > config.least_weight]
        total = sum(weights[i] for i in used)
        model = interpolate([mixed[i] for i in used], [weights[i] / total for i in used])
        steps.append(Step("adapted", _figures(model, folder / "held_out")))
    return Adapted(model, tuple(steps), share, len(own), len(aside))


def _all(paths: Iterable[str | os.PathLike], normaliser: Normaliser) -> Iterator[list[str]]:
    for path in paths:
        yield from (words for words in read_sentences(path, normaliser) if words)


def _parts(
    domain: Sequence[str | os.PathLike], held_out: Sequence[str | os.PathLike], every: int, normaliser: Normaliser
) -> tuple[Sentences, Sentences]:
    """The sentences to learn from and those for choices."""
    own, aside = list(_all(domain, normaliser)), list(_all(held_out, normaliser))
    if not held_out:
        aside = own[every - 1 :: every]
        own = [sentence for i, sentence in enumerate(own) if i % every != every - 1]
    if not own or not aside:
        place = ", ".join(os.fspath(path) for path in (held_out if own and held_out else domain))
        raise InputError.at(
            place, f"holds too few sentences, wanted {every} or more", "Give more text, or a held-out one."
        )
    return own, aside


def _counted(sentences: Iterable[list[str]], counts: Counter[str]) -> Iterator[list[str]]:
    for words in sentences:
        counts.update(words)
        yield words


def _without(sentences: Iterable[list[str]], aside: Sentences) -> Iterator[list[str]]:
    """All but those that are held out, which would choose themselves."""
    kept_out = set(map(tuple, aside))
    yield from (words for words in sentences if tuple(words) not in kept_out)


def _weights(models: Sequence[NgramModel], held_out: Path, new: int, prior: float) -> list[float]:
    """Weights of the mixture by EM, drawn towards a tenth for each model of the domain and the rest for those given.

    Args:
      new: how many of the models, the first ones, were made for the domain.
      prior: tokens that this belief counts as, beside those of the held-out text.
    """
    if len(models) == 1:
        return [1.0]
    tuned, given = tune_weights(models, [held_out]), len(models) - new
    share = OWN_SHARE if given else 1 / new
    belief = [share] * new + [(1 - new * share) / given for _ in range(given)]
    total = tuned.tokens + prior
    return [(tuned.tokens * found + prior * share) / total for found, share in zip(tuned.weights, belief)]


def _write(path: Path, sentences: Iterable[Sequence[str]]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(" ".join(words) + "\n" for words in sentences)


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as stream:
        yield from stream


def _figures(model: NgramModel, path: Path) -> Perplexity:
    total = Perplexity(0, 0, 0, 0.0, 0.0)
    for scores in sentence_scores(model, text_ids(model, path)):
        total += scores.total()
    return total


def _choose(
    folder: Path, own: Sentences, tokens: int, words: list[str], config: TextAdaptConfig, estimation: EstimateConfig
) -> tuple[float, NgramModel]:
    """The share of the large text whose model is best on the held-out text, and that model."""
    wanted = max(1, round(tokens / max(1, sum(map(len, own)))))  # every n-th sentence: about as many words
    sample = [line.split() for i, line in enumerate(_lines(folder / "general")) if i % wanted == 0]
    differences = entropy_differences(*domain_pair(own, sample, estimation), folder / "general")
    best: tuple[float, float, NgramModel] | None = None
    for share in config.shares:
        with open(folder / "chosen", "w", encoding="utf-8") as stream:
            stream.writelines(least(differences, share, _lines(folder / "general")))
        model, _ = estimate([folder / "chosen"], estimation, words)
        found = _figures(model, folder / "held_out").with_oovs
        logger.info("%.3g %% of the large text: perplexity %.2f, OOVs as unknown words", 100 * share, found)
        if best is None or found < best[0]:
            best = found, share, model
    assert best is not None
    return best[1], best[2]


def _scale(
    model: NgramModel, own: Sentences, held_out: Path, config: TextAdaptConfig, name: str
) -> tuple[str, NgramModel]:
    """The model scaled by the domain's unigrams, by the exponent that is best on the held-out text."""
    tried = [(_figures(model, held_out).without_oovs, 0.0, model)]
    for exponent in config.exponents:
        if exponent > 0:
            scaled = scale_by_factors(model, domain_factors(model, own, exponent))
            tried.append((_figures(scaled, held_out).without_oovs, exponent, scaled))
    _, exponent, found = min(tried, key=lambda entry: entry[:2])
    return (f"{name}, unigrams to the power {exponent:g}" if exponent else name), found
