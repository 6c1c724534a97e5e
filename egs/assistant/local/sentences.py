"""Draws the sentences of the assistant from its grammar: no sentence of dev or test is in train or in the LM text.

Templates of few sentences belong to train, all of them.

    sentences.py --grammar conf/grammar.yaml --lexicon local/dict/lexicon.txt --out-dir data/text

Writes `train`, `dev` and `test` (`utterance-id WORD …`), `lm.txt` (sentences) and `vocab.txt` (all words).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.config import read_yaml
from hybrid.base.errors import HybridError, InputError
from lexicon.lexicon import Lexicon

SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Grammar:
    """Templates by domain, and what their slots may hold.

    Attributes:
      intents: what a template asks for; by default its domain.
    """

    domains: dict[str, list[str]]
    slots: dict[str, list[str]]
    intents: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Grammar":
        """Reads and checks a grammar.

        Raises:
          InputError: no domain, an entry that is no text, or a slot that is not there.
        """
        values = read_yaml(path)
        given, slots = values.get("domains"), values.get("slots") or {}
        if not given:
            raise InputError.at(path, "has no domains", "Write `domains:` with lists of templates.")
        domains: dict[str, list[str]] = {}
        intents: dict[str, str] = {}
        for name, entries in given.items():
            groups = entries if isinstance(entries, dict) else {name: entries}
            domains[name] = [entry for some in groups.values() for entry in some]
            for intent, some in groups.items():
                for entry in some:
                    if intents.setdefault(str(entry), intent) != intent:
                        raise InputError.at(path, f"'{entry}' has two intents", "Leave it in one of them.")
        for name, entries in [*domains.items(), *slots.items()]:
            for entry in entries:
                if not isinstance(entry, str):
                    raise InputError.at(path, f"'{name}' holds {entry!r}, wanted text", "Put it in quotes.")
                for slot in SLOT.findall(entry):
                    if slot not in slots:
                        raise InputError.at(path, f"'{entry}' uses the slot '{slot}', which is not there", "Add it.")
        return cls(domains, slots, intents)

    def draw(self, generator: np.random.Generator) -> str:
        """Draws a sentence."""
        domain = list(self.domains)[int(generator.integers(len(self.domains)))]
        return self.filled(self._one(self.domains[domain], generator), generator)

    def filled(self, text: str, generator: np.random.Generator) -> str:
        """Draws something for each slot of a template."""
        while SLOT.search(text):
            text = SLOT.sub(lambda match: self._one(self.slots[match.group(1)], generator), text, count=1)
        return text

    def naming(self, slot: str) -> list[tuple[str, str]]:
        """Returns intent and template wherever a slot stands, in a template or in what another slot may hold there."""
        sign, found = f"{{{slot}}}", []
        for domain, template in ((name, t) for name, templates in self.domains.items() for t in templates):
            inner = [
                template.replace(other.group(0), entry, 1)
                for other in SLOT.finditer(template)
                for entry in self.slots[other.group(1)]
                if sign in entry
            ]
            intent = self.intents.get(template, domain)
            found += [(intent, one) for one in (template, *inner) if sign in one]
        return found

    @staticmethod
    def _one(entries: list[str], generator: np.random.Generator) -> str:
        return entries[int(generator.integers(len(entries)))]

    def words(self) -> list[str]:
        """Returns every word that can be said, sorted."""
        entries = [e for group in (self.domains, self.slots) for entries in group.values() for e in entries]
        return sorted({word for entry in entries for word in SLOT.sub(" ", entry).split()})

    def _filled(self, sentence: str) -> list[str]:
        """Returns a sentence with each entry of its first slot in turn, or itself where it has none."""
        if not (slot := SLOT.search(sentence)):
            return [sentence]
        return [sentence.replace(slot.group(0), entry, 1) for entry in self.slots[slot.group(1)]]

    def few(self, limit: int = 10) -> list[str]:
        """Returns every sentence of the templates that have at most `limit`."""
        found = []
        for template in (t for templates in self.domains.values() for t in templates):
            sentences = [template]
            while len(sentences) <= limit and any(map(SLOT.search, sentences)):
                sentences = [filled for sentence in sentences for filled in self._filled(sentence)]
            found += sentences if len(sentences) <= limit else []
        return found


def distinct(grammar: Grammar, generator: np.random.Generator) -> Iterator[str]:
    """Yields sentences, each once, without those of templates that have few.

    Raises:
      HybridError: the grammar has no more of them.
    """
    seen = set(grammar.few())
    misses = 0
    while misses < 100_000:
        sentence = grammar.draw(generator)
        if sentence in seen:
            misses += 1
            continue
        misses = 0
        seen.add(sentence)
        yield sentence
    raise HybridError("the grammar has too few sentences; add templates, or ask for fewer.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws the sentences of the assistant from its grammar.")
    parser.add_argument("--grammar", type=Path, required=True)
    parser.add_argument("--lexicon", type=Path, required=True)
    parser.add_argument("--out-dir", type=Path, required=True)
    parser.add_argument("--train", type=int, default=1500)
    parser.add_argument("--dev", type=int, default=100)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--lm", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    grammar = Grammar.read(options.grammar)
    words = [word.upper() for word in grammar.words()]
    known = set(Lexicon.read(options.lexicon).words)
    for word in words:
        if word not in known:
            raise InputError.at(
                options.grammar, f"'{word}' is not in {options.lexicon}", "Add its pronunciation there."
            )
    source = distinct(grammar, np.random.default_rng(options.seed))
    with atomic_folder(options.out_dir, "text") as folder:
        sizes = {"test": options.test, "dev": options.dev, "train": options.train}
        for name, size in sizes.items():
            chosen = [sentence.upper() for sentence in grammar.few()] if name == "train" else []
            chosen += [next(source).upper() for _ in range(size - len(chosen))]
            lines = [f"{name}-{number:04d} {sentence}\n" for number, sentence in enumerate(chosen, 1)]
            (folder / name).write_text("".join(lines), encoding="utf-8")
            if name == "train":
                sentences = chosen
        sentences += [next(source).upper() for _ in range(options.lm - options.train)]
        (folder / "lm.txt").write_text("".join(f"{s}\n" for s in sentences), encoding="utf-8")
        (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        missing = set(words) - {word for sentence in sentences for word in sentence.split()}
        if missing:
            raise HybridError(f"the LM text lacks the word {min(missing)}; ask for more sentences.")
        write_meta(
            folder,
            "text",
            vars(options),
            {"grammar": options.grammar, "lexicon": options.lexicon},
            {**sizes, "words": len(words)},
        )
    print(f"{len(words)} words; {options.train} sentences to train on, {options.dev} dev, {options.test} test")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"sentences.py: {error}")
