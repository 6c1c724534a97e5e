"""lexicon.pieces: words pronounced as SentencePiece pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hybrid.base.artifact import write_meta
from hybrid.base.errors import InputError, MismatchError
from lexicon.dict_dir import write_dict_dir
from lexicon.lang_config import LangConfig
from lexicon.lang_dir import LangDir
from lexicon.pieces import PieceConfig, load_pieces, piece_dictionary, train_pieces
from lexicon.prepare import prepare_lang

SENTENCES = ["the cat sat on the mat", "that cat ate the rat", "a rat sat at the oats", "he hated the moths"] * 20
WORDS = sorted({w for s in SENTENCES for w in s.split()})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pieces") / "p.model"
    train_pieces(SENTENCES, path, PieceConfig(vocab_size=30))
    return path


def test_pieces_spell_their_words(model: Path) -> None:
    phones, lexicon, missing = piece_dictionary(WORDS, load_pieces(model))
    assert not missing and set(WORDS) <= set(lexicon.words)
    for entry in lexicon.entries[2:]:
        assert "".join(entry.phones) == "\u2581" + entry.word
        assert entry.phones[0] != "\u2581" and set(entry.phones) <= set(phones.nonsilence_phones)


def test_another_model_than_was_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.model"
    train_pieces(SENTENCES, path, PieceConfig(vocab_size=30))
    write_meta(path, "pieces")
    train_pieces(SENTENCES[1:], path, PieceConfig(vocab_size=30))
    with pytest.raises(MismatchError, match=r"p\.model: was changed or damaged"):
        load_pieces(path)


def test_alternatives_are_weighted(model: Path) -> None:
    _, lexicon, _ = piece_dictionary(WORDS, load_pieces(model), PieceConfig(alternatives=3))
    assert len(lexicon) > len(WORDS) + 2 and lexicon.form == "probs"
    for word in WORDS:
        probabilities = [e.probability for e in lexicon.pronunciations(word)]
        assert max(probabilities) == 1.0 and len(probabilities) <= 3
        assert all("".join(e.phones) == "\u2581" + word for e in lexicon.pronunciations(word))


def test_the_same_text_gives_the_same_model(model: Path, tmp_path: Path) -> None:
    train_pieces(SENTENCES, tmp_path / "q.model", PieceConfig(vocab_size=30))
    one, two = load_pieces(model), load_pieces(tmp_path / "q.model")
    assert [one.id_to_piece(i) for i in range(len(one))] == [two.id_to_piece(i) for i in range(len(two))]


def test_lang_folder_keeps_words(model: Path, tmp_path: Path, make_topo: Callable) -> None:
    phones, lexicon, _ = piece_dictionary(WORDS, load_pieces(model))
    write_dict_dir(tmp_path / "dict", phones, lexicon)
    config = LangConfig(position_dependent_phones=False)
    prepare_lang(tmp_path / "dict", "<UNK>", tmp_path / "lang", make_topo, config)
    lang = LangDir.load(tmp_path / "lang")
    assert set(WORDS) <= set(lang.words.symbols)
    assert lang.find_clashes() == []


def test_words_with_unknown_letters_are_returned(model: Path) -> None:
    _, _, missing = piece_dictionary(["cat", "zebra"], load_pieces(model))
    assert missing == ["zebra"]


def test_bpe(tmp_path: Path) -> None:
    train_pieces(SENTENCES, tmp_path / "b.model", PieceConfig(vocab_size=30, model_type="bpe"))
    _, lexicon, _ = piece_dictionary(["cat"], load_pieces(tmp_path / "b.model"))
    assert "".join(lexicon.pronunciations("cat")[0].phones) == "\u2581cat"


def test_messages(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.model: the file does not exist"):
        load_pieces(tmp_path / "x.model")
    (tmp_path / "bad.model").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"bad\.model: is no SentencePiece model\. Train one"):
        load_pieces(tmp_path / "bad.model")
    with pytest.raises(InputError, match=r"vocabulary: no word can be spelt with the pieces\. Train the model"):
        piece_dictionary(["xyz"], load_pieces(model))
    with pytest.raises(InputError, match="SentencePiece: cannot train on this text"):
        train_pieces([], tmp_path / "none.model")
    with pytest.raises(ValueError, match="a bpe model has one segmentation"):
        PieceConfig(model_type="bpe", alternatives=2)
