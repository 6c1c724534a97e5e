"""A graph of H, C and L, and language models that it is composed with while it is searched: the doors of users."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.openfst import read_fst, write_fst
from hybrid.graph.decoding import DecodingGraph
from hybrid.lattice.lattice_set import LatticeSet, shared_facts
from hybrid.lattice.paths import best_path
from hybrid.recogniser import Recogniser
from hybrid.search.config import SearchConfig
from tests.tiny_recogniser import RATE, must, run


@pytest.fixture(scope="module")
def alone(tiny) -> Path:
    folder = tiny.root / "hcl"
    must("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--lookahead", "--out-dir", folder)
    return folder


@pytest.fixture
def told(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    """What is logged, also after a command."""
    for name in ("hybrid", "lm"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    return caplog


def arpa(tiny, name: str, *sentences: str) -> Path:
    (tiny.root / f"{name}.txt").write_text("".join(f"{s}\n" for s in sentences))
    must("lm", "train", tiny.root / f"{name}.txt", "--order", 2, "--out", tiny.root / f"{name}.arpa")
    return tiny.root / f"{name}.arpa"


@pytest.fixture(scope="module")
def bands(tiny) -> Path:
    return arpa(tiny, "bands", *["LOW MID HIGH", "HIGH LOW", "MID", "MID MID LOW", "HIGH HIGH LOW MID", "LOW"] * 4)


@pytest.fixture(scope="module")
def narrow(tiny) -> Path:
    return arpa(tiny, "narrow", *["LOW LOW", "LOW", "LOW UFO"] * 3)


def test_decoding_with_a_grammar_or_an_arpa_file_is_that_with_the_static_graph(tiny, alone, bands):
    out, decode = tiny.root, ("decode", "--model", tiny.model, "--feats", tiny.feats)
    must(*decode, "--graph", tiny.graph, "--out-dir", out / "static")
    must(*decode, "--graph", alone, "--lm", tiny.root / "G.fst", "--out-dir", out / "composed")
    assert (out / "composed/transcript.txt").read_text() == (out / "static/transcript.txt").read_text()
    must("lm", "fst", bands, "--lang", tiny.root / "lang", "--out", out / "bands.fst")
    must("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--grammar", out / "bands.fst",
         "--out-dir", out / "bands_graph")  # fmt: skip
    must(*decode, "--graph", out / "bands_graph", "--out-dir", out / "static_bands")
    must(*decode, "--graph", alone, "--lm", bands, "--out-dir", out / "composed_bands", "--threads", 2)
    assert (out / "composed_bands/transcript.txt").read_text() == (out / "static_bands/transcript.txt").read_text()
    assert '"search_lm": "bands.arpa"' in (out / "composed_bands/decode.json").read_text()
    assert "lm" in (out / "composed_bands/meta.json").read_text()


def test_another_language_model_between_utterances(tiny, alone, bands, narrow, bursts, told):
    recogniser = Recogniser.load(tiny.model, alone, lm=bands)
    audio = bursts(["LOW", "HIGH", "MID"], 7)
    session = recogniser.session(RATE)
    other = recogniser.session(RATE)
    assert recogniser.recognise(audio, RATE).text == "LOW HIGH MID"
    recogniser.use_lm(narrow)
    heard = recogniser.recognise(audio, RATE)
    assert "HIGH" not in heard.text and "LOW" in heard.text and heard.search_lm == "narrow.arpa"
    assert "left out 1 words that are not in words.txt" in told.text and "UFO" in told.text
    other.use_lm(narrow)
    session.advance_together([session, other], [audio, audio])
    assert [" ".join(one.text for one in s.finish()) for s in (session, other)][0] == "LOW HIGH MID"
    recogniser.use_lm(tiny.root / "G.fst")
    assert recogniser.recognise(audio, RATE).text == "LOW HIGH MID"


@pytest.fixture(scope="module")
def dear(tiny) -> Path:
    """A model in which every word is dearer behind another than after backing off."""
    words = ("LOW", "MID", "HIGH")
    pairs = [f"-2.5 {first} {second}" for first in ("<s>", *words) for second in (*words, "</s>")]
    singles = ["-99 <s> -0.1", "-1 </s>", *(f"-0.6 {word} -0.1" for word in words)]
    lines = ["\\data\\", f"ngram 1={len(singles)}", f"ngram 2={len(pairs)}", "", "\\1-grams:", *singles, "",
             "\\2-grams:", *pairs, "", "\\end\\", ""]  # fmt: skip
    (tiny.root / "dear.arpa").write_text("\n".join(lines))
    return tiny.root / "dear.arpa"


def graph_scores(folder: Path) -> dict[str, tuple[tuple[int, ...], float]]:
    """Words and graph score of the best path of each lattice."""
    lattices, scale = LatticeSet.load(folder), shared_facts(folder).acoustic_scale
    paths = {name: best_path(lattice, scale) for name, lattice in lattices.items()}
    return {name: (tuple(path.word_ids.tolist()), path.graph_score) for name, path in paths.items()}


def test_lattices_have_the_scores_of_the_arpa_file(tiny, alone, dear):
    """By hand: n words and the end are n + 1 dear pairs, or backed off from each n times 0.7 and 1.1."""
    out, decode = tiny.root, ("decode", "--model", tiny.model, "--graph", alone, "--lm", dear, "--feats", tiny.feats)
    must(*decode, "--out-dir", out / "backed_off")
    must(*decode, "--exact-backoff", "--out-dir", out / "exact")
    must(*decode, "--exact-backoff", "--rescore", dear, "--out-dir", out / "exact_twice")
    must(*decode, "--exact-backoff", "--threads", 2, "--lang", tiny.root / "lang", "--out-dir", out / "exact_threads")
    epsilon, exact, twice, threads = (
        graph_scores(out / name) for name in ("backed_off", "exact", "exact_twice", "exact_threads")
    )
    same = [name for name, (words, _) in exact.items() if epsilon[name][0] == words]
    assert len(same) > 3
    for name in same:
        count = len(exact[name][0])
        gain = 2.5 * (count + 1) - (0.7 * count + 1.1)
        assert np.isclose(epsilon[name][1] - exact[name][1], gain * np.log(10), atol=1e-2)
    for name, (words, score) in exact.items():
        assert twice[name][0] == words and np.isclose(twice[name][1], score, atol=1e-3)
    assert threads == exact
    assert '"exact_backoff": true' in (out / "exact/meta.json").read_text()


def test_sessions_and_other_models_back_off_exactly_too(tiny, alone, dear, bands, bursts):
    recogniser = Recogniser.load(tiny.model, alone, lm=bands, exact_backoff=True)
    recogniser.use_lm(dear)
    audio = bursts(["LOW", "HIGH", "MID"], 7)
    session = recogniser.session(RATE)
    session.advance(audio)
    (heard,) = session.finish()
    assert heard.text == "LOW HIGH MID" == recogniser.recognise(audio, RATE).text
    assert recogniser.system.searcher.exact_backoff
    assert recogniser.system.spec.search_lm.exact


def test_a_graph_that_holds_its_model_backs_off_by_epsilons(tiny):
    with pytest.raises(InputError) as error:
        Recogniser.load(tiny.model, tiny.graph, exact_backoff=True)
    assert str(error.value) == (
        f"{tiny.graph}: holds its language model, whose back-off is an epsilon, not exact. Compile it with "
        "`hybrid graph compile --lookahead`, or give the model's ARPA file with --rescore."
    )


def test_words_that_the_graph_cannot_say_are_told(tiny, alone, told):
    grammar = read_fst(tiny.root / "G.fst")
    words = DecodingGraph.load(alone).words
    grammar.ilabels[0] = grammar.olabels[0] = words["<s>"]
    write_fst(tiny.root / "silent.fst", grammar)
    Recogniser.load(tiny.model, alone, lm=tiny.root / "silent.fst")
    assert "silent.fst: 1 words have no pronunciation in the graph and are left out: <s>" in told.text


def test_a_graph_and_a_language_model_that_do_not_go_together(tiny, alone, bands):
    with pytest.raises(InputError) as error:
        Recogniser.load(tiny.model, alone)
    assert str(error.value) == (
        f"{alone}: is a graph for look-ahead, without a language model. Give one with --lm, an ARPA file or G.fst."
    )
    with pytest.raises(InputError) as error:
        Recogniser.load(tiny.model, tiny.graph).use_lm(bands)
    assert str(error.value) == (
        f"{tiny.graph}: holds its language model and takes no other ({bands}). Compile it with "
        "`hybrid graph compile --lookahead`, or give the model with --rescore."
    )
    with pytest.raises(InputError) as error:
        Recogniser.load(tiny.model, alone, lm=bands).bias(["LOW MID"])
    assert str(error.value) == (
        f"{alone}: is a graph for look-ahead, in which no phrases are raised. Raise them in the lattices: "
        '--bias-pass lattice, or Recogniser.load(…, bias_pass="lattice").'
    )
    with pytest.raises(InputError) as error:
        Recogniser.load(tiny.model, alone, lm=bands).fill({"$NAME": ["LOW"]})
    assert str(error.value) == (
        f"{alone}: is a graph for look-ahead, which has no slots. Compile it with its grammar and --slot NAME, or give "
        "a language model that has the words."
    )
    with pytest.raises(InputError, match="is a graph for look-ahead, which has no slots"):
        Recogniser.load(tiny.model, alone, lm=bands).add_word("UFO", [])
    strange = tiny.root / "strange.fst"
    grammar = read_fst(tiny.root / "G.fst")
    grammar.ilabels[0] = 4000
    write_fst(strange, grammar)
    with pytest.raises(MismatchError, match=r"strange.fst: word_id 4000 .* Make G with the words.txt of the graph."):
        Recogniser.load(tiny.model, alone, lm=strange)


@pytest.mark.parametrize("more", ([], ["--lookahead", "--grammar", "G.fst"]))
def test_either_a_grammar_or_look_ahead(tiny, more):
    result = run("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--out-dir", "g", *more)
    assert result.exit_code == 2 and "give --grammar, or --lookahead" in result.output


def test_slots_need_a_grammar(tiny):
    result = run("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--lookahead", "--slot", "X",
                 "--out-dir", "g")  # fmt: skip
    assert result.exit_code == 2 and "--class, --slot and --open go with --grammar" in result.output


def test_phrases_are_raised_in_lattices(tiny, alone, bands, bursts):
    """Beyond the beams the lattices hold, a boost decides; without one they are what they were."""
    audio = bursts(["LOW", "MID"], 3)
    wide = SearchConfig(beam=60.0, lattice_beam=50.0, max_active=100_000)
    recogniser = Recogniser.load(tiny.model, alone, wide, lm=bands, bias_pass="lattice")
    before = recogniser.recognise(audio, RATE).text
    recogniser.bias(["HIGH HIGH"], boost=40.0)
    assert "HIGH HIGH" in recogniser.recognise(audio, RATE).text != before
    session = recogniser.session(RATE)
    found = session.advance(audio) + session.finish()
    assert "HIGH HIGH" in " ".join(one.text for one in found)
    recogniser.bias([])
    assert recogniser.recognise(audio, RATE).text == before
    for options in ({"bias_pass": "later"}, {"bias_pass": "lattice", "raw": True}):
        with pytest.raises(ValueError, match="bias_pass is 'later'|raw lattices"):
            Recogniser.load(tiny.model, alone, lm=bands, **options)


def test_a_session_goes_on_without_end(tiny, alone, bands, bursts):
    """Committed parts of a stream refer to a composition that grows."""
    recogniser = Recogniser.load(tiny.model, alone, lm=bands)
    stream = recogniser.system.searcher.open()
    model = recogniser.system.model
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(200, model.acoustic_model.num_pdfs)).astype(np.float32)
    total = 0
    for begin in range(0, 200, 50):
        stream.advance(scores[begin : begin + 50])
        settled = stream.partial().settled_frames
        if settled:
            result = stream.commit(settled)
            assert result is not None and result.status == "committed"
            total += settled
    assert total + stream.finish().num_frames == 200
