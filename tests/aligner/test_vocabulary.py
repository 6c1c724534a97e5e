"""Small lexicons cut out of a lang folder, guessed words, biased decoding, adaptation, and cleaning."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from hybrid.aligner.adapt import speaker_transform
from hybrid.aligner.biased import BiasedDecoder
from hybrid.aligner.config import SpeechAlignConfig
from hybrid.aligner.guess import make_pronouncer
from hybrid.aligner.text_aligner import TextAligner
from hybrid.base.errors import InputError
from hybrid.data.manifest import read_cuts
from hybrid.graph.training import TrainingGraphCompiler
from hybrid.model.folder import load_model
from lexicon.lang_dir import LangDir
from lexicon.vocabulary import OOV, Pronouncer, TextLexicon


@pytest.fixture(scope="module")
def lang(toy):
    return LangDir.load(toy.lang)


@pytest.fixture(scope="module")
def model(toy):
    return load_model(toy.model)


def test_graphs_are_those_of_the_whole_lexicon(lang, model):
    small = TextLexicon.make(lang, ["ECHO", "ALFA"])
    assert small.words.symbols == ("<eps>", "ALFA", "ECHO", OOV, "#0")
    ours = TrainingGraphCompiler(small.arcs, model.transition_model)(small.ids(["ECHO", "ALFA"]))
    whole = TrainingGraphCompiler(lang, model.transition_model)(lang.text_to_ids(["ECHO", "ALFA"]))
    for name in ("row_splits", "ilabels", "next_states", "costs", "final_costs"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(whole, name))


def test_guessed_words_are_said_like_others(lang, model):
    pronouncer = Pronouncer(guess=lambda words: {"NEW": [["A", "B"]], "ODD": [["?"]]})
    lexicon = TextLexicon.make(lang, ["ALFA", "NEW", "ODD"], pronouncer)
    assert lexicon.guessed == {"NEW"} and lexicon.ids(["ODD", "NEW"]) == [lexicon.oov_id, lexicon.words["NEW"]]
    names = [lang.phones.symbol(p) for p in lexicon.pronunciations[lexicon.words["NEW"]][0]]
    assert names == ["A_B", "B_E"]
    compiler = TrainingGraphCompiler(lexicon.arcs, model.transition_model)
    graph = compiler(lexicon.ids(["NEW", "ALFA"]))
    assert lexicon.words["NEW"] in graph.olabels
    assert lexicon.guessed_lines() == ["NEW A B"]


def test_pronunciations_come_from_a_file(tmp_path):
    (tmp_path / "extra.txt").write_text("NEW A B\nNEW A\nOTHER B\n")
    assert make_pronouncer(tmp_path / "extra.txt")(["NEW", "ELSE"]) == {"NEW": [("A", "B"), ("A",)]}
    assert make_pronouncer() is None
    (tmp_path / "small.txt").write_text("new A B\n")
    assert make_pronouncer(tmp_path / "small.txt")(["NEW"]) == {"NEW": [("A", "B")]}


def test_lines_that_cannot_be_used_are_named(tmp_path, lang, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("lexicon"), "propagate", True)
    (tmp_path / "bad.txt").write_text(
        "A B\nNEW\nODD A OY9 B\nMARKED\tA_B B_E\nMFA\t0.9\t0.1\t1.2\t0.8\tA B0\n<s> A\nA(2) A\n"
    )
    made = make_pronouncer(tmp_path / "bad.txt", lang=lang)
    assert made(["A", "MARKED", "MFA", "ODD", "NEW"]) == {
        "A": [("B",), ("A",)], "MARKED": [("A_B", "B_E")], "MFA": [("A", "B0")]
    }  # fmt: skip
    told = list(dict.fromkeys(r.getMessage() for r in caplog.records))
    assert [t.partition("bad.txt")[2] for t in told] == [
        ":2: word 'NEW' has no phones; wanted 'WORD PHONE PHONE …'. Correct or remove the line.",
        ":3: word 'ODD' uses phone 'OY9', which the model lacks. Use the model's phones.",
        ":6: '<s>' cannot be a word; wanted 'WORD PHONE PHONE …'. Correct or remove the line.",
    ]
    lexicon = TextLexicon.make(lang, ["MARKED", "MFA", "ODD"], made)
    spoken = lambda w: [lang.phones.symbol(p) for p in lexicon.pronunciations[lexicon.words[w]][0]]  # noqa: E731
    assert spoken("MARKED") == spoken("MFA") == ["A_B", "B_E"] and "ODD" not in lexicon.words


def test_words_in_another_spelling_are_those_of_the_lexicon(lang):
    lexicon = TextLexicon.make(lang, ["ALFA", "alfa", "E\u00adCHO", "none"])
    assert lexicon.words.symbols == ("<eps>", "ALFA", "E\u00adCHO", "alfa", OOV, "#0") and not lexicon.guessed
    number = lexicon.words.__getitem__
    assert lexicon.pronunciations[number("alfa")] == lexicon.pronunciations[number("ALFA")]
    assert lang.text_to_ids(["Alfa", "e\u00adcho", "<s>", "none"]) == [
        lang.words["ALFA"], lang.words["ECHO"], lang.oov_id, lang.oov_id
    ]  # fmt: skip


def test_what_the_user_gives_is_no_guess(lang):
    pronouncer = Pronouncer({"NEW": [["A", "B"]]}, lambda words: {word: [["C"]] for word in words})
    lexicon = TextLexicon.make(lang, ["ALFA", "NEW", "ELSE"], pronouncer)
    assert lexicon.guessed == {"ELSE"} and lexicon.guessed_lines() == ["ELSE C"]
    assert [lang.phones.symbol(p) for p in lexicon.pronunciations[lexicon.words["NEW"]][0]] == ["A_B", "B_E"]


def test_pronunciations_come_from_a_g2p_model(tmp_path, lang):
    from click.testing import CliRunner

    from hybrid.cli.main import command

    letters = {"K": "A", "O": "B", "L": "C"}
    words = ["KO", "LO", "KOL", "OK", "OL", "LOK", "KOKO", "LOLO", "KOLO", "OLOK"]
    (tmp_path / "lexicon.txt").write_text("".join(f"{w} {' '.join(letters[x] for x in w)}\n" for w in words))
    made = CliRunner().invoke(
        command, ["lm", "g2p-train", str(tmp_path / "lexicon.txt"), "--order", "2", "--out", str(tmp_path / "g2p.arpa")]
    )
    assert made.exit_code == 0, (made.output, made.exception)
    pronouncer = make_pronouncer(None, tmp_path / "g2p.arpa")
    assert pronouncer(["LOKO", "XYZ"])["LOKO"][0] == ("C", "B", "A", "B") and "XYZ" not in pronouncer(["XYZ"])
    assert TextLexicon.make(lang, ["LOKO", "XYZ"], pronouncer).guessed == {"LOKO"}
    (tmp_path / "none.arpa").write_text("no model\n")
    with pytest.raises(InputError, match="none.arpa"):
        make_pronouncer(None, tmp_path / "none.arpa")


def test_biased_decoding_hears_what_is_said(toy, lang, model):
    lexicon = TextLexicon.make(lang, ["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"])
    text = ["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"]
    decoder = BiasedDecoder(model.transition_model, lexicon, [text], acoustic_scale=0.1)
    samples, starts = toy.speech("ALFA BRAVO ECHO DELTA", 77)
    heard = decoder.decode(model.scores(model.pipeline.from_samples(samples, 8000)))
    assert [h.word for h in heard] == ["ALFA", "BRAVO", "ECHO", "DELTA"]
    assert np.abs(np.array([h.start * 0.01 for h in heard]) - starts).max() < 0.06
    assert decoder.decode(np.zeros((0, model.acoustic_model.num_pdfs), np.float32)) == []


def test_adaptation_waits_for_enough_speech(toy, lang, model):
    lexicon = TextLexicon.make(lang, ["ALFA", "BRAVO"])
    sat = replace(model, speaker_independent=model.acoustic_model)
    samples, _ = toy.speech("ALFA BRAVO ALFA BRAVO", 78)
    features = {"u": model.pipeline.from_samples(samples, 8000)}
    texts = [("u", ["ALFA", "BRAVO", "ALFA", "BRAVO"])]
    plain = speaker_transform(TextAligner(model, lexicon), texts, features)
    assert plain.aligner.model is model and plain.transform is None and not plain.note
    little = speaker_transform(TextAligner(sat, lexicon), texts, features)
    assert little.aligner.model.speaker_independent is None and little.transform is None
    assert little.note.endswith(" s of speech, from 5.00 s on a speaker is adapted to)")
    config = SpeechAlignConfig(adapt_frames=50.0)
    adapted = speaker_transform(TextAligner(sat, lexicon, config), texts, features)
    dim = model.pipeline.dim
    assert adapted.aligner.model is sat and not adapted.note
    assert adapted.transform.shape == (dim, dim + 1) and np.isfinite(adapted.transform).all()


def test_cleaning_cuts_out_what_is_not_said(toy, tmp_path):
    said = "ALFA BRAVO CHARLIE DELTA ECHO ALFA DELTA BRAVO CHARLIE ECHO"
    wrong = "ALFA BRAVO CHARLIE DELTA BRAVO BRAVO BRAVO BRAVO CHARLIE ECHO"
    toy.save(tmp_path / "in" / "a" / "good.wav", said, 80)
    toy.save(tmp_path / "in" / "a" / "half.wav", said, 81, wrong)
    toy.save(tmp_path / "in" / "a" / "other.wav", said, 82, "ECHO ECHO ECHO DELTA DELTA DELTA ALFA ALFA")
    from click.testing import CliRunner

    from hybrid.cli.main import command

    made = CliRunner().invoke(
        command, f"data from-audio {tmp_path / 'in'} --out-dir {tmp_path / 'set'} --rate 8000".split()
    )
    assert made.exit_code == 0, made.output
    result = toy.run("clean", "--model", toy.model, "--lang", toy.lang, "--cuts", tmp_path / "set" / "cuts.jsonl.gz",
                     "--out-dir", tmp_path / "clean", "--min-words", 2, "--min-duration", 0.3)  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    texts = {cut.id: cut.text for cut in read_cuts(tmp_path / "clean" / "cuts.jsonl.gz")}
    assert texts["a-good"] == said
    assert texts["a-half-1"].startswith("ALFA BRAVO CHARLIE") and "a-other" not in " ".join(texts)
    bad = (tmp_path / "clean" / "bad.tsv").read_text()
    assert bad.startswith("utterance\tstart\tend\ttext\theard\n") and "a-other\t0.00" in bad
    assert "a-other text is not what is said" in (tmp_path / "clean" / "failed.txt").read_text()
    assert json.loads((tmp_path / "clean" / "meta.json").read_text())["facts"]["failed"] == 1
