#!/usr/bin/env python3
"""Measures a session without end: memory, and what a partial result each tenth of a second costs beside the search.

    .venv/bin/python scripts/bench/session.py --model exp/tri1 --graph exp/tri1/graph_tg --hours 1 dev/*.flac

The files are heard one after the other, again and again, in pieces of `--chunk` seconds. Prints every five minutes of
audio the resident memory, the CPU seconds of advancing (features, scores, search) and of partial results, and the
real-time factor; ends with the growth of memory since the fifth minute and the share of the partial results. Before
that it opens `--sessions` sessions, and prints what each of them takes before its first frame.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hybrid.data.audio import read_audio
from hybrid.recogniser import EndpointConfig, Recogniser

REPORT = 300.0  # seconds of audio


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--chunk", type=float, default=0.1, help="seconds")
    parser.add_argument("--pause", type=float, default=0.8, help="seconds; 1000: no utterance ends, all is committed")
    parser.add_argument("--sessions", type=int, default=50, help="opened at once before the long one")
    parser.add_argument("files", nargs="+", type=Path)
    return parser.parse_args()


def resident_mb() -> float:
    """Memory of this process in RAM."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096 / 1e6


def chunks(files: list[Path], seconds: float) -> Iterator[tuple[np.ndarray, int]]:
    """Yields pieces of the files, for ever."""
    for file in itertools.cycle(files):
        samples, rate = read_audio(file)
        step = round(rate * seconds)
        for begin in range(0, len(samples), step):
            yield samples[begin : begin + step], rate


def measure_opening(recogniser: Recogniser, rate: int, count: int) -> None:
    """Prints the memory of sessions that have heard nothing."""
    warm = recogniser.session(rate)  # what is made once for all
    before = resident_mb()
    sessions = [recogniser.session(rate) for _ in range(count)]
    growth = resident_mb() - before
    print(f"{len(sessions)} sessions without a frame: {growth / count:.3f} MB each, "
          f"{warm.memory / 1e6:.3f} MB of it for the search")  # fmt: skip


def main() -> None:
    """Runs the session."""
    options = parse_options()
    source = chunks(options.files, options.chunk)
    first, rate = next(source)
    recogniser = Recogniser.load(options.model, options.graph)
    measure_opening(recogniser, rate, options.sessions)
    session = recogniser.session(rate, endpoint=EndpointConfig(pause=options.pause))
    heard = advancing = asking = 0.0
    words = utterances = 0
    early = 0.0
    print("minutes  MB      advance CPU s  partial CPU s  real-time factor  utterances  words", flush=True)
    for samples, _ in itertools.chain([(first, rate)], source):
        start = time.process_time()
        found = session.advance(samples)
        middle = time.process_time()
        session.partial()
        asking += time.process_time() - middle
        advancing += middle - start
        utterances += len(found)
        words += sum(len(one.text.split()) for one in found)
        before, heard = heard, heard + len(samples) / rate
        if heard // REPORT > before // REPORT:
            early = early or resident_mb()
            print(f"{heard / 60:7.1f}  {resident_mb():6.1f}  {advancing:13.2f}  {asking:13.3f}  "
                  f"{(advancing + asking) / heard:16.4f}  {utterances:10d}  {words:5d}", flush=True)  # fmt: skip
        if heard >= 3600 * options.hours:
            break
    session.finish()
    print(f"memory since the fifth minute: {resident_mb() - early:+.1f} MB; partial results: "
          f"{100 * asking / max(advancing, 1e-9):.2f} % of the CPU of advancing")  # fmt: skip


if __name__ == "__main__":
    main()
