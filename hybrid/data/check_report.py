"""What `hybrid data check` prints and writes."""

from __future__ import annotations

import os
from pathlib import Path

from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError
from hybrid.base.failures import write_failed
from hybrid.data.check import CheckConfig, CheckReport
from hybrid.data.manifest import write_cuts
from hybrid.data.sets import split_lines
from lexicon.words.blanks import cut_key

__all__ = ["read_vocabulary", "summary_lines", "write_report"]


def read_vocabulary(path: str | os.PathLike) -> set[str]:
    """Reads the first word of each line: of words.txt, a lexicon or a plain list.

    Raises:
      InputError: missing, not UTF-8, or no words.
    """
    good, bad = split_lines(path)
    if bad:
        raise InputError(bad[0][1])
    words = {cut_key(line)[0] for _, line in good} - {"<eps>", "#0", "<s>", "</s>"}
    if not words:
        raise InputError.at(path, "holds no words", "Give words.txt or a lexicon.")
    return words


def summary_lines(report: CheckReport, most: int = 20) -> list[str]:
    """Returns the lines of the summary: totals, problems with an example each, the most frequent unknown words."""
    lines = [
        f"utterances {report.total}, usable {len(report.records)}, failed {len(report.failed)}, "
        f"{report.seconds / 60:.1f} min, {report.num_words} words"
    ]
    for problem, (failed, repaired) in report.counts().items():
        example = next(f for f in report.findings if f.problem == problem)
        detail = f"{example.detail} ({example.repair})" if example.repair else example.detail
        lines.append(f"{problem}: {failed} failed, {repaired} repaired; e.g. {example.utterance}: {detail}")
    if report.oov:
        running = sum(report.oov.values())
        share = 100 * running / max(report.num_words, 1)
        lines.append(f"words outside the vocabulary: {len(report.oov)} kinds, {running} running ({share:.2f} %)")
        ranked = sorted(report.oov.items(), key=lambda pair: (-pair[1], pair[0]))
        lines += [f"  {word} {count}" for word, count in ranked[:most]]
        if len(ranked) > most:
            lines.append(f"  and {len(ranked) - most} more")
    return lines


@writes_into("data", "cuts")
def write_report(report: CheckReport, out_dir: str | os.PathLike, cuts: str | os.PathLike, config: CheckConfig) -> None:
    """Writes the set that is left over: cuts.jsonl.gz, failed.txt, findings.tsv, oov.txt, meta.json.

    Raises:
      HybridError: nothing is left over.
    """
    out = Path(out_dir)
    if not report.records:
        raise HybridError(f"{cuts}: no utterance can be used. First: {report.failed[0][1] if report.failed else '-'}")
    write_cuts(out / "cuts.jsonl.gz", report.records)
    write_failed(out / "failed.txt", report.failed)
    with atomic_path(out / "findings.tsv") as temporary:
        rows = ["utterance\tproblem\trepair\tdetail\n"]
        rows += [f"{f.utterance}\t{f.problem}\t{f.repair or 'failed'}\t{f.detail}\n" for f in report.findings]
        temporary.write_text("".join(rows), encoding="utf-8")
    with atomic_path(out / "oov.txt") as temporary:
        ranked = sorted(report.oov.items(), key=lambda pair: (-pair[1], pair[0]))
        temporary.write_text("".join(f"{word} {count}\n" for word, count in ranked), encoding="utf-8")
    manifest = Path(cuts) / "cuts.jsonl.gz" if Path(cuts).is_dir() else Path(cuts)
    facts = {"utterances": len(report.records), "failed": len(report.failed), "problems": report.counts()}
    files = ["cuts.jsonl.gz", "failed.txt", "findings.tsv", "oov.txt"]
    write_meta(out, "data", config_to_dict(config), {"cuts": manifest}, facts, files)
