#!/usr/bin/env python3
"""Measures operations on lattices beside Kaldi's programs: the same raw lattices, beams and language model, in turns.

    .venv/bin/python scripts/bench/lattices.py --model exp/tri2b --lattices exp/tri2b/decode_dev \
        --words exp/tri2b/graph/words.txt --arpa data/tg.arpa.gz --utterances 30 --kaldi-bin DIR

Determinisation, pruning, a language model added, minimum Bayes risk. Every program runs once more on the first
lattice alone: the difference is the work on the others, without the start of the program and the loading of models.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
from pathlib import Path

from gmm_peer import ROOT, measure

SCALE, BEAM, NARROW = "0.083333", "6", "4"


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="GMM folder that made the lattices")
    parser.add_argument("--lattices", type=Path, required=True, help="folder of raw lattices (hybrid decode --raw)")
    parser.add_argument("--words", type=Path, required=True, help="words.txt of the graph")
    parser.add_argument("--arpa", type=Path, help="language model to add; without it that row is left out")
    parser.add_argument("--determinised", type=Path, help="archive of theirs made before; determinise is left out")
    parser.add_argument("--utterances", type=int, default=30, help="the first ones")
    parser.add_argument("--kaldi-bin", type=Path, required=True, help="folder of Kaldi's programs")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each program, in turns")
    return parser.parse_args()


def export(options: argparse.Namespace, scratch: Path) -> None:
    """Writes model and lattices for both."""
    from hybrid.gmm.kaldi_model import write_kaldi_model
    from hybrid.lattice.archive import read_compact_folder, read_lattice_folder, write_lattices
    from hybrid.model.folder import load_model

    model = load_model(options.model)
    write_kaldi_model(scratch / "final.mdl", model.transition_model, model.acoustic_model.gmm)
    for name, count in (("all", options.utterances), ("one", 1)):
        if options.determinised is None:
            write_lattices(scratch / f"{name}.raw", itertools.islice(read_lattice_folder(options.lattices), count))
        else:
            entries = itertools.islice(read_compact_folder(options.determinised), count)
            write_lattices(scratch / f"{name}.det", entries, compact=True)
    if options.arpa is not None:
        export_lm(options, scratch)


def export_lm(options: argparse.Namespace, scratch: Path) -> None:
    """Writes the language model in Kaldi's constant form."""
    from lexicon.symbols import SymbolTable
    from lm.arpa import read_arpa

    table, lm = SymbolTable.read(options.words), read_arpa(options.arpa)
    ids = {name: table.get(name) for name in lm.vocabulary.symbols}
    with open(scratch / "ints.arpa", "w", encoding="utf-8") as out:
        kept = [list(zip(*lm.columns(n).tolist())) for n in range(1, lm.order + 1)]
        known = [ids[name] for name in lm.vocabulary.symbols]
        rows = [[all(known[w] is not None for w in r) for r in level] for level in kept]
        out.write("\\data\\\n" + "".join(f"ngram {n}={sum(r)}\n" for n, r in enumerate(rows, 1)))
        for n, (level, grams, good) in enumerate(zip(lm.levels, kept, rows), 1):
            out.write(f"\n\\{n}-grams:\n")
            for gram, keep, log_prob, backoff in zip(grams, good, level.log10_probs, level.log10_backoffs):
                if keep:
                    back = f"\t{backoff:.7g}" if n < lm.order else ""
                    out.write(f"{log_prob:.7g}\t{' '.join(str(known[w]) for w in gram)}{back}\n")
        out.write("\n\\end\\\n")
    measure([str(options.kaldi_bin / "arpa-to-const-arpa"), f"--bos-symbol={table['<s>']}",
             f"--eos-symbol={table['</s>']}", f"--unk-symbol={table['<UNK>']}", str(scratch / "ints.arpa"),
             str(scratch / "lm.carpa")], scratch / "log")  # fmt: skip


def commands(options: argparse.Namespace, at: Path, name: str) -> dict[str, tuple[list[str], list[str]]]:
    """By operation, our command and Kaldi's, on all lattices or on one."""
    code = "import sys; sys.argv[0] = 'hybrid'; from hybrid.cli.main import main; main()"
    hybrid, kaldi = [sys.executable, "-c", code], options.kaldi_bin
    scale = ["--acoustic-scale", SCALE]
    raw, det = f"{at}/{name}.raw", f"{at}/{name}.det"
    given = [f"--acoustic-scale={SCALE}"]
    return {
        "determinise": (
            [*hybrid, "lattice", "determinize", raw, det, "--model", str(options.model), "--beam", BEAM, *scale],
            [f"{kaldi}/lattice-determinize-phone-pruned", *given, f"--beam={BEAM}", f"{at}/final.mdl", f"ark:{raw}",
             f"ark:{at}/{name}.det.kaldi"],
        ),
        "prune": (
            [*hybrid, "lattice", "prune", det, f"{at}/{name}.out", "--beam", NARROW, *scale],
            [f"{kaldi}/lattice-prune", *given, f"--beam={NARROW}", f"ark:{det}", f"ark:{at}/{name}.out.kaldi"],
        ),
        "language model": (
            [*hybrid, "rescore", "ngram", det, f"{at}/{name}.lm", "--new-lm", str(options.arpa), "--words",
             str(options.words)],
            [f"{kaldi}/lattice-lmrescore-const-arpa", "--lm-scale=1.0", f"ark:{det}", f"{at}/lm.carpa",
             f"ark:{at}/{name}.lm.kaldi"],
        ),
        "minimum Bayes risk": (
            [*hybrid, "lattice", "mbr", det, *scale],
            [f"{kaldi}/lattice-mbr-decode", *given, f"ark:{det}", f"ark,t:{at}/{name}.mbr.kaldi"],
        ),
    }  # fmt: skip


def main() -> None:
    """Runs everything in turns and prints CPU seconds and ratios."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        export(options, at)
        whole, single = commands(options, at, "all"), commands(options, at, "one")
        left_out = {"determinise": options.determinised, "language model": options.arpa is None}
        for operation in (name for name in whole if not left_out.get(name)):
            seconds: dict[str, list[float]] = {}
            for _ in range(options.repeat):
                for number, who in enumerate(("hybrid", "kaldi")):
                    for size, given in (("all", whole), ("one", single)):
                        cpu, _ = measure(given[operation][number], at / "log")
                        seconds.setdefault(f"{who} {size}", []).append(cpu)
            median = {name: statistics.median(values) for name, values in seconds.items()}
            own, peer = (median[f"{who} all"] - median[f"{who} one"] for who in ("hybrid", "kaldi"))
            print(
                f"{operation}: hybrid {median['hybrid all']:.2f} CPU s ({own:.2f} without start-up), Kaldi "
                f"{median['kaldi all']:.2f} ({peer:.2f}), ratio {own / max(peer, 1e-3):.2f}", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
