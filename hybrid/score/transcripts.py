"""References and hypotheses by utterance: Kaldi's text form (`utt-id word word …`) or lhotse cuts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.base.reading import text_lines
from hybrid.data.manifest import read_cuts
from lexicon.words.blanks import cut_key, split_words
from lexicon.words.normaliser import Normaliser
from lexicon.words.spelling import Spelling, plain_marks, told_loss

__all__ = ["Form", "Transcripts", "canonical", "pair", "read_table", "read_transcripts", "spelt_by"]

_log = get_logger(__name__)
Form = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, eq=False)
class Transcripts(ByContent):
    """What was said, or what was recognised.

    Attributes:
      path: where it was read.
      words: utterance id → its words.
      speakers: utterance id → speaker; empty where the file does not tell.
    """

    path: str
    words: Mapping[str, Sequence[str]]
    speakers: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.words)

    def in_form(self, form: Form) -> Transcripts:
        """Returns the transcripts with words in another spelling; says in the log how many were changed."""
        made = {u: form(words) for u, words in self.words.items()}
        changed = sum(list(words) != made[u] for u, words in self.words.items())
        if changed:
            _log.info("%s: words of %d of %d utterances are spelt otherwise for scoring", self.path, changed, len(made))
        return Transcripts(self.path, made, self.speakers) if changed else self


def canonical(words: Sequence[str]) -> list[str]:
    """Returns words in Unicode's NFC, with one kind of apostrophe and hyphen and nothing invisible."""
    return [word if word.isascii() else plain_marks(word, joiners=True) for word in words]


def spelt_by(normaliser: Normaliser) -> Form:
    """Returns what brings both sides of a comparison to a lexicon's spelling."""
    return lambda words: normaliser.words(" ".join(words))


def read_table(path: str | os.PathLike) -> dict[str, list[str]]:
    """Reads `key value value …` lines, e.g. Kaldi's text or utt2spk; a byte-order mark is dropped.

    Raises:
      InputError: unreadable, not UTF-8, or a key that stands there twice.
    """
    table: dict[str, list[str]] = {}
    for number, line in text_lines(path):
        key, rest = cut_key(line.removeprefix("\ufeff") if number == 1 else line)
        if not key:
            continue
        if key in table:
            found = f"utterance '{quote(key)}' stands here a second time"
            raise InputError.at(path, found, "Remove one of them.", number)
        table[key] = split_words(rest)
    return table


def _read_manifest(path: str | os.PathLike) -> Transcripts:
    cuts = read_cuts(path, audio=False)
    for cut in cuts:
        if cut.fault:
            raise InputError.at(path, f"utterance '{cut.id}' {cut.fault}", "Mend it.")
    return Transcripts(str(path), {c.id: c.words for c in cuts}, {c.id: c.speaker for c in cuts})


def read_transcripts(path: str | os.PathLike, utt2spk: str | os.PathLike | None = None) -> Transcripts:
    """Reads transcripts from lhotse cuts (a `.jsonl` or `.jsonl.gz` file) or from Kaldi's text form.

    Args:
      path: the file, or a folder that holds `cuts.jsonl.gz`.
      utt2spk: Kaldi's table of speakers, for text that does not tell them.

    Raises:
      InputError: unreadable, not UTF-8, a duplicate utterance, or nothing in it.
    """
    if Path(path).is_dir() or Path(path).name.removesuffix(".gz").endswith(".jsonl"):
        found = _read_manifest(path)
    else:
        found = Transcripts(str(path), read_table(path))
    if not found.words:
        raise InputError.at(path, "holds no transcript", "Give `utterance-id word word …` lines or cuts.jsonl.gz.")
    if utt2spk is not None:
        speakers = {u: v[0] for u, v in read_table(utt2spk).items() if v}
        found = Transcripts(found.path, found.words, {u: speakers[u] for u in found.words if u in speakers})
    return found


def pair(reference: Transcripts, hypothesis: Transcripts) -> dict[str, tuple[list[str], list[str]]]:
    """Puts each reference beside its hypothesis, in the order of utterance ids.

    An utterance that was not recognised at all counts with every word deleted, so that a system cannot
    win by giving up; hypotheses without a reference are left out. Both are told in the log.

    Raises:
      InputError: the two files share no utterance.
    """
    missing = [u for u in reference.words if u not in hypothesis.words]
    extra = [u for u in hypothesis.words if u not in reference.words]
    if len(missing) == len(reference.words):
        raise InputError.at(
            hypothesis.path,
            f"shares no utterance with {reference.path} (its first is '{quote(next(iter(hypothesis.words), ''))}', "
            f"wanted e.g. '{quote(next(iter(reference.words)))}')",
            "Check that both are of the same set.",
        )
    if missing:
        _log.warning(
            "%s has no line for %d of %d utterances of %s (e.g. %s); all their words count as deleted",
            hypothesis.path,
            len(missing),
            len(reference.words),
            reference.path,
            quote(missing[0]),
        )
    if extra:
        _log.warning("%s has %d utterances without reference; left out", hypothesis.path, len(extra))
    _tell_spelling(reference, hypothesis)
    return {u: (list(reference.words[u]), list(hypothesis.words.get(u, ()))) for u in sorted(reference.words)}


def _tell_spelling(reference: Transcripts, hypothesis: Transcripts) -> None:
    """Warns where most words of the reference were never recognised and only their spelling may hinder that."""
    wanted = {word for words in reference.words.values() for word in words}
    heard = {word for words in hypothesis.words.values() for word in words}
    missing = wanted - heard
    if heard and 2 * len(missing) > len(wanted) and (told := told_loss(missing, len(missing), Spelling(heard))):
        _log.warning("%s and %s: %s; --lang brings both to one spelling", reference.path, hypothesis.path, told)
