#!/usr/bin/env python3
"""Measures search beside Kaldi's latgen-faster-mapped and k2: same graph, same scores, same beams, in turns.

    .venv/bin/python scripts/bench/search.py --model exp/tri2b --graph exp/tri2b/graph_tg --feats exp/feats/dev-clean \
        --utterances 300 --beams 13,8,10,15 --kaldi-bin DIR --work search-bench

Every program makes lattices of a chunk of utterances, raw and (`+det`) determinised, one process each, on one thread;
what the first utterance alone takes, loading with it, is taken off. Prints a table for each beam: real-time factor,
ratios, memory, word error rate, oracle error rate; and the utterances whose best path of ours scores worse than another
program's by more than 1e-5, with the frames at which max-active decided. What is measured is kept in --work: started
again the script goes on where it was, and with everything measured it only prints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from gmm_peer import measure

TOLERANCE = 1e-5


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder of any kind")
    parser.add_argument("--graph", type=Path, required=True, help="graph folder")
    parser.add_argument("--feats", type=Path, required=True, help="features of a set with transcripts")
    parser.add_argument("--utterances", type=int, default=300, help="spread over the set")
    parser.add_argument("--chunk", type=int, default=30, help="utterances that a process searches")
    parser.add_argument("--programs", default="native,native+det,kaldi,kaldi+det,k2")
    parser.add_argument("--beams", default="13", help="one after the other")
    parser.add_argument("--lattice-beam", type=float, default=6.0)
    parser.add_argument("--max-active", type=int, default=7000)
    parser.add_argument("--kaldi-bin", type=Path, help="folder of Kaldi's programs; without it only ours are measured")
    parser.add_argument("--work", type=Path, required=True, help="folder of what is measured, and of files under way")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--beam", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--ids", help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> None:
    """Writes the scores of some utterances, and the model in Kaldi's form."""
    import numpy as np

    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import write_matrices
    from hybrid.model.folder import load_model

    loaded, store = load_model(options.model), FeatureStore.open(options.feats)
    model, frames = loaded.unadapted, []
    with_scores = ((u, np.asarray(model.scores(model.pipeline.features(store, u)))) for u in options.ids.split())

    def counted() -> Any:
        for utterance, scores in with_scores:
            frames.append(len(scores))
            yield utterance, scores

    write_matrices(options.work / "scores.ark", counted())
    (options.work / "final.mdl").write_text(loaded.transition_model.to_text())  # all that Kaldi's search reads
    facts = {"seconds": sum(frames[1:]) * loaded.frame_shift, "scale": loaded.acoustic_model.acoustic_scale}
    (options.work / "facts.json").write_text(json.dumps(facts))


def search(options: argparse.Namespace) -> None:
    """One process of ours: searches the scores and writes the lattices."""
    import torch

    from hybrid.formats.kaldi_io import read_matrices
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.lattice.archive import open_writer
    from hybrid.lattice.determinize import determinize
    from hybrid.model.folder import load_model
    from hybrid.search.choose import make_searcher
    from hybrid.search.config import SearchConfig

    torch.set_num_threads(1)
    scale = json.loads((options.work / "facts.json").read_text())["scale"]
    config = SearchConfig(options.beam, options.lattice_beam, options.max_active, acoustic_scale=scale)
    model, graph = load_model(options.model).transition_model, DecodingGraph.load(options.graph)
    name, _, determinized = options.part.partition("+")
    searcher, limited = make_searcher(name, graph, model, config), {}
    with open_writer(options.work / f"{options.part}.ark", compact=bool(determinized)) as writer:
        for utterance, scores in read_matrices(options.work / "scores.ark"):
            (result,) = searcher.search([scores])
            limited[utterance] = result.limited_frames
            lattice: Any = result.lattice
            if determinized:
                starts = model.phone_starts
                lattice = determinize(lattice, options.lattice_beam, scale, phone_starts=starts).lattice
            writer.write(utterance, lattice)
    (options.work / f"{options.part}.limited.json").write_text(json.dumps(limited))


def look(options: argparse.Namespace) -> None:
    """Writes what is in a program's lattices: of each utterance the best score, errors, errors of the best choice."""
    from hybrid.feats.store import FeatureStore
    from hybrid.lattice.archive import read_lattices
    from hybrid.lattice.oracle import oracle
    from hybrid.lattice.paths import best_path
    from hybrid.score.edits import score_utterances
    from lexicon.symbols import SymbolTable

    table, store, program = SymbolTable.read(options.graph / "words.txt"), FeatureStore.open(options.feats), options.ids
    scale = json.loads((options.work / "facts.json").read_text())["scale"]
    limits = options.work / f"{program}.limited.json"
    limited = json.loads(limits.read_text()) if limits.exists() else {}
    found = {}
    for utterance, lattice in list(read_lattices(options.work / f"{program}.ark"))[1:]:
        said, path = store.text(utterance), best_path(lattice, scale)
        heard = [] if path is None else [table.symbol(int(i)) for i in path.word_ids]
        ids = [table.get(word) for word in said]
        found[utterance] = {
            "score": None if path is None else path.score(scale),
            "words": len(said),
            "heard": heard,
            "errors": score_utterances({utterance: (list(said), heard)}).total().errors,
            "oracle": oracle(lattice, [-1 if i is None else i for i in ids]).errors,
            "limited": limited.get(utterance),
        }
    (options.work / "look.json").write_text(json.dumps(found))


class Bench:
    """What is measured, a line of JSON each in a file."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.file = options, options.work / "results.jsonl"
        options.work.mkdir(parents=True, exist_ok=True)
        for name in ("model", "graph", "feats", "work"):
            setattr(options, name, getattr(options, name).resolve())
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.records = [json.loads(line) for line in lines if line.endswith("}")]
        settings = {
            n: str(getattr(options, n)) for n in ("model", "graph", "feats", "lattice_beam", "max_active", "chunk")
        }
        if not self.records:
            self.add({"settings": settings})
        elif self.records[0]["settings"] != settings:
            sys.exit(f"{self.file} was measured with {self.records[0]['settings']}. Give another --work.")

    def add(self, record: dict) -> None:
        """Keeps a record."""
        self.records.append(record)
        with open(self.file, "a") as stream:
            stream.write(json.dumps(record) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def own(self, part: str, ids: str = "", beam: float = 0.0) -> tuple[float, float]:
        """Runs a part of this script in a process of its own; returns CPU seconds and peak memory."""
        given = self.options
        command = [
            sys.executable,
            __file__,
            "--part",
            part,
            "--ids",
            ids,
            "--beam",
            str(beam),
            "--work",
            str(given.work),
        ]
        for name in ("model", "graph", "feats", "lattice_beam", "max_active"):
            command += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
        return measure(command, given.work / "log")

    def program(self, name: str, beam: float, scale: float) -> tuple[float, float]:
        """Runs one of the programs on the scores at hand."""
        given, work = self.options, self.options.work
        if not name.startswith("kaldi"):
            return self.own(name, beam=beam)
        command = [
            str(given.kaldi_bin / "latgen-faster-mapped"), f"--beam={beam}", f"--lattice-beam={given.lattice_beam}",
            f"--max-active={given.max_active}", f"--acoustic-scale={scale}",
            f"--determinize-lattice={str('+' in name).lower()}", str(work / "final.mdl"), str(given.graph / "HCLG.fst"),
            f"ark:{work}/scores.ark", f"ark:{work}/{name}.ark",
        ]  # fmt: skip
        return measure(command, work / "log")

    def measure_all(self, ids: list[str], beams: list[float], programs: list[str]) -> None:
        """Measures what is not yet; first what loading and the first utterance take, with each beam."""
        size, first = self.options.chunk, ids[0]
        chunks = {"one": [first]} | {str(i): ids[i : i + size] for i in range(1, len(ids), size)}
        done = {(r["beam"], r["chunk"], r["program"]) for r in self.records if "program" in r}
        for chunk, some in chunks.items():
            missing = [(b, p) for b in beams for p in programs if (b, chunk, p) not in done]
            if missing:
                self.own("prepare", " ".join(some if chunk == "one" else [first, *some]))
            for beam, program in missing:
                facts = json.loads((self.options.work / "facts.json").read_text())
                cpu, peak = self.program(program, beam, facts["scale"])
                self.own("look", program)
                looked = json.loads((self.options.work / "look.json").read_text())
                self.add({"beam": beam, "chunk": chunk, "program": program, "cpu": cpu, "peak": peak,
                          "seconds": facts["seconds"], "utterances": looked})  # fmt: skip
                print(f"beam {beam:g}, {chunk}: {program} {cpu:.1f} CPU s", file=sys.stderr, flush=True)
                (self.options.work / f"{program}.ark").unlink()


def tables(records: list[dict], programs: list[str]) -> list[str]:
    """Returns a Markdown table for each beam, and the utterances in which another program's best path is better."""
    lines = []
    for beam in sorted({r["beam"] for r in records if "beam" in r}):
        here = [r for r in records if r.get("beam") == beam and r["program"] in programs]
        lines += [
            f"\nBeam {beam:g}\n",
            "| | utterances | real-time factor | Kaldi / ours | start, CPU s | peak GB | WER | oracle |",
        ]
        lines.append("|---|---|---|---|---|---|---|---|")
        facts, factors = {}, {}
        for program in programs:
            one = [r for r in here if r["program"] == program and r["chunk"] == "one"]
            rest = [r for r in here if r["program"] == program and r["chunk"] != "one"]
            if one and rest:
                factors[program] = sum(r["cpu"] - one[0]["cpu"] for r in rest) / sum(r["seconds"] for r in rest)
                facts[program] = {u: f for r in rest for u, f in r["utterances"].items()}
        for program, found in facts.items():
            peer = factors.get("kaldi+det" if "+" in program else "kaldi", 0.0)
            words = max(1, sum(f["words"] for f in found.values()))
            start = next(r["cpu"] for r in here if r["program"] == program and r["chunk"] == "one")
            columns = [
                program,
                str(len(found)),
                f"{factors[program]:.4f}",
                f"{peer / factors[program]:.2f}",
                f"{start:.1f}",
            ]
            columns.append(f"{max(r['peak'] for r in here if r['program'] == program):.2f}")
            columns += [f"{100 * sum(f[what] for f in found.values()) / words:.2f}" for what in ("errors", "oracle")]
            lines.append(f"| {' | '.join(columns)} |")
        lines += exceptions(facts)
    return lines


def exceptions(facts: dict[str, dict]) -> list[str]:
    """Returns a line for each utterance whose best path of ours is worse than another program's."""
    lines, ours = [], facts.get("native", {})
    for peer in (p for p in facts if p in ("kaldi", "k2")):
        theirs = {u: f for u, f in facts[peer].items() if u in ours and f["score"] is not None}
        least = {u: f["score"] - TOLERANCE * abs(f["score"]) for u, f in theirs.items()}
        worse = [u for u in theirs if ours[u]["score"] is None or ours[u]["score"] < least[u]]
        same = sum(ours[u]["heard"] == f["heard"] for u, f in theirs.items())
        good = f"best score not worse in {len(theirs) - len(worse)} of {len(theirs)}, words the same in {same}"
        lines.append(f"\nnative against {peer}: {good}")
        for u in worse:
            why = f"max-active decided at {ours[u]['limited']} frames"
            lines.append(f"  {u}: {ours[u]['score']} against {theirs[u]['score']}; {why}")
    return lines


def main() -> None:
    """Measures what is missing and prints what there is."""
    options = parse_options()
    if options.part:
        {"prepare": prepare, "look": look}.get(options.part, search)(options)
        return
    from hybrid.feats.store import FeatureStore

    programs = [p for p in options.programs.split(",") if options.kaldi_bin or not p.startswith("kaldi")]
    bench, known = Bench(options), sorted(FeatureStore.open(options.feats).ids)
    ids = known[:: max(1, len(known) // options.utterances)][: options.utterances]
    if not options.kaldi_bin:
        print("Kaldi's latgen-faster-mapped is left out: give --kaldi-bin.")
    bench.measure_all(ids, [float(b) for b in options.beams.split(",")], programs)
    print("\n".join(tables(bench.records, programs)))


if __name__ == "__main__":
    main()
