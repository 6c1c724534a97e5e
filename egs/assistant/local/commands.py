"""Writes the assistant's sentences as a JSGF grammar: a public rule for each domain, and a tag for each slot.

    commands.py --grammar conf/grammar.yaml --domains timers,contacts --out commands.gram

`call {name} {where}` becomes `call <name> {name} <where> {where}`, so that what was recognised comes back as slots.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sentences import SLOT, Grammar

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError, InputError


def expansion(template: str, tags: bool) -> str:
    """Returns a template as JSGF: its slots as rules, with tags where they belong to a sentence."""
    return SLOT.sub(lambda match: f"<{match[1]}>{' {' + match[1] + '}' if tags else ''}", template)


def jsgf(grammar: Grammar, domains: list[str]) -> str:
    """Returns the text of the grammar."""
    rules = [
        f"public <{name}> = {' | '.join(expansion(one, True) for one in grammar.domains[name])};" for name in domains
    ]
    rules += [
        f"<{name}> = {' | '.join(expansion(one, False) for one in some)};" for name, some in grammar.slots.items()
    ]
    return "\n".join(["#JSGF V1.0 UTF-8 en;", "grammar assistant;", *rules]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the assistant's sentences as a JSGF grammar.")
    parser.add_argument("--grammar", type=Path, required=True)
    parser.add_argument("--domains", default="", help="with commas; all by default")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    grammar = Grammar.read(options.grammar)
    domains = options.domains.split(",") if options.domains else list(grammar.domains)
    if unknown := sorted(set(domains) - set(grammar.domains)):
        raise InputError.at("--domains", f"has {unknown[0]}", f"Domains are {', '.join(grammar.domains)}.")
    with atomic_path(options.out) as temporary:
        temporary.write_text(jsgf(grammar, domains), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except HybridError as error:
        sys.exit(f"commands.py: {error}")
