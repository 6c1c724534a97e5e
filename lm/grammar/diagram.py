"""A grammar's rules as railway diagrams: every way from the left to the right says a sentence. SVG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from hybrid.base.errors import one_line
from lm.grammar.values import Choice, Node, Ref, Repeat, Rule, Tagged, Word

__all__ = ["draw_rule"]

STYLE = (
    "text{font:14px sans-serif;text-anchor:middle;fill:#222}.small{font-size:11px;fill:#777}"
    "rect{fill:#eef5ff;stroke:#88a}.rule{fill:#fff5e6;stroke:#b96}path{fill:none;stroke:#999}"
)
ROW, GAP = 30, 14


@dataclass(frozen=True)
class _Drawing:
    """A part: its size, how far its rail lies below its top, and what draws it with its corner at (x, y)."""

    width: int
    height: int
    rail: int
    at: Callable[[int, int], list[str]]


def draw_rule(rule: Rule) -> str:
    """Draws one rule; words have round corners, other rules square ones, tags stand below what they belong to."""
    body = _draw(rule.body)
    width, height = body.width + 2 * GAP, body.height + 2 * GAP
    rail = body.rail + GAP
    ends = [_line(2, rail, GAP), _line(width - GAP, rail, width - 2)]
    parts = "\n".join([*ends, *body.at(GAP, GAP)])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return f"{head}\n<style>{STYLE}</style>\n{parts}\n</svg>\n"


def _text(text: str) -> str:
    return escape(one_line(text))


def _line(x: int, y: int, to: int) -> str:
    return f'<path d="M{x} {y}H{to}"/>'


def _small(x: float, y: int, text: str) -> str:
    return f'<text class="small" x="{x:g}" y="{y}">{_text(text)}</text>'


def _draw(node: Node) -> _Drawing:
    if isinstance(node, (Word, Ref)):
        return _box(node.text if isinstance(node, Word) else node.name, isinstance(node, Ref))
    if isinstance(node, Choice):
        return _ways(node)
    if isinstance(node, Repeat):
        return _loop(node)
    if isinstance(node, Tagged):
        return _tag(node)
    return _row([_draw(part) for part in node.parts])


def _box(text: str, rule: bool) -> _Drawing:
    width = 9 * len(one_line(text)) + 16
    kind = ' class="rule"' if rule else ' rx="10"'

    def at(x: int, y: int) -> list[str]:
        box = f'<rect{kind} x="{x}" y="{y}" width="{width}" height="{ROW}"/>'
        return [f'{box}<text x="{x + width / 2:g}" y="{y + 20}">{_text(text)}</text>']

    return _Drawing(width, ROW, ROW // 2, at)


def _row(parts: list[_Drawing]) -> _Drawing:
    rail = max((part.rail for part in parts), default=ROW // 2)
    height = max((rail - part.rail + part.height for part in parts), default=ROW)
    width = sum(part.width + GAP for part in parts) - GAP if parts else 2 * GAP

    def at(x: int, y: int) -> list[str]:
        """Puts the parts side by side, their rails in line."""
        out = [] if parts else [_line(x, y + rail, x + width)]
        for number, part in enumerate(parts):
            if number:
                out.append(_line(x - GAP, y + rail, x))
            out += part.at(x, y + rail - part.rail)
            x += part.width + GAP
        return out

    return _Drawing(width, height, rail, at)


def _ways(node: Choice) -> _Drawing:
    weighted = len({weight for weight, _ in node.ways}) > 1
    parts = [_draw(part) for _, part in node.ways]
    inside = max((part.width for part in parts), default=0)
    room = 2 * GAP + (24 if weighted else 0)
    height = sum(part.height + 8 for part in parts) - 8 if parts else ROW
    rail = parts[0].rail if parts else ROW // 2

    def at(x: int, y: int) -> list[str]:
        """Puts the ways below each other, with their probabilities where they differ."""
        out, begin, top = [], x + room, y
        shares = [share for share, _ in node.probable] if any(weight for weight, _ in node.ways) else []
        for number, part in enumerate(parts):
            here = top + part.rail
            out.append(f'<path d="M{x} {y + rail}V{here}H{begin}"/>')
            out += part.at(begin, top)
            out.append(f'<path d="M{begin + part.width} {here}H{begin + inside + GAP}V{y + rail}"/>')
            if weighted and shares:
                out.append(_small(begin - 22, here - 3, f"{shares[number]:.2g}"))
            top += part.height + 8
        return out

    return _Drawing(room + inside + GAP, height, rail, at)


def _loop(node: Repeat) -> _Drawing:
    part = _draw(node.part)
    skip, back = 10 if node.least == 0 else 0, 18 if node.most != 1 else 0
    times = "" if node.most is None and node.least < 2 else f"{node.least}–{'' if node.most is None else node.most}"
    width, rail = part.width + 2 * GAP, part.rail + skip

    def at(x: int, y: int) -> list[str]:
        """Puts a rail above for leaving the part out, and one below for saying it again."""
        end = x + width
        out = [_line(x, y + rail, x + GAP), *part.at(x + GAP, y + skip), _line(end - GAP, y + rail, end)]
        if skip:
            out.append(f'<path d="M{x} {y + rail}V{y + 2}H{end}V{y + rail}"/>')
        if back:
            bottom = y + skip + part.height + 6
            out.append(f'<path d="M{end - 6} {y + rail}V{bottom}H{x + 6}V{y + rail}"/>')
            out.append(_small((x + end) / 2, bottom + 11, times or "again"))
        return out

    return _Drawing(width, part.height + skip + back, rail, at)


def _tag(node: Tagged) -> _Drawing:
    part = _draw(node.part)
    width = max(part.width, 7 * len(one_line(node.tag)))

    def at(x: int, y: int) -> list[str]:
        end = _line(x + part.width, y + part.rail, x + width)
        return [*part.at(x, y), end, _small(x + width / 2, y + part.height + 12, node.tag)]

    return _Drawing(width, part.height + 14, part.rail, at)
