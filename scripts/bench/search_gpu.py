#!/usr/bin/env python3
"""Measures the engine "torch" on a GPU: agreement with the CPU, speed over lanes, latency over streams.

    .venv/bin/python scripts/bench/search_gpu.py pack --model exp/chain --graph exp/chain/graph_tg --scores scores.ark \
        --feats exp/hires/dev-clean --out search_gpu.npz      # here: graph, scores, features in one file, under 60 MB
    python scripts/bench/search_gpu.py run search_gpu.npz --out table.md          # where the GPU is: under 8 minutes

`run` needs this package, torch, Triton and numpy. It searches real scores tiled to as many utterances as asked for;
they lie on the device as a network leaves them, after a look whether words and lattices are the CPU's. With
`--network`, a folder of that tree, it also goes from features to lattices. Its table is written line by line: what was
measured stays if time is up.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from hybrid.lanes.to_host import ToHost
from hybrid.lattice.paths import best_path
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher
from hybrid.search.graph import SearchGraph
from hybrid.search.together.torch_search import TorchSearcher

LARGEST = 60_000_000  # bytes of the file
COLUMNS = ("bounds", "transition_ids", "word_ids", "final_scores")


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    pack = parts.add_parser("pack")
    pack.add_argument("--model", type=Path, required=True)
    pack.add_argument("--graph", type=Path, required=True)
    pack.add_argument("--scores", type=Path, required=True, help="Kaldi archive of log-likelihoods")
    pack.add_argument("--feats", type=Path, help="features of the same utterances, for --network")
    pack.add_argument("--utterances", type=int, default=12, help="the first ones of the archive")
    pack.add_argument("--out", type=Path, required=True)
    run = parts.add_parser("run")
    run.add_argument("pack", type=Path)
    run.add_argument("--out", type=Path, required=True, help="the table, Markdown")
    run.add_argument("--network", type=Path, help="a model folder: from features to lattices as well")
    run.add_argument("--device", default="cuda")
    run.add_argument("--kernels", default="auto", choices=("auto", "triton", "torch"))
    run.add_argument("--lanes", default="1,16,64,256,512,2400,4800", help="utterances at once, in up to 512 lanes")
    run.add_argument("--streams", default="1,10,100,400,1000")
    run.add_argument("--chunk", type=int, default=10, help="frames that a stream brings at a time")
    run.add_argument("--seconds", type=float, default=420.0, help="after which nothing new is begun")
    run.add_argument("--beam", type=float, default=13.0)
    run.add_argument("--lattice-beam", type=float, default=6.0)
    run.add_argument("--max-active", type=int, default=7000)
    return parser.parse_args()


def pack(options: argparse.Namespace) -> None:
    """Writes graph and scores; scores as float16, which both engines are then given."""
    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import read_matrices
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.model.folder import load_model
    from hybrid.search.layout import load_search_graph

    model = load_model(options.model)
    graph = load_search_graph(DecodingGraph.load(options.graph), model.transition_model)
    arrays: dict[str, Any] = {name: getattr(graph, name) for name in COLUMNS}
    arrays["bounds"] = np.diff(arrays["bounds"].reshape(-1), prepend=0).astype(np.int16)
    arrays["steps"] = np.diff(graph.arcs[:, 0], prepend=0)
    arrays |= {"pdf_ids": graph.arcs[:, 1].astype(np.int16), "costs": graph.arcs[:, 2]}
    arrays["numbers"] = np.array([graph.start, graph.num_pdfs])
    arrays["facts"] = np.array([model.frame_shift, model.acoustic_model.acoustic_scale])
    feats = FeatureStore.open(options.feats) if options.feats else None
    for i, (name, scores) in zip(range(options.utterances), read_matrices(options.scores)):
        arrays[f"scores{i}"] = scores.astype(np.float16)
        if feats is not None:
            arrays[f"features{i}"] = model.pipeline.features(feats, name).astype(np.float16)
    np.savez_compressed(options.out, **arrays)
    size = options.out.stat().st_size
    print(f"{options.out}: {graph.num_states} states, {len(graph.arcs)} arcs, {i + 1} utterances, {size / 1e6:.1f} MB")
    if size > LARGEST:
        raise SystemExit(f"{options.out}: {size} bytes, wanted at most {LARGEST}. Pack fewer utterances.")


class Pack(NamedTuple):
    """What `pack` wrote.

    Attributes:
      shift: of a frame of the scores, seconds. scale: of the scores.
      features: of the same utterances, or none.
    """

    graph: SearchGraph
    scores: list[np.ndarray]
    shift: float
    scale: float
    features: list[np.ndarray]


def unpack(path: Path) -> Pack:
    """Reads what `pack` wrote."""
    with np.load(path) as file:
        arcs = np.stack(
            [np.cumsum(file["steps"], dtype=np.int32), file["pdf_ids"].astype(np.int32), file["costs"]], axis=1
        )
        bounds = np.cumsum(file["bounds"], dtype=np.int64).astype(np.int32).reshape(-1, 2)
        (start, num_pdfs), (shift, scale) = file["numbers"].tolist(), file["facts"].tolist()
        graph = SearchGraph(start, num_pdfs, bounds, arcs, *(file[name] for name in COLUMNS[1:]))
        scores, features = (
            [file[name].astype(np.float32) for name in file.files if name.startswith(kind)]
            for kind in ("scores", "features")
        )
        return Pack(graph, scores, shift, scale, features)


class Table:
    """Lines that are on disk as soon as they are known."""

    def __init__(self, path: Path) -> None:
        self.stream = open(path, "w", encoding="utf-8")  # noqa: SIM115 - until the end

    def line(self, text: str = "") -> None:
        """Writes a line, and shows it."""
        print(text, flush=True)
        self.stream.write(text + "\n")
        self.stream.flush()


def wait(device: torch.device) -> None:
    """Waits until the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(device: torch.device, work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the seconds that some work took, and its result."""
    wait(device)
    begin = time.monotonic()
    result = work()
    wait(device)
    return time.monotonic() - begin, result


class Waits:
    """Tells for how many seconds the thread that launches waited, for the device and for lattices; inside of `with`."""

    OF_DEVICE = ((torch.Tensor, "cpu"), (torch.Tensor, "tolist"), (torch.Tensor, "item"), (torch.Tensor, "__bool__"),
                 (ToHost, "arrays"))  # fmt: skip

    def __enter__(self) -> Waits:
        self.device = self.lattices = 0.0
        self.thread, self.plain = threading.get_ident(), list[tuple[type, str, Any]]()
        for place, name in (*self.OF_DEVICE, (Future, "result")):
            self.plain.append((place, name, getattr(place, name)))
            watched = self._watched(self.plain[-1][2], "lattices" if place is Future else "device")
            setattr(place, name, watched)
        return self

    def __exit__(self, *_: object) -> None:
        for place, name, method in self.plain:
            setattr(place, name, method)

    def _watched(self, method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def watched(own: Any, *arguments: Any, **options: Any) -> Any:
            if threading.get_ident() != self.thread or getattr(own, "is_cuda", True) is False:
                return method(own, *arguments, **options)
            begin = time.monotonic()
            result = method(own, *arguments, **options)
            setattr(self, kind, getattr(self, kind) + time.monotonic() - begin)
            return result

        return watched


def arcs_of(lattice: Any) -> list[tuple]:
    """What a lattice holds, whatever the numbers of its states."""
    frames = lattice.state_frames[lattice.sources].tolist()
    columns = lattice.transition_ids, lattice.word_ids, lattice.graph_scores, lattice.acoustic_scores
    return sorted(zip(frames, *(column.tolist() for column in columns)))


def compare(table: Table, native: NativeSearcher, searcher: TorchSearcher, scores: list[np.ndarray]) -> None:
    """Tells whether the lattices are the CPU's."""
    ours, theirs = searcher.search(scores), native.search(scores)
    same = sum(arcs_of(one.lattice) == arcs_of(two.lattice) for one, two in zip(ours, theirs))
    scale = searcher.config.scale
    paths = [[best_path(each.lattice, scale) for each in results] for results in (ours, theirs)]
    words = sum(
        (one is None) == (two is None)
        and (one is None or two is None or one.word_ids.tolist() == two.word_ids.tolist())
        for one, two in zip(*paths)
    )
    table.line(f"Lattices equal the CPU's in {same} of {len(scores)} utterances, words in {words}.")


def tiled(scores: list[Any], lanes: int) -> list[Any]:
    """Returns as many utterances as there are lanes."""
    return [scores[i % len(scores)] for i in range(lanes)]


def speeds(table: Table, searcher: TorchSearcher, scores: list[Any], lanes: list[int], shift: float, left: Any) -> None:
    """Searches more and more utterances at once; their scores lie on the device.

    Waits of the thread that launches are those for the device and, at the end, for lattices; in the rest it worked.
    """
    table.line("\n| utterances | frames | seconds | frames/s | × real time, with lattices | GB | waited for the device "
               "| for lattices |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    each = 0.0  # seconds of a lane, twice: recorded and measured
    for count in lanes:
        if left() <= count * each:
            break
        begin, batch = left(), tiled(scores, count)
        frames = sum(map(len, batch))
        if searcher.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(searcher.device)
        searcher.search(batch)  # launches are recorded
        with Waits() as waits:
            seconds, _ = timed(searcher.device, lambda batch=batch: searcher.search(batch))
        peak = torch.cuda.max_memory_allocated(searcher.device) / 1e9 if searcher.device.type == "cuda" else 0.0
        rate = frames / seconds
        table.line(f"| {count} | {frames} | {seconds:.2f} | {rate:.0f} | {rate * shift:.0f} | {peak:.1f} | "
                   f"{waits.device:.2f} | {waits.lattices:.2f} |")  # fmt: skip
        each = (begin - left()) / count


def end_to_end(table: Table, searcher: TorchSearcher, packed: Pack, lanes: list[int], folder: Path, left: Any) -> None:
    """Goes from features on the host to lattices, by as many utterances at a time."""
    from hybrid.model.folder import load_model

    model = load_model(folder).acoustic_model.to(str(searcher.device))
    table.line("\n| utterances | seconds of speech | seconds | × real time, features to lattices |\n|---|---|---|---|")
    each = 0.0
    for count in lanes:
        if left() <= count * each:
            break
        begin = left()
        features = [torch.from_numpy(one) for one in tiled(packed.features, count)]

        def work(features: list[torch.Tensor] = features) -> int:
            lengths = torch.tensor(list(map(len, features)))
            scores, frames = model.scores(torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths)
            searcher.search(scores, frames.tolist())
            return int(frames.sum())

        work()
        seconds, frames = timed(searcher.device, work)
        speech = frames * packed.shift
        table.line(f"| {count} | {speech:.0f} | {seconds:.2f} | {speech / seconds:.0f} |")
        each = (begin - left()) / count


def chunks_of(scores: list[np.ndarray], chunk: int) -> Iterator[list[np.ndarray]]:
    """Yields what all streams bring at a time; they stand at different places."""
    longest = max(map(len, scores))
    for begin in range(0, longest, chunk):
        yield [
            np.roll(each, 7 * i, axis=0)[begin % len(each) : begin % len(each) + chunk] for i, each in enumerate(scores)
        ]


def latencies(
    table: Table, searcher: TorchSearcher, scores: list[np.ndarray], streams: list[int], options: Any, left: Any
) -> None:
    """Moves more and more streams by a chunk at a time."""
    table.line(f"\n| streams | chunks of {options.chunk} frames | median ms | 95th percentile ms "
               "| of the median waited for the device |\n|---|---|---|---|---|")  # fmt: skip
    for count in streams:
        if left() <= 0:
            break
        opened, times, waited = [searcher.open() for _ in range(count)], [], []
        for chunks in chunks_of(tiled(scores, count), options.chunk):
            with Waits() as waits:
                seconds, _ = timed(
                    searcher.device, lambda opened=opened, chunks=chunks: searcher.advance(opened, chunks)
                )
            times.append(1000 * seconds)
            waited.append(1000 * waits.device)
            if left() <= 0 or len(times) > 60:
                break
        middle, late = np.percentile(times[2:] or times, [50, 95])
        table.line(f"| {count} | {len(times)} | {middle:.1f} | {late:.1f} | {np.median(waited[2:] or waited):.1f} |")


def run(options: argparse.Namespace) -> None:
    """Measures and writes the table."""
    begin, device, table = time.monotonic(), torch.device(options.device), Table(options.out)
    packed = unpack(options.pack)
    graph, scores, shift, scale, _ = packed
    config = SearchConfig(options.beam, options.lattice_beam, options.max_active, acoustic_scale=scale)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    searcher = TorchSearcher(graph, config, device, options.kernels)
    kind = "torch" if searcher.code.card is None else "Triton"
    table.line(f"{name}, {time.strftime('%Y-%m-%d')}, torch {torch.__version__}, kernels: {kind}; graph of")
    table.line(f"{graph.num_states} states and {len(graph.arcs)} arcs, beam {options.beam:g}, lattice beam")
    table.line(f"{options.lattice_beam:g}, {options.max_active} active, frames of {1000 * shift:.0f} ms.")

    def left() -> float:
        return options.seconds - (time.monotonic() - begin)

    compare(table, NativeSearcher(graph, config), searcher, scores[:4])
    lanes = [int(n) for n in options.lanes.split(",")]
    speeds(table, searcher, [torch.from_numpy(one).to(device) for one in scores], lanes, shift, left)
    if options.network:
        end_to_end(table, searcher, packed, lanes, options.network, left)
    latencies(table, searcher, scores, [int(n) for n in options.streams.split(",")], options, left)
    table.line(f"\n{time.monotonic() - begin:.0f} s in all.")


if __name__ == "__main__":
    chosen = parse_options()
    (pack if chosen.part == "pack" else run)(chosen)
