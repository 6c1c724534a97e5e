"""What can be said of a grammar's rules without a sentence: recursion, what cannot be reached or said, its size."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hybrid.base.errors import InputError, quote
from lm.grammar.values import (
    VOID,
    Choice,
    Grammar,
    Node,
    Ref,
    Repeat,
    Rule,
    Tagged,
    Together,
    Word,
    over,
    parts_of,
    walk,
)

__all__ = ["MAX_ARCS", "Findings", "check_rules", "components", "estimate_arcs", "findings", "without_void"]

MAX_ARCS = 10_000_000
MAX_DEPTH = 150  # groups and rules in each other
Name = TypeVar("Name", bound=Hashable)
CURE = "Only a call at the end can be compiled (right recursion). Put it there, or write * or +."


def check_rules(grammar: Grammar) -> None:
    """Checks that a grammar can be compiled.

    Raises:
      InputError: recursion elsewhere than at the end of a rule (its cycle is named), nothing that can be said, rules
        more than 150 deep in each other, or more than 10 million arcs.
    """
    order = components(_calls(grammar.rules))
    for group in order:
        _check_recursion(grammar, group)
    _check_depth(grammar, order)
    void = _void(grammar)
    if not set(grammar.roots) - void:
        shown = ", ".join(f"<{quote(name)}>" for name in grammar.roots[:3])
        raise InputError.at(
            grammar.place, f"can never be said: every way through {shown} meets <VOID>, or never ends",
            "Give recursion a way out.", grammar.rules[grammar.roots[0]].line,
        )  # fmt: skip
    arcs = estimate_arcs(grammar)
    if arcs > MAX_ARCS:
        raise InputError.at(
            grammar.place, f"would have {arcs:,} arcs when its rules are written out, wanted at most {MAX_ARCS:,}",
            "Use fewer repetitions, or rules that hold less.",
        )  # fmt: skip


def components(calls: Mapping[Name, Sequence[Name]]) -> list[tuple[Name, ...]]:
    """Returns the strongly connected parts of a graph (Tarjan, 1972), those that are called before their callers."""
    index: dict[Name, int] = {}
    low: dict[Name, int] = {}
    stack: list[Name] = []
    on_stack: set[Name] = set()
    found: list[tuple[Name, ...]] = []
    for root in calls:
        work = [] if root in index else [(root, iter(calls[root]))]
        if work:
            index[root] = low[root] = len(index)
            stack.append(root)
            on_stack.add(root)
        while work:
            node, rest = work[-1]
            other = next((one for one in rest if one not in index or one in on_stack), None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    found.append(tuple(stack[at:]))
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
            elif other in index:
                low[node] = min(low[node], index[other])
            else:
                index[other] = low[other] = len(index)
                stack.append(other)
                on_stack.add(other)
                work.append((other, iter(calls[other])))
    return found


def _calls(rules: Mapping[str, Rule]) -> dict[str, list[str]]:
    return {
        name: list(dict.fromkeys(node.name for node in walk(rule.body) if isinstance(node, Ref)))
        for name, rule in rules.items()
    }


def _check_recursion(grammar: Grammar, group: tuple[str, ...]) -> None:
    """Raises InputError where a rule of a strongly connected part calls another of it before its end."""
    for name in group:
        for ref in _before_the_end(grammar.rules[name].body):
            if ref.name in group:
                cycle = _way(_calls({one: grammar.rules[one] for one in group}), ref.name, name)
                shown = " → ".join(f"<{quote(one)}>" for one in [name, *cycle])
                rule = grammar.rules[name]
                raise InputError.at(
                    rule.place or grammar.place, f"{shown} is no right recursion", CURE, ref.line or rule.line
                )


def _before_the_end(node: Node) -> Iterator[Ref]:
    """Yields the references that something may follow."""
    if isinstance(node, Together):
        for part in node.parts[:-1]:
            yield from (one for one in walk(part) if isinstance(one, Ref))
        if node.parts:
            yield from _before_the_end(node.parts[-1])
    elif isinstance(node, Repeat) and node.most != 1:
        yield from (one for one in walk(node) if isinstance(one, Ref))
    else:
        for part in parts_of(node):
            yield from _before_the_end(part)


def _way(calls: Mapping[str, Sequence[str]], begin: str, end: str) -> list[str]:
    """Returns the shortest way from a rule to another, both included."""
    came, layer = {begin: ""}, [begin]
    while end not in came:
        layer = [
            came.setdefault(to, one) and to for one in layer for to in calls[one] if to in calls and to not in came
        ]
    way = [end]
    while way[-1] != begin:
        way.append(came[way[-1]])
    return way[::-1]


def _check_depth(grammar: Grammar, order: Sequence[tuple[str, ...]]) -> None:
    depths: dict[str, int] = {}

    def depth(node: Node) -> int:
        if isinstance(node, Ref):
            return 1 + depths.get(node.name, 0)
        return 1 + max(map(depth, parts_of(node)), default=0)

    for group in order:
        total = sum(depth(grammar.rules[name].body) for name in group)
        depths.update(dict.fromkeys(group, total))
        if total > MAX_DEPTH:
            rule = grammar.rules[group[0]]
            found = f"<{quote(rule.name)}> holds groups and rules more than {MAX_DEPTH} deep"
            raise InputError.at(rule.place or grammar.place, found, "Write some rules out.", rule.line)


def _fixed_point(grammar: Grammar, test: Callable[[Node, set[str]], bool]) -> set[str]:
    """Returns the rules whose bodies pass a test that may ask which others pass; the smallest such set."""
    passed: set[str] = set()
    callers: dict[str, list[str]] = {name: [] for name in grammar.rules}
    for name, called in _calls(grammar.rules).items():
        for other in called:
            callers[other].append(name)
    waiting = list(grammar.rules)
    while waiting:
        name = waiting.pop()
        if name not in passed and test(grammar.rules[name].body, passed):
            passed.add(name)
            waiting += callers[name]
    return passed


def _can_end(node: Node, ending: set[str]) -> bool:
    """Tells whether a part can be said in full, where these rules can."""
    if isinstance(node, Together):
        return all(_can_end(part, ending) for part in node.parts)
    if isinstance(node, Choice):
        return any(weight > 0 and _can_end(part, ending) for weight, part in node.ways)
    if isinstance(node, Ref):
        return node.name in ending
    return isinstance(node, Word) or (isinstance(node, Repeat) and node.least == 0) or all(
        _can_end(part, ending) for part in parts_of(node)
    )  # fmt: skip


def _has_words(node: Node, spoken: set[str]) -> bool:
    """Tells whether a word can stand in a part, where one can in these rules."""
    return any(isinstance(one, Word) or (isinstance(one, Ref) and one.name in spoken) for one in walk(node))


def _void(grammar: Grammar) -> set[str]:
    return set(grammar.rules) - _fixed_point(grammar, _can_end)


def without_void(grammar: Grammar) -> Grammar:
    """Returns the grammar without what can never be said and what no root reaches; other ways share its weight."""
    void = _void(grammar)

    def cut(node: Node) -> Node:
        """The part without ways that cannot be gone; VOID where there is none."""
        if isinstance(node, Ref):
            return VOID if node.name in void else node
        node = over(node, cut)
        if isinstance(node, Choice):
            return Choice(tuple((weight, part) for weight, part in node.ways if weight > 0 and part != VOID))
        if isinstance(node, Repeat) and node.part == VOID:
            return VOID if node.least else Together()
        return VOID if not isinstance(node, Choice) and VOID in parts_of(node) else node

    rules = {name: replace(rule, body=cut(rule.body)) for name, rule in grammar.rules.items() if name not in void}
    roots = tuple(name for name in grammar.roots if name not in void)
    reached = _reached(rules, roots)
    return replace(grammar, rules={name: rules[name] for name in rules if name in reached}, roots=roots)


def _reached(rules: Mapping[str, Rule], roots: Sequence[str]) -> set[str]:
    calls, reached, waiting = _calls(rules), set(roots), list(roots)
    while waiting:
        new = set(calls[waiting.pop()]) - reached
        reached |= new
        waiting += new
    return reached


def estimate_arcs(grammar: Grammar) -> int:
    """Returns how many arcs the grammar has when its rules are written out, before anything is merged."""
    arcs: dict[str, int] = {}

    def count(node: Node) -> int:
        """The arcs of a part, as `GrammarAutomaton` would have them."""
        if isinstance(node, Ref):
            return 2 + arcs.get(node.name, 0)
        inside = sum(map(count, parts_of(node)))
        if isinstance(node, Repeat):
            return 3 + (inside + 1) * max(1, node.least + 1 if node.most is None else node.most)
        return 1 + inside + 2 * isinstance(node, Tagged)

    for group in components(_calls(grammar.rules)):
        arcs.update(dict.fromkeys(group, sum(count(grammar.rules[name].body) for name in group)))
    return 1 + sum(arcs[name] for name in grammar.roots)


@dataclass(frozen=True)
class Findings:
    """Rules that do nothing.

    Attributes:
      unreachable: that no root leads to, though they are of the grammar's own file. void: that can never be said.
      empty: in which no word stands.
    """

    unreachable: tuple[str, ...]
    void: tuple[str, ...]
    empty: tuple[str, ...]


def findings(grammar: Grammar) -> Findings:
    """Looks for rules that do nothing, and are most likely mistakes."""
    void, spoken = _void(grammar), _fixed_point(grammar, _has_words)
    reached = _reached(grammar.rules, grammar.roots)
    names = list(grammar.rules)
    own = [name for name in names if grammar.rules[name].place == grammar.place]
    return Findings(
        tuple(name for name in own if name not in reached),
        tuple(name for name in names if name in void),
        tuple(name for name in names if name not in void and name not in spoken),
    )
