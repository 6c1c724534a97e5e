"""Names for the assistant: people to learn from, and others whose names fill a slot when the recogniser runs.

    contacts.py --grammar conf/grammar.yaml --text data/text --dict-dir local/dict --names local/names --out-dir names

`names/first.txt` and `last.txt` hold names with pronunciations, the most frequent first; every second one is for
training, the others are said in the test only. Writes

    train               data/text/train, then sentences of the templates with {name}, the names from the first half
    contacts            sentences of the same templates to test with, of 50 people with names from the other half
    contacts.tsv        their ids, intents, and the people they name, with | between two
    list_50.txt, …      lists that fill the slot; each begins with the one before it
    dict/               the dictionary folder of the training text
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from sentences import Grammar

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.errors import HybridError, InputError
from lexicon.dict_dir import read_dict_dir, write_dict_dir
from lexicon.lexicon import Lexicon, Pronunciation
from lm.word_list import ListEntry

SIZES = (50, 1000, 10000)
Person = tuple[str, str]
Spoken = Mapping[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Names:
    """First and last names with their pronunciations."""

    first: Spoken
    last: Spoken

    @classmethod
    def halves(cls, folder: Path) -> tuple["Names", "Names"]:
        """Reads the names: those to learn from, and those that are not met before the test."""
        tables = []
        for name in ("first", "last"):
            lexicon = Lexicon.read(folder / f"{name}.txt")
            words = list(dict.fromkeys(entry.word for entry in lexicon.entries))
            tables.append({word: [row.phones for row in lexicon.pronunciations(word)] for word in words})
        parts = [[dict(list(table.items())[at::2]) for table in tables] for at in (0, 1)]
        return cls(*parts[0]), cls(*parts[1])

    @property
    def spoken(self) -> Spoken:
        """All names with their pronunciations."""
        return {**self.first, **self.last}

    def people(self, count: int, generator: np.random.Generator) -> list[Person]:
        """Draws so many people, no two of one name."""
        first, last = list(self.first), list(self.last)
        if count > len(first) * len(last):
            raise HybridError(f"{count} people cannot be named by {len(first)} first and {len(last)} last names.")
        numbers = generator.permutation(len(first) * len(last))[:count].tolist()
        return [(first[number % len(first)], last[number // len(first)]) for number in numbers]

    def of_all_phones(self, generator: np.random.Generator) -> Iterator[Person]:
        """Yields people without end; every second one has the phone that those before have least of, in a rare name."""
        phones, used = Counter(p for some in self.spoken.values() for p in some[0]), Counter[str]()
        heard = Counter(dict.fromkeys(phones, 0))
        while True:
            pair = [str(generator.choice(list(table))) for table in (self.first, self.last)]
            if sum(used.values()) % 4:  # every second person
                rarest = min(heard, key=lambda phone: (heard[phone], phones[phone]))
                having = [name for name, some in self.spoken.items() if rarest in some[0]]
                name = min(having, key=lambda one: (used[one], generator.random()))
                pair[name in self.last] = name
            used.update(pair)
            heard.update(phone for name in pair for phone in self.spoken[name][0])
            yield pair[0], pair[1]

    def entries(self, people: Iterable[Person]) -> Iterator[ListEntry]:
        """Yields the entries of a list, one for each pronunciation of either name."""
        for person in people:
            ways = [self.first[person[0]], self.last[person[1]]]
            for number in range(max(map(len, ways))):
                yield ListEntry(person, 1.0, tuple(some[min(number, len(some) - 1)] for some in ways))


def sentences(
    grammar: Grammar, people: Iterable[Person], count: int, generator: np.random.Generator
) -> Iterator[list[str]]:
    """Yields so many rows of a sentence, its intent and the people that it names with | between two."""
    templates, source = grammar.naming("name"), iter(people)
    for _ in range(count):
        intent, template = templates[int(generator.integers(len(templates)))]
        named = [" ".join(next(source)) for _ in range(template.count("{name}"))]
        text = template
        for name in named:
            text = text.replace("{name}", name, 1)
        yield [grammar.filled(text, generator).upper(), intent, "|".join(named)]


def write_dictionary(folder: Path, base: Path, text: str, names: Spoken) -> None:
    """Writes the dictionary of a text: that of the grammar, and the names in it."""
    phones, lexicon = read_dict_dir(base)
    said = set(text.split()) & set(names)
    rows = [Pronunciation(word, way) for word in said for way in names[word]]
    silences = {phone for group in phones.silence for phone in group}
    voiced = {phone for row in (*rows, *lexicon.entries) for phone in row.phones} - silences
    known = replace(phones, nonsilence=tuple((phone,) for phone in sorted(voiced)))
    write_dict_dir(folder, known, Lexicon((*lexicon.entries, *sorted(rows))))


def main() -> None:
    parser = argparse.ArgumentParser(description="Names for the assistant.")
    for name in ("grammar", "text", "dict-dir", "names", "out-dir"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--train", type=int, default=300, help="sentences with names of the first half")
    parser.add_argument("--test", type=int, default=200, help="sentences with names of the other half")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    grammar = Grammar.read(options.grammar)
    if not grammar.naming("name"):
        raise InputError.at(options.grammar, "no template has the slot {name}", "Add some, or run with --contacts 0.")
    known, unseen = Names.halves(options.names)
    generator = np.random.default_rng([options.seed, 1])
    people = unseen.people(SIZES[-1], generator)
    learnt = list(sentences(grammar, known.of_all_phones(generator), options.train, generator))
    asked = list(sentences(grammar, cycle(people[: SIZES[0]]), options.test, generator))
    text = (options.text / "train").read_text(encoding="utf-8")
    text += "".join(f"train-names-{n:04d} {row[0]}\n" for n, row in enumerate(learnt, 1))
    rows = [(f"contacts-{n:04d}", *row) for n, row in enumerate(asked, 1)]
    with atomic_folder(options.out_dir, "names") as folder:
        files = {
            "train": text,
            "contacts": "".join(f"{name} {said}\n" for name, said, _, _ in rows),
            "contacts.tsv": "".join(f"{name}\t{intent}\t{named}\n" for name, _, intent, named in rows),
        }
        for size in SIZES:
            files[f"list_{size}.txt"] = "".join(f"{entry.line()}\n" for entry in unseen.entries(people[:size]))
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
        write_dictionary(folder / "dict", options.dict_dir, text, known.spoken)
        inputs = {"grammar": options.grammar, "text": options.text, "dict": options.dict_dir}
        write_meta(folder, "names", vars(options), inputs, {"train": len(learnt), "test": len(asked)})
    print(
        f"{len(learnt)} sentences with names to train on, {len(asked)} to test, lists of {', '.join(map(str, SIZES))}"
    )


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"contacts.py: {error}")
