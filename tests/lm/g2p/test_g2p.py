"""Joint n-gram G2P: alignment by EM and n-best search against enumeration, graphones, errors, CMUdict."""

import itertools
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base import compiled
from hybrid.base.errors import InputError
from hybrid.cli.language.lm import command
from lexicon.cmudict import read_cmudict
from lexicon.lexicon import Lexicon
from lm.g2p import pronounce
from lm.g2p.config import GraphoneAlignConfig
from lm.g2p.evaluate import held_out, score_g2p
from lm.g2p.graphone import Graphone
from lm.g2p.guesser import LITTLE, g2p_guesser
from lm.g2p.joint_em import align_lexicon
from lm.g2p.model import G2pModel, train_g2p
from lm.g2p.pronounce import GraphoneTable, Guess
from lm.g2p.reference import readable_n_best

PAIRS = [
    ("cat", ("K", "AE", "T")),
    ("cats", ("K", "AE", "T", "S")),
    ("city", ("S", "IH", "T", "IY")),
    ("phone", ("F", "OW", "N")),
    ("photo", ("F", "OW", "T", "OW")),
    ("tax", ("T", "AE", "K", "S")),
    ("axe", ("AE", "K", "S")),
    ("note", ("N", "OW", "T")),
    ("ten", ("T", "EH", "N")),
    ("hat", ("HH", "AE", "T")),
    ("hip", ("HH", "IH", "P")),
    ("pit", ("P", "IH", "T")),
]
SYMBOLS = st.text("ab%}|<>#\\é日", min_size=1, max_size=1)
PHONES = st.text("AB%}|<>#\\é1", min_size=1, max_size=3)


def cuts(word: str, phones: tuple[str, ...], config: GraphoneAlignConfig):
    """All ways to cut a pair into graphones."""
    if not word and not phones:
        yield ()
    for a, b in itertools.product(range(1, config.max_letters + 1), range(config.max_phones + 1)):
        if a > len(word) or b > len(phones) or (a > 1 and b != 1):
            continue
        for rest in cuts(word[a:], phones[b:], config):
            yield (Graphone(tuple(word[:a]), phones[:b]), *rest)


def parts(symbols: tuple[str, ...], longest: int) -> set[tuple[str, ...]]:
    """All substrings up to a length."""
    ends = range(1, len(symbols) + 1)
    return {symbols[i:j] for j in ends for i in range(max(0, j - longest), j)}


@given(st.lists(SYMBOLS, min_size=1, max_size=3), st.lists(PHONES, max_size=3))
def test_graphones_read_back(letters, phones):
    graphone = Graphone(tuple(letters), tuple(phones))
    text = str(graphone)
    assert Graphone.parse(text) == graphone and len(text.split()) == 1 and text not in ("<s>", "</s>", "<unk>")


def test_spelling_of_graphones():
    assert str(Graphone(("P", "H"), ("F",))) == "P|H}F" and str(Graphone(("E",), ())) == "E}"
    for bad in ("PH", "P}F}G", "}F", "PH}F"):
        with pytest.raises(ValueError, match="is no graphone"):
            Graphone.parse(bad)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2))
def test_em_equals_enumeration(max_letters, max_phones, iterations):
    """Expected counts over all cuts, one pass after the other, and the best cut of each pair."""
    config = GraphoneAlignConfig(max_letters, max_phones, iterations=iterations, tolerance=0.0)
    every = [list(cuts(word, phones, config)) for word, phones in PAIRS]
    alignable = [c for c in every if c]
    letters = {part for word, _ in PAIRS for part in parts(tuple(word), max_letters)}
    phones = {(), *(part for _, spoken in PAIRS for part in parts(spoken, max_phones))}
    guess = {(a, b): 1.0 if len(a) == len(b) else config.unequal for a in letters for b in phones}
    probs = {Graphone(*pair): weight / sum(guess.values()) for pair, weight in guess.items()}
    likelihoods = []
    for _ in range(iterations):
        counts = dict.fromkeys(probs, 0.0)
        likelihoods.append(0.0)
        for some in alignable:
            weights = [math.prod(probs[g] for g in cut) for cut in some]
            likelihoods[-1] += math.log(sum(weights))
            for cut, weight in zip(some, weights):
                for g in cut:
                    counts[g] += weight / sum(weights)
        total = sum(counts.values())
        probs = {g: count / total for g, count in counts.items()}
    aligned = align_lexicon(PAIRS, config)
    found = list(aligned.log_likelihoods)
    assert found == pytest.approx(likelihoods[: len(found)], rel=1e-9)
    assert all(b >= a - 1e-9 for a, b in zip(found, found[1:]))
    if len(found) == iterations:
        for cut, some in zip(aligned.graphones, alignable):
            best = max(math.prod(probs[g] for g in other) for other in some)
            assert math.prod(probs[g] for g in cut) == pytest.approx(best)
    assert [k for k, _ in aligned.failed] == [k for k, some in enumerate(every) if not some]


def test_worked_alignment():
    aligned = align_lexicon(PAIRS, GraphoneAlignConfig(max_letters=2))
    spelt = {"".join("".join(g.letters) for g in row): [str(g) for g in row] for row in aligned.graphones}
    assert spelt["cat"] == ["c}K", "a}AE", "t}T"]
    assert spelt["tax"] == ["t}T", "a}AE", "x}K|S"] and spelt["photo"][0] == "p|h}F"


def test_pairs_that_cannot_be_aligned():
    pairs = [*PAIRS, ("w", ("D", "AH", "B", "AH", "L")), ("", ("K",)), ("cat", ()), ("a" * 70, ("AE",))]
    aligned = align_lexicon(pairs, GraphoneAlignConfig())
    assert [k for k, _ in aligned.failed] == [12, 13, 14, 15]
    assert aligned.failed[0][1] == "1 letters and 5 phones cannot be cut into graphones"
    with pytest.raises(InputError, match="lexicon: no word can be aligned"):
        align_lexicon([("w", ("D", "AH", "B"))], GraphoneAlignConfig())
    with pytest.raises(ValueError, match="max_letters is 0, wanted 1 to 4"):
        GraphoneAlignConfig(max_letters=0)


def by_enumeration(model: G2pModel, word: str) -> dict[tuple[str, ...], float]:
    """Best score of every pronunciation that the graphones of the model allow."""
    automaton, best = model.ngrams.automaton, {}
    options = {letters: ids.tolist() for letters, ids in model.by_letters.items()}

    def extend(at: int, ids: tuple[int, ...]) -> None:
        if at == len(word):
            score = automaton.score(np.array([*ids, 2], np.int32))[0].sum() * math.log(10)
            phones = tuple(p for i in ids for p in model.graphones[i].phones)
            best[phones] = max(best.get(phones, -math.inf), float(score))
        for length in (1, 2):
            for i in options.get(tuple(word[at : at + length]), []) if at + length <= len(word) else []:
                extend(at + length, (*ids, i))

    extend(0, ())
    best.pop((), None)
    return best


@settings(max_examples=25, deadline=None)
@given(st.text("catsiypho", min_size=1, max_size=5), st.integers(1, 5), st.integers(1, 6), st.integers(1, 2))
def test_n_best_equals_enumeration(word, order, count, max_letters):
    trained, _ = train_g2p(PAIRS, order, GraphoneAlignConfig(max_letters))
    model = G2pModel(trained.ngrams, math.inf)
    wanted = sorted(by_enumeration(model, word).items(), key=lambda item: -item[1])
    found = model.guess(word, count)
    assert [g.score for g in found] == pytest.approx([score for _, score in wanted[:count]], abs=1e-6)
    scores = dict(wanted)
    assert all(scores[g.phones] == pytest.approx(g.score, abs=1e-6) for g in found)
    assert len({g.phones for g in found}) == len(found)


def readable(model: G2pModel, word: str, count: int) -> list[Guess]:
    """The guesses of the readable search."""
    return readable_n_best(word, model.ngrams.automaton, model.graphones, model.by_letters, count, model.beam)


@pytest.fixture(scope="module")
def models() -> list[G2pModel]:
    """Short and long histories, graphones of one letter and of two."""
    return [
        train_g2p(PAIRS, order, GraphoneAlignConfig(letters))[0].ngrams for order in (1, 2, 6) for letters in (1, 2)
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    st.text("catsiyphonexz", max_size=9),
    st.integers(0, 7),
    st.sampled_from([0.01, 0.5, 2.0, 12.0, math.inf]),
)
def test_compiled_loops_find_what_the_readable_search_finds(models, data, word, count, beam):
    """The same phones and the same scores, in the same order."""
    model = G2pModel(data.draw(st.sampled_from(models)), beam)
    assert model.table.n_best(word, count, beam) == readable(model, word, count)


def test_loops_as_python(models):
    model = G2pModel(models[3])
    wanted = model.guess("phonecat", 4)
    with compiled.interpreted():  # numpy 2 keeps float32 where numba has float64
        found = model.guess("phonecat", 4)
    assert [guess.phones for guess in found] == [guess.phones for guess in wanted]
    assert [guess.score for guess in found] == pytest.approx([guess.score for guess in wanted], rel=1e-6)


def test_a_word_is_guessed_once(tmp_path, monkeypatch):
    model, _ = train_g2p(PAIRS, 4)
    model.save(tmp_path / "g2p.arpa")
    asked, search = [], GraphoneTable.n_best
    monkeypatch.setattr(
        GraphoneTable, "n_best", lambda self, word, *rest: asked.append(word) or search(self, word, *rest)
    )
    guess = g2p_guesser(tmp_path / "g2p.arpa")
    first = guess(["hats", "zzz", "pits"])
    assert set(first) == {"hats", "pits"} and first["hats"][0] == ("HH", "AE", "T", "S")
    assert guess(["pits", "zzz", "hits", "hats"]) == {**first, **guess(["hits"])} and asked == ["hats", "pits", "hits"]


def test_a_few_words_wait_for_no_compilation(tmp_path, monkeypatch):
    model, _ = train_g2p(PAIRS, 2)
    model.save(tmp_path / "g2p.arpa")
    python = []
    search = pronounce.find_best
    monkeypatch.setattr(GraphoneTable, "compiled", False)
    monkeypatch.setattr(
        pronounce, "find_best", lambda *given: python.append(compiled._as_python.get()) or search(*given)
    )
    guess = g2p_guesser(tmp_path / "g2p.arpa")
    few = guess(["hits", "pats"])
    assert python == [True, True] and few["hits"][0] == ("HH", "IH", "T", "S")
    some = ["".join(letters) for letters in itertools.product("hipt", repeat=3)]
    assert len(some) > LITTLE and set(some) == set(guess(some)) and not any(python[2:])


def test_known_and_unknown_words(tmp_path):
    model, report = train_g2p(PAIRS, 4)
    assert report.pairs == len(PAIRS) and not report.failed
    assert model.guess("cat")[0].phones == ("K", "AE", "T")
    assert model.guess("photos")[0].phones[0] == "F"
    assert model.guess("Zoë") == [] and model.guess("") == [] and model.guess("cat", 0) == []
    assert model.guess("CATS") == model.guess("cats")
    assert model(["hit", "zzz"]) == {"hit": [["HH", "IH", "T"]]}
    model.save(tmp_path / "g2p.arpa.gz")
    assert G2pModel.load(tmp_path / "g2p.arpa.gz").guess("hats", 3) == model.guess("hats", 3)
    with pytest.raises(ValueError, match="beam"):
        G2pModel(model.ngrams, 0.0)


def test_a_language_model_is_no_g2p(tmp_path):
    (tmp_path / "a").write_text("\\data\\\nngram 1=1\n\\1-grams:\n0 yes\n\\end\\\n")
    with pytest.raises(InputError, match="a: 'yes' is no graphone .* Give a model made by"):
        G2pModel.load(tmp_path / "a")


def test_score_counts_the_closest_reference():
    model, _ = train_g2p(PAIRS, 4)
    score = score_g2p(
        model, {"cat": [("K", "AA", "T"), ("K", "AE", "T")], "ten": [("D", "EH", "N", "Z")], "zz": [("Z",)]}
    )
    assert (score.words, score.wrong, score.silent, score.phones, score.errors) == (3, 2, 1, 8, 3)
    assert score.word_error == pytest.approx(200 / 3) and score.phone_error == pytest.approx(300 / 8)
    training, test = held_out([f"w{i:03}" for i in range(100)])
    assert test == ["w000", "w020", "w040", "w060", "w080"] and len(training) == 95


@pytest.mark.real
@pytest.mark.slow
def test_cmudict_part(corpora):
    """Trained on a tenth of CMUdict, tested on a few hundred other words."""
    entries = read_cmudict(corpora / "cmudict" / "cmudict.dict")
    training, test = held_out(list(entries))
    model, _ = train_g2p(((w, p) for w in training[::10] for p in entries[w]), 5)
    score = score_g2p(model, {w: entries[w] for w in test[::20]})
    assert score.phone_error < 16 and score.word_error < 55
    assert all(model.guess(word, 3) == readable(model, word, 3) for word in test[:200])


def test_commands(tmp_path):
    rows = [f"{word} {' '.join(phones)}" for word, phones in PAIRS]
    (tmp_path / "lexicon.txt").write_text("\n".join([*rows, "<UNK> SPN", "!SIL SIL", "w D AH B AH L"]) + "\n")
    (tmp_path / "words").write_text("cats pit hits zzz photos")
    model, out = tmp_path / "g2p.arpa", tmp_path / "lexiconp.txt"

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    printed = run("g2p-train", tmp_path / "lexicon.txt", "--order", 4, "--held-out", 5, "--out", model)
    assert printed.startswith("held out 3 words: phone error ")
    run("g2p-train", tmp_path, "--order", 4, "--out", model)
    assert (tmp_path / "g2p.arpa.failed.txt").read_text().startswith("w 1 letters and 5 phones")
    run("g2p-apply", model, tmp_path / "words", "--lexicon", tmp_path / "lexicon.txt", "--nbest", 2, "--out", out)
    guessed = Lexicon.read(out)
    assert guessed.words == ("hits", "photos") and guessed.pronunciations("hits")[0].probability == 1.0
    table = [row.split("\t") for row in (tmp_path / "lexiconp.txt.guessed.tsv").read_text().splitlines()]
    assert table[0] == ["word", "phones", "log_prob", "share"] and len(table) == len(guessed.entries) + 1
    assert (tmp_path / "lexiconp.txt.failed.txt").read_text() == "zzz has a letter that the G2P model lacks\n"
    assert "phone error" in run("g2p-test", model, tmp_path / "lexicon.txt")
