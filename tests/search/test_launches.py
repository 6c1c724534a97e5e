"""What the engine "torch" asks of its host, counted: launches, and waits for the device (`docs/search.md`)."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from hybrid.formats.openfst import FstArrays
from hybrid.search.config import SearchConfig
from hybrid.search.together import torch_lanes

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1",
    reason="Triton's interpreter is not here",
)

VIEWS = {"slice", "select", "view", "unsqueeze", "expand", "detach", "split_with_sizes", "unbind", "alias", "reshape",
         "lift_fresh", "t"}  # fmt: skip
WAITS = {"nonzero", "_unique2", "bincount", "masked_select"}  # besides `tolist`, `item` and copies to the host


@pytest.fixture
def count(monkeypatch) -> Callable[[Callable[[], Any]], Counter[str]]:
    """Counts launches and waits of some work; a kernel of Triton is one launch, the recorded ones of a frame none."""
    from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
    from triton.runtime import interpreter

    from hybrid.lanes.card import CardPasses

    found: Counter[str] = Counter()

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func._schema.name.split("::")[1]
            by_mask = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
            found["waits"] += name in WAITS or by_mask
            found["launches"] += name not in VIEWS
            return func(*args, **(kwargs or {}))

    launch, frame, ask = interpreter.GridExecutor.__call__, CardPasses._pass_frame, torch.Tensor.tolist
    facts = torch.Tensor.cpu

    def one(*arguments: Any, **options: Any) -> None:
        found["launches"] += 1
        with _disable_current_modes():
            launch(*arguments, **options)

    def none(*arguments: Any) -> None:
        before = found["launches"]
        with _disable_current_modes():
            frame(*arguments)
        found["launches"] = before

    def asked(plain: Any) -> Any:
        return lambda tensor: (found.update(waits=1), plain(tensor))[1]

    monkeypatch.setattr(interpreter.GridExecutor, "__call__", one)
    monkeypatch.setattr(CardPasses, "_pass_frame", none)
    monkeypatch.setattr(torch.Tensor, "tolist", asked(ask))
    monkeypatch.setattr(torch.Tensor, "cpu", asked(facts))

    def counted(work: Callable[[], Any]) -> Counter[str]:
        found.clear()
        with Count():
            work()
        return found.copy()

    return counted


def graph(tools: Any) -> FstArrays:
    return tools.fst(7, 12, 40)


def test_utterances_in_lanes(build, tools, count) -> None:
    searcher = build("triton", graph(tools), SearchConfig(8.0, 4.0, 50, 2, 0.5))
    scores = [torch.from_numpy(tools.scores(n, n)) for n in (3, 5, 7, 30)]
    lanes, moves, harvests = torch_lanes._Lanes(searcher, scores, 3), [], []
    while lanes.going:
        moves.append(count(lanes.move))
        if lanes.ripe:
            harvests.append(count(lanes.harvest))
    # Facts, and sizes; the marks, which are counted too, are of a copy.
    assert {move["waits"] for move in moves} == {3} and min(move["launches"] for move in moves) <= 85
    assert len(harvests) > 1 and {one["waits"] for one in harvests} == {1}
    assert max(one["launches"] for one in harvests) <= 240


def test_streams(build, tools, count) -> None:
    searcher = build("triton", graph(tools), SearchConfig(8.0, 4.0, 50, 2, 0.5))
    streams, scores = [searcher.open() for _ in range(3)], [tools.scores(i, 6) for i in range(3)]
    moves = [count(lambda b=b: searcher._move(streams, [one[b : b + 2] for one in scores])) for b in (0, 2, 4)]
    assert {move["waits"] for move in moves} == {3} and moves[-1]["launches"] <= 160
