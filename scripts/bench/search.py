#!/usr/bin/env python3
"""Measures search beside Kaldi's latgen-faster-mapped: same graph, same scores, same beams, in turns.

    .venv/bin/hybrid gmm scores --model exp/mono --feats exp/feats/dev --out scores.ark
    .venv/bin/python scripts/bench/search.py --model exp/mono --graph exp/mono/graph --scores scores.ark \
        --utterances 40 --kaldi-bin DIR

Every program makes lattices of the first utterances, raw and (`+det`) determinised, one process each, and runs once
more on the first one alone: the difference is the search of the others, without loading. Prints CPU seconds, real-time
factors, peak memory, the ratios to Kaldi, and how far the best paths agree in words and scores; with --text word error
rates, for a curve over --beams.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from gmm_peer import measure

ROOT = Path(__file__).resolve().parents[2]


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder of any kind")
    parser.add_argument("--graph", type=Path, required=True, help="graph folder")
    parser.add_argument("--scores", type=Path, required=True, help="Kaldi archive of log-likelihoods")
    parser.add_argument("--utterances", type=int, default=40, help="the first ones of the archive")
    parser.add_argument("--engines", default="native,native+det,k2", help="ours to measure")
    parser.add_argument("--beams", default="13", help="one after the other")
    parser.add_argument("--beam", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--text", type=Path, help="lines of utterance and words, for word error rates")
    parser.add_argument("--lattice-beam", type=float, default=6.0)
    parser.add_argument("--max-active", type=int, default=7000)
    parser.add_argument("--acoustic-scale", type=float, default=0.1)
    parser.add_argument("--kaldi-bin", type=Path, help="folder of Kaldi's programs; without it only ours is measured")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each program, in turns")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> None:
    """Writes the scores of the chosen utterances, of the first one alone, and the model in Kaldi's form."""
    from hybrid.formats.kaldi_io import read_matrices, write_matrices
    from hybrid.model.folder import load_model

    chosen = [pair for pair, _ in zip(read_matrices(options.scores), range(options.utterances))]
    write_matrices(options.scratch / "all.ark", chosen)
    write_matrices(options.scratch / "one.ark", chosen[:1])
    model = load_model(options.model)
    (options.scratch / "final.mdl").write_text(model.transition_model.to_text())  # all that its search reads
    frames = [len(matrix) for _, matrix in chosen]
    facts = {"seconds": sum(frames[1:]) * model.frame_shift, "utterances": len(frames)}
    (options.scratch / "facts.json").write_text(json.dumps(facts))


def search(options: argparse.Namespace, engine: str, part: str) -> None:
    """One process of ours: searches an archive of scores and writes the lattices and the best paths."""
    import torch

    from hybrid.formats.kaldi_io import read_matrices
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.lattice.archive import open_writer
    from hybrid.lattice.determinize import determinize
    from hybrid.lattice.paths import best_path
    from hybrid.model.folder import load_model
    from hybrid.search.choose import make_searcher
    from hybrid.search.config import SearchConfig

    torch.set_num_threads(1)
    config = SearchConfig(options.beam, options.lattice_beam, options.max_active, acoustic_scale=options.acoustic_scale)
    model, graph = load_model(options.model).transition_model, DecodingGraph.load(options.graph)
    name, _, determinized = engine.partition("+")
    searcher = make_searcher(name, graph, model, config)
    paths = {}
    with open_writer(options.scratch / f"{engine}.ark", compact=bool(determinized)) as writer:
        for utterance, scores in read_matrices(options.scratch / f"{part}.ark"):
            (result,) = searcher.search([scores])
            if determinized:
                found = determinize(
                    result.lattice, options.lattice_beam, options.acoustic_scale, phone_starts=model.phone_starts
                )
                writer.write(utterance, found.lattice)
            else:
                writer.write(utterance, result.lattice)
            path = best_path(result.lattice, config.acoustic_scale)
            words = [] if path is None else path.word_ids.tolist()
            paths[utterance] = (words, None if path is None else path.score(config.acoustic_scale), result.status)
    (options.scratch / f"{engine}.{part}.json").write_text(json.dumps(paths))


def commands(options: argparse.Namespace) -> dict[tuple[str, str], list[str]]:
    """The commands by (program, part); part is "one" or "all"."""
    scratch = options.scratch
    shared = ["--model", options.model, "--graph", options.graph, "--scores", options.scores, "--scratch", scratch]
    shared += ["--beam", options.beam, "--lattice-beam", options.lattice_beam, "--max-active", options.max_active]
    shared += ["--acoustic-scale", options.acoustic_scale]
    found: dict[tuple[str, str], list[str]] = {}
    for part in ("one", "all"):
        for engine in options.engines.split(","):
            own = [sys.executable, __file__, *map(str, shared), "--worker", f"{engine}:{part}"]
            found[engine, part] = own
        for kaldi in ("kaldi", "kaldi+det") if options.kaldi_bin else ():
            found[kaldi, part] = [
                str(options.kaldi_bin / "latgen-faster-mapped"), f"--beam={options.beam}",
                f"--lattice-beam={options.lattice_beam}", f"--max-active={options.max_active}",
                f"--acoustic-scale={options.acoustic_scale}", f"--determinize-lattice={str('+' in kaldi).lower()}",
                str(scratch / "final.mdl"), str(options.graph / "HCLG.fst"), f"ark:{scratch / part}.ark",
                f"ark:{scratch}/{kaldi}.ark", f"ark,t:{scratch}/{kaldi}.{part}.txt",
            ]  # fmt: skip
    return found


def agreement(options: argparse.Namespace) -> list[str]:
    """Compares the best paths of the engines with one another and with Kaldi's, and with what was said."""
    words: dict[str, dict[str, list[int]]] = {}
    scores: dict[str, dict[str, float]] = {}
    for engine in options.engines.split(","):
        paths = json.loads((options.scratch / f"{engine}.all.json").read_text())
        words[engine] = {u: w for u, (w, _, _) in paths.items()}
        scores[engine] = {u: s for u, (_, s, _) in paths.items() if s is not None}
    if options.kaldi_bin:
        lines = (options.scratch / "kaldi.all.txt").read_text().splitlines()
        words["kaldi"] = {line.split()[0]: [int(w) for w in line.split()[1:]] for line in lines}
    names = list(words)
    found = [] if options.text is None else word_errors(options, words)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            both = words[first].keys() & words[second].keys()
            same = sum(words[first][u] == words[second][u] for u in both)
            found.append(f"{first} and {second}: same words in {same} of {len(both)} utterances")
            if second in scores and first in scores:
                ratio = max((abs(scores[first][u] / scores[second][u] - 1) for u in both), default=0.0)
                better = sum(scores[first][u] >= scores[second][u] - 1e-7 * abs(scores[second][u]) for u in both)
                found.append(f"  scores differ by at most {ratio:.1e}; {first} at least as good in {better}")
    return found


def word_errors(options: argparse.Namespace, words: dict[str, dict[str, list[int]]]) -> list[str]:
    """Returns a line with the word error rate of each program."""
    from hybrid.score.edits import score_utterances
    from lexicon.symbols import SymbolTable

    table, lines = SymbolTable.read(options.graph / "words.txt"), options.text.read_text(encoding="utf-8").splitlines()
    said = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    found = []
    for name, heard in words.items():
        pairs = {u: (said[u], [table.symbol(i) for i in ids]) for u, ids in heard.items() if u in said}
        found.append(f"{name}: WER {score_utterances(pairs).total()}")
    return found


def main() -> None:
    """Runs the programs in turns and prints the comparison."""
    options = parse_options()
    if options.worker == "prepare":
        prepare(options)
    elif options.worker:
        search(options, *options.worker.split(":"))
    else:
        options.scratch = Path(tempfile.mkdtemp(prefix="bench-search-"))
        try:
            for beam in map(float, options.beams.split(",")):
                options.beam = beam
                print(f"beam {beam:g}")
                compare(options)
        finally:
            shutil.rmtree(options.scratch, ignore_errors=True)


def compare(options: argparse.Namespace) -> None:
    """Measures and prints."""
    scratch = options.scratch
    arguments = [sys.executable, __file__, *sys.argv[1:], "--scratch", str(scratch), "--worker", "prepare"]
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    subprocess.run(arguments, check=True)
    facts = json.loads((scratch / "facts.json").read_text())
    if not options.kaldi_bin:
        print("Kaldi's latgen-faster-mapped is left out: give --kaldi-bin.")
    for _ in range(options.repeat):
        for name, command in commands(options).items():
            figures.setdefault(name, []).append(measure(command, scratch / f"{name[0]}.{name[1]}.log"))
    search_seconds = {}
    for program in dict.fromkeys(name for name, _ in figures):
        one, whole = (statistics.median(cpu for cpu, _ in figures[program, part]) for part in ("one", "all"))
        peak = max(memory for _, memory in figures[program, "all"])
        search_seconds[program] = whole - one
        print(
            f"{program}: {whole:.1f} CPU s, of which {one:.1f} for loading and the first utterance; real-time factor "
            f"{(whole - one) / facts['seconds']:.4f}; peak {peak:.2f} GB"
        )
    for program, seconds in search_seconds.items():
        peer = "kaldi+det" if "+" in program else "kaldi"
        if peer in search_seconds and program != peer:
            print(f"ratio {program} / {peer}: {seconds / search_seconds[peer]:.3f}")
    if {"native", "k2"} <= search_seconds.keys():
        print(f"ratio native / k2: {search_seconds['native'] / search_seconds['k2']:.3f}")
    print("\n".join(agreement(options)))


if __name__ == "__main__":
    main()
