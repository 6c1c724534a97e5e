"""HmmTopology: the states and transitions of each phone's HMM.

A phone's HMM has states 0 … n. State 0 is where it begins; state n, the last, emits nothing and
is where it ends. Each other state names its pdf-class twice: for the arcs that leave it and for
its self-loop. In a conventional HMM the two are the same; chain models keep them apart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote

__all__ = ["MAX_PHONE", "EmittingState", "HmmTopology", "TopologyEntry"]

MAX_PHONE = 65_535  # as trees hold it; also bounds the memory that a hostile file can ask for


@dataclass(frozen=True)
class EmittingState:
    """A state of a phone's HMM.

    Attributes:
      forward_pdf_class: of every arc that leaves the state.
      self_loop_pdf_class: of the self-loop.
      transitions: (next state, probability), in the order of the transition_index.
    """

    forward_pdf_class: int
    self_loop_pdf_class: int
    transitions: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class TopologyEntry:
    """The HMM that some phones share.

    Attributes:
      phones: ids, in the order of the file.
      states: the emitting states; the final state, `len(states)`, follows them.
    """

    phones: tuple[int, ...]
    states: tuple[EmittingState, ...]

    def __post_init__(self) -> None:
        if not self.phones or min(self.phones) < 1 or len(set(self.phones)) != len(self.phones):
            raise ValueError("a topology needs phones: distinct ids from 1")
        if max(self.phones) > MAX_PHONE:
            raise ValueError(f"phone {quote(max(self.phones))} is out of range (1 to {MAX_PHONE})")
        if not self.states:
            raise ValueError(f"the topology of phone {self.phones[0]} has no emitting state")
        self._check_states()
        self._check_ways()

    def _check_states(self) -> None:
        where = f"topology of phone {self.phones[0]}, state"
        classes = set()
        for number, state in enumerate(self.states):
            classes |= {state.forward_pdf_class, state.self_loop_pdf_class}
            if not state.transitions:
                raise ValueError(f"{where} {number}: has no transition")
            targets = [target for target, _ in state.transitions]
            if len(set(targets)) != len(targets):
                raise ValueError(f"{where} {number}: has two transitions to one state")
            if min(targets) < 0 or max(targets) > len(self.states):
                raise ValueError(f"{where} {number}: a transition leads outside states 0 to {len(self.states)}")
            if not all(0 < p <= 1.01 for _, p in state.transitions):
                raise ValueError(f"{where} {number}: a probability lies outside (0, 1]")
            total = sum(p for _, p in state.transitions)
            if abs(total - 1.0) > 0.01:
                raise ValueError(f"{where} {number}: probabilities sum to {total:.4g}, wanted 1")
        if classes != set(range(len(classes))):
            raise ValueError(f"{where}s: pdf-classes are {sorted(classes)}, wanted 0, 1, … without a gap")

    def _check_ways(self) -> None:
        final = len(self.states)
        forward = {s: [t for t, _ in state.transitions] for s, state in enumerate(self.states)}
        backward: dict[int, list[int]] = {}
        for source, targets in forward.items():
            for target in targets:
                backward.setdefault(target, []).append(source)
        for graph, begin, what in ((forward, 0, "cannot be reached from state 0"), (backward, final, "never ends")):
            seen, stack = {begin}, [begin]
            while stack:
                for target in graph.get(stack.pop(), []):
                    if target not in seen:
                        seen.add(target)
                        stack.append(target)
            missing = set(range(final + 1)) - seen
            if missing:
                raise ValueError(f"topology of phone {self.phones[0]}: state {min(missing)} {what}")

    @property
    def num_pdf_classes(self) -> int:
        """One more than the highest pdf-class."""
        return 1 + max(max(s.forward_pdf_class, s.self_loop_pdf_class) for s in self.states)


@dataclass(frozen=True)
class HmmTopology:
    """The HMM of every phone.

    Attributes:
      entries: HMMs with their phones; no phone stands in two.
    """

    entries: tuple[TopologyEntry, ...]

    def __post_init__(self) -> None:
        phones = [phone for entry in self.entries for phone in entry.phones]
        if not phones:
            raise ValueError("a topology needs at least one phone")
        twice = sorted({phone for phone in phones if phones.count(phone) > 1}) if len(set(phones)) < len(phones) else []
        if twice:
            raise ValueError(f"phone {twice[0]} stands in two topology entries")

    @cached_property
    def _entry_of(self) -> dict[int, TopologyEntry]:
        return {phone: entry for entry in self.entries for phone in entry.phones}

    @cached_property
    def phones(self) -> tuple[int, ...]:
        """Every phone with an HMM, sorted."""
        return tuple(sorted(self._entry_of))

    @property
    def is_hmm(self) -> bool:
        """Whether every state's self-loop has the pdf-class of its other arcs (chain topologies differ)."""
        return all(s.forward_pdf_class == s.self_loop_pdf_class for e in self.entries for s in e.states)

    def states(self, phone: int) -> tuple[EmittingState, ...]:
        """Returns the emitting states of a phone's HMM.

        Raises:
          InputError: the phone has no HMM.
        """
        try:
            return self._entry_of[phone].states
        except KeyError:
            known = f"{self.phones[0]}–{self.phones[-1]}"
            raise InputError.at(
                "topology", f"phone {phone} has no HMM; it has phones {known}", "Use the lang folder's own topo."
            ) from None

    def num_pdf_classes(self, phone: int) -> int:
        """Returns how many pdf-classes a phone's HMM has."""
        self.states(phone)
        return self._entry_of[phone].num_pdf_classes

    def pdf_class_counts(self) -> dict[int, int]:
        """Returns phone_id → number of pdf-classes, as trees are built from."""
        return {phone: self.num_pdf_classes(phone) for phone in self.phones}

    @classmethod
    def kaldi_default(
        cls,
        nonsilence_phones: Sequence[int],
        silence_phones: Sequence[int],
        num_nonsilence_states: int = 3,
        num_silence_states: int = 5,
    ) -> HmmTopology:
        """Builds Kaldi's usual topology (`gen_topo.pl`).

        Non-silence phones go left to right; silence phones have a first and a last state and, between
        them, states that all lead to each other.

        Raises:
          ValueError: fewer than 1 state, or 2 silence states.
        """
        if not 1 <= num_nonsilence_states <= 100:
            raise ValueError(f"number of non-silence states is {num_nonsilence_states}, wanted 1 to 100")
        if num_silence_states == 2 or not 1 <= num_silence_states <= 100:
            raise ValueError(f"number of silence states is {num_silence_states}, wanted 1 or 3 to 100")
        entries = []
        if nonsilence_phones:
            entries.append(TopologyEntry(tuple(nonsilence_phones), _left_to_right(num_nonsilence_states)))
        if silence_phones:
            states = _ergodic(num_silence_states) if num_silence_states > 1 else _left_to_right(1)
            entries.append(TopologyEntry(tuple(silence_phones), states))
        return cls(tuple(entries))

    @classmethod
    def chain(cls, phones: Iterable[int]) -> HmmTopology:
        """Builds the one-state topology of chain models, whose self-loop has a pdf-class of its own."""
        return cls((TopologyEntry(tuple(phones), (EmittingState(0, 1, ((0, 0.5), (1, 0.5))),)),))

    def to_text(self, line_end: str = "", digits: int = 15) -> str:
        """Returns Kaldi's text form, byte by byte as `gen_topo.pl` writes it.

        Args:
          line_end: put before each end of line; Kaldi's programs write a space there, its scripts nothing.
          digits: of probabilities; Kaldi's programs write 7, its scripts 15.
        """
        lines = ["<Topology>"]
        for entry in self.entries:
            phones = " ".join(map(str, entry.phones))
            lines += ["<TopologyEntry>", "<ForPhones>", phones, "</ForPhones>"]
            for number, state in enumerate(entry.states):
                forward, self_loop = state.forward_pdf_class, state.self_loop_pdf_class
                if forward == self_loop:
                    classes = f"<PdfClass> {forward}"
                else:
                    classes = f"<ForwardPdfClass> {forward} <SelfLoopPdfClass> {self_loop}"
                arcs = " ".join(f"<Transition> {t} {p:.{digits}g}" for t, p in state.transitions)
                lines.append(f"<State> {number} {classes} {arcs} </State>")
            lines += [f"<State> {len(entry.states)} </State>", "</TopologyEntry>"]
        lines.append("</Topology>")
        return "".join(f"{line}{line_end}\n" for line in lines)

    def write(self, path: str | os.PathLike) -> None:
        """Writes Kaldi's text form, atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.to_text(), encoding="ascii")

    def content_hash(self) -> str:
        """Returns the sha256 of the text form."""
        return hashlib.sha256(self.to_text().encode("ascii")).hexdigest()


def _left_to_right(count: int) -> tuple[EmittingState, ...]:
    return tuple(EmittingState(s, s, ((s, 0.75), (s + 1, 0.25))) for s in range(count))


def _ergodic(count: int) -> tuple[EmittingState, ...]:
    probability = 1.0 / (count - 1)
    first = EmittingState(0, 0, tuple((t, probability) for t in range(count - 1)))
    middle = tuple(EmittingState(s, s, tuple((t, probability) for t in range(1, count))) for s in range(1, count - 1))
    last = EmittingState(count - 1, count - 1, ((count - 1, 0.75), (count, 0.25)))
    return (first, *middle, last)
