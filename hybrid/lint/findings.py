"""What is wrong, or worth knowing, of a lang folder and a grammar before they are composed, each with its cure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import quote
from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import log_sums
from hybrid.fst.ops_kernels import useful_states
from hybrid.graph.ambiguity import grammar_ambiguities
from hybrid.graph.word_classes import Classes
from lexicon.lang_dir import LangDir
from lm.ngram import NgramModel
from lm.word_table import BOS, EOS

__all__ = ["ERROR", "NOTE", "WARNING", "LintFinding", "lint"]

ERROR, WARNING, NOTE = "error", "warning", "note"
"""No graph comes of it; the graph lacks or loses something; worth knowing."""

SHOWN = 5
LOST = 0.01  # of the probability of a state, from which on it is told


@dataclass(frozen=True)
class LintFinding:
    """One thing found.

    Attributes:
      kind: `ERROR`, `WARNING` or `NOTE`. found: what. cure: what to do.
    """

    kind: str
    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.found}. {self.cure}"


def lint(
    lang: LangDir, grammar: FstArrays, model: NgramModel | None = None, classes: Classes | None = None
) -> list[LintFinding]:
    """Looks at a lexicon and a grammar.

    Args:
      grammar: G over the words of `lang`, and labels of classes.
      model: that G was made of, whose words may be missing in `lang`.
      classes: what the labels of classes stand for.

    Returns:
      Errors first, then warnings, then notes.
    """
    classes = classes or Classes()
    checks = (_ways(grammar), _spoken(lang, grammar, classes), _idle(lang, grammar), _lexicon(lang, grammar),
              _ambiguous(lang, grammar), _classes(grammar, classes), _sums(grammar), _outside(lang, model))  # fmt: skip
    found = [finding for check in checks for finding in check]
    return sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.kind))


def _shown(names: Iterable[str], count: int) -> str:
    some = [f"'{quote(name)}'" for _, name in zip(range(SHOWN), names)]
    return ", ".join(some) + (f" and {count - SHOWN} more" if count > SHOWN else "")


def _names(lang: LangDir, ids: np.ndarray) -> str:
    return _shown((lang.words.symbol(int(i)) for i in ids), len(ids))


def _ways(grammar: FstArrays) -> Iterator[LintFinding]:
    """States out of reach, and without a way to the end."""
    if not grammar.num_states or not np.isfinite(grammar.final_costs).any():
        yield LintFinding(
            ERROR, "the grammar has no end: no state is final", "Make a model with </s>, or end its rules."
        )
        return
    splits, to = grammar.row_splits, grammar.next_states
    useful = useful_states(grammar.start, splits, to, grammar.final_costs)
    if not useful[grammar.start]:
        yield LintFinding(
            ERROR,
            "no way leads from the start of the grammar to its end",
            "Look for a rule, or an n-gram of </s>, that is missing.",
        )
        return
    reached = useful_states(grammar.start, splits, to, np.zeros(grammar.num_states, np.float32))
    if lost := int(np.count_nonzero(~reached)):
        first = int(np.flatnonzero(~reached)[0])
        yield LintFinding(
            WARNING,
            f"{lost} states are out of reach from the start, the first is {first}",
            "Remove the rules or n-grams that nothing leads to.",
        )
    if dead := int(np.count_nonzero(reached & ~useful)):
        first = int(np.flatnonzero(reached & ~useful)[0])
        yield LintFinding(
            WARNING,
            f"{dead} states have no way to the end, the first is {first}",
            "Give each history a back-off, or each rule an end; what enters them is lost.",
        )


def _spoken(lang: LangDir, grammar: FstArrays, classes: Classes) -> Iterator[LintFinding]:
    """Words of the grammar that cannot be spoken, and what they take with them."""
    spoken = [0, *np.unique(lang.L_arrays(disambig=True).olabels), *lang.word_disambig, *classes.symbols]
    lost = np.setdiff1d(np.unique(grammar.ilabels), spoken)
    outside, silent = lost[lost > lang.words.max_id], lost[lost <= lang.words.max_id]
    if len(outside):
        found = f"{len(outside)} labels of the grammar are no words of {lang.path}, the first is {outside[0]}"
        yield LintFinding(ERROR, found, "Make G with the words.txt of this lang folder.")
    if len(silent):
        weights = np.exp(-grammar.costs) * np.isin(grammar.ilabels, silent)
        mass = np.bincount(grammar.sources(), weights, grammar.num_states).max()
        names = _names(lang, silent)
        found = f"{len(silent)} words of the grammar have no pronunciation: {names}; "
        found += f"they take up to {100 * mass:.3g} % of the probability of a state"
        yield LintFinding(WARNING, found, "Add them to the lexicon (`hybrid lm g2p-apply` guesses), or take them out.")


def _idle(lang: LangDir, grammar: FstArrays) -> Iterator[LintFinding]:
    """Words of the lexicon that are not in the grammar."""
    special = [0, lang.oov_id, *lang.word_disambig]
    idle = np.setdiff1d(np.unique(lang.L_arrays(disambig=True).olabels), [*special, *np.unique(grammar.ilabels)])
    names = [name for i in idle if (name := lang.words.symbol(int(i)))[0] not in "<!#"]
    if names:
        shown = _shown(names, len(names))
        found = f"{len(names)} words of the lexicon are not in the grammar and cannot be recognised: {shown}"
        yield LintFinding(NOTE, found, "Add text with them, or take a smaller lexicon.")


def _lexicon(lang: LangDir, grammar: FstArrays) -> Iterator[LintFinding]:
    """Words pronounced as silence, or as nothing."""
    used = {int(i) for i in np.unique(grammar.ilabels)}
    silence = {lang.phones.symbol(phone) for phone in lang.silence_phones}
    as_silence, empty = [], []
    for word, phones in lang.pronunciations():
        if word in (lang.oov_word,) or word[0] in "<![" or word not in lang.words or lang.words[word] not in used:
            continue
        if not phones:
            empty.append(word)
        elif silence.issuperset(phones):
            as_silence.append(word)
    if as_silence:
        shown = _shown(as_silence, len(as_silence))
        cure = "Give them phones; as they are, they come and go in pauses."
        yield LintFinding(WARNING, f"{len(as_silence)} words are pronounced as silence: {shown}", cure)
    if empty:
        yield LintFinding(
            WARNING, f"{len(empty)} words are pronounced as nothing: {_shown(empty, len(empty))}", "Give them phones."
        )


def _ambiguous(lang: LangDir, grammar: FstArrays) -> Iterator[LintFinding]:
    """What keeps L∘G from being determinised."""
    used = {lang.words.symbol(int(i)) for i in np.unique(grammar.ilabels) if i <= lang.words.max_id}
    clashes = lang.find_clashes(words=used)
    if clashes:
        shown = "; ".join(map(str, clashes[:SHOWN]))
        more = f" and {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        cure = "Make the lang folder again with `hybrid lang prepare`, which gives homophones symbols."
        yield LintFinding(ERROR, f"words cannot be told apart: {shown}{more}", cure)
    if ambiguous := grammar_ambiguities(grammar, lang.words):
        yield LintFinding(
            WARNING,
            f"the grammar is ambiguous: {'; '.join(ambiguous[:SHOWN])}",
            "Put #0 on back-off arcs and make it deterministic.",
        )


def _classes(grammar: FstArrays, classes: Classes) -> Iterator[LintFinding]:
    """Classes that nothing uses, or with nothing in them."""
    within = [content.ilabels for content in classes.contents.values()]
    used = set(np.unique(np.concatenate([grammar.ilabels, *within])).tolist())
    for name, label in sorted(classes.labels.items()):
        if label not in used:
            cure = "Look at the text that the language model was made of."
            yield LintFinding(WARNING, f"the class '{quote(name)}' stands nowhere in the grammar", cure)
    for name, content in sorted(classes.contents.items()):
        if any(finding.kind == ERROR for finding in _ways(content)):
            yield LintFinding(
                ERROR, f"the class '{quote(name)}' is empty", "Give it words, or leave it open as a slot."
            )


def _sums(grammar: FstArrays) -> Iterator[LintFinding]:
    """States that lose probability, or have too much of it though nothing backs off from them."""
    if not grammar.num_arcs:
        return
    sums = np.exp(log_sums(grammar))
    lossy = np.flatnonzero((sums < 1 - LOST) & (sums > 0))
    if len(lossy):
        worst = int(lossy[np.argmin(sums[lossy])])
        yield LintFinding(
            WARNING,
            f"{len(lossy)} states lose probability, state {worst} keeps {100 * sums[worst]:.3g} %",
            "Give words to `hybrid lm train --vocabulary`, rather than cut n-grams out of a model.",
        )
    backs_off = np.bincount(grammar.sources(), grammar.olabels == 0, grammar.num_states) > 0
    rich = np.flatnonzero((sums > 1 + LOST) & ~backs_off)
    if len(rich):
        most = int(rich[np.argmax(sums[rich])])
        yield LintFinding(
            NOTE,
            f"{len(rich)} states have more than all probability, state {most} {sums[most]:.3g} times",
            "Give alternatives weights that sum to one, if scores shall be probabilities.",
        )


def _outside(lang: LangDir, model: NgramModel | None) -> Iterator[LintFinding]:
    """Words of the language model that the lang folder lacks, and how much they are worth."""
    if model is None:
        return
    probs = 10.0 ** model.levels[0].log10_probs.astype(np.float64)
    words = model.vocabulary.words
    if not probs[EOS] > 0 or model.levels[0].log10_probs[EOS] <= -99:
        yield LintFinding(
            ERROR, "the language model never ends a sentence: </s> has no probability", "Train it on whole lines."
        )
    missing = [(probs[i], words[i].decode()) for i in range(BOS + 2, len(words)) if words[i].decode() not in lang.words]
    if missing:
        mass = sum(prob for prob, _ in missing)
        best = [word for _, word in sorted(missing, reverse=True)]
        yield LintFinding(
            WARNING,
            f"{len(missing)} words of the language model are not in words.txt and take "
            f"{100 * mass:.3g} % of its unigram probability: {_shown(best, len(best))}",
            "Add them to the lexicon, or train with `--vocabulary` of this lang folder.",
        )
