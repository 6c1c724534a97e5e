"""What a report shows of a decoding folder: its score, and of each utterance words, times, n-best list and network."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import read_meta
from hybrid.base.content import ByContent
from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.base.reading import text_lines
from hybrid.confidence.calibration import Calibration
from hybrid.confidence.facts import WordFacts, without_words, word_facts
from hybrid.data.manifest import Cut
from hybrid.lattice.archive import check_words, is_compact, read_compact_folder
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.determinize import determinize
from hybrid.lattice.lattice_set import shared_facts
from hybrid.lattice.mbr import ConfusionNetwork, mbr_decode
from hybrid.lattice.paths import nbest
from hybrid.report.config import ReportConfig
from hybrid.score.judged import ConfidenceReport, JudgedUtterance, evaluate, judge
from hybrid.score.report import Score, score
from hybrid.score.significance import BootstrapConfig
from hybrid.score.transcripts import Transcripts, pair, read_transcripts
from lexicon.symbols import SymbolTable

__all__ = ["SystemResult", "UtteranceView", "read_system"]

_log = get_logger(__name__)
RAW_BEAM = 6.0  # within which raw lattices are determinised


@dataclass(frozen=True, eq=False)
class UtteranceView(ByContent):
    """What is shown of an utterance of one system; lists are empty where the folder has no lattice or times of it.

    Attributes:
      words: recognised. times: seconds in the utterance (begin, end) of each.
      confidences: of each, calibrated where a calibration was given.
      nbest: (graph score, acoustic score, words) of the best word sequences.
      network: (begin, end, words with posteriors) of the bins that may hold a word; frames of the lattice.
    """

    words: tuple[str, ...]
    times: tuple[tuple[float, float], ...] = ()
    confidences: tuple[float, ...] = ()
    nbest: tuple[tuple[float, float, str], ...] = ()
    network: tuple[tuple[float, float, tuple[tuple[str, float], ...]], ...] = ()


@dataclass(frozen=True, eq=False)
class SystemResult(ByContent):
    """What is shown of one system.

    Attributes:
      facts: settings worth naming, as text.
      pairs: utterance → (reference, hypothesis).
      raw, calibrated: how good posteriors are, and calibrated confidences; None where there are none.
    """

    name: str
    facts: Mapping[str, str]
    pairs: Mapping[str, tuple[list[str], list[str]]]
    score: Score
    views: Mapping[str, UtteranceView]
    raw: ConfidenceReport | None = None
    calibrated: ConfidenceReport | None = None


def read_system(
    folder: str | os.PathLike, reference: Transcripts, config: ReportConfig, cuts: Mapping[str, Cut],
    words: str | os.PathLike | None = None, calibration: Calibration | None = None,
    silent: Sequence[str] = (), name: str = "",
) -> SystemResult:  # fmt: skip
    """Reads a folder that `hybrid decode` wrote.

    Args:
      cuts: where utterances lie in their recordings; without them words have no times.
      words: words.txt; by default that of the graph, where it still lies; without it there are no lattices.
      silent: words of lattices that stand for silence, and in no transcript.

    Raises:
      InputError: no transcript, damaged files, or no utterance with a reference.
    """
    place = Path(folder)
    heard = read_transcripts(place / "transcript.txt")
    pairs = pair(reference, heard)
    result = score(pairs, reference.speakers, BootstrapConfig(replications=config.replications))
    times = _times(place / "words.ctm", cuts)
    views, judged = {u: UtteranceView(tuple(w), _fitting(times.get(u, ()), w)) for u, (_, w) in pairs.items()}, []
    calibrated: list[np.ndarray] = []
    meta = read_meta(place)
    table = _table(place, meta, words)
    for utterance, view, facts in _views(place, table, pairs, config, calibration, silent) if table else ():
        said, found = pairs[utterance]
        sure = facts.posterior if calibration is None else calibration.apply(facts)
        views[utterance] = UtteranceView(
            view.words, views[utterance].times, tuple(sure.tolist()), view.nbest, view.network
        )
        judged.append(judge(utterance, facts, found, said, reference.speakers.get(utterance, "")))
        calibrated.append(sure)
    raw, mended = _reports(judged, calibrated, config.bins)
    return SystemResult(
        name or str(folder), _facts(place, meta), pairs, result, views, raw, None if calibration is None else mended
    )


def _reports(
    judged: Sequence[JudgedUtterance], calibrated: Sequence[np.ndarray], bins: int
) -> tuple[ConfidenceReport | None, ConfidenceReport | None]:
    if not any(len(one.correct) for one in judged):
        return None, None
    return evaluate(judged, [one.facts.posterior for one in judged], bins), evaluate(judged, calibrated, bins)


def _facts(folder: Path, meta: Mapping[str, Any]) -> dict[str, str]:
    """The language models, and the command and figures of a record, as far as they are plain."""
    known = meta.get("facts", {})
    shared = shared_facts(folder)
    models = {"search_lm": shared.search_lm, "second_lm": shared.second_lm}
    found: dict[str, Any] = {name: model for name, model in models.items() if model}
    found |= {"command": meta.get("command"), "made": meta.get("time")}
    found |= {
        name: known.get(name) for name in ("acoustic_scale", "frame_shift", "rtf", "cpu_seconds", "peak_memory_gb")
    }
    return {name: str(value) for name, value in found.items() if isinstance(value, (str, int, float))}


def _table(folder: Path, meta: Mapping[str, Any], given: str | os.PathLike | None) -> SymbolTable | None:
    paths = meta.get("paths")
    kept = paths.get("words") if isinstance(paths, dict) else None
    found = Path(given) if given is not None else folder / kept if isinstance(kept, str) else None
    if not any(folder.glob("lat.*.gz")):
        return None
    if found is None or (given is None and not found.is_file()):
        lost = "confidences, n-best lists and networks are left out"
        _log.warning("%s: %s, for the graph's words.txt is not where it was; --words names it", folder, lost)
        return None
    check_words(folder, found)
    return SymbolTable.read(found)


def _views(
    folder: Path, table: SymbolTable, pairs: Mapping[str, tuple[list[str], list[str]]], config: ReportConfig,
    calibration: Calibration | None, silent: Sequence[str],
) -> Iterator[tuple[str, UtteranceView, WordFacts]]:  # fmt: skip
    """Yields what lattices tell of the recognised words."""
    scale = shared_facts(folder).acoustic_scale or 0.1
    scales = (scale, 1.0) if calibration is None else (calibration.acoustic_scale, calibration.lm_scale)
    raw = not is_compact(folder)
    for utterance, found_lattice in read_compact_folder(folder):
        if utterance not in pairs:
            continue
        compact = determinize(expand(found_lattice), RAW_BEAM, scale).lattice if raw else found_lattice
        compact = without_words(compact, silent, table)
        labels = pairs[utterance][1]
        ids = np.array([table.get(word, 0) for word in labels], np.int32)
        if not np.all(ids):
            raise InputError.at(folder, "has words in transcript.txt that words.txt lacks", "Give the graph's --words.")
        found = mbr_decode(compact, *scales, words=ids, fixed=True)
        view = UtteranceView(
            tuple(labels), nbest=_best(compact, table, config.nbest, scale),
            network=_bins(found.network, table, config.rivals),
        )  # fmt: skip
        yield utterance, view, word_facts(compact, found, labels, *scales)


def _best(
    compact: CompactLattice, table: SymbolTable, count: int, scale: float
) -> tuple[tuple[float, float, str], ...]:
    paths = nbest(expand(compact), count, scale)
    return tuple((p.graph_score, p.acoustic_score, " ".join(map(table.symbol, p.word_ids.tolist()))) for p in paths)


def _bins(
    network: ConfusionNetwork, table: SymbolTable, rivals: int
) -> tuple[tuple[float, float, tuple[tuple[str, float], ...]], ...]:
    found = []
    for number in range(len(network)):
        row = [(table.symbol(w) if w else "", round(p, 4)) for w, p in network.bin(number)[:rivals] if p >= 0.001]
        if any(word for word, _ in row):
            found.append((float(network.bin_begins[number]), float(network.bin_ends[number]), tuple(row)))
    return tuple(found)


def _fitting(times: Sequence[tuple[str, float, float]], words: Sequence[str]) -> tuple[tuple[float, float], ...]:
    """The times, if they are those of the words."""
    return tuple((b, e) for _, b, e in times) if [word for word, _, _ in times] == list(words) else ()


def _times(file: Path, cuts: Mapping[str, Cut]) -> dict[str, list[tuple[str, float, float]]]:
    """Returns utterance → (word, begin, end) in seconds from its start, of a CTM in seconds of the recordings."""
    recordings: dict[str, list[tuple[float, float, str]]] = {}
    for number, line in text_lines(file) if file.is_file() else ():
        if line.startswith(";;") or not (fields := line.split()):
            continue
        try:
            begin, length = float(fields[2]), float(fields[3])
            if not math.isfinite(begin + length):
                raise ValueError
            recordings.setdefault(fields[0], []).append((begin, begin + length, fields[4]))
        except (LookupError, ValueError):
            wanted = "is no `recording channel start duration word` line"
            raise InputError.at(file, wanted, "Decode again.", number) from None
    found = {}
    for utterance, cut in cuts.items():
        rows = recordings.get(cut.recording_id, ())
        inside = [(w, b - cut.start, e - cut.start) for b, e, w in rows if -0.02 <= b - cut.start < cut.duration]
        found[utterance] = inside
    return found
