"""Times the LF-MMI operator, both passes and the gradient, beside k2's `intersect_dense`, or on a GPU.

    python scripts/bench/lfmmi.py                      # CPU: ours and k2 (where installed), in turns
    python scripts/bench/lfmmi.py --device cuda        # Triton and torch paths, checked against the CPU
    python scripts/bench/lfmmi.py --den exp/chain/den  # a denominator made by `hybrid nnet chain-den`

Needs torch and numpy only. Without --den the graph is made up: an n-gram of phones without smoothing on the chain
topology with left-biphone pdfs, of the size of a denominator of a few hours of speech. Rows are in turns in one run;
the ratio is of CPU seconds on CPU, of wall seconds on GPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hybrid.nnet.sequence.arcs import ArcBatch, Arcs, batch
from hybrid.nnet.sequence.forward_backward import Path as Implementation
from hybrid.nnet.sequence.forward_backward import choose, total_log_score
from hybrid.nnet.sequence.objective import ChainConfig, ChainObjective

NEVER = -np.inf


def made_up_denominator(phones: int, pdfs: int, extra: int, seed: int = 0) -> Arcs:
    """Returns a graph of states (two last phones), `extra` of them split by a third, with a loop each.

    An arc into phone c after b carries the pdf of (b, c) entered; the loop that of (b, c) continued.
    """
    rng = np.random.default_rng(seed)
    follows = rng.random((phones, phones)) < 0.75
    follows[np.arange(phones), (np.arange(phones) + 1) % phones] = True
    pairs = np.argwhere(follows)
    copies = pairs[rng.choice(len(pairs), extra, p=_zipf(len(pairs), rng))]
    states = np.concatenate([pairs, copies])
    of_pair = {tuple(pair): np.flatnonzero((states == pair).all(1)) for pair in pairs}
    leaf = rng.integers(0, pdfs, (2, phones, phones))
    leaf[0].flat[: min(pdfs, phones * phones)] = np.arange(min(pdfs, phones * phones))
    sources, targets, ids, weights = [], [], [], []
    for state, (before, phone) in enumerate(states):
        seen = np.flatnonzero(follows[phone])
        seen = rng.choice(seen, min(len(seen), 3 + rng.poisson(14 if state < len(pairs) else 5)), replace=False)
        share = 0.5 * _zipf(len(seen), rng)
        sources += [state] * (len(seen) + 1)
        targets += [state] + [rng.choice(of_pair[phone, other]) for other in seen]
        ids += [leaf[1, before, phone]] + [leaf[0, phone, other] for other in seen]
        weights += [0.5, *share]
    initial = np.full(len(states), -np.log(len(states)))
    return Arcs(sources, targets, ids, np.log(weights), initial, np.zeros(len(states)))


def _zipf(count: int, rng: np.random.Generator) -> np.ndarray:
    weights = 1 / (1 + rng.permutation(count))
    return weights / weights.sum()


def read_denominator(folder: Path) -> Arcs:
    """Reads the graph of a folder that `hybrid nnet chain-den` made, with nothing but safetensors."""
    from safetensors.numpy import load_file

    den = load_file(folder / "den.safetensors")
    final = np.zeros(len(den["initial"]), np.float32)
    return Arcs(den["from_state"], den["to_state"], den["pdf"], den["log_weight"], den["initial"], final)


def numerators(graph: Arcs, count: int, frames: int, width: int, seed: int = 1) -> ArcBatch:
    """Returns one graph per sequence, `width` random paths of the denominator that may cross: one arc per frame."""
    rng = np.random.default_rng(seed)
    order = np.argsort(graph.from_state, kind="stable")
    rows = np.searchsorted(graph.from_state[order], np.arange(graph.num_states + 1))
    found = []
    for _ in range(count):
        kept = set()
        for _ in range(width):
            state = int(np.argmax(graph.initial))
            for t in range(frames):
                arc = int(order[rng.integers(rows[state], rows[state + 1])])
                kept.add((t, arc))
                state = int(graph.to_state[arc])
        times, arcs = (np.array(column) for column in zip(*sorted(kept)))
        ends = np.unique(np.concatenate([times * graph.num_states + graph.from_state[arcs],
                                         (times + 1) * graph.num_states + graph.to_state[arcs]]))  # fmt: skip
        initial, final = np.full((2, len(ends)), NEVER)
        initial[ends < graph.num_states], final[ends >= frames * graph.num_states] = 0, 0
        found.append(Arcs(np.searchsorted(ends, times * graph.num_states + graph.from_state[arcs]),
                          np.searchsorted(ends, (times + 1) * graph.num_states + graph.to_state[arcs]),
                          graph.pdf[arcs], graph.log_weight[arcs], initial, final))  # fmt: skip
    return batch(found)


def timed(task: Callable[[], object], repeats: int, device: str) -> tuple[float, float]:
    """Returns the least wall and CPU seconds of a few runs, after one that is not counted."""
    task()
    seconds = []
    for _ in range(repeats):
        wait(device)
        wall, cpu = time.perf_counter(), time.process_time()
        task()
        wait(device)
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(wall for wall, _ in seconds), min(cpu for _, cpu in seconds)


def wait(device: str) -> None:
    """Waits for what runs on a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def both_passes(
    scores: torch.Tensor, lengths: torch.Tensor, graph: Arcs | ArcBatch, leak: float, path: Implementation | None
):
    """Returns totals and gradient through autograd, as training does."""
    scores = scores.detach().requires_grad_()
    totals = total_log_score(scores, lengths, graph, leak, path)
    totals.sum().backward()
    return totals.detach(), scores.grad


def k2_passes(graph: Arcs, beam: float) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Returns a function of the scores that does with k2 what `both_passes` does."""
    import k2

    start, states = int(np.argmax(graph.initial)), graph.num_states
    number = np.arange(states)
    number[[0, start]] = number[[start, 0]]
    ends = np.flatnonzero(np.isfinite(graph.final))
    arcs = torch.from_numpy(np.stack([
        np.append(number[graph.from_state], number[ends]),
        np.append(number[graph.to_state], np.full(len(ends), states)),
        np.append(graph.pdf + 1, np.full(len(ends), -1)),
        np.append(graph.log_weight, graph.final[ends]).astype(np.float32).view(np.int32),
    ], 1).astype(np.int32))  # fmt: skip
    fsa = k2.Fsa(arcs[torch.argsort(arcs[:, 0], stable=True)].contiguous())

    def passes(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count, frames, _ = scores.shape
        scores = scores.detach().requires_grad_()
        none = torch.full((count, frames, 1), -1e10)
        segments = torch.tensor([[n, 0, frames] for n in range(count)], dtype=torch.int32)
        dense = k2.DenseFsaVec(torch.cat([none, scores], 2), segments)
        lattices = k2.intersect_dense(k2.create_fsa_vec([fsa] * count), dense, output_beam=beam)
        totals = lattices.get_tot_scores(log_semiring=True, use_double_scores=False)
        totals.sum().backward()
        return totals.detach(), scores.grad

    return passes


class Table:
    """Prints a line for each task, and keeps what the first took."""

    def __init__(self, device: str, repeats: int) -> None:
        self.device, self.repeats, self.base = device, repeats, 0.0
        print(f"{'':34} {'wall ms':>10} {'CPU ms':>10} {'first/it':>8}  against float64, first 4 sequences")

    def row(self, name: str, task: Callable[[], object], agreement: str = "", compared: bool = False) -> float:
        """Times a task; returns its CPU seconds."""
        wall, cpu = timed(task, self.repeats, self.device)
        measure = wall if self.device == "cuda" else cpu
        self.base = self.base or measure
        ratio = f"{self.base / measure:8.1f}" if compared else ""
        print(f"{name:34} {1e3 * wall:10.2f} {1e3 * cpu:10.2f} {ratio:>8}  {agreement}", flush=True)
        return cpu


def difference(found: tuple[torch.Tensor, torch.Tensor], wanted: tuple[torch.Tensor, torch.Tensor]) -> str:
    """Says how far totals (relative) and occupancies (absolute, largest) are from those wanted."""
    (totals, occupancy), count = (x.detach().cpu().double() for x in found), len(wanted[0])
    relative = ((totals[:count] - wanted[0]) / wanted[0]).abs().max().item()
    return f"totals {relative:.1e}, occupancies {(occupancy[:count] - wanted[1]).abs().max().item():.1e}"


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--den", type=Path, help="folder of a denominator")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--pdfs", type=int, default=1000, help="of the made-up graph")
    parser.add_argument("--extra", type=int, default=1500, help="states of the made-up graph with longer histories")
    parser.add_argument("--spread", type=float, default=2.0, help="standard deviation of the made-up scores")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--beam", type=float, default=10.0, help="output beam of k2; its agreement is taken with 40")
    parser.add_argument("--no-k2", action="store_true")
    return parser.parse_args()


def from_one_state(graph: Arcs) -> Arcs:
    """Returns the graph that starts in its likeliest state only, as k2 wants it."""
    initial = np.where(np.arange(graph.num_states) == np.argmax(graph.initial), 0, NEVER)
    return Arcs(graph.from_state, graph.to_state, graph.pdf, graph.log_weight, initial, graph.final)


def main() -> None:
    """Prints the table."""
    options = parse_options()
    torch.set_num_threads(options.threads)
    graph = read_denominator(options.den) if options.den else made_up_denominator(40, options.pdfs, options.extra)
    print(f"denominator: {graph.num_states} states, {graph.num_arcs} arcs, {graph.num_pdfs} pdfs, "
          f"{len(graph.groups.group_pdf)} groups; {options.sequences} × {options.frames} frames; torch "
          f"{torch.__version__}, {options.threads} threads")  # fmt: skip
    shape = (options.sequences, options.frames, graph.num_pdfs)
    scores = torch.from_numpy(np.random.default_rng(2).normal(size=shape) * options.spread).float().to(options.device)
    lengths, single = torch.full(shape[:1], options.frames), from_one_state(graph)
    num, few = (numerators(single, count, options.frames, 6) for count in (options.sequences, 4))
    exact_scores = scores[:4].cpu().double()

    def exact(graph: Arcs | ArcBatch, leak: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
        return both_passes(exact_scores, lengths[:4], graph, leak, "torch")

    wanted = [exact(single), exact(graph, 0.1), exact(few)]
    table = Table(options.device, options.repeats)
    if options.device == "cpu" and not options.no_k2:
        beside_k2(table, single, scores, wanted[0], options.beam)
    cases = ((single, 0.0, "denominator"), (graph, 0.1, "denominator, leak 0.1"),
             (num, 0.0, f"numerators, {num.arcs.num_arcs} arcs"))  # fmt: skip
    default = choose(torch.device(options.device))
    for path in dict.fromkeys((default, "torch")):
        for (target, leak, name), true in zip(cases, wanted):
            task = partial(both_passes, scores, lengths, target, leak, path)
            task()
            table.row(f"{path}: {name}", task, difference(task(), true), target is single)
    objective, xent = ChainObjective(ChainConfig(), graph), scores.log_softmax(2).requires_grad_()

    def step() -> None:
        objective(scores.detach().requires_grad_(), lengths, num, xent).loss.backward()

    cpu = table.row(f"whole objective, {default}", step)
    print(f"{1e6 * cpu / shape[0] / shape[1]:.1f} µs of CPU per sequence and frame")


def beside_k2(table: Table, graph: Arcs, scores: torch.Tensor, wanted: Any, beam: float) -> None:
    """Adds k2's line."""
    try:
        passes, exact = k2_passes(graph, beam), k2_passes(graph, 40.0)
    except ImportError:
        print("k2 is not installed")
        return
    table.repeats, repeats = 1, table.repeats
    table.row(f"k2.intersect_dense, beam {beam:g}", lambda: passes(scores), difference(exact(scores[:4]), wanted), True)
    table.repeats = repeats


if __name__ == "__main__":
    main()
