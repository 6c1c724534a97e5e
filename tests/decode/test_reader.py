"""What a recogniser tells beside the words: confidences, other answers, confusion networks; kept lattices."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import MismatchError
from hybrid.confidence.calibration import Calibration
from hybrid.data.utterance import Utterance
from hybrid.decode.alternatives import Alternative, join_alternatives
from hybrid.decode.decode_set import DecodeOptions, decode_corpus
from hybrid.decode.reader import Reader
from hybrid.decode.recognition import Recognition
from hybrid.decode.sources import FeatureFolder
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.decode.transcript import Transcript
from hybrid.lattice.archive import read_compact_folder, read_lattice_folder
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.paths import best_path, nbest
from hybrid.score.edits import align
from hybrid.search.config import SearchConfig
from hybrid.timing.word_alignment import silent_words


@pytest.fixture(scope="module")
def system(tiny) -> System:
    return load_system(SystemSpec(str(tiny.model), str(tiny.graph), search=SearchConfig(beam=16, lattice_beam=12)))


@pytest.fixture(scope="module")
def spoken(tiny, system) -> list[tuple[Utterance, np.ndarray]]:
    source = FeatureFolder(str(tiny.feats))
    items, _ = source.utterances()
    return list(zip(items, map(np.asarray, source.scores(system.model, items))))


@pytest.fixture(scope="module")
def found(system, spoken) -> list[Recognition]:
    return system.recognise(*zip(*spoken))


def flat(system: System, scale: float) -> Reader:
    """A reader that believes the acoustics little, so that other words have a share."""
    return replace(system.reader, scale=scale)


def test_confidences_are_those_of_enumerated_sentences(system, spoken) -> None:
    """Expected errors of the utterance, and the share of sentences that have a word, by enumeration."""
    reader = flat(system, 0.02)
    for item, scores in spoken[:4]:
        (result,) = system.search([scores])
        one = reader.read(item, result)
        paths = nbest(expand(one.compact), 3_000, reader.scale)
        weights = np.exp([p.score(reader.scale) - paths[0].score(reader.scale) for p in paths])
        shares = weights / weights.sum()
        told = one.nbest(3)
        assert [a.posterior for a in told] == pytest.approx(shares[: len(told)], rel=1e-3)
        assert told[0].text == one.text
        said = [tuple(p.word_ids.tolist()) for p in paths]
        errors = [sum(a != b for a, b in align([*map(str, said[0])], [*map(str, words)])) for words in said]
        risk = mbr_decode(one.compact, reader.scale, words=np.array(said[0]), fixed=True).risk
        assert risk == pytest.approx(np.dot(shares, errors), abs=1e-3)
        assert one.confidence == pytest.approx(np.mean([w.confidence for w in one.words if w.label]))
        for word in (w for w in one.words if w.label):
            share = sum(s for s, words in zip(shares, said) if system.words[word.label] in words)
            assert 0 < word.confidence <= share + 1e-3


def test_the_best_words_are_those_of_the_search(system, spoken, found) -> None:
    for (_, scores), one in zip(spoken, found):
        (result,) = system.search([scores])
        raw = best_path(result.lattice, system.config.scale)
        assert np.array_equal(one.path.transition_ids, raw.transition_ids)
        assert all(0 <= w.confidence <= 1 for w in one.words if w.label) and 0 <= one.confidence <= 1
        assert not [w for w in one.words if not w.label and w.confidence is not None]
        assert isinstance(one.compact, CompactLattice) and one.lattice == expand(one.compact)
        assert one.result.lattice.is_empty and one.depth == one.lattice.depth  # expanded only where it is asked for


def test_networks_hold_the_words_in_time(found) -> None:
    for one in found:
        network = one.confusion_network
        best = [choices.words[0][0] for choices in network]
        assert " ".join(word for word in best if word) == one.text
        assert all(sum(p for _, p in choices.words) == pytest.approx(1) for choices in network)
        assert all(a.end <= b.start + 1e-6 for a, b in zip(network, network[1:]))
        assert network[0].start >= one.start and network[-1].end <= one.start + one.duration + 1e-6


def test_plain_values(found) -> None:
    transcript = Transcript((found[0], found[1]), "both", search_lm="tg.arpa")
    record = json.loads(transcript.to_json())
    assert record["text"] == transcript.text == f"{found[0].text} {found[1].text}"
    assert record["search_lm"] == "tg.arpa" and "second_lm" not in record
    first = record["utterances"][0]
    assert [w["word"] for w in first["words"]] == found[0].text.split()
    assert first["words"][0]["confidence"] == round(found[0].words[1].confidence, 4)
    assert [p["phone"] for p in first["words"][0]["phones"]] and first["status"] == "complete"
    weights = [len(one.text.split()) for one in found[:2]]
    assert record["confidence"] == pytest.approx(
        np.average([one.confidence for one in found[:2]], weights=weights), abs=1e-4
    )
    assert Transcript((), "none").confidence == 0.0 and Transcript((), "none").nbest(3) == []


def test_nbest_of_a_recording_is_that_of_its_stretches_together(system, spoken) -> None:
    reader = flat(system, 0.01)
    parts = [reader.read(item, system.search([scores])[0]) for item, scores in spoken[:2]]
    together = Transcript(tuple(parts)).nbest(5)
    wanted = sorted(
        (a.posterior * b.posterior for a in parts[0].nbest(50) for b in parts[1].nbest(50)), reverse=True
    )[:5]  # fmt: skip
    assert [one.posterior for one in together] == pytest.approx(wanted)
    assert together[0].text == f"{parts[0].text} {parts[1].text}"
    with pytest.raises(ValueError, match="0 best word sequences were asked for, wanted 1 or more"):
        parts[0].nbest(0)
    assert join_alternatives([[], []], 3) == []
    assert join_alternatives([[Alternative(("A",), 1.0, 2.0, 0.5)], []], 3)[0].words == ("A",)


def test_words_of_silence_are_no_words(tiny, system, spoken) -> None:
    assert silent_words(tiny.graph, None, system.model.phones) == {system.words["!SIL"]}
    item, scores = spoken[0]
    (result,) = system.search([scores])
    heard = system.read(item, result)
    first = heard.path.word_ids[0]
    deaf = replace(system.reader, silent_words=frozenset({int(first)})).read(item, result)
    rest = [w for w in heard.text.split() if w != system.words.symbol(int(first))]
    assert deaf.text.split() == rest
    assert all(system.words.symbol(int(first)) not in a.words for a in deaf.nbest(3))
    assert len([w for w in deaf.words if w.label]) == len(rest)


def test_raw_lattices_on_request(tiny, system, spoken, tmp_path: Path) -> None:
    source, options = FeatureFolder(str(tiny.feats)), DecodeOptions(block=4)
    decode_corpus(system.spec, source, tmp_path / "det", options)
    decode_corpus(replace(system.spec, raw=True), source, tmp_path / "raw", options)
    for name in ("transcript.txt", "words.ctm", "failed.txt"):
        assert (tmp_path / "det" / name).read_bytes() == (tmp_path / "raw" / name).read_bytes()
    raw = dict(read_lattice_folder(tmp_path / "raw"))
    for item, scores in spoken:
        (result,) = system.search([scores])
        assert raw[item.id] == result.lattice
    for utterance, compact in read_compact_folder(tmp_path / "det"):
        assert len(nbest(expand(compact), 500, 0.1)) <= len(nbest(raw[utterance], 501, 0.1))
        assert compact.num_arcs < raw[utterance].num_arcs
    size = {name: sum(f.stat().st_size for f in (tmp_path / name).glob("lat.*")) for name in ("det", "raw")}
    assert size["det"] < size["raw"]
    seconds = json.loads((tmp_path / "det" / "meta.json").read_text())["facts"]
    assert seconds["read_seconds"] > 0


def test_a_calibration_beside_the_graph_is_applied(tiny, spoken, found, tmp_path: Path) -> None:
    shutil.copytree(tiny.graph, tmp_path / "graph")
    fitted = Calibration(0.05, 1.0, ("log_odds",), (1.0,), (2.0,), (0.5,), -0.25)
    fitted.save(tmp_path / "graph" / "calibration.json", {"words": tiny.graph / "words.txt"})
    spec = SystemSpec(str(tiny.model), str(tmp_path / "graph"), search=SearchConfig(beam=16, lattice_beam=12))
    system = load_system(spec)
    again = system.recognise(*zip(*spoken))
    for one, before in zip(again, found):
        assert one.text == before.text
        table = [system.words[w] for w in one.text.split()]
        posteriors = mbr_decode(one.compact, 0.05, words=np.array(table), fixed=True).confidences
        odds = np.log(np.clip(posteriors, 0.001, 0.999) / (1 - np.clip(posteriors, 0.001, 0.999)))
        wanted = 1 / (1 + np.exp(-(0.5 * (odds - 1) / 2 - 0.25)))
        assert [w.confidence for w in one.words if w.label] == pytest.approx(wanted)
        assert one.confidence == pytest.approx(np.mean(wanted))
    other = tmp_path / "words.txt"
    other.write_text("<eps> 0\n")
    fitted.save(tmp_path / "graph" / "calibration.json", {"words": other})
    with pytest.raises(
        MismatchError, match=r"calibration\.json were made from different versions of words\.txt .* Train"
    ):
        load_system(spec)
