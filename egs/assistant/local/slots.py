"""Tells how often people were named rightly, list by list, and shows three commands as JSON.

    slots.py --asked data/names/contacts.tsv --out exp/contacts.tsv 50=exp/contacts/list_50 1000=exp/contacts/list_1000

A folder is what `hybrid decode --format json --written --out-dir` wrote. A name counts as right where the slot
`contact` in its place says it: what is left out, or not taken for a command with a name, is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError, InputError
from hybrid.base.reading import read_json, text_lines

Record = Mapping[str, Any]


def read_asked(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Reads the intent and the names of each utterance."""
    asked = {}
    for number, line in text_lines(path):
        columns = line.split("\t")
        if len(columns) != 3:
            raise InputError.at(path, f"has {len(columns)} columns, wanted 3", "Draw the sentences again.", number)
        asked[columns[0]] = columns[1], columns[2].split("|")
    return asked


def read_decoded(folder: Path) -> dict[str, Record]:
    """Reads what was recognised, by utterance."""
    files = sorted((folder / "recordings").glob("*.json"))
    return {record["id"]: record for file in files for record in read_json(file)["utterances"]}


def command_of(record: Record) -> dict[str, Any]:
    """Returns a command: the intent, each slot in written form, and all of it so; several slots of a name as a list."""
    said: dict[str, Any] = {}
    for slot in record.get("slots", []):
        tokens = [w["word"] for w in record["words"] if slot["start"] <= w["start"] and w["end"] <= slot["end"]]
        value = slot["value"] if slot["value"] != slot["text"] else " ".join(tokens)
        said.setdefault(slot["name"], []).append(value)
    known = sorted(said.items(), key=lambda pair: pair[0] != "intent")
    return {name: some[0] if len(some) == 1 else some for name, some in known} | {"text": record["text"]}


def names_in(record: Record) -> list[str]:
    """Returns the people that a command names, in their order."""
    return [slot["value"] for slot in record.get("slots", []) if slot["name"] == "contact"]


def count(asked: Mapping[str, tuple[str, list[str]]], decoded: Mapping[str, Record]) -> tuple[int, int, int]:
    """Returns how many names there are, how many were heard rightly, and how many intents."""
    names = right = intents = 0
    for name, (intent, people) in asked.items():
        record = decoded.get(name, {})
        heard = names_in(record)[: len(people)]
        names += len(people)
        right += sum(wanted == found for wanted, found in zip_longest(people, heard))
        intents += any(slot["name"] == "intent" and slot["value"] == intent for slot in record.get("slots", []))
    return names, right, intents


def shown(asked: Mapping[str, tuple[str, list[str]]], decoded: Mapping[str, Record], limit: int = 3) -> list[Record]:
    """Returns some utterances of different intents whose names are right, those with figures and most slots first."""
    right = [decoded[name] for name, (_, people) in asked.items() if names_in(decoded.get(name, {})) == people]

    def order(record: Record) -> tuple[bool, int]:
        return not any(map(str.isdigit, record["text"])), -len(record["slots"])

    chosen = {asked[record["id"]][0]: record for record in sorted(right, key=order, reverse=True)}
    return sorted(chosen.values(), key=order)[:limit]


def main() -> None:
    parser = argparse.ArgumentParser(description="Tells how often people were named rightly.")
    parser.add_argument("--asked", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("decoded", nargs="+", metavar="LIST=FOLDER")
    options = parser.parse_args()
    asked = read_asked(options.asked)
    rows, records = [("list", "names", "right", "percent", "intents", "sentences")], {}
    for pair in options.decoded:
        label, _, folder = pair.partition("=")
        records[label] = read_decoded(Path(folder))
        names, right, intents = count(asked, records[label])
        rows.append((label, *map(str, (names, right, f"{100 * right / names:.1f}", intents, len(asked)))))
    with atomic_path(options.out) as temporary:
        temporary.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    print("\nPeople whose names were never met before, said by voices never heard:")
    for label, _, right, percent, intents, _ in rows[1:]:
        print(f"  {label:>15}  {right} of {rows[1][1]} names right ({percent} %), {intents} of {len(asked)} intents")
    print("\nThree commands, as JSON:")
    for record in shown(asked, records[options.decoded[-1].partition("=")[0]]):
        print(f"  {json.dumps(command_of(record))}")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"slots.py: {error}")
