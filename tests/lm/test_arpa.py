"""ARPA files: identity of write and read, the forms found in the wild, and a message with the line for the rest."""

import gzip
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lm.arpa import read_arpa, write_arpa
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.ngram import NgramLevel, NgramModel

PLAIN = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.5\t<unk>\t0
0\t<s>\t-0.25
-0.5\t</s>\t0
-0.75\ta\t-0.125
-1\tb\t-0.5

\\2-grams:
-0.25\t<s> a
-0.375\ta b
-0.5\tb </s>

\\end\\
"""


def same(a: NgramModel, b: NgramModel) -> bool:
    """Whether two models are equal to the bit."""
    if a.vocabulary != b.vocabulary or a.order != b.order:
        return False
    names = ("contexts", "words", "log10_probs", "log10_backoffs")
    return all(np.array_equal(getattr(x, n), getattr(y, n)) for x, y in zip(a.levels, b.levels) for n in names)


@pytest.fixture
def plain(tmp_path) -> NgramModel:
    (tmp_path / "plain.arpa").write_text(PLAIN)
    return read_arpa(tmp_path / "plain.arpa")


def test_values(plain):
    assert plain.num_ngrams == (5, 3) and plain.vocabulary.symbols == ["<unk>", "<s>", "</s>", "a", "b"]
    assert plain.log10_prob("a", ["<s>"]) == -0.25
    assert plain.log10_prob("b", ["<s>"]) == -0.25 - 1
    assert plain.log10_prob("zebra", ["a"]) == -0.125 - 1.5
    assert plain.score_sentence(["a", "b"]) == pytest.approx((-0.25 - 0.375 - 0.5) * np.log(10))


WILD = {
    "comments before the data": lambda text: "made by nobody\nngram 7=3\n\n" + text,
    "spaces for tabs": lambda text: text.replace("\t", "   "),
    "tabs for spaces": lambda text: re.sub(r"(?<=[a-z>]) (?=[a-z<])", "\t", text),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "no back-off of 0": lambda text: text.replace("\t0\n", "\n"),
    "blank lines and trailing space": lambda text: text.replace("\n", "  \n\n"),
    "order declared with 0": lambda text: text.replace("ngram 2=3", "ngram 2=3\nngram 3=0"),
    "order declared with 0, section there": lambda text: text.replace("ngram 2=3", "ngram 2=3\nngram 3=0").replace(
        "\\end\\", "\\3-grams:\n\n\\end\\"
    ),
    "text after the end": lambda text: text + "\nthank you\n",
    "no line feed at the end": lambda text: text.rstrip("\n"),
    "byte-order mark": lambda text: "\ufeff" + text,
    "plus signs, exponents": lambda text: text.replace("-0.75", "-7.5e-1").replace("\t-0.5\n", "\t-5E-01\n"),
    "back-offs of the highest order": lambda text: text.replace("<s> a", "<s> a\t0.0"),
    "unsorted": lambda text: text.replace(
        "-0.25\t<s> a\n-0.375\ta b\n-0.5\tb </s>", "-0.5\tb </s>\n-0.375\ta b\n-0.25\t<s> a"
    ).replace("-0.75\ta\t-0.125\n-1\tb\t-0.5\n", "-1\tb\t-0.5\n-0.75\ta\t-0.125\n"),
}


@pytest.mark.parametrize("form", WILD)
def test_forms_found_in_the_wild(form, plain, tmp_path):
    (tmp_path / "wild.arpa").write_bytes(WILD[form](PLAIN).encode())
    assert same(read_arpa(tmp_path / "wild.arpa"), plain)


def test_gzip(plain, tmp_path):
    (tmp_path / "named_anyhow").write_bytes(gzip.compress(PLAIN.encode()))
    assert same(read_arpa(tmp_path / "named_anyhow"), plain)
    write_arpa(tmp_path / "again.arpa.gz", plain)
    assert (tmp_path / "again.arpa.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert same(read_arpa(tmp_path / "again.arpa.gz"), plain)


def test_no_probability(tmp_path):
    text = PLAIN.replace("0\t<s>", "-99\t<s>").replace("-1\tb", "-inf\tb").replace("-0.5\tb </s>", "-150\tb </s>")
    (tmp_path / "a").write_text(text.replace("-0.25\t<s> a", "0.0002\t<s> a"))
    model = read_arpa(tmp_path / "a")
    assert model.log10_prob("b") == -99 and model.log10_prob("<s>") == -99
    assert model.log10_prob("</s>", ["b"]) == -99 and model.log10_prob("a", ["<s>"]) == 0


def test_special_words_may_be_absent(tmp_path):
    (tmp_path / "a").write_text("\\data\\\nngram 1=1\n\\1-grams:\n0 yes\n\\end\\\n")
    model = read_arpa(tmp_path / "a")
    assert model.num_ngrams == (1,) and model.log10_prob("no") == -np.inf
    write_arpa(tmp_path / "b", model)
    assert same(read_arpa(tmp_path / "b"), model)


def test_unknown_word_in_capitals(tmp_path):
    (tmp_path / "a").write_text(PLAIN.replace("<unk>", "<UNK>"))
    model = read_arpa(tmp_path / "a")
    assert model.vocabulary.unknown == "<UNK>" and model.log10_prob("zebra") == -1.5


REFUSED = {
    "": ("", "a: is empty, wanted an ARPA language model."),
    "no data": ("hello\n", r"a:1: has no line \\data\\"),
    "cut in the middle": (PLAIN[:90], r"a:10: the file ends in \\1-grams: it was cut short"),
    "cut after a section": (PLAIN[: PLAIN.index("\\2-")], r"a:12: the file ends in \\1-grams: it was cut short"),
    "cut before the end": (PLAIN[: PLAIN.index("\\end")], r"a:17: the file ends in \\2-grams: it was cut short"),
    "cut in the header": ("\\data\\\nngram 1=5\n", r"a:3: the file ends before \\end\\: it was cut short"),
    "fewer": (PLAIN.replace("2=3", "2=4"), "a:17: the header declares 4 2-grams, their section has 3"),
    "more": (PLAIN.replace("2=3", "2=2"), "a:15: the header declares 2 2-grams, their section has more"),
    "huge": (PLAIN.replace("2=3", "2=99999999999"), "a:3: 'ngram 2=99999999999' declares more n-grams than the file"),
    "gap": (PLAIN.replace("ngram 2", "ngram 3"), "a:5: the header must declare each order"),
    "header": (PLAIN.replace("ngram 2=3", "ngram two=3"), "a:3: 'ngram two=3' stands where 'ngram ORDER=COUNT'"),
    "probability": (PLAIN.replace("-0.75\ta", "x0.75\ta"), "a:9: 'x0.75 a -0.125' does not begin with a log10"),
    "not a number": (PLAIN.replace("-0.75\ta", "nan\ta"), "a:9: 'nan a -0.125' does not begin with a log10"),
    "above 1": (PLAIN.replace("-0.75\ta", "0.75\ta"), "a:9: log10 probability 0.75 is above 0"),
    "back-off": (PLAIN.replace("-0.125", "-0.1.2"), "a:9: .* has a back-off weight that is no number"),
    "few words": (PLAIN.replace("a b\n", "b\n"), "a:14: '-0.375 b' has fewer words than its section's order"),
    "many words": (PLAIN.replace("a b\n", "a b 0 0\n"), "a:14: '-0.375 a b 0 0' has more fields"),
    "unknown word": (PLAIN.replace("a b\n", "a c\n"), "a:14: '-0.375 a c' has a word that is no unigram"),
    "twice": (PLAIN.replace("b </s>", "a b"), "a:15: this n-gram is there twice"),
    "unigram twice": ("\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n-1 a\n\\end\\\n", "a:5: this n-gram is there twice"),
    "section twice": (PLAIN.replace("\\2-", "\\1-"), r"a:12: section \\1-grams: is there twice"),
    "wrong section": (PLAIN.replace("\\2-", "\\4-"), r"a:12: '\\4-grams:' stands where a declared section"),
    "no section": (
        PLAIN.replace("ngram 2=3", "ngram 2=3\nngram 3=1"),
        r"a:18: \\end\\ stands before the section \\3-grams:",
    ),
    "no unigrams": ("\\data\\\nngram 1=0\n\\1-grams:\n\\end\\\n", "the model has no unigram"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_line(what, tmp_path):
    text, message = REFUSED[what]
    (tmp_path / "a").write_text(text)
    with pytest.raises(InputError, match=message):
        read_arpa(tmp_path / "a")


def test_context_missing(tmp_path):
    text = PLAIN.replace("ngram 2=3", "ngram 2=3\nngram 3=1").replace("\\end", "\\3-grams:\n-1\tb a b\n\n\\end")
    (tmp_path / "a").write_text(text)
    with pytest.raises(InputError, match="a:19: this n-gram's first words are no n-gram of the order below"):
        read_arpa(tmp_path / "a")


def test_not_utf8_and_nul(tmp_path):
    (tmp_path / "a").write_bytes(b"\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n-1 b\xe9\n\\end\\\n")
    with pytest.raises(InputError, match="a:5: has a word that is not UTF-8"):
        read_arpa(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n-1 b\0c\n\\end\\\n")
    with pytest.raises(InputError, match="a:5: has a NUL byte"):
        read_arpa(tmp_path / "a")


def test_gzip_cut_short(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(PLAIN.encode())[:-20])
    with pytest.raises(InputError, match="a.gz: is damaged or cut short"):
        read_arpa(tmp_path / "a.gz")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="nothing: the file does not exist"):
        read_arpa(tmp_path / "nothing")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.text("abç日x'", min_size=1, max_size=3), max_size=6), min_size=1, max_size=9).filter(any),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_write_and_read_is_identity(tmp_path_factory, sentences, order, random):
    model, _ = estimate_from_sentences(sentences, EstimateConfig(order))
    levels = []
    for n, level in enumerate(model.levels, 1):
        scale = [10.0 ** random.uniform(-9, 1.9) for _ in range(len(level))]
        signs = [random.choice([-1, 0, 1]) if n < order else 0 for _ in scale]
        backoffs = np.array([sign * s for sign, s in zip(signs, scale)], np.float32)
        levels.append(
            NgramLevel(
                level.contexts, level.words, -np.array(scale, np.float32), backoffs if n < order else backoffs * 0
            )
        )
    model = NgramModel(model.vocabulary, tuple(levels))
    path = tmp_path_factory.mktemp("arpa") / "a.arpa"
    write_arpa(path, model)
    assert same(read_arpa(path), model)


def test_rows_longer_than_the_buffer(tmp_path, monkeypatch):
    monkeypatch.setattr("lm.arpa._BUFFER_BYTES", 1)
    long = "w" * 70_000
    model, _ = estimate_from_sentences([[long, "a", long], ["a", "b"]], EstimateConfig(3))
    write_arpa(tmp_path / "a", model)
    assert same(read_arpa(tmp_path / "a"), model)


DAMAGE = ["", "\n", "\t", " ", "\\", "-", "1e999", "9" * 25, "a b", "ngram 3=2\n", "\\3-grams:\n", "\0"]


@settings(max_examples=100, deadline=None)
@example([(57, 1, "9" * 25)])  # a back-off of 1e26
@example([(57, 1, "1e999")])
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(PLAIN) - 1),
            st.integers(0, 12),
            st.sampled_from(DAMAGE),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_damage_is_read_or_refused(tmp_path_factory, edits):
    text = PLAIN
    for at, length, new in edits:
        text = text[:at] + new + text[at + length :]
    path = tmp_path_factory.mktemp("arpa") / "a"
    path.write_text(text)
    try:
        model = read_arpa(path)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        write_arpa(path, model)
        assert same(read_arpa(path), model)


@pytest.mark.peer
@pytest.mark.parametrize("name", ["tg", "fg"])
def test_peers_files(name, peers):
    model = read_arpa(peers / "lattices" / f"{name}.filtered.arpa.gz")
    assert model.order == {"tg": 3, "fg": 4}[name] and min(model.num_ngrams) > 0
