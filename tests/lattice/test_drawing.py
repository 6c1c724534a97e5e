"""Pictures: what stands in them, that they are well-formed, and that no text of a user becomes markup."""

from __future__ import annotations

import xml.etree.ElementTree as tree

import pytest

from hybrid.lattice.compact import no_paths
from hybrid.lattice.drawing import draw_lattice, draw_network, html_page
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.trim import from_rows

from .test_mbr import three_ways
from .twins import some

WORDS = {1: "A", 2: "<script>&", 3: 'C"', 4: "D\x1b"}


def texts(svg: str) -> list[str]:
    root = tree.fromstring(svg)
    return [node.text or "" for node in root.iter() if node.tag.endswith("}text")]


def test_a_lattice() -> None:
    svg = draw_lattice(three_ways(), WORDS.__getitem__, 1.0)
    assert {"A 0.4", "A 0.35", "<script>& 0.4", 'C" 0.35', "D\\x1b 0.25", 'C" 0.25'} <= set(texts(svg))
    assert "<script>" not in svg
    best = [group for group in tree.fromstring(svg).iter() if group.get("class") == "best"]
    assert [group[1].text for group in best] == ["A 0.4", "<script>& 0.4"]


def test_a_confusion_network() -> None:
    svg = draw_network(mbr_decode(three_ways(), 1.0).network, WORDS.__getitem__)
    assert texts(svg) == ["A", "D\\x1b", "0–1", 'C"', "<script>&", "1–2"]
    boxes = [float(node.get("height", 0)) for node in tree.fromstring(svg).iter() if node.tag.endswith("}rect")]
    assert boxes == pytest.approx([165, 55, 132, 88])


def test_a_page() -> None:
    page = html_page("u<1>", [("words & all", draw_lattice(three_ways(), WORDS.__getitem__, 1.0))])
    assert "<h1>u&lt;1&gt;</h1>" in page and "<h2>words &amp; all</h2>" in page
    for door in ("http", "src=", "href", "<script"):
        assert door not in page.replace("http://www.w3.org/2000/svg", "")


def test_any_small_lattice_and_none_too_large() -> None:
    for seed in range(100):
        lattice = some(seed, frames=4)
        drawn = texts(draw_lattice(lattice, str, 0.1))
        assert len(drawn) == 2 * lattice.num_states + lattice.num_arcs
        draw_network(mbr_decode(lattice, 0.1).network, str)
    assert texts(draw_lattice(no_paths(), str, 1.0)) == ["no path"]
    assert texts(draw_network(mbr_decode(no_paths(), 1.0).network, str)) == ["no words"]
    rows = [(state, state + 1, 1, 0.0, 0.0, (1,)) for state in range(500)]
    with pytest.raises(LatticeError, match=r"has 501 states and 500 arcs, too many to draw"):
        draw_lattice(from_rows(rows, {500: (0.0, 0.0, ())}, 501), str, 1.0)
