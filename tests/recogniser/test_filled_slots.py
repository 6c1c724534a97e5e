"""Slots of a recogniser: filled while it runs, each session for itself, new words added and taken away."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays
from hybrid.graph.decoding import DecodingGraph, compile_decoding_graph
from hybrid.graph.filling import Filler
from hybrid.graph.phrase_graph import Phrase
from hybrid.graph.unfolded import unfold
from hybrid.graph.word_classes import Classes
from hybrid.lattice.paths import best_path
from hybrid.model.folder import load_model
from hybrid.recogniser import Recogniser
from hybrid.recogniser.session import EndpointConfig
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.search.layout import load_search_graph
from lexicon.lang_dir import LangDir
from lexicon.symbols import SymbolTable
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar_fst import ngram_to_fst
from lm.word_list import ListEntry, read_word_list
from tests.tiny_recogniser import RATE, make_audio, write_wav


@pytest.fixture(scope="module")
def slotted(tiny) -> DecodingGraph:
    """LOW and a slot, again and again."""
    lang, model = LangDir.load(tiny.root / "lang"), load_model(tiny.model)
    low, band = lang.words["LOW"], lang.words.max_id + 1
    grammar = FstArrays.from_arcs(
        0, [0, 0], [low, band], [low, band], [0, 0], [np.log(3), np.log(3)], np.array([np.log(3)])
    )
    return compile_decoding_graph(lang, grammar, model.transition_model, classes=Classes({"$BAND": band}))


@pytest.fixture(scope="module")
def open_graph(tiny) -> DecodingGraph:
    """An n-gram of LOW and MID that takes new words."""
    lang, model = LangDir.load(tiny.root / "lang"), load_model(tiny.model)
    sentences = [["LOW"], ["MID"], ["LOW", "MID"], ["MID", "LOW"], ["MID", "MID"]]
    estimated, _ = estimate_from_sentences(sentences, EstimateConfig(order=2))
    grammar = ngram_to_fst(estimated, lang.words)
    return compile_decoding_graph(lang, grammar, model.transition_model, classes=Classes(takes_words=True))


@pytest.fixture
def recogniser(tiny, slotted) -> Recogniser:
    return Recogniser.of(load_model(tiny.model), slotted)


def test_names_never_met_are_heard(recogniser, bursts):
    audio = bursts(["LOW", "HIGH", "MID"], 7)
    assert set(recogniser.recognise(audio, RATE).text.split()) <= {"LOW"}
    recogniser.fill({"BAND": ["MID", ListEntry(("TREBLE",), 2.0, (("H",),))]})
    transcript = recogniser.recognise(audio, RATE)
    assert transcript.text == "LOW TREBLE MID"
    assert all(word.duration > 0.1 for word in transcript.words if word.label)
    assert recogniser.vocabulary() == ("MID", "TREBLE")
    recogniser.fill({"$BAND": []})
    assert recogniser.vocabulary() == () and set(recogniser.recognise(audio, RATE).text.split()) <= {"LOW"}


def test_a_phrase_of_several_words(recogniser, bursts):
    recogniser.fill({"BAND": ["HIGH MID", "MID HIGH"]})
    transcript = recogniser.recognise(bursts(["HIGH", "MID", "LOW", "MID", "HIGH"], 8), RATE)
    assert transcript.text == "HIGH MID LOW MID HIGH"
    assert [(slot.name, slot.value) for slot in transcript.slots] == [("$BAND", "HIGH MID"), ("$BAND", "MID HIGH")]


def test_a_transcript_tells_which_entries_were_said(recogniser, bursts):
    """Words of the graph and the same words of a list are told apart, with times and confidences."""
    audio = bursts(["LOW", "HIGH", "LOW", "MID"], 7)
    assert recogniser.recognise(audio, RATE).slots == ()
    recogniser.fill({"BAND": ["MID", ListEntry(("TREBLE",), 2.0, (("H",),)), ListEntry(("LOW",), 1e-6)]})
    for engine in ("native", "reference", "torch"):
        system = recogniser.system
        other = Recogniser(replace(system, spec=replace(system.spec, engine=engine)))
        other.fill({"BAND": system.contents["$BAND"]})
        transcript = other.recognise(audio, RATE)
        words = [word for word in transcript.words if word.label]
        assert [(slot.name, slot.value, slot.text) for slot in transcript.slots] == [
            ("$BAND", "TREBLE", "TREBLE"), ("$BAND", "MID", "MID")
        ]  # fmt: skip
        assert [(s.start, s.confidence) for s in transcript.slots] == [(w.start, w.confidence) for w in words[1::2]]
    record = json.loads(transcript.to_json())["utterances"][0]
    assert [slot["value"] for slot in record["slots"]] == ["TREBLE", "MID"] and "rule" not in record
    recogniser.fill({"BAND": [ListEntry(("LOW",), 1.0, (("H",),))]})
    transcript = recogniser.recognise(audio[: len(audio) // 2], RATE)
    assert transcript.text == "LOW LOW" and [slot.start for slot in transcript.slots] == [transcript.words[1].start]


def test_entries_are_told_where_a_long_utterance_is_committed(recogniser, bursts):
    session = recogniser.session(RATE, endpoint=EndpointConfig(pause=60, silence=60, longest=1.0))
    session.fill({"BAND": ["MID", "HIGH MID"]})
    words = ["LOW", "HIGH", "MID", "LOW", "MID", "HIGH", "MID", "LOW", "MID"]
    audio = bursts(words, 21)
    found = [one for part in np.array_split(audio, 30) for one in session.advance(part)] + session.finish()
    assert len(found) > 1 and [word for one in found for word in one.text.split()] == words
    told = [word for one in found for slot in one.slots for word in slot.value.split()]
    assert told == [word for word in words if word != "LOW"]


def test_a_slot_inside_a_grammar(tiny, hybrid, bursts, tmp_path):
    """Tags around a slot cover what was said in it; rules and tags beside it stay."""
    (tmp_path / "say.gram").write_text(
        "#JSGF V1.0;\ngrammar say;\npublic <say> = low {first} $BAND {band} | $BAND {alone=yes} low {last};\n"
    )
    result = hybrid("graph", "build", "--model", tiny.model, "--lang", tiny.root / "lang", "--grammar",
                    tmp_path / "say.gram", "--slot", "BAND", "--out-dir", tmp_path / "graph")  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    recogniser = Recogniser.load(tiny.model, tmp_path / "graph")
    recogniser.fill({"BAND": ["HIGH MID", "MID"]})
    transcript = recogniser.recognise(bursts(["LOW", "HIGH", "MID"], 22), RATE)
    words = transcript.words
    assert transcript.segments[0].rule == "say"
    assert [(slot.name, slot.value, slot.start) for slot in transcript.slots] == [
        ("first", "LOW", words[0].start),
        ("band", "HIGH MID", words[1].start),
    ]
    assert [slot.slot for slot in transcript.slots] == ["", "$BAND"]
    other = recogniser.recognise(bursts(["MID", "LOW"], 23), RATE)
    assert [(slot.name, slot.value, slot.text, slot.slot) for slot in other.slots] == [
        ("alone", "yes", "MID", "$BAND"),
        ("last", "LOW", "LOW", ""),
    ]


def test_sessions_have_lists_of_their_own(recogniser, bursts):
    sessions = [recogniser.session(RATE, name) for name in ("a", "b")]
    sessions[0].fill({"BAND": [ListEntry(("A1",), 1.0, (("H",),)), "MID"]})
    sessions[1].fill({"BAND": [ListEntry(("B1",), 1.0, (("H",),)), "MID"]})
    audio = bursts(["HIGH", "MID"], 9)
    sessions[0].advance_together(sessions, [audio, audio])
    heard = [" ".join(one.text for one in session.finish()) for session in sessions]
    assert heard == ["A1 MID", "B1 MID"]
    assert recogniser.vocabulary() == ()


def test_a_list_is_replaced_between_utterances(recogniser, bursts):
    session = recogniser.session(RATE)
    session.fill({"BAND": [ListEntry(("FIRST",), 1.0, (("H",),))]})
    quiet = 0.002 * np.random.default_rng(0).normal(size=int(1.2 * RATE)).astype(np.float32)
    spoken = bursts(["LOW", "HIGH"], 10)
    found = session.advance(spoken[: len(spoken) // 2])
    session.fill({"BAND": [ListEntry(("SECOND",), 1.0, (("H",),))]})  # while an utterance is under way
    found += session.advance(np.concatenate([spoken[len(spoken) // 2 :], quiet]))
    found += session.advance(np.concatenate([spoken, quiet])) + session.finish()
    assert [one.text for one in found if one.text] == ["LOW FIRST", "LOW SECOND"]


@pytest.mark.parametrize("use", [lambda session: session.fill({"BAND": ["MID"]}), lambda session: session.partial()])
def test_a_session_in_use_is_neither_filled_nor_asked(recogniser, use):
    session = recogniser.session(RATE)
    problems = []

    def other() -> None:
        try:
            use(session)
        except InputError as error:
            problems.append(str(error))

    with session._alone():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert problems == [
        "session 'session': is used by another thread at this moment. Let one thread at a time use a session."
    ]


def test_a_session_that_another_thread_asks_goes_on(recogniser, bursts):
    session, alone = recogniser.session(RATE), recogniser.session(RATE)
    pieces, going, told = np.array_split(bursts(["HIGH", "MID", "LOW"] * 6, 41), 120), threading.Event(), []

    def ask() -> None:
        while not going.is_set():
            try:
                session.partial()
            except Exception as error:
                told.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    found = [one.text for piece in pieces for one in session.advance(piece)] + [one.text for one in session.finish()]
    going.set()
    thread.join()
    assert found == [one.text for piece in pieces for one in alone.advance(piece)] + [x.text for x in alone.finish()]
    assert all("is used by another thread at this moment" in one for one in told)


def test_words_that_several_threads_add_are_all_there(tiny, open_graph):
    recogniser = Recogniser.of(load_model(tiny.model), open_graph)

    def add(name: str) -> None:
        for number in range(10):
            recogniser.add_word(f"{name}{number}", ["H"], probability=0.01)

    threads = [threading.Thread(target=add, args=(name,)) for name in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recogniser.vocabulary()) == 40


def test_new_words(tiny, open_graph, bursts, tmp_path):
    recogniser = Recogniser.of(load_model(tiny.model), open_graph)
    audio = bursts(["MID", "HIGH", "LOW"], 11)
    assert recogniser.can_add() and "NGUYEN" not in recogniser.recognise(audio, RATE).text
    recogniser.add_word("NGUYEN", ["H"], like="LOW")
    assert recogniser.recognise(audio, RATE).text == "MID NGUYEN LOW"
    assert recogniser.vocabulary() == ("NGUYEN",)
    recogniser.save_contents(tmp_path / "added.json")
    other = Recogniser.of(load_model(tiny.model), open_graph)
    other.load_contents(tmp_path / "added.json")
    assert other.recognise(audio, RATE).text == "MID NGUYEN LOW"
    recogniser.add_word("NGUYEN TRAN", [["H", "|", "M"]], probability=0.5)
    told = recogniser.recognise(bursts(["LOW", "HIGH", "MID", "LOW"], 12), RATE)
    assert told.text == "LOW NGUYEN TRAN LOW"
    assert [(slot.name, slot.value) for slot in told.slots] == [("$NEW", "NGUYEN TRAN")]
    recogniser.remove_word("nguyen tran".upper())
    recogniser.add_word("Tran", "H", like="low")
    recogniser.add_word("mid low")
    assert recogniser.vocabulary() == ("MID LOW", "NGUYEN", "Tran")
    with pytest.raises(InputError, match="new words: 'Mid low' is there already"):
        recogniser.add_word("Mid low")
    recogniser.remove_word("Tran")
    recogniser.remove_word("mid low")
    with pytest.raises(InputError, match="new words: 'NGUYEN' is there already. Remove it first"):
        recogniser.add_word("NGUYEN", ["H"])
    recogniser.remove_word("NGUYEN")
    assert recogniser.vocabulary() == () and "NGUYEN" not in recogniser.recognise(audio, RATE).text
    with pytest.raises(InputError, match="'NGUYEN' is not one of them. Only words that were added can be removed"):
        recogniser.remove_word("NGUYEN")
    with pytest.raises(InputError, match="the graph has no word 'SMITH'. Name another, or give probability="):
        recogniser.add_word("NGUYEN", ["H"], like="SMITH")
    with pytest.raises(InputError, match="probability 2 of a new word, wanted above 0 and at most 1"):
        recogniser.add_word("NGUYEN", ["H"], probability=2)


def test_what_nothing_is_known_of_is_guessed(tiny, slotted, bursts):
    recogniser = Recogniser(
        Recogniser.of(load_model(tiny.model), slotted).system, guess=lambda ws: {w: [("H",)] for w in ws}
    )
    recogniser.fill({"BAND": ["soprano"]})
    assert recogniser.recognise(bursts(["HIGH"], 12), RATE).text == "SOPRANO"
    with pytest.raises(InputError, match="none.arpa: the file does not exist"):
        Recogniser.load(tiny.model, tiny.graph, g2p="none.arpa")


def test_rows_behind_the_base_are_the_graph_written_out(tiny, slotted, tmp_path):
    """In memory and mapped from a file, which stays as it is; a search of either finds the same lattices."""
    model = load_model(tiny.model).transition_model
    slotted.save(tmp_path / "graph")
    mapped = DecodingGraph.load(tmp_path / "graph")
    load_search_graph(mapped, model)  # writes the file that the next one is mapped from
    filler = Filler(slotted.slots, model, (slotted.scales["transition_scale"], slotted.scales["self_loop_scale"]))
    phones = LangDir.load(tiny.root / "lang").phones
    spoken = {n: [((phones[f"{p}_S"],), 0.0)] for n, p in ((8, "H"), (9, "M"))}
    filling = filler({"$BAND": [Phrase((8,), 0.5), Phrase((9, 8), 1.0)]}, spoken)
    config = SearchConfig(beam=200.0, lattice_beam=8.0, acoustic_scale=0.1)
    scores = [np.random.default_rng(n).normal(-5, 3, (60, model.num_pdfs)).astype(np.float32) for n in range(3)]
    written_out = make_searcher("native", unfold(slotted.fst, slotted.slots, filling), model, config).search(scores)
    before = (tmp_path / "graph" / ".cached.HCLG.search").read_bytes()
    for engine in ("native", "reference", "torch"):
        for graph in (slotted, mapped):
            found = make_searcher(engine, graph, model, config, filling=filling).search(scores)
            for one, other in zip(found, written_out):
                first, second = best_path(one.lattice, 0.1), best_path(other.lattice, 0.1)
                assert first.word_ids.tolist() == second.word_ids.tolist() and len(first.word_ids)
                assert first.transition_ids.tolist() == second.transition_ids.tolist()
    assert (tmp_path / "graph" / ".cached.HCLG.search").read_bytes() == before
    base = load_search_graph(mapped, model)
    for one in make_searcher("native", mapped, model, config).search(scores):
        assert not set(best_path(one.lattice, 0.1).word_ids.tolist()) & {8, 9}
    assert base.source is not None


BAD = {
    "slots: 'X' is none of this graph, which has $BAND. Compile the graph again with --slot.": {"X": ["MID"]},
    "slots: 1 words have no pronunciation: SOPRANO. Give their phones in the list, or a model that guesses with --g2p.":
        {"BAND": ["SOPRANO"]},
    "list: entry 2, 'MID', is entry 1 again. Remove one of the two; a weight says that it is likelier.":
        {"BAND": ["MID", "MID"]},
    "has 200 words, wanted 1 to 30. Leave it out, or say it as several entries.": {"BAND": [" ".join(["MID"] * 200)]},
    "lacks 1 phone of the dictionary: ZZ (NEW": {"BAND": [ListEntry(("NEW",), 1.0, (("ZZ",),))]},
    "lacks 1 phone of the dictionary: SIL (NEW": {"BAND": [ListEntry(("NEW",), 1.0, (("SIL",),))]},
    "slot '$BAND': entry 2, 'MID $NEW', names the class $NEW, wanted words. Write an entry for each word of $NEW, or "
    "compile this list into the graph with --class.": {"BAND": ["MID", "MID $NEW"]},
    "entry 1, 'MID', has weight nan, wanted above 0": {"BAND": [ListEntry(("MID",), float("nan"))]},
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_bad_contents(recogniser, message):
    before = recogniser.system
    with pytest.raises(InputError) as error:
        recogniser.fill(BAD[message])
    assert message in str(error.value) and "\n" not in str(error.value)
    assert recogniser.system is before


def test_lists_are_in_any_spelling(recogniser):
    """Words are the lexicon's, whatever their case in the list; those with phones stay as they are written."""
    recogniser.fill({"BAND": ["mid", "Mid high", ListEntry(("New",), 1.0, (("H",),))]})
    assert recogniser.vocabulary() == ("MID", "MID HIGH", "New")
    with pytest.raises(InputError, match="list: entry 2, 'MID', is entry 1 again. Remove one of the two"):
        recogniser.fill({"BAND": ["MID", "mid"]})
    with pytest.raises(InputError, match="1 words have no pronunciation: SOPRANO"):
        recogniser.fill({"BAND": ["soprano"]})


def test_filled_and_emptied_is_as_it_was(recogniser, bursts):
    """And the order of filling is of no account: the search graphs are the same to the byte."""
    arrays = ("bounds", "arcs", "transition_ids", "word_ids", "final_scores")

    def rows() -> list[np.ndarray]:
        return [getattr(recogniser.system.searcher.graph, name) for name in arrays]

    def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
        return all(np.array_equal(a, b) for a, b in zip(one, other))

    before = rows()
    recogniser.fill({"BAND": ["MID", ListEntry(("TREBLE",), 2.0, (("H",),))]})
    one = rows()
    assert not same(before, one)
    recogniser.fill({"BAND": [ListEntry(("TREBLE",), 2.0, (("H",),)), "MID"]})
    assert same(one, rows())
    recogniser.fill({"BAND": []})
    assert same(before, rows()) and recogniser.vocabulary() == ()


def test_lists_are_replaced_while_other_threads_decode(recogniser, bursts):
    """Each recording is decoded with one list or the other, never with half of both."""
    lists = [[ListEntry((name, name), 1.0, (("H",), ("M",)))] for name in ("ONE", "TWO")]
    recogniser.fill({"BAND": lists[0]})
    audio, heard = bursts(["HIGH", "MID"], 41), []

    def decode() -> None:
        heard.extend(recogniser.recognise(audio, RATE).text for _ in range(4))

    threads = [threading.Thread(target=decode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(6):
        recogniser.fill({"BAND": lists[number % 2]})
    for thread in threads:
        thread.join()
    assert len(heard) == 8 and set(heard) <= {"ONE ONE", "TWO TWO"}


@pytest.mark.parametrize(("data", "message"), [
    ("J\xfcrgen\n".encode("latin-1"), "list.txt:1: byte 0xfc is not UTF-8 text. Convert it"),
    ("MID\n".encode("utf-16"), "list.txt"),
    ("Иван\n".encode(), "1 words have no pronunciation: ИВАН. Give their phones in the list"),
])  # fmt: skip
def test_lists_in_another_script_or_encoding(recogniser, tmp_path, data, message):
    (tmp_path / "list.txt").write_bytes(data)
    with pytest.raises(InputError) as error:
        recogniser.fill({"BAND": tmp_path / "list.txt"})
    assert message in str(error.value) and "\n" not in str(error.value)
    assert recogniser.vocabulary() == ()


def test_graphs_without_slots(tiny):
    recogniser = Recogniser.load(tiny.model, tiny.graph)
    assert not recogniser.can_add() and recogniser.vocabulary() == ()
    with pytest.raises(InputError, match="has no slots. Compile it with --slot NAME, or with --open for new words."):
        recogniser.fill({"BAND": ["MID"]})


def test_lists_on_disk(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("JOHN SMITH\nNGUYEN\t3\nSIOBHAN\t\tSH AO N\n")
    john, nguyen, siobhan = read_word_list(file)
    assert john.words == ("JOHN", "SMITH") and nguyen.weight == 3.0 and siobhan.phones == (("SH", "AO", "N"),)
    for text, message in {
        "": "list.txt: the file is empty",
        "A\tmany": "list.txt:1: found 'many', wanted a weight, a number above 0",
        "A\t1\tB\tC": "list.txt:1: has 4 columns, wanted the words, a weight and a pronunciation",
        "A B\t1\tX": "entry 1, 'A B', has pronunciations of 1 words, wanted 2",
        "A\tinf": "list.txt:1: found 'inf', wanted a weight, a number above 0",
    }.items():
        file.write_text(text)
        with pytest.raises(InputError, match=message.replace("(", r"\(")):
            read_word_list(file)


def test_commands_with_slots(tiny, hybrid, tmp_path):
    """A graph of sentences with a class, filled with a list when it is decoded with."""
    (tmp_path / "say.txt").write_text("LOW $BAND\n$BAND\nLOW LOW\n")
    (tmp_path / "list.txt").write_text("TREBLE\t2\tH\nMID\n")
    result = hybrid("graph", "build", "--model", tiny.model, "--lang", tiny.root / "lang", "--sentences",
                    tmp_path / "say.txt", "--slot", "BAND", "--open", "--out-dir", tmp_path / "graph")  # fmt: skip
    assert result.exit_code == 0, result.output
    audio = tmp_path / "u.wav"
    write_wav(audio, make_audio(["LOW", "HIGH"], 3))
    decode = ("decode", "--model", tiny.model, "--graph", tmp_path / "graph", audio)
    filled = hybrid(*decode, "--fill", f"BAND={tmp_path / 'list.txt'}")
    assert filled.exit_code == 0, filled.output
    out = tmp_path / "out"
    made = hybrid(*decode, "--fill", f"BAND={tmp_path / 'list.txt'}", "--out-dir", out)
    assert made.exit_code == 0, made.output
    table = SymbolTable.read(out / "words.txt")
    assert "TREBLE" in table and "TREBLE" not in SymbolTable.read(tmp_path / "graph" / "words.txt")
    rows = [line.split("\t") for line in (out / "slots.tsv").read_text().splitlines()]
    assert rows[0] == ["utterance", "name", "value", "text", "list", "start", "end", "confidence"]
    assert rows[1][:5] == ["u", "$BAND", "TREBLE", "TREBLE", "$BAND"] and float(rows[1][5]) < float(rows[1][6])
    for command in (("lattice", "best-path", out, "--words"), ("lattice", "mbr", out, "--words"),
                    ("lattice", "nbest", out, "--words")):  # fmt: skip
        found = hybrid(*command, out / "words.txt")
        assert found.exit_code == 0 and "TREBLE" in found.output, (command, found.output, found.exception)
    stale = hybrid("lattice", "best-path", out, "--words", tmp_path / "graph" / "words.txt")
    assert stale.exit_code and "words.txt" in said_by(stale) and "MismatchError" not in stale.output
    (tmp_path / "ref.txt").write_text("u LOW\n")
    report = hybrid("report", out, "--ref", tmp_path / "ref.txt", "--out", tmp_path / "report.html")
    assert report.exit_code == 0 and "TREBLE" in (tmp_path / "report.html").read_text(), said_by(report)
    (tmp_path / "bias.txt").write_text("TREBLE\t3\n")
    biased = hybrid(*decode, "--fill", f"BAND={tmp_path / 'list.txt'}", "--bias", tmp_path / "bias.txt")
    assert biased.exit_code == 0 and "not in the graph" not in said_by(biased), said_by(biased)
    empty = hybrid(*decode)
    assert empty.exit_code == 0 and "nothing fills $BAND, $NEW: no word can be heard there" in empty.output
    assert Recogniser.load(tiny.model, tmp_path / "graph").can_add()
    for value, message in (
        ("BAND", "--fill: 'BAND' is not NAME=FILE"),
        (f"X={tmp_path / 'list.txt'}", "slots: 'X' is none of this graph, which has $BAND, $NEW"),
        (f"BAND={tmp_path / 'none.txt'}", "none.txt: the file does not exist"),
    ):
        result = hybrid(*decode, "--fill", value)
        assert result.exit_code and message in " ".join(str(result.exception or "").split() + result.output.split())


def test_what_fills_a_slot_of_a_grammar_comes_back_by_its_tag(tiny, hybrid, tmp_path):
    """A grammar with an open place: its tag gives the phrase of the list that was said there."""
    (tmp_path / "say.gram").write_text("#JSGF V1.0;\ngrammar g;\npublic <say> = (LOW $BAND {band}) {intent=say};\n")
    (tmp_path / "list.txt").write_text("MID\nTREBLE BASS\t1\tH | M\n")
    lang, out = tiny.root / "lang", tmp_path / "graph"
    made = hybrid("graph", "build", "--model", tiny.model, "--lang", lang, "--grammar", tmp_path / "say.gram",
                  "--slot", "BAND", "--out-dir", out)  # fmt: skip
    assert made.exit_code == 0, (made.output, made.exception)
    write_wav(tmp_path / "low.wav", make_audio(["LOW", "HIGH", "MID"], 5))
    recogniser = Recogniser.load(tiny.model, out)
    assert recogniser.recognise(tmp_path / "low.wav").slots == ()
    recogniser.fill({"BAND": tmp_path / "list.txt"})
    transcript = recogniser.recognise(tmp_path / "low.wav")
    assert transcript.segments[0].rule == "say"
    assert [(slot.name, slot.value) for slot in transcript.slots] == [("intent", "say"), ("band", "TREBLE BASS")]
    assert transcript.slots[1].start == next(word.start for word in transcript.words if word.label == "TREBLE")
    session = recogniser.session(RATE)
    session.fill({"BAND": [ListEntry(("ALT", "MID"), 1.0, (("H",), ("M",)))]})
    session.advance_together([session], [make_audio(["LOW", "HIGH", "MID"], 5)])
    assert [slot.value for one in session.finish() for slot in one.slots] == ["say", "ALT MID"]


def test_classes_are_expanded_by_commands(tiny, hybrid, tmp_path):
    (tmp_path / "say.txt").write_text("LOW $BAND\n$BAND\nLOW LOW\n")
    (tmp_path / "list.txt").write_text("HIGH\nMID\nMID HIGH\t0.5\n")
    lang = tiny.root / "lang"
    steps = (
        ("lm", "train", tmp_path / "say.txt", "--order", 2, "--out", tmp_path / "lm.arpa"),
        ("lm", "fst", tmp_path / "lm.arpa", "--lang", lang, "--out", tmp_path / "G.fst"),
    )
    for step in steps:
        result = hybrid(*step)
        assert result.exit_code == 0, (step, result.output, result.exception)
    make = ("graph", "compile", "--model", tiny.model, "--lang", lang, "--grammar", tmp_path / "G.fst", "--out-dir")
    silent = hybrid(*make, tmp_path / "none")
    assert "nothing is said of the class '$BAND'. Expand it with --class BAND=LIST, or leave" in said_by(silent)
    result = hybrid(*make, tmp_path / "graph", "--class", f"BAND={tmp_path / 'list.txt'}")
    assert result.exit_code == 0, (result.output, result.exception)
    loaded = DecodingGraph.load(tmp_path / "graph")
    assert loaded.slots is None and loaded.words["MID"] in loaded.fst.olabels
    both = hybrid(*make, tmp_path / "both", "--class", f"BAND={tmp_path / 'list.txt'}", "--slot", "BAND")
    assert "the class '$BAND' is both expanded and open" in said_by(both)


def test_a_graph_of_sentences_with_classes(tiny, hybrid, bursts, tmp_path):
    """Expanded ones and open ones, nested, beside punctuation; of one nothing is said of it is told."""
    (tmp_path / "say.txt").write_text("Low $BAND, low.\n$BAND!\n")
    (tmp_path / "bands.txt").write_text("MID\nTREBLE\t2\tH\nLOW $DEEP\t0.5\n")
    make = ("graph", "build", "--model", tiny.model, "--lang", tiny.root / "lang", "--sentences", tmp_path / "say.txt",
            "--out-dir", tmp_path / "graph")  # fmt: skip
    silent = said_by(hybrid(*make))
    cure = "Expand it with --class BAND=LIST, or leave it open with --slot BAND."
    assert f"say.txt: nothing is said of the class '$BAND'. {cure}" in silent and "\n" not in silent
    both = (*make, "--class", f"BAND={tmp_path / 'bands.txt'}")
    assert "nothing is said of the class '$DEEP'" in said_by(hybrid(*both))
    result = hybrid(*both, "--slot", "DEEP")
    assert result.exit_code == 0, (result.output, result.exception)
    recogniser = Recogniser.load(tiny.model, tmp_path / "graph")
    assert recogniser.recognise(bursts(["LOW", "HIGH", "LOW"], 31), RATE).text == "LOW TREBLE LOW"
    recogniser.fill({"DEEP": ["MID MID"]})
    transcript = recogniser.recognise(bursts(["LOW", "LOW", "MID", "MID", "LOW"], 32), RATE)
    assert transcript.text == "LOW LOW MID MID LOW"
    assert [(slot.name, slot.value) for slot in transcript.slots] == [("$DEEP", "MID MID")]
    (tmp_path / "say.txt").write_text("call $BAND's phone\n")
    assert "say.txt:1: '$BAND's' is no class: something is stuck to $BAND" in said_by(hybrid(*both))


def test_a_grammar_that_is_nothing_but_a_slot(tiny, hybrid, bursts, tmp_path):
    (tmp_path / "say.gram").write_text("#JSGF V1.0;\ngrammar say;\npublic <say> = $BAND {band};\n")
    make = ("graph", "build", "--model", tiny.model, "--lang", tiny.root / "lang", "--grammar", tmp_path / "say.gram",
            "--out-dir", tmp_path / "graph")  # fmt: skip
    assert "say.gram: nothing is said of the class '$BAND'" in said_by(hybrid(*make))
    result = hybrid(*make, "--slot", "BAND")
    assert result.exit_code == 0, (result.output, result.exception)
    recogniser = Recogniser.load(tiny.model, tmp_path / "graph")
    recogniser.fill({"BAND": ["MID HIGH"]})
    (slot,) = recogniser.recognise(bursts(["MID", "HIGH"], 33), RATE).slots
    assert (slot.name, slot.value, slot.slot) == ("band", "MID HIGH", "$BAND")
    fst = hybrid("grammar", "fst", tmp_path / "say.gram", "--lang", tiny.root / "lang", "--out", tmp_path / "G.fst")
    assert fst.exit_code == 0, (fst.output, fst.exception)
    compiled = hybrid("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--grammar",
                      tmp_path / "G.fst", "--slot", "BAND", "--out-dir", tmp_path / "compiled")  # fmt: skip
    assert compiled.exit_code == 0, (compiled.output, compiled.exception)


def test_language_models_of_classes(hybrid, tmp_path):
    """Classes are words whatever the vocabulary; what is stuck to one is refused where blanks part words."""
    (tmp_path / "text.txt").write_text("LOW $BAND.\nLOW HIGH\n")
    train = ("lm", "train", tmp_path / "text.txt", "--order", 2, "--out", tmp_path / "lm.arpa")
    assert "text.txt: '$BAND.' is no class: something is stuck to $BAND" in said_by(hybrid(*train))
    (tmp_path / "words.txt").write_text("LOW\nHIGH\n")
    result = hybrid(*train, "--normalise", "--vocabulary", tmp_path / "words.txt")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "$BAND" in (tmp_path / "lm.arpa").read_text() and "$BAND." not in (tmp_path / "lm.arpa").read_text()


def said_by(result) -> str:
    """What a command said, whoever caught it."""
    return " ".join(f"{result.output} {result.exception or ''}".split())
