from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.decode.system import SystemSpec
from hybrid.feats.vad import VadConfig
from hybrid.formats.openfst import read_fst
from hybrid.graph.decoding import DecodingGraph, compile_decoding_graph
from hybrid.model.folder import load_model
from hybrid.recogniser import Recogniser
from hybrid.search.config import SearchConfig
from hybrid.written.form import WrittenForm
from hybrid.written.rewriting import Rules
from lexicon.lang_dir import LangDir

RATE = 8000


@pytest.fixture(scope="module")
def recogniser(tiny) -> Recogniser:
    return Recogniser.load(tiny.model, tiny.graph)


def test_samples_give_text_times_and_a_lattice(recogniser: Recogniser, bursts) -> None:
    samples = bursts(["LOW", "HIGH", "MID"], 77)
    transcript = recogniser.recognise(samples, RATE)
    assert transcript.text == "LOW HIGH MID"
    (segment,) = transcript.segments
    assert segment.status == "complete" and segment.lattice.num_frames > 50
    starts = [word.start for word in transcript.words]
    assert starts == sorted(starts) and starts[0] == pytest.approx(0.2, abs=0.06)
    assert segment.acoustic_scale == recogniser.system.model.acoustic_model.acoustic_scale


def test_words_and_phones_tile_the_utterance(recogniser: Recogniser, bursts) -> None:
    samples = bursts(["MID", "LOW"], 5)
    (segment,) = recogniser.recognise(samples, RATE).segments
    for labels in (segment.words, segment.phones):
        assert labels[0].start == 0.0 and labels[-1].end == pytest.approx(len(samples) / RATE)
        assert all(a.end == pytest.approx(b.start) for a, b in zip(labels, labels[1:]))


def test_a_file_and_its_samples_agree(recogniser: Recogniser, tiny) -> None:
    import soundfile

    path = sorted(tiny.audio.rglob("*.wav"))[0]
    samples, rate = soundfile.read(str(path), dtype="float32")
    of_file, of_samples = recogniser.recognise(path), recogniser.recognise(samples, rate)
    assert of_file.text == of_samples.text == path.with_suffix(".txt").read_text().strip()
    assert of_file.words == of_samples.words and of_file.segments[0].recording == path.stem


def test_a_transcript_in_written_form(recogniser: Recogniser, bursts) -> None:
    found = recogniser.recognise(bursts(["LOW", "HIGH", "MID"], 77), 8000)
    assert found.written == found and found.text == "LOW HIGH MID"
    written = found.write(WrittenForm(before=Rules(((("low", "high"), ("LH",)),))))
    assert written.text == "LH MID" and [word.label for word in written.words] == ["LH", "MID"]
    assert (written.words[0].start, written.words[0].end) == (found.words[0].start, found.words[1].end)
    assert written.words[0].confidence == min(word.confidence for word in found.words[:2])
    phones = [word.phones for word in found.segments[0].timed.words]
    merged = [word.phones for word in written.segments[0].timed.words]
    assert sum(merged, ()) == sum(phones, ()) and len(merged) < len(phones)


def test_long_recordings_are_cut_at_pauses(recogniser: Recogniser, bursts, save_wav, tmp_path: Path) -> None:
    said = ["LOW", "HIGH", "MID", "LOW", "LOW", "HIGH"]
    samples = np.concatenate([bursts([word], 50 + i, pause=0.6) for i, word in enumerate(said)])
    cutting = Recogniser(recogniser.system, VadConfig(max_length=3.0))
    transcript = cutting.recognise(samples, RATE)
    assert transcript.text == " ".join(said) and len(transcript.segments) > 1
    assert [s.utterance for s in transcript.segments][:2] == ["samples-0001", "samples-0002"]
    wanted = np.cumsum([0.6] + [len(bursts([w], 50 + i, pause=0.6)) / RATE for i, w in enumerate(said)])[:-1]
    assert [word.start for word in transcript.words] == pytest.approx(wanted, abs=0.25)
    save_wav(tmp_path / "long.wav", samples)
    assert cutting.recognise(tmp_path / "long.wav").text == transcript.text


def test_a_wider_or_narrower_search(tiny, bursts) -> None:
    narrow = Recogniser.load(tiny.model, tiny.graph, SearchConfig(beam=6.0, lattice_beam=2.0, acoustic_scale=0.2))
    assert narrow.system.config.acoustic_scale == 0.2
    assert narrow.recognise(bursts(["HIGH"], 8), RATE).text == "HIGH"


def test_what_cannot_be_recognised(recogniser: Recogniser, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="samples: have no sampling rate. Give rate=…, in Hz."):
        recogniser.recognise(np.zeros(100, np.float32))
    with pytest.raises(InputError, match=r"have shape \(2, 100\) at 8000 Hz, wanted one channel"):
        recogniser.recognise(np.zeros((2, 100), np.float32), RATE)
    with pytest.raises(InputError, match="audio file is missing"):
        recogniser.recognise(tmp_path / "none.wav")
    with pytest.raises(InputError, match="shorter than one frame"):
        recogniser.recognise(np.full(50, 0.1, np.float32), RATE)


def test_one_frame_and_silence(recogniser: Recogniser) -> None:
    (segment,) = recogniser.recognise(np.linspace(-0.1, 0.1, 210, dtype=np.float32), RATE).segments
    assert segment.result.num_frames == 1 and segment.status in ("partial", "empty")
    noise = (0.002 * np.random.default_rng(0).normal(size=RATE)).astype(np.float32)
    for silence in (np.zeros(50), np.zeros(210), np.zeros(40 * RATE), noise, np.tile(noise, 50)):
        transcript = recogniser.recognise(silence.astype(np.float32), RATE)
        assert transcript.segments == () and transcript.text == "" and transcript.words == []
    heard = Recogniser(recogniser.system, VadConfig(said=False))
    assert heard.recognise(noise, RATE).segments[0].status in ("complete", "partial")


@pytest.mark.parametrize("before, behind", [(0.0, 3.0), (10.0, 0.0), (1.2345, 40.0), (25.0, 0.001)])
def test_digital_silence_around_speech_changes_no_word(
    recogniser: Recogniser, bursts, before: float, behind: float
) -> None:
    samples = bursts(["LOW", "HIGH", "MID"], 77)
    zeros = [np.zeros(round(seconds * RATE), np.float32) for seconds in (before, behind)]
    plain = recogniser.recognise(samples, RATE)
    padded = recogniser.recognise(np.concatenate([zeros[0], samples, zeros[1]]), RATE)
    assert padded.text == plain.text == "LOW HIGH MID"
    starts = [word.start - len(zeros[0]) / RATE for word in padded.words]
    assert starts == pytest.approx([word.start for word in plain.words])
    ((a,), (b,)) = padded.segments, plain.segments
    assert np.array_equal(a.path.transition_ids, b.path.transition_ids) and a.duration == pytest.approx(b.duration)


@pytest.mark.k2
def test_engines_agree_on_audio(tiny, recogniser: Recogniser, bursts) -> None:
    samples = bursts(["MID", "HIGH"], 31)
    words = recogniser.recognise(samples, RATE).words
    for engine in ("k2", "reference"):
        assert Recogniser.load(tiny.model, tiny.graph, engine=engine).recognise(samples, RATE).words == words


def test_a_stretch_is_normalised_by_the_speech_around_it(recogniser: Recogniser, monkeypatch) -> None:
    """Both doors to long recordings: the statistics of chunks within CONTEXT seconds, and the file's prior."""
    from dataclasses import replace

    from hybrid.feats.cmvn import CmvnConfig, CmvnStats
    from hybrid.feats.vad import TimeSpan
    from hybrid.model import recording as module
    from hybrid.model.recording import Recording

    pipeline = recogniser.system.model.pipeline
    model = replace(recogniser.system.model, pipeline=replace(pipeline, cmvn=CmvnConfig()))
    samples = np.random.default_rng(0).normal(0, 0.1, 60 * RATE).astype(np.float32)
    found = Recording(model, samples, rate=RATE)
    chunks = [TimeSpan(float(k), k + 0.9) for k in range(0, 60, 10)]
    found.__dict__["chunks"] = chunks
    stats = [CmvnStats.of(found.static(c.start, c.end)) for c in chunks]
    static = found.static(chunks[3].start, chunks[3].end)
    wanted = model.pipeline.apply(static, stats[2] + stats[3] + stats[4])
    assert np.array_equal(found.features(chunks[3].start, chunks[3].end), wanted)
    monkeypatch.setattr(module, "CONTEXT", 5.0)  # alone: as an utterance of an unknown speaker
    alone = Recording(model, samples, rate=RATE)
    alone.__dict__["chunks"] = chunks
    assert np.array_equal(alone.features(chunks[3].start, chunks[3].end), model.pipeline.apply(static))


def test_digital_silence_at_the_ends_is_told_from_sound() -> None:
    from hybrid.feats.vad import TimeSpan
    from hybrid.model.recording import Recording

    noise, zeros = np.full(RATE, 0.1, np.float32), np.zeros(RATE, np.float32)
    for before, behind in ((RATE, RATE), (RATE, 0), (RATE // 20, RATE // 20), (0, 0)):
        found = Recording(None, np.concatenate([zeros[:before], noise, zeros[:behind]]), rate=RATE)
        short = before < 0.1 * RATE  # as much as a quiet recording has
        wanted = TimeSpan(0.0, found.duration) if short else TimeSpan(before / RATE, before / RATE + 1.0)
        assert found.sounding == wanted
    assert Recording(None, zeros, rate=RATE).sounding == TimeSpan(0.0, 1.0)


def test_texts_with_times_tell_phones_without_marks_of_place(recogniser: Recogniser, bursts) -> None:
    (one,) = recogniser.recognise(bursts(["LOW", "HIGH"], 3), RATE).segments
    assert {p.label for p in one.phones} >= {"L_S", "H_S"}  # as phones.ctm and Kaldi have them
    assert [p.label for word in one.timed.spoken for p in word.phones] == ["L", "H"]


def test_model_and_graph_in_memory(tiny, bursts, tmp_path):
    """Model, lang and G make a graph value and a recogniser, and no graph folder; saved and loaded it is the same."""
    model, lang = load_model(tiny.model), LangDir.load(tiny.root / "lang")
    graph = compile_decoding_graph(lang, read_fst(tiny.root / "G.fst"), model.transition_model)
    assert graph.path is None
    samples = bursts(["LOW", "HIGH", "MID"], 77)
    found = Recogniser.of(model, graph).recognise(samples, RATE)
    assert found == Recogniser.load(tiny.model, tiny.graph).recognise(samples, RATE) or (found.text == "LOW HIGH MID")
    graph.save(tmp_path / "graph")
    loaded = DecodingGraph.load(tmp_path / "graph")
    assert loaded.fst.equals(graph.fst) and loaded.words.symbols == graph.words.symbols
    assert (loaded.hashes, loaded.scales) == (graph.hashes, graph.scales)
    assert loaded.scales == {"transition_scale": 1.0, "self_loop_scale": 0.1}
    again = Recogniser.of(model, loaded, SystemSpec("", "", engine="reference")).recognise(samples, RATE)
    assert again.text == found.text == "LOW HIGH MID"
    graph.save(tmp_path / "graph")  # an earlier graph is replaced
    loaded.save(tmp_path / "copy")
    for file in ("HCLG.fst", "disambig_tid.int", "num_pdfs", "report.tsv", "phones/align_lexicon.int"):
        assert (tmp_path / "copy" / file).read_bytes() == (tmp_path / "graph" / file).read_bytes()


def test_other_scales_than_the_models_are_told(tiny, caplog) -> None:
    from hybrid.graph.config import GraphConfig

    model, lang, grammar = load_model(tiny.model), LangDir.load(tiny.root / "lang"), read_fst(tiny.root / "G.fst")
    Recogniser.of(model, compile_decoding_graph(lang, grammar, model.transition_model))
    assert "was compiled with" not in caplog.text
    other = compile_decoding_graph(lang, grammar, model.transition_model, config=GraphConfig(self_loop_scale=1.0))
    Recogniser.of(model, other)
    assert "the graph was compiled with self_loop_scale 1, the model's is 0.1" in caplog.text
