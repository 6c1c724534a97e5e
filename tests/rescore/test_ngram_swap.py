"""N-gram swap: every path by enumeration, laws, and Kaldi's 4-gram lattices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.lattice.archive import read_compact_folder, read_lattice_folder, write_lattices
from hybrid.lattice.compact import CompactLattice, expand, no_paths
from hybrid.lattice.paths import best_path, nbest
from hybrid.lattice.trim import from_rows
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from lexicon.symbols import SymbolTable
from lm.arpa import read_arpa
from lm.ngram import LN_10, NgramModel, find_child

SCALE = 0.0714286
TABLE = SymbolTable(("<eps>", "A", "B", "C", "UNSEEN"))
LETTERS = list("ABC")


def random_model(seed: int, order: int, folder: Path, unknown: bool = True) -> NgramModel:
    """A back-off model over A, B, C with random values and random holes."""
    rng = np.random.default_rng(seed)
    grams: list[list[tuple[str, ...]]] = [[("<s>",), ("</s>",), *((w,) for w in LETTERS)]]
    if unknown:
        grams[0].append(("<unk>",))
    for _ in range(order - 1):
        heads = [g for g in grams[-1] if g[-1] not in ("</s>", "<unk>")]
        grams.append([(*g, w) for g in heads for w in [*LETTERS, "</s>"] if rng.random() < 0.5])
    lines = ["\\data\\", *(f"ngram {n}={len(rows)}" for n, rows in enumerate(grams, 1))]
    for n, rows in enumerate(grams, 1):
        lines += ["", f"\\{n}-grams:"]
        lines += [f"{-rng.integers(1, 400) / 100}\t{' '.join(g)}\t{-rng.integers(0, 100) / 100}" for g in rows]
    file = folder / f"{seed}.{order}.arpa"
    file.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return read_arpa(file)


def random_words(seed: int) -> CompactLattice:
    """A deterministic acceptor of words with a few wordless arcs."""
    rng = np.random.default_rng(seed)
    states, rows = int(rng.integers(2, 7)), []
    for state in range(states - 1):
        for word in rng.choice(4, size=int(rng.integers(1, 4)), replace=False).tolist():
            to = int(rng.integers(state + 1, states))
            rows.append((state, to, word, *(-float(x) / 8 for x in rng.integers(0, 50, 2)), (7,) * (to - state)))
    return from_rows(rows, {states - 1: (-0.5, -0.25, ())}, states)


def sentences(compact: CompactLattice) -> dict[tuple[int, ...], list[float]]:
    """The graph scores of all paths by their words and alignments, by enumeration."""
    found: dict[tuple[int, ...], list[float]] = {}
    stack: list[tuple] = [(0, (), 0.0)] if compact.start >= 0 else []
    while stack:
        state, words, score = stack.pop()
        if np.isfinite(end := float(compact.final_graph_scores[state])):
            found.setdefault(words, []).append(score + end)
        for arc in np.flatnonzero(compact.sources == state):
            more = (*words, int(compact.word_ids[arc]))
            stack.append((int(compact.next_states[arc]), more, score + float(compact.graph_scores[arc])))
    return {words: sorted(scores) for words, scores in found.items()}


def mixed(old: NgramModel, new: NgramModel, words: list[str], share: float) -> float:
    """Natural log of the interpolated probability, word by word."""
    total, said = 0.0, [*words, "</s>"]
    for place, word in enumerate(said):
        history = ["<s>", *said[:place]]
        total += np.log((1 - share) * 10 ** old.log10_prob(word, history) + share * 10 ** new.log10_prob(word, history))
    return total


def of_graph(model: NgramModel, words: list[str]) -> float:
    """Natural log of the best way through G: any history may be left for a shorter one, by recursion."""
    automaton, ids = model.automaton, [model.vocabulary.id(w) for w in [*words, "</s>"]]

    def best(state: int, place: int) -> float:
        if place == len(ids):
            return 0.0
        found = -np.inf
        child = find_child(automaton.words, automaton.children[state], automaton.children[state + 1], ids[place])
        if child >= 0:
            to = int(automaton.links[child]) if child >= automaton.highest else int(child)
            found = LN_10 * float(automaton.log_probs[child]) + best(to, place + 1)
        if state:
            left = LN_10 * float(automaton.backoffs[state]) + best(int(automaton.links[state]), place)
            found = max(found, left)
        return found

    return best(automaton.start, 0)


def test_by_enumeration(tmp_path: Path) -> None:
    models = {order: random_model(order, order, tmp_path) for order in (1, 2, 3, 4)}
    differing = 0
    for seed in range(1000):
        compact = random_words(seed)
        old, new = models[1 + seed % 4], models[1 + seed // 4 % 4]
        before, after = WordModel.of(old, TABLE), WordModel.of(new, TABLE)
        share = (1.0, 1.0, 0.3)[seed % 3]
        graph = seed % 2 == 0
        ours, plain = sentences(swap_ngram(compact, before, after, share, graph)), sentences(compact)
        assert ours.keys() == plain.keys()
        for words, scores in plain.items():
            said = [TABLE.symbol(w) for w in words if w]
            gain = mixed(old, new, said, share) - (of_graph(old, said) if graph else old.score_sentence(said))
            differing += graph and abs(of_graph(old, said) - old.score_sentence(said)) > 0.01
            assert ours[words] == pytest.approx([score + gain for score in scores], abs=1e-4)
    assert differing > 100


def test_laws(tmp_path: Path) -> None:
    old = WordModel.of(random_model(1, 3, tmp_path), TABLE)
    new = WordModel.of(random_model(2, 4, tmp_path), TABLE)
    for seed in range(100):
        compact = random_words(seed)
        back = sentences(swap_ngram(swap_ngram(compact, old, new, 1.0, False), new, old, 1.0, False))
        assert {w: pytest.approx(s, abs=1e-4) for w, s in sentences(compact).items()} == back
        apart = swap_ngram(swap_ngram(compact, old, None), None, new)
        once = sentences(swap_ngram(compact, old, new))
        assert {w: pytest.approx(s, abs=1e-4) for w, s in sentences(apart).items()} == once
        assert sentences(swap_ngram(compact, old, new, 0.0, False)) == {
            w: pytest.approx(s, abs=1e-5) for w, s in sentences(compact).items()
        }
    assert swap_ngram(no_paths(), old, new).start == -1
    with pytest.raises(ValueError, match="share of the new model 0.5: wanted 0 to 1, and 1 where only one"):
        swap_ngram(compact, old, None, 0.5)


def test_words_that_a_model_lacks(tmp_path: Path) -> None:
    lattice = from_rows([(0, 1, 4, -1.0, 0.0, (1,))], {1: (0.0, 0.0, ())}, 2)
    model = random_model(5, 2, tmp_path)
    found = swap_ngram(lattice, None, WordModel.of(model, TABLE))
    wanted = LN_10 * (model.log10_prob("<unk>", ["<s>"]) + model.log10_prob("</s>", ["<s>", "<unk>"]))
    assert sentences(found) == {(4,): [pytest.approx(wanted - 1)]}
    closed = WordModel.of(random_model(6, 2, tmp_path, unknown=False), TABLE, "new.arpa")
    with pytest.raises(InputError, match="new.arpa: has no probability for the word 'UNSEEN', and none for unknown"):
        swap_ngram(lattice, None, closed)
    with pytest.raises(InputError, match="has id 9, which its symbol table lacks"):
        swap_ngram(from_rows([(0, 1, 9, 0.0, 0.0, (1,))], {1: (0.0, 0.0, ())}, 2), None, closed)


def test_command(tmp_path: Path) -> None:
    random_model(7, 3, tmp_path)
    TABLE.write(tmp_path / "words.txt")
    lattices = [(f"u{seed}", random_words(seed)) for seed in range(3)]
    write_lattices(tmp_path / "a.gz", lattices, compact=True)
    words = ["rescore", "ngram", tmp_path / "a.gz", tmp_path / "b.gz", "--words", tmp_path / "words.txt"]
    done = CliRunner().invoke(command, [str(w) for w in [*words, "--new-lm", tmp_path / "7.3.arpa"]])
    assert done.exit_code == 0 and done.output.endswith("b.gz: 3 lattices\n")
    model = WordModel.read(tmp_path / "7.3.arpa", TABLE)
    for (utterance, ours), (name, plain) in zip(read_compact_folder(tmp_path / "b.gz"), lattices):
        assert utterance == name and sentences(ours) == sentences(swap_ngram(plain, None, model))
    for more, message in (([], "give --old-lm, --new-lm or both"),
                          (["--new-lm", tmp_path / "7.3.arpa", "--share", "0.5"], "--share needs both")):  # fmt: skip
        done = CliRunner().invoke(command, [str(w) for w in [*words, *more]])
        assert done.exit_code == 2 and message in done.output


@pytest.mark.peer
def test_equals_kaldi(peers: Path) -> None:
    folder = peers / "lattices"
    table = SymbolTable.read(folder / "words.txt.gz")
    old, new = (WordModel.read(folder / f"{name}.filtered.arpa.gz", table) for name in ("tg", "fg"))
    best = {line.split()[0]: line.split()[1:] for line in (folder / "best_path_fg.int").read_text().splitlines()}
    theirs = dict(read_lattice_folder(folder / "clat_fg.txt.gz"))
    for utterance, compact in read_compact_folder(folder / "clat.ark.gz"):
        ours = expand(swap_ngram(compact, old, new))
        path, other = best_path(ours, SCALE), best_path(theirs[utterance], SCALE)
        assert path is not None and other is not None
        assert [str(w) for w in path.word_ids] == best[utterance]
        assert path.transition_ids.tolist() == other.transition_ids.tolist()
        found, wanted = (
            {tuple(p.word_ids.tolist()): (p.graph_score, p.acoustic_score) for p in nbest(one, 300, SCALE)}
            for one in (ours, theirs[utterance])
        )
        assert len(found.keys() & wanted.keys()) >= len(wanted) - 1  # the last ones may tie
        for words in found.keys() & wanted.keys():
            assert found[words] == pytest.approx(wanted[words], rel=1e-5)
