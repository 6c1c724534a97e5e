"""The assistant's names, its grammar with an open place, and how slots and rejections are counted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from lexicon.lexicon import Lexicon
from lm.grammar.automaton import automaton_of
from lm.grammar.load import read_grammar
from lm.grammar.parse import parse
from lm.word_list import read_word_list

VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
PHONES = {*VOWELS.split(), *CONSONANTS.split()}


def run(root: Path, name: str, *words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, root / f"egs/assistant/local/{name}.py", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def drawn(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences and names as the recipe draws them."""
    folder, here = tmp_path_factory.mktemp("drawn"), root / "egs/assistant"
    grammar = ("--grammar", here / "conf/grammar.yaml")
    text = ("--lexicon", here / "local/dict/lexicon.txt", "--out-dir", folder / "text", "--lm", 5000)
    names = ("--dict-dir", here / "local/dict", "--names", here / "local/names", "--out-dir", folder / "names")
    for done in (
        run(root, "sentences", *grammar, *text),
        run(root, "contacts", *grammar, "--text", folder / "text", *names),
        run(root, "commands", *grammar, "--open", "name=CONTACT", "--out", folder / "commands.gram"),
    ):
        assert done.returncode == 0, done.stderr
    return folder


def said(path: Path) -> dict[str, list[str]]:
    return {name: words for name, *words in map(str.split, path.read_text().splitlines())}


def test_training_covers_all_phones_of_cmudict(drawn: Path) -> None:
    spoken: dict[str, tuple[str, ...]] = {}
    for row in Lexicon.read(drawn / "names/dict/lexicon.txt").entries:
        spoken.setdefault(row.word, row.phones)
    train = said(drawn / "names/train")
    heard = Counter(phone for words in train.values() for word in words for phone in spoken[word])
    assert set(heard) == PHONES and min(heard.values()) >= 20
    assert set((drawn / "names/dict/nonsilence_phones.txt").read_text().split()) == PHONES
    assert list(train)[:1500] == list(said(drawn / "text/train")) and len(train) == 1800


def test_names_of_the_test_are_in_no_text_that_is_learnt(drawn: Path) -> None:
    learnt = {word for name in ("text/lm.txt", "names/train") for word in (drawn / name).read_text().split()}
    lists = [read_word_list(drawn / f"names/list_{size}.txt") for size in (50, 1000, 10000)]
    people = [[entry.text for entry in some] for some in lists]
    assert [len(set(some)) for some in people] == [50, 1000, 10000]
    assert not learnt & {word for entry in lists[-1] for word in entry.words}
    assert people[1][: len(people[0])] == people[0] and people[2][: len(people[1])] == people[1]
    rows = [line.split("\t") for line in (drawn / "names/contacts.tsv").read_text().splitlines()]
    assert len(rows) == 200 and {name for row in rows for name in row[2].split("|")} == set(people[0])


def test_names_sound_different_and_are_no_words_of_the_grammar(root: Path) -> None:
    here, sounds = root / "egs/assistant/local", Counter[tuple[str, ...]]()
    words = Counter(Lexicon.read(here / "dict/lexicon.txt").words)
    for name in ("first", "last"):
        lexicon = Lexicon.read(here / f"names/{name}.txt")
        words.update(set(lexicon.words))
        sounds.update({row.phones for row in lexicon.entries})
    assert max(words.values()) == 1 and max(sounds.values()) == 1


def test_the_open_grammar_says_what_was_asked(drawn: Path) -> None:
    automaton = automaton_of(read_grammar(drawn / "commands.gram", None))
    sentences = said(drawn / "names/contacts")
    for line in (drawn / "names/contacts.tsv").read_text().splitlines():
        name, intent, named = line.split("\t")
        text = " ".join(sentences[name])
        for person in named.split("|"):
            text = text.replace(person, "$CONTACT", 1)
        words = [word if word == "$CONTACT" else word.lower() for word in text.split()]
        found = parse(automaton, words)
        assert found is not None, words
        assert [words[tag.begin] for tag in found.tags if tag.text == "contact"] == ["$CONTACT"] * len(named.split("|"))
        assert f"intent={intent}" in {tag.text for tag in found.tags}


def recognised(folder: Path, **slots: list[tuple[str, str]]) -> Path:
    """Writes what a decoding says of utterances: slots as (name, value)."""
    (folder / "recordings").mkdir(parents=True)
    for name, some in slots.items():
        texts = ["all of it" if n == "intent" else v for n, v in some]
        rows = [
            {"name": n, "value": v, "text": text, "start": i, "end": i + 1}
            for i, ((n, v), text) in enumerate(zip(some, texts))
        ]
        words = [{"word": v.title(), "start": i, "end": i + 1} for i, (_, v) in enumerate(some)]
        record = {"id": name, "text": "written", "words": words, "slots": rows}
        (folder / "recordings" / f"{name}.json").write_text(json.dumps({"utterances": [record]}))
    return folder


def test_slots_are_counted_in_their_places(root: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.tsv").write_text(
        "a\tcall\tJO LEE\nb\tmessage\tJO LEE|AL FOX\nc\tcall\tAL FOX\nd\ttell\tAL FOX\n"
    )
    folder = recognised(
        tmp_path / "some",
        a=[("intent", "call"), ("contact", "JO LEE")],
        b=[("intent", "message"), ("contact", "AL FOX"), ("contact", "AL FOX")],
        c=[("intent", "call"), ("contact", "JO LEE"), ("contact", "AL FOX")],
    )
    done = run(root, "slots", "--asked", tmp_path / "asked.tsv", "--out", tmp_path / "out.tsv", f"few={folder}")
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "out.tsv").read_text().splitlines()
    assert rows[1].split("\t") == ["few", "5", "2", "40.0", "3", "4"]
    commands = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("  {")]
    assert commands == [{"intent": "call", "contact": "Jo Lee", "text": "written"}]


def test_rejection_is_chosen_on_one_half_and_told_on_the_other(root: Path, tmp_path: Path) -> None:
    (tmp_path / "in.gram").write_text("#JSGF V1.0;\ngrammar g;\npublic <s> = go [on];\n")
    texts = [f"u{n} {'GO ON' if n % 4 < 2 else 'STOP'}" for n in range(40)]
    (tmp_path / "asked").write_text("".join(f"{line}\n" for line in texts))
    accepted = {"0.5": range(40), "0.9": [n for n in range(40) if n % 4 < 2 or n % 4 == 3]}
    folders = []
    for label, some in accepted.items():
        (tmp_path / label).mkdir()
        heard = "".join(f"u{n} GO\n" if n in some else f"u{n}\n" for n in range(40))
        (tmp_path / label / "transcript.txt").write_text(heard)
        folders.append(f"{label}={tmp_path / label}")
    asked = ("--asked", tmp_path / "asked", "--out", tmp_path / "out.tsv")
    done = run(root, "rejection", "--grammar", tmp_path / "in.gram", *asked, *folders)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[1][2:] == ["0", "20", "0.0", "20", "20", "100.0"]
    assert rows[2][2:] == ["0", "20", "0.0", "10", "20", "50.0"]
    assert {row[0] for row in rows[3:5]} <= set(accepted) and rows[5][3] == "20" and rows[5][6] == "20"


def test_grammars_without_names_and_bad_places(script, root: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    sentences = script("egs/assistant/local/sentences.py")
    (tmp_path / "g.yaml").write_text("domains: {a: {go: [go on], stop: [go on]}}\n")
    with pytest.raises(InputError, match="'go on' has two intents. Leave it in one of them."):
        sentences.Grammar.read(tmp_path / "g.yaml")
    (tmp_path / "g.yaml").write_text("domains: {a: [go on]}\n")
    files = product(["--text", "--dict-dir", "--names"], [tmp_path])
    words = [word for pair in files for word in pair]
    done = run(root, "contacts", "--grammar", tmp_path / "g.yaml", *words, "--out-dir", tmp_path / "out")
    assert "g.yaml: no template has the slot {name}. Add some, or run with --contacts 0." in done.stderr
    places = (("nobody=X", "--open: has nobody"), ("name=contact", "has the class 'contact', wanted capitals"))
    for value, message in places:
        grammar = root / "egs/assistant/conf/grammar.yaml"
        done = run(root, "commands", "--grammar", grammar, "--open", value, "--out", tmp_path / "o.gram")
        assert message in done.stderr


@pytest.mark.slow
def test_a_small_piece_of_the_recipe(root: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Names and rejection from end to end, with monophones of a few sentences."""
    pytest.importorskip("espeakng_loader")
    sizes = {"train": 80, "dev": 10, "test": 20}
    words = [word for name, size in sizes.items() for word in (f"--{name}-sentences", size)]
    words += ["--contacts", 40, "--test-contacts", 20, "--lm-sentences", 5000, "--models", "mono"]
    words += ["--garbage", "0.9", "--jobs", 1, "--work-dir", tmp_path]
    command = ["bash", root / "egs/assistant/run.sh", *words]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("\t") for line in (tmp_path / "exp/contacts.tsv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == ["none", "50", "1000", "10000"] and {row[5] for row in rows} == {"20"}
    assert int(rows[0][2]) == 0 and int(rows[1][2]) > int(rows[1][1]) // 2
    assert all("intent" in json.loads(line) for line in done.stdout.splitlines() if line.startswith("  {"))
    rejected = (tmp_path / "exp/rejection.tsv").read_text().splitlines()
    assert rejected[1].split("\t")[0] == "0.9" and len(rejected) == 5
