"""book_texts.py: what a book's other chapters say, and nothing of the chapter itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.base.errors import InputError

CHAPTER = "{} | 7 | 1.0 | dev-clean | 1 | {} | chapter | {}\n"
OWN = "the miller and his son went to the fair one day"


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """Two chapters of one book, the first in dev-clean and read again in train-clean-100; a chapter of another book."""
    folder = tmp_path / "LibriSpeech/dev-clean/7/11"
    folder.mkdir(parents=True)
    (folder / "7-11.trans.txt").write_text(f"7-11-0 {OWN}\n")
    rows = CHAPTER.format(11, 1, "Fables") + CHAPTER.format(12, 1, "Fables") + CHAPTER.format(13, 1, "Fables, again")
    (tmp_path / "LibriSpeech/CHAPTERS.TXT").write_text("; fields\n" + rows + CHAPTER.format(14, 2, "Tales"))
    (tmp_path / "text").mkdir()
    others = [f"8-12-{i} an ass named dapple said {word}" for i, word in enumerate(("no", "yes", "perhaps", "never"))]
    again = f"8-13-0 {OWN}\n8-13-1 they sold the ass"
    (tmp_path / "text/librispeech-train-clean-100.txt").write_text("\n".join([*others, again, "9-14-0 a tale"]) + "\n")
    return tmp_path


def test_a_chapter_learns_from_the_others_and_not_from_itself(script, corpora: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    text, out = tmp_path / "text.txt", tmp_path / "out"
    text.write_text(f"a tale\n{OWN}\nan ass named dapple said no\nthe end\n")
    out.mkdir()
    book_texts = script("egs/librispeech/local/book_texts.py")
    told = book_texts.write_texts(out, corpora, text, {"a", "tale", "the", "end", "said"})
    assert told == "1 chapters; 4 words, 11 more in their books; 4 words of text"
    learnt = (out / "other/11.txt").read_text()
    assert learnt.splitlines()[0] == "an ass named dapple said no" and learnt.endswith("they sold the ass\n")
    assert "miller" not in learnt  # read twice, it is the chapter's own
    assert (out / "large.txt").read_text() == "a tale\nthe end\n"
    assert (out / "said/11.txt").read_text() == f"7-11-0 {OWN}\n"
    assert (out / "chapters.tsv").read_text().split("\t")[0] == "11"
    assert "dapple\n" in (out / "to_guess.txt").read_text() and "said\n" not in (out / "to_guess.txt").read_text()
    assert "said\n" in (out / "new_words.txt").read_text()


def test_odd_transcripts(script, corpora: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    book_texts, out, text = script("egs/librispeech/local/book_texts.py"), tmp_path / "out", tmp_path / "text.txt"
    text.write_text("a tale\n")
    out.mkdir()
    said = corpora / "LibriSpeech/dev-clean/7/11/7-11.trans.txt"
    said.write_text("\n7-11-0 a tale\n\n")
    assert book_texts.write_texts(out, corpora, text, {"a", "tale"}).startswith("1 chapters; 0 words")
    said.write_text("7-11-0 a tale\nnoon a tale\n")
    with pytest.raises(InputError, match=r"trans\.txt:2: utterance id 'noon' tells no chapter, wanted SPEAKER-CHAPTER"):
        book_texts.write_texts(out, corpora, text, set())
    said.write_text("7-19-0 a tale\n")
    with pytest.raises(InputError, match=r"CHAPTERS\.TXT: has no line for the chapter '19' of dev-clean"):
        book_texts.write_texts(out, corpora, text, set())
