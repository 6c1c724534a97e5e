"""Reads Kaldi's text form of topologies: `<Topology> <TopologyEntry> <ForPhones> … <State> … </Topology>`."""

from __future__ import annotations

import os
from typing import NoReturn

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import read_text
from hybrid.hmm.topology import EmittingState, HmmTopology, TopologyEntry

__all__ = ["TokenReader", "parse_topology", "read_topology", "take_topology"]

CURE = "Make the topology again with `hybrid lang prepare`."


class TokenReader:
    """Words of a text with their lines, read one after another."""

    def __init__(self, text: str, place: object, cure: str = CURE) -> None:
        self._place, self._cure, self._next = place, cure, 0
        self._tokens = [(word, n) for n, line in enumerate(text.splitlines(), 1) for word in line.split()]
        self._last_line = max(1, text.count("\n"))

    def fail(self, message: str) -> NoReturn:
        """Raises an InputError at the line of the last token read."""
        line = self._tokens[self._next - 1][1] if self._tokens and self._next else self._last_line
        raise InputError.at(self._place, message, self._cure, line)

    def peek(self) -> str:
        """Returns the next token, '' at the end."""
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def take(self, wanted: str = "") -> str:
        """Returns the next token and goes on; it must be `wanted` unless that is ''."""
        token = self.peek()
        if not token:
            self.fail(f"ends where {wanted or 'more'} was wanted; it was cut short")
        self._next += 1
        if wanted and token != wanted:
            self.fail(f"found '{quote(token)}', wanted {wanted}")
        return token

    def number(self, what: str, kind: type = int) -> float:
        """Returns the next token as a number."""
        token = self.take()
        try:
            if len(token) > 40:
                raise ValueError("a number of many digits")
            return kind(token)
        except ValueError:
            self.fail(f"{what} is '{quote(token)}', wanted a number")


def read_topology(path: str | os.PathLike) -> HmmTopology:
    """Reads a topology, e.g. a lang folder's `topo`.

    Raises:
      InputError: the file is missing or not a topology.
    """
    return parse_topology(read_text(path), path)


def parse_topology(text: str, place: object = "topo") -> HmmTopology:
    """Parses a text that holds one topology and no more; `place` names its origin in errors.

    Raises:
      InputError: what was found, what was wanted, and the line.
    """
    reader = TokenReader(text, place)
    topology = take_topology(reader)
    if reader.peek():
        reader.fail(f"'{quote(reader.peek())}' follows </Topology>, wanted the end of the file")
    return topology


def take_topology(reader: TokenReader) -> HmmTopology:
    """Takes `<Topology>` to `</Topology>`."""
    reader.take("<Topology>")
    entries = []
    while reader.peek() == "<TopologyEntry>":
        entries.append(_read_entry(reader))
    reader.take("</Topology>")
    try:
        return HmmTopology(tuple(entries))
    except ValueError as error:
        reader.fail(str(error))


def _read_entry(reader: TokenReader) -> TopologyEntry:
    reader.take("<TopologyEntry>")
    reader.take("<ForPhones>")
    phones = []
    while reader.peek() not in ("</ForPhones>", ""):
        phones.append(int(reader.number("a phone")))
    reader.take("</ForPhones>")
    states: list[EmittingState | None] = []
    while reader.peek() == "<State>":
        reader.take("<State>")
        if reader.number("a state") != len(states):
            reader.fail(f"states are not numbered in order; wanted state {len(states)}")
        states.append(_read_state(reader))
    reader.take("</TopologyEntry>")
    emitting = [state for state in states if state is not None]
    if not states or states[-1] is not None:
        reader.fail("the last state has a pdf-class or transitions; the last must be the final state, with neither")
    if len(emitting) != len(states) - 1:
        reader.fail("a state before the last has no pdf-class; only the final state may emit nothing")
    try:
        return TopologyEntry(tuple(phones), tuple(emitting))
    except ValueError as error:
        reader.fail(str(error))


def _read_state(reader: TokenReader) -> EmittingState | None:
    """Reads what follows `<State> n`; returns None for a state that emits nothing and leads nowhere."""
    forward = self_loop = -1
    if reader.peek() == "<PdfClass>":
        reader.take()
        forward = self_loop = int(reader.number("a pdf-class"))
    elif reader.peek() == "<ForwardPdfClass>":
        reader.take()
        forward = int(reader.number("a pdf-class"))
        reader.take("<SelfLoopPdfClass>")
        self_loop = int(reader.number("a pdf-class"))
    transitions = []
    while reader.peek() == "<Transition>":
        reader.take()
        target = int(reader.number("a state"))
        transitions.append((target, reader.number("a probability", float)))
    reader.take("</State>")
    if forward < 0 and not transitions:
        return None
    if forward < 0 or self_loop < 0:
        reader.fail("a state with transitions has no pdf-class; only the final state may emit nothing")
    return EmittingState(forward, self_loop, tuple(transitions))
