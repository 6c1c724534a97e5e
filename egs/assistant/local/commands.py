"""Writes the assistant's sentences as a JSGF grammar: a public rule for each domain, tags for intents and slots.

    commands.py --grammar conf/grammar.yaml --domains timers,contacts --open name=CONTACT --out commands.gram

`call {name} {where}` becomes `(call $CONTACT {contact} <where> {where}) {intent=call}`: what was recognised comes back
as slots, and $CONTACT is a place that is filled when the recogniser runs. Without --open it is `<name> {name}`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from sentences import SLOT, Grammar

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError, InputError


def expansion(template: str, left_open: Mapping[str, str], tags: bool) -> str:
    """Returns a template as JSGF: open slots as classes, others as rules, tagged where they belong to a sentence."""

    def written(match: re.Match[str]) -> str:
        name = match[1]
        if name in left_open:
            return f"${left_open[name]} {{{left_open[name].lower()}}}"
        return f"<{name}>{f' {{{name}}}' if tags else ''}"

    return SLOT.sub(written, template)


def jsgf(grammar: Grammar, domains: list[str], left_open: Mapping[str, str]) -> str:
    """Returns the text of the grammar."""
    rules = []
    for name in domains:
        ways = [
            f"({expansion(one, left_open, True)}) {{intent={grammar.intents.get(one, name)}}}"
            for one in grammar.domains[name]
        ]
        rules.append(f"public <{name}> = {' | '.join(ways)};")
    rules += [
        f"<{name}> = {' | '.join(expansion(one, left_open, False) for one in some)};"
        for name, some in grammar.slots.items()
        if name not in left_open
    ]
    return "\n".join(["#JSGF V1.0 UTF-8 en;", "grammar assistant;", *rules]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the assistant's sentences as a JSGF grammar.")
    parser.add_argument("--grammar", type=Path, required=True)
    parser.add_argument("--domains", default="", help="with commas; all by default")
    parser.add_argument("--open", action="append", default=[], metavar="SLOT=CLASS", help="to be filled later")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    grammar = Grammar.read(options.grammar)
    domains = options.domains.split(",") if options.domains else list(grammar.domains)
    left_open = dict(pair.partition("=")[::2] for pair in options.open)
    for option, given, known in (("--domains", domains, grammar.domains), ("--open", left_open, grammar.slots)):
        if unknown := sorted(set(given) - set(known)):
            raise InputError.at(option, f"has {unknown[0]}, wanted some of {', '.join(known)}", "Correct it.")
    if bad := [name for name in left_open.values() if not re.fullmatch(r"[A-Z]\w*", name)]:
        raise InputError.at("--open", f"has the class '{bad[0]}', wanted capitals", "Write SLOT=CLASS.")
    with atomic_path(options.out) as temporary:
        temporary.write_text(jsgf(grammar, domains, left_open), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"commands.py: {error}")
