"""HTK's standard lattice format (The HTK Book, chapter 20): nodes with times, links with words and log-likelihoods.

A file holds one lattice; several may follow one another, each from its VERSION on. Transition-ids are written as the
segments of links (`d=:7,0.01:8,0.03:`, of each its id and its duration), so that a lattice comes back as it was. A
file of another program has none: its links get transition-id 1 for each frame, so that times are right. Scales in
headers are not applied.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.names import name_fault
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.trim import from_rows, state_times, trimmed
from lexicon.symbols import SymbolTable

__all__ = ["format_slf", "parse_slf"]

NULL = ("!NULL", "!SENT_START", "!SENT_END", "<s>", "</s>", "<eps>")
PLACEHOLDER = 1  # transition-id of frames of which nothing is known
MAX_FRAMES = 1 << 24  # of all links together
CURE = "Make the lattices again; the file may have been cut short or be something else."
_FIELD = re.compile(r"""(\w+)=("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\S*)""")


def format_slf(utterance: str, compact: CompactLattice, words: SymbolTable, frame_shift: float) -> Iterator[str]:
    """Yields the lines of one lattice.

    Args:
      frame_shift: seconds per frame.

    Raises:
      InputError: a word that the table lacks.
    """
    compact = trimmed(compact)
    states = compact.num_states
    times = state_times(compact)
    ends = np.flatnonzero(np.isfinite(compact.final_graph_scores)).tolist()
    yield from ("VERSION=1.0", f"UTTERANCE={utterance}", f"N={states + bool(states)}\tL={compact.num_arcs + len(ends)}")
    for state in range(states):
        yield f"I={state}\tt={times[state] * frame_shift:.6g}"
    if states:
        yield f"I={states}\tt={max(times[s] + len(compact.final_string(s)) for s in ends) * frame_shift:.6g}"
    for arc in range(compact.num_arcs):
        word = int(compact.word_ids[arc])
        yield _link(
            arc, int(compact.sources[arc]), int(compact.next_states[arc]),
            _escaped(words.symbol(word, f"lattice of '{quote(utterance)}'")) if word else "!NULL",
            compact.acoustic_scores[arc], compact.graph_scores[arc], compact.string(arc), frame_shift,
        )  # fmt: skip
    for number, state in enumerate(ends, compact.num_arcs):
        scores = compact.final_acoustic_scores[state], compact.final_graph_scores[state]
        yield _link(number, state, states, "!NULL", *scores, compact.final_string(state), frame_shift)


def _link(
    number: int, source: int, to: int, word: str, acoustic: np.float32, graph: np.float32, ids: np.ndarray, shift: float
) -> str:
    runs = [(i, len(list(run))) for i, run in itertools.groupby(ids.tolist())]
    segments = "\td=:" + "".join(f"{i},{n * shift:.6g}:" for i, n in runs) if runs else ""
    return f"J={number}\tS={source}\tE={to}\tW={word}\ta={acoustic:.9g}\tl={graph:.9g}{segments}"


def _escaped(word: str) -> str:
    word = word.replace("\\", "\\\\")
    return "\\" + word if word[0] in "'\"" else word


def _unescaped(text: str) -> str:
    if text[:1] in ("'", '"') and len(text) > 1:
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


@dataclass(eq=False)
class _Draft:
    """What was read of one lattice."""

    utterance: str
    line: int
    base: float = math.e
    sizes: tuple[int, int] | None = None
    times: dict[int, float] = field(default_factory=dict)
    node_words: dict[int, str] = field(default_factory=dict)
    links: list[tuple[int, int, str | None, float, float, str]] = field(default_factory=list)


def parse_slf(
    lines: Iterable[tuple[int, str]], words: SymbolTable, frame_shift: float, utterance: str, place: object
) -> Iterator[tuple[str, CompactLattice]]:
    """Yields (utterance id, lattice) of the numbered lines of a file.

    Args:
      words: gives ids; `!NULL`, `!SENT_START`, `<s>` and their like are no words.
      frame_shift: seconds per frame, by which times become frames.
      utterance: id of a lattice whose header has none.
      place: for errors.

    Raises:
      InputError: no lattice, cut short, of contradicting times, or with a word that the table lacks.
    """
    draft, seen = None, set[str]()
    for number, line in lines:
        fields = dict(_FIELD.findall(line))
        if not line.strip() or line.lstrip()[0] in "#.":
            continue
        try:
            if "VERSION" in fields or draft is None:
                if draft is not None:
                    yield _finished(draft, words, frame_shift, place, seen)
                draft = _Draft(utterance, number)
            _take(draft, fields)
        except (ValueError, OverflowError) as error:
            raise InputError.at(place, f"'{quote(line, 60)}' is no line of an SLF lattice ({error})", CURE,
                                number) from None  # fmt: skip
    if draft is None:
        raise InputError.at(place, "holds no SLF lattice", CURE)
    yield _finished(draft, words, frame_shift, place, seen)


def _take(draft: _Draft, fields: dict[str, str]) -> None:
    """Adds a line to a draft."""
    get = fields.get
    if not fields:
        raise ValueError("no NAME=VALUE")
    if "S" in fields or "J" in fields:
        word = get("W", get("WORD"))
        score = _score(draft, fields, "l") + _score(draft, fields, "r")
        link = (_id(fields, "S"), _id(fields, "E"), None if word is None else _unescaped(word))
        draft.links.append((*link, score, _score(draft, fields, "a"), get("d", "")))
    elif "I" in fields:
        node = _id(fields, "I")
        draft.times[node] = _real(get("t", "0"))
        if "W" in fields:
            draft.node_words[node] = _unescaped(fields["W"])
    else:
        draft.utterance = _unescaped(get("UTTERANCE", draft.utterance))
        draft.base = _real(get("base", str(draft.base)))
        if "N" in fields and "L" in fields:
            draft.sizes = _id(fields, "N"), _id(fields, "L")


def _id(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"{name} is '{quote(text, 20)}', wanted a number")
    return int(text)


def _real(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"'{quote(text, 20)}' is no finite number")
    return value


def _score(draft: _Draft, fields: dict[str, str], name: str) -> float:
    """A log-likelihood in natural logs; 0 where it is not given."""
    if name not in fields:
        return 0.0
    value = _real(fields[name])
    if draft.base == 0:
        return math.log(value) if value > 0 else -math.inf
    return value * math.log(draft.base)


def _finished(
    draft: _Draft, words: SymbolTable, shift: float, place: object, seen: set[str]
) -> tuple[str, CompactLattice]:
    """Returns a lattice whose id is one, and not of an earlier lattice of the file."""
    fault = name_fault(draft.utterance) or ("has a lattice above" if draft.utterance in seen else "")
    if fault:
        raise InputError.at(place, f"utterance '{quote(draft.utterance)}' {fault}", CURE, draft.line)
    seen.add(draft.utterance)
    try:
        return draft.utterance, _built(draft, words, shift)
    except LatticeError as error:
        raise InputError.at(place, f"utterance '{quote(draft.utterance)}': {error}", CURE, draft.line) from error


def _built(draft: _Draft, words: SymbolTable, shift: float) -> CompactLattice:
    if draft.sizes is None:
        raise LatticeError("has no line N=… L=… of its nodes and links")
    if draft.sizes != (len(draft.times), len(draft.links)):
        found = f"has {len(draft.times)} nodes and {len(draft.links)} links"
        raise LatticeError(f"{found}, its header promises {draft.sizes[0]} and {draft.sizes[1]}")
    if not draft.times:
        return from_rows([], {}, 0)
    used = {node for link in draft.links for node in link[:2]}
    if missing := sorted(used - set(draft.times)):
        raise LatticeError(f"has a link to node {missing[0]}, which is not there")
    sources, targets = {link[0] for link in draft.links}, {link[1] for link in draft.links}
    starts, ends = sorted(set(draft.times) - targets), sorted(set(draft.times) - sources)
    if len(starts) != 1 or not ends:
        raise LatticeError(f"has {len(starts)} nodes without links to them and {len(ends)} without links from them, "
                           "wanted one start and an end")  # fmt: skip
    _require_reached(starts[0], draft)
    order = [starts[0], *sorted(set(draft.times) - {starts[0]})]
    number = {node: i for i, node in enumerate(order)}
    late = max(draft.times, key=lambda node: abs(draft.times[node]))
    if abs(draft.times[late]) > MAX_FRAMES * shift:
        raise LatticeError(f"has node {late} at {draft.times[late]:g} s, wanted at most {MAX_FRAMES * shift:g}")
    frames = {node: round(time / shift) for node, time in draft.times.items()}
    rows: list[tuple] = []
    left = MAX_FRAMES
    for link in draft.links:
        rows.append(_arc(draft, link, number, frames, words, shift, left))
        left -= len(rows[-1][5])
    last = number[ends[0]]
    if len(ends) == 1 and last and not any(row[2] for row in rows if row[1] == last):
        folded = {row[0]: row[3:] for row in rows if row[1] == last}
        if len(folded) == sum(row[1] == last for row in rows):
            rows = [row for row in rows if row[1] != last]
            return from_rows(sorted(rows, key=lambda row: row[0]), folded, len(number))
    finals: dict = {number[node]: (0.0, 0.0, ()) for node in ends}
    return from_rows(sorted(rows, key=lambda row: row[0]), finals, len(number))


def _require_reached(start: int, draft: _Draft) -> None:
    """Refuses cycles, of which no path comes from the start: what hangs on them would vanish."""
    waiting, onward = dict.fromkeys(draft.times, 0), {node: list[int]() for node in draft.times}
    for source, to, *_ in draft.links:
        waiting[to] += 1
        onward[source].append(to)
    ready, reached = [start], 0
    while ready:
        reached += 1
        for to in onward[ready.pop()]:
            waiting[to] -= 1
            if not waiting[to]:
                ready.append(to)
    if reached < len(waiting):
        raise LatticeError(f"has a cycle, among or before {len(waiting) - reached} of its {len(waiting)} nodes")


def _arc(
    draft: _Draft, link: tuple, number: dict[int, int], frames: dict[int, int], words: SymbolTable, shift: float,
    left: int,
) -> tuple:  # fmt: skip
    """A link as a row of `from_rows`, of at most `left` frames."""
    source, to, word, graph, acoustic, segments = link
    word = word if word is not None else draft.node_words.get(to, "!NULL")
    found = 0 if word in NULL else words.get(word)
    if found is None:
        raise LatticeError(f"has the word '{quote(word)}', which is not among the {len(words)} symbols of the table")
    ids = _alignment(segments, shift, left)
    if ids is None:
        length = frames[to] - frames[source]
        if not 0 <= length <= left:
            raise LatticeError(f"has a link from node {source} to {to} that goes back in time, or endlessly far")
        ids = [PLACEHOLDER] * length
    return number[source], number[to], found, graph, acoustic, ids


def _alignment(segments: str, shift: float, left: int) -> list[int] | None:
    """The transition-ids of `d=`, at most `left`; None where it is absent or tells something else, such as phones."""
    ids: list[int] = []
    for part in segments.strip(":").split(":") if segments else []:
        name, _, rest = part.partition(",")
        duration = rest.partition(",")[0]
        if not (name.isascii() and name.isdecimal() and 0 < len(name) < 10 and int(name)):
            return None
        try:
            count = round(float(duration) / shift)
        except (ValueError, OverflowError):
            return None
        if not 0 < count <= left - len(ids):
            return None
        ids += [int(name)] * count
    return ids if segments else None
