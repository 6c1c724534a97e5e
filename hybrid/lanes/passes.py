"""Which code passes tokens on a device, and how many lanes fit into its memory."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from hybrid.base.log import get_logger
from hybrid.lanes.backward import TakeLosses, living, take_losses, within_beam
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneWidths, bare_level, place_graph
from hybrid.lanes.levels import LaneLevels, apart, in_a_row
from hybrid.lanes.rooms import Rooms
from hybrid.lanes.twin import pass_frames, start_level

if TYPE_CHECKING:
    from hybrid.lanes.card import CardPasses

__all__ = ["LaneCode", "Passes", "Pruned", "choose_code", "lanes_within", "passed_frames"]

Passes = Callable[[DeviceGraph, LaneLevel, torch.Tensor, torch.Tensor, LaneWidths], tuple[LaneLevels, torch.Tensor]]
Pruned = Callable[
    [DeviceGraph, LaneLevel, torch.Tensor, torch.Tensor, LaneWidths], tuple[LaneLevels, LaneLevel, torch.Tensor]
]


class LaneCode(NamedTuple):
    """Code of one kind, Triton's or torch's.

    Attributes:
      passes: token passing. pruned: the same, and pruning of what came of it. take_losses: the way back of pruning.
      card: of Triton's kernels, where memory is laid out ahead; the twin takes what it needs as it goes.
    """

    passes: Passes
    pruned: Pruned
    take_losses: TakeLosses
    card: CardPasses | None = None


HOST_LANES = 32  # on a CPU, where more at once gain nothing
SHARE = 0.8  # of a GPU's free memory that may be laid out

logger = get_logger(__name__)


def choose_code(kernels: str, device: torch.device, frames: int) -> LaneCode:
    """Returns the code that passes tokens and prunes links.

    Args:
      frames: of the longest chunk that is expected.
      kernels: "triton", "torch" (their twin), or "auto": on a GPU Triton's, where they are there and agree with the
        twin on a small graph; what is taken instead is told.
    """
    if kernels == "torch" or (kernels == "auto" and device.type != "cuda"):
        return LaneCode(passed_frames, pruned_frames, take_losses)
    if kernels == "auto":
        reason = _why_not(device)
        if reason:
            logger.warning("%s: tokens are passed by plain torch, which is slower: %s", device, reason)
            return LaneCode(passed_frames, pruned_frames, take_losses)
    return _card_code(device, frames)


def _card_code(device: torch.device, frames: int) -> LaneCode:
    from hybrid.lanes import card

    passes = card.CardPasses(frames) if device.type == "cuda" else card.CardPasses(frames, 2, 64)
    return LaneCode(passes, passes.pruned, card.take_losses, passes)


def passed_frames(
    graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
) -> tuple[LaneLevels, torch.Tensor]:
    """Returns the levels of `twin.pass_frames` in one piece, and at how many frames of each lane max-active decided."""
    levels, limited = pass_frames(graph, level, frames, lengths, widths)
    found = in_a_row(levels)
    # Links into the first of them count the tokens before it backwards.
    before = torch.where(found.number[found.links.target] == 0, len(level.lane), 0)
    return found._replace(links=found.links._replace(source=found.links.source - before)), limited


def pruned_frames(
    graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
) -> tuple[LaneLevels, LaneLevel, torch.Tensor]:
    """Passes tokens through a chunk and drops what no path within the lattice beam of its end uses.

    Args:
      level, frames, lengths: see `twin.pass_frames`; all tokens of the level stay.

    Returns:
      The levels between this one and the last; the last one, whose links count the tokens before it backwards, from
      -1; and at how many frames of each lane max-active decided.
    """
    passed, limited = pass_frames(graph, level, frames, lengths, widths)
    whole = in_a_row([bare_level(*level[:3]), *passed])
    kept = within_beam(graph, whole, living(whole, lengths), len(lengths), widths, take_losses)
    kept = kept._replace(tokens=kept.tokens | (whole.number == 0))
    return *apart(whole, kept, len(level.lane)), limited


def _why_not(device: torch.device) -> str:
    """Returns what speaks against Triton's kernels on a device, in one line; empty if nothing does."""
    if find_spec("triton") is None:
        return "the package triton is not installed"
    try:
        graph, frames, lengths = _small_search(device)
        widths, level = LaneWidths(8.0, 4.0, 6, 2, 0.5, 0.5), start_level(graph, 0)
        wanted, found = (
            code(graph, level, frames, lengths, widths)[0]
            for code in (passed_frames, _card_code(device, frames.shape[1]).passes)
        )
        if _content(wanted) != _content(found):
            return "its kernels and their twin disagree on a small graph; please report this"
    except Exception as error:  # whatever a compiler and a driver throw
        return f"its kernels do not run here ({' '.join(str(error).split())[:200]})"
    return ""


def _small_search(device: torch.device) -> tuple[DeviceGraph, torch.Tensor, torch.Tensor]:
    """Returns a graph of a ring of states with epsilons, scores of one lane, and their number of frames."""
    rng, states = np.random.default_rng(0), 12
    rows = []
    for state in range(states):
        rows += [((state + step) % states, int(rng.integers(4)), rng.random()) for step in range(3)]
        rows += [(state + 1, -1, rng.random())] if state % 3 and state + 1 < states else []
    arcs = np.array([(target, pdf, np.float32(-cost).view(np.int32)) for target, pdf, cost in rows], np.int32)
    sizes = np.array([[3, int(s % 3 > 0 and s + 1 < states)] for s in range(states)])
    ends = np.concatenate([[0], sizes.reshape(-1).cumsum()])
    bounds = np.concatenate([ends[:-1].reshape(-1, 2), [[ends[-1]] * 2]]).astype(np.int32)
    frames = torch.from_numpy(rng.normal(size=(1, 6, 4)).astype(np.float32)).to(device)
    return place_graph(bounds, arcs, device), frames, torch.tensor([6], device=device)


def _content(found: LaneLevels) -> list[list[tuple]]:
    """Returns what levels hold, whatever the order."""
    names = list(zip(found.number.tolist(), found.lane.tolist(), found.state.tolist()))
    tokens = sorted(zip(names, found.score.tolist()))
    return [tokens, *(sorted(zip(p.arc.tolist(), (names[i] for i in p.target.tolist()))) for p in found.both)]


def lanes_within(graph: DeviceGraph, widths: LaneWidths, num_pdfs: int, frames: int, device: torch.device) -> int:
    """Returns how many utterances are searched side by side: as many as are predicted to fit, at least one.

    Args:
      frames: of a chunk.
    """
    if device.type != "cuda":
        return HOST_LANES
    free, _ = torch.cuda.mem_get_info(device)
    lanes = 1
    while lanes < 4096 and _memory(graph, widths, num_pdfs, frames, 2 * lanes) <= SHARE * free:
        lanes *= 2
    return lanes


def _memory(graph: DeviceGraph, widths: LaneWidths, num_pdfs: int, frames: int, lanes: int) -> int:
    """Returns the bytes of a chunk; pruning it takes as much again as its logs."""
    rooms = Rooms.predict(graph, widths, lanes, frames)
    return 2 * rooms.memory + 4 * lanes * frames * num_pdfs
