"""Sessions: audio in pieces gives the words of the whole, whatever the pieces; memory stays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.recogniser import EndpointConfig, Recogniser, Session

RATE = 8000
WORDS = ["LOW", "HIGH", "MID", "LOW", "MID", "HIGH"]


@pytest.fixture
def recogniser(tiny) -> Recogniser:
    return Recogniser.load(tiny.model, tiny.graph)


def hear(session: Session, samples: np.ndarray, step: int) -> list:
    found = []
    for begin in range(0, len(samples), step):
        found += session.advance(samples[begin : begin + step])
    return found + session.finish()


def facts(found: list) -> list[tuple]:
    return [
        (one.utterance, one.text, one.status, one.result.num_frames, one.result.first_frame,
         [(w.label, round(w.start, 3), round(w.duration, 3)) for w in one.words],
         one.lattice.transition_ids.tolist(), one.lattice.next_states.tolist())
        for one in found
    ]  # fmt: skip


def test_any_pieces_give_the_same_lattices(recogniser, bursts) -> None:
    """Chunks of 1, 7 and 160 frames, and all at once."""
    samples = bursts(WORDS, 5)
    wanted = facts(hear(recogniser.session(RATE), samples, len(samples)))
    assert " ".join(text for _, text, *_ in wanted).split() == WORDS
    for frames in (1, 7, 160):
        assert facts(hear(recogniser.session(RATE), samples, 80 * frames)) == wanted


def test_an_utterance_ends_at_a_pause(recogniser, bursts) -> None:
    silence = bursts([], 7, pause=1.0)
    samples = np.concatenate([bursts(WORDS[:2], 1), silence, bursts(WORDS[2:4], 2), silence])
    session = recogniser.session(RATE, "call", endpoint=EndpointConfig(pause=0.6))
    found, partial = [], []
    for begin in range(0, len(samples), 800):
        found += session.advance(samples[begin : begin + 800])
        partial.append(session.partial())
    assert [one.text for one in found] == ["LOW HIGH", "MID LOW"]
    assert [one.utterance for one in found] == ["call-0001", "call-0002"]
    assert max((p.text for p in partial[:10]), key=len).startswith("LOW") and partial[-1].text == ""
    first, second = found
    assert second.words[0].start == pytest.approx(first.words[-1].end, abs=0.02)
    assert 0.1 < first.words[1 if not first.words[0].label else 0].start < 0.5
    session.finish()


def test_an_utterance_without_end_is_committed_at_pauses(recogniser, bursts) -> None:
    words = WORDS * 5
    samples = bursts(words, 9)
    whole = hear(recogniser.session(RATE, endpoint=EndpointConfig(pause=9.0, longest=1000.0)), samples, 800)
    parts = hear(recogniser.session(RATE, endpoint=EndpointConfig(pause=9.0, longest=2.0)), samples, 800)
    assert len(whole) == 1 and len(parts) > 3
    assert " ".join(one.text for one in parts) == whole[0].text
    assert [one.status for one in parts[:-1]] == ["committed"] * (len(parts) - 1)
    assert sum(one.result.num_frames for one in parts) == whole[0].result.num_frames
    times = [w.start for one in parts for w in one.words if w.label]
    assert np.allclose(times, [w.start for w in whole[0].words if w.label], atol=0.011)


def test_memory_of_an_endless_session_is_bounded(recogniser, bursts) -> None:
    session = recogniser.session(RATE, endpoint=EndpointConfig(pause=9.0, longest=2.0))
    samples, sizes = bursts(WORDS, 3), []
    for _ in range(30):
        for begin in range(0, len(samples), 800):
            session.advance(samples[begin : begin + 800])
        sizes.append(session.memory)
    assert max(sizes[15:]) <= 1.5 * max(sizes[:15]) < 10_000_000


def test_many_sessions_in_one_batch_are_each_as_alone(recogniser, bursts) -> None:
    audio = [bursts(WORDS[i : i + 3], i) for i in range(4)]
    alone = [facts(hear(recogniser.session(RATE, f"s{i}"), samples, 1000)) for i, samples in enumerate(audio)]
    sessions = [recogniser.session(RATE, f"s{i}") for i in range(4)]
    found: list[list] = [[] for _ in audio]
    for begin in range(0, max(map(len, audio)), 1000):
        pieces = [samples[begin : begin + 1000] for samples in audio]
        for i, more in enumerate(Session.advance_together(sessions, pieces)):
            found[i] += more
    for i, more in enumerate(Session.advance_together(sessions, [np.zeros(0, np.float32)] * 4, [True] * 4)):
        found[i] += more
    assert [facts(f) for f in found] == alone


def test_a_session_whose_scores_are_bad_fails_alone(recogniser, bursts, monkeypatch) -> None:
    audio = [bursts(WORDS[i : i + 3], i) for i in range(3)]
    alone = [facts(hear(recogniser.session(RATE, f"s{i}"), samples, 4000)) for i, samples in enumerate(audio)]
    sessions = [recogniser.session(RATE, f"s{i}") for i in range(4)]
    spoiled, huge = sessions[1], np.full(4000, 1e30, np.float32)
    model = type(spoiled._model.acoustic_model)
    whole, calls = model.advance, []

    def advance(self, streams, chunks, last=None):  # type: ignore[no-untyped-def]
        scores = whole(self, streams, chunks, last)
        calls.append(len(streams))
        return [rows * np.nan if s is spoiled._scores and len(calls) == 3 else rows for s, rows in zip(streams, scores)]

    monkeypatch.setattr(model, "advance", advance)
    found: list[list] = [[] for _ in sessions]
    at = list(range(4))
    for begin in range(0, max(map(len, audio)), 4000):
        pieces = [huge if i == 3 else audio[i][begin : begin + 4000] for i in at]
        for i, more in zip(at, Session.advance_together([sessions[i] for i in at], pieces)):
            found[i] += more
        at = [i for i in at if not any(one.result.failed for one in found[i])]
    assert at == [0, 2]
    for i in at:
        assert facts(found[i] + sessions[i].finish()) == alone[i]
    (bad,), (loud,) = found[1], found[3]
    assert bad.result.error.startswith("score nan at frame 0, pdf 0. Look at") and not bad.words
    assert loud.result.error.startswith("features: value ")
    with pytest.raises(InputError, match="session 's1': has ended. Open another one."):
        spoiled.advance(audio[1])


def test_another_rate_and_nothing_at_all(recogniser, bursts) -> None:
    from hybrid.data.audio import resample

    samples = resample(bursts(WORDS, 5), RATE, 16000)
    assert " ".join(one.text for one in hear(recogniser.session(16000), samples, 1600)).split() == WORDS
    assert recogniser.session(RATE).finish() == []
    assert hear(recogniser.session(RATE), np.zeros(10, np.float32), 5) == []


def test_noise_has_no_words_and_is_no_utterance(recogniser) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.05, RATE * 6).astype(np.float32)
    assert hear(recogniser.session(RATE, said=False), hiss, 800)
    for step in (80, 800, len(hiss)):
        session = recogniser.session(RATE)
        assert hear(session, hiss, step) == [] and session.partial().text == ""
    session, texts = recogniser.session(RATE), []
    for begin in range(0, len(hiss), 800):
        session.advance(hiss[begin : begin + 800])
        texts.append(session.partial().text)
    assert not any(texts[20:])


def test_wrong_use_is_told(recogniser, tiny, bursts) -> None:
    session = recogniser.session(RATE)
    with pytest.raises(InputError, match="samples: hold NaN or infinity"):
        session.advance(np.array([np.nan], np.float32))
    two, samples = [recogniser.session(RATE, "both"), recogniser.session(RATE)], bursts(WORDS, 5)
    with pytest.raises(InputError, match="samples: hold NaN or infinity"):
        Session.advance_together(two, [samples[:900], np.array([np.inf])])  # told before any has moved
    assert facts(hear(two[0], samples, 4000)) == facts(hear(recogniser.session(RATE, "both"), samples, 4000))
    with pytest.raises(InputError, match="sessions: 1 sessions but 2 chunks"):
        Session.advance_together([session], [np.zeros(1)] * 2)
    other = Session(dataclasses.replace(recogniser.system, graph=None), RATE)
    with pytest.raises(InputError, match="sessions: are of several systems"):
        Session.advance_together([session, other], [np.zeros(1)] * 2)
    session.finish()
    with pytest.raises(InputError, match="session 'session': has ended. Open another one"):
        session.advance(np.zeros(1))
    assert Session.advance_together([], []) == []
