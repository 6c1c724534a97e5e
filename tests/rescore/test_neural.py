"""Second passes by neural models: all paths by enumeration, three methods, any function, batches, speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path, nbest
from hybrid.lattice.trim import from_rows, no_paths, trimmed
from hybrid.rescore.arc_batch import combined_scores, expand_by_posterior
from hybrid.rescore.histories import CallableHistories, NeuralHistories
from hybrid.rescore.nbest_lattice import nbest_lattice
from hybrid.rescore.ngram_swap import WordModel
from hybrid.rescore.pass_config import SecondPassConfig
from hybrid.rescore.scored import Mixture, ScoredLattice, without_old
from hybrid.rescore.second_pass import score_lattice, second_pass
from hybrid.score.cross_tuning import folds_of
from hybrid.score.transcripts import Transcripts
from hybrid.score.tune_mixture import MixtureGrid, best_words, cross_validate
from lexicon.symbols import SymbolTable
from lm.neural.config import NeuralLmConfig
from lm.neural.folder import NeuralLm, build, save_neural_lm
from lm.neural.units import Units
from tests.rescore.test_ngram_swap import random_model, random_words, sentences

CPU = torch.device("cpu")
TABLE = SymbolTable(("<eps>", "A", "B", "C", "UNSEEN"))
SCALE = 0.3


def tiny(architecture: str = "lstm", spread: float = 0.7) -> NeuralLm:
    torch.manual_seed(2)
    config = NeuralLmConfig(architecture, dim=8, layers=1, heads=2, feed_forward=16, dropout=0.0, cutoffs=(3,))
    network = build(config, 5)
    for parameter in network.parameters():
        parameter.data.add_(spread * torch.randn(parameter.shape))
    return NeuralLm(config, Units.of_words(["A", "B", "C"]), network.eval().requires_grad_(False))


def function(lm: NeuralLm, calls: list[int] | None = None):  # type: ignore[no-untyped-def]
    """The same model as any function: each history is read from its start."""

    def log_probs(histories, words):  # type: ignore[no-untyped-def]
        if calls is not None:
            calls.append(len(words))
        out = []
        for history, word in zip(histories, words):
            tokens = [0, *(lm.units.of_word(w)[0] for w in (*history, word))]
            out.append(float(lm.network(torch.tensor([tokens]), torch.tensor([len(tokens) - 1]))[0, -1]))
        return out

    return log_probs


def of_sentence(lm: NeuralLm, words: list[str]) -> float:
    histories = [tuple(words[:i]) for i in range(len(words) + 1)]
    return sum(function(lm)(histories, [*words, "</s>"]))


def lattice(seed: int) -> CompactLattice:
    """A deterministic acceptor without arcs that have no word, as determinisation makes them."""
    rng = np.random.default_rng(seed)
    states, rows = int(rng.integers(3, 7)), []
    for state in range(states - 1):
        for word in (rng.choice(4, size=int(rng.integers(1, 4)), replace=False) + 1).tolist():
            to = int(rng.integers(state + 1, states))
            rows.append((state, to, word, *(-float(x) / 8 for x in rng.integers(0, 30, 2)), (7,) * (to - state)))
    return from_rows(rows, {states - 1: (-0.5, -0.25, ())}, states)


def best_sentence(scores: dict[tuple[int, ...], list[float]]) -> tuple[int, ...]:
    return max(scores, key=lambda words: max(scores[words]))


def histories_of(lm: NeuralLm, kind: str):  # type: ignore[no-untyped-def]
    return NeuralHistories(lm, TABLE, CPU, 7) if kind == "network" else CallableHistories(function(lm), TABLE, 5)


@pytest.mark.parametrize(("architecture", "kind"), [("lstm", "network"), ("transformer", "network"),
                                                    ("lstm", "function")])  # fmt: skip
def test_whole_lattices_by_enumeration(tmp_path: Path, architecture: str, kind: str) -> None:
    lm, old = tiny(architecture), WordModel.of(random_model(3, 3, tmp_path), TABLE)
    config = SecondPassConfig("compose", beam=1e9, order=0, mixing="log", share=1.0)
    for seed in range(60):
        compact = lattice(seed)
        plain = sentences(without_old(compact, old).bare)
        ours = sentences(score_lattice(compact, histories_of(lm, kind), SCALE, config, old).mixed(config.mixture))
        assert ours.keys() == plain.keys()
        for words, scores in plain.items():
            gain = of_sentence(lm, [TABLE.symbol(w) for w in words])
            assert sorted(ours[words]) == pytest.approx([s + gain for s in scores], abs=1e-4)


@pytest.mark.parametrize("order", [0, 2])
def test_pruned_equals_unpruned(tmp_path: Path, order: int) -> None:
    """What a beam leaves has the scores that it has without one, and the best path is among it."""
    lm, old = tiny(), WordModel.of(random_model(3, 3, tmp_path), TABLE)
    fewer = 0
    for seed in range(80):
        compact = lattice(seed)
        whole, part = (
            score_lattice(compact, NeuralHistories(lm, TABLE, CPU), SCALE,
                          SecondPassConfig("compose", beam=beam, order=order), old).mixed(Mixture())
            for beam in (1e9, 2.0)
        )  # fmt: skip
        every, some = sentences(whole), sentences(part)
        fewer += len(some) < len(every)
        if order == 0:
            for words, scores in some.items():
                assert scores == pytest.approx(every[words], abs=1e-4)
        ours, theirs = (best_path(expand(one), SCALE) for one in (part, whole))
        assert ours is not None and theirs is not None
        assert ours.score(SCALE) == pytest.approx(theirs.score(SCALE), abs=0.2 if order else 1e-4)
    assert fewer > 10


def test_arcs_in_one_batch_have_the_history_of_the_best_way(tmp_path: Path) -> None:
    lm, old = tiny(), WordModel.of(random_model(3, 3, tmp_path), TABLE)
    for seed in range(60):
        compact = lattice(seed)
        one = score_lattice(compact, NeuralHistories(lm, TABLE, CPU), SCALE, SecondPassConfig(posterior=2.0), old)
        scores, _ = combined_scores(one.bare, SCALE)
        ways: dict[int, tuple[float, tuple[str, ...]]] = {0: (0.0, ())}
        for arc in range(one.bare.num_arcs):
            source, to, word = (int(x[arc]) for x in (one.bare.sources, one.bare.next_states, one.bare.word_ids))
            score, history = ways[source]
            assert one.new[arc] == pytest.approx(function(lm)([history], [TABLE.symbol(word)])[0], abs=1e-5)
            way = (score + scores[arc] + one.old[arc], (*history, TABLE.symbol(word)))
            if to not in ways or way[0] > ways[to][0]:
                ways[to] = way
        ends = np.flatnonzero(np.isfinite(one.bare.final_graph_scores))
        for state in ends.tolist():
            wanted = function(lm)([ways[state][1]], ["</s>"])[0]
            assert one.final_new[state] == pytest.approx(wanted, abs=1e-5)


def test_expansion_keeps_every_path() -> None:
    for seed in range(100):
        scored = without_old(random_words(seed), None)
        scores, ends = combined_scores(scored.bare, SCALE)
        for threshold in (1e-9, 0.05, 0.5, 2.0):
            wider = expand_by_posterior(scored, scores, ends, threshold).bare
            assert sentences(wider) == sentences(scored.bare)
            assert trimmed(wider) == wider
    # with a low threshold each path has its own states: scores of arcs are then exact
    lm = tiny()
    for seed in range(20):
        compact = lattice(seed)
        apart = SecondPassConfig(posterior=1e-30, mixing="log")
        found = score_lattice(compact, NeuralHistories(lm, TABLE, CPU), SCALE, apart)
        for words, scores_of in sentences(found.mixed(Mixture(1.0, linear=False))).items():
            plain = sentences(compact)[words]
            gain = of_sentence(lm, [TABLE.symbol(w) for w in words])
            assert scores_of == pytest.approx([s + gain for s in plain], abs=1e-4)


def test_nbest_is_exact_and_a_batch_equals_single(tmp_path: Path) -> None:
    lm, old = tiny(), WordModel.of(random_model(3, 3, tmp_path), TABLE)
    config = SecondPassConfig("nbest", nbest=5, share=0.4, batch_lattices=3)
    lattices = [(str(seed), lattice(seed)) for seed in range(8)]
    together = dict(second_pass(lattices, lambda: NeuralHistories(lm, TABLE, CPU), SCALE, config, old))
    for name, compact in lattices:
        listed = sentences(nbest_lattice(compact, 5, SCALE))
        assert listed.keys() == {tuple(p.word_ids.tolist()) for p in nbest(expand(compact), 5, SCALE)}
        for words, scores in listed.items():
            assert scores == pytest.approx(sentences(compact)[words], abs=1e-4)
        alone = score_lattice(compact, NeuralHistories(lm, TABLE, CPU, batch=1), SCALE, config, old)
        np.testing.assert_allclose(together[name].new, alone.new, atol=1e-5)
        assert together[name].bare == alone.bare
    for method in ("arcs", "compose"):
        whole = SecondPassConfig(method, batch_lattices=8)
        found = dict(second_pass(lattices, lambda: NeuralHistories(lm, TABLE, CPU), SCALE, whole, old))
        alone = score_lattice(lattices[5][1], NeuralHistories(lm, TABLE, CPU), SCALE, whole, old)
        np.testing.assert_allclose(found["5"].new, alone.new, atol=1e-5)


def test_mixtures() -> None:
    old, new = np.log([0.5, 0.2]), np.log([0.25, 0.6])
    np.testing.assert_allclose(np.exp(Mixture(0.5).of(old, new)), [0.375, 0.4])
    np.testing.assert_allclose(Mixture(0.5, linear=False).of(old, new), (old + new) / 2)
    assert np.array_equal(Mixture(0.0).of(old, new), old) and np.array_equal(Mixture(1.0).of(old, new), new)
    with pytest.raises(ValueError, match="share is 1.5, wanted 0 to 1"):
        Mixture(1.5)
    compact = lattice(1)
    scored = score_lattice(compact, NeuralHistories(tiny(), TABLE, CPU), SCALE)
    with pytest.raises(ValueError, match="can only be mixed with those of an old model"):
        scored.mixed(Mixture(0.5))
    assert sentences(scored.mixed(Mixture(0.0, linear=False))) == sentences(compact)
    assert score_lattice(no_paths(), NeuralHistories(tiny(), TABLE, CPU), SCALE).bare.start == -1


def test_scores_of_a_graph_are_taken_out_as_the_graph_put_them_in(tmp_path: Path) -> None:
    old = WordModel.of(random_model(3, 3, tmp_path), TABLE)
    for seed in range(40):
        compact = lattice(seed)
        from hybrid.rescore.ngram_swap import swap_ngram

        scored = without_old(compact, old, of_graph=True)
        ours = sentences(scored.mixed(Mixture(0.0)))
        wanted = sentences(swap_ngram(compact, old, old))
        assert ours.keys() == wanted.keys()
        for words, scores in wanted.items():
            assert ours[words] == pytest.approx(scores, abs=1e-4)


class TinyCausalLm(nn.Module):
    """Shaped like a causal model of Hugging Face's transformers: token ids in, an object with logits out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.embed, self.rnn, self.head = nn.Embedding(5, 6), nn.GRU(6, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, input_ids: torch.Tensor):  # type: ignore[no-untyped-def]
        from types import SimpleNamespace

        return SimpleNamespace(logits=self.head(self.rnn(self.embed(input_ids))[0]))


def test_any_function() -> None:
    """A model of another kind, batched and cached: the pairs of a lattice are asked for once."""
    model, ids, calls = TinyCausalLm().eval(), {"</s>": 0, "A": 1, "B": 2, "C": 3, "UNSEEN": 4}, []

    @torch.no_grad()
    def log_probs(histories, words):  # type: ignore[no-untyped-def]
        calls.append(list(zip(histories, words)))
        rows = [[0, *(ids[w] for w in history)] for history in histories]
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
        logits = model(input_ids=tokens).logits
        last = logits[range(len(rows)), [len(row) - 1 for row in rows]].log_softmax(1)
        return last[range(len(rows)), [ids[w] for w in words]].tolist()

    config = SecondPassConfig("compose", beam=1e9, order=0, mixing="log")
    for seed in range(20):
        calls.clear()
        histories = CallableHistories(log_probs, TABLE, batch=4)
        found = sentences(score_lattice(lattice(seed), histories, SCALE, config).mixed(Mixture(1.0, linear=False)))
        asked = [pair for call in calls for pair in call]
        assert len(asked) == len(set(asked)) and max(map(len, calls)) <= 4
        for words, scores in found.items():
            said = [TABLE.symbol(w) for w in words]
            gain = sum(log_probs([tuple(said[:i]) for i in range(len(said) + 1)], [*said, "</s>"]))
            assert scores == pytest.approx([s + gain for s in sentences(lattice(seed))[words]], abs=1e-4)


@pytest.mark.parametrize(("values", "message"), [
    (lambda n: [0.0] * (n + 1), r"gave values of shape \(\d+,\) for \d+ words. Return one natural log for each"),
    (lambda n: [0.5] * n, "gave the log-probability 0.5. Return natural logs, which are 0 at most"),
    (lambda n: [float("nan")] * n, "gave the log-probability nan"),
])  # fmt: skip
def test_functions_that_are_refused(values, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        score_lattice(lattice(2), CallableHistories(lambda h, w: values(len(w)), TABLE), SCALE)
    found = score_lattice(lattice(2), CallableHistories(lambda h, w: [-np.inf] * len(w), TABLE), SCALE)
    assert found.new.min() == -1000.0


def test_utterances_of_a_speaker_follow_each_other() -> None:
    lm, seen = tiny(), []

    def log_probs(histories, words):  # type: ignore[no-untyped-def]
        seen.extend(histories)
        return function(lm)(histories, words)

    lattices = [(str(seed), lattice(seed)) for seed in range(4)]
    speakers, config = {"0": "x", "1": "y", "2": "x", "3": "x"}, SecondPassConfig(mixing="log", share=1.0)
    found = dict(second_pass(lattices, lambda: CallableHistories(log_probs, TABLE), SCALE, config,
                             speakers=speakers, words=TABLE))  # fmt: skip
    said = {}
    for name, _ in lattices:
        path = best_path(expand(found[name].mixed(config.mixture)), SCALE)
        assert path is not None
        said[name] = [TABLE.symbol(w) for w in path.word_ids.tolist()]
    assert (*said["0"], "</s>", *said["2"], "</s>") in seen and tuple(said["1"]) != ()
    assert score_lattice(lattices[1][1], CallableHistories(log_probs, TABLE), SCALE, config).new.tolist() == (
        found["1"].new.tolist()
    )
    histories = NeuralHistories(lm, TABLE, CPU, history=100)
    begin = histories.begin([["A", "B"], ["C"]])
    value = histories.log_probs(np.array([begin]), np.array([2]))[0]
    assert value == pytest.approx(function(lm)([("A", "B", "</s>", "C", "</s>")], ["B"])[0], abs=1e-5)
    assert NeuralHistories(lm, TABLE, CPU).begin([["A"]]) == 0


def test_weights_are_tuned_on_other_speakers() -> None:
    """Two models: one is right for all, the other wrong; the share goes to the one that is right."""
    table = SymbolTable(("<eps>", "A", "B"))
    scored, words, speakers = {}, {}, {}
    for number in range(8):
        compact = from_rows([(0, 1, 1, 0.0, 0.0, (1,)), (0, 1, 2, 0.0, 0.0, (1,))], {1: (0.0, 0.0, ())}, 2)
        truth = 1 + number % 2
        right = np.where(compact.word_ids == truth, -0.1, -3.0)
        none = np.zeros(2)
        scored[str(number)] = ScoredLattice(compact, right[::-1].copy(), right, none, none)
        words[str(number)], speakers[str(number)] = [table.symbol(truth)], f"s{number // 2}"
    reference = Transcripts("ref", words, speakers)
    grid = MixtureGrid((0.0, 0.5, 1.0), (1.0,), (0.0,))
    result = cross_validate(reference, scored, table, grid, 2)
    assert result.words == words and all(weights.share == 1.0 for _, weights in result.folds)
    assert [part for part, _ in result.folds] == [("s0", "s2"), ("s1", "s3")]
    assert result.whole.share == 1.0
    assert best_words(scored["0"], grid)[0] == (2,) and best_words(scored["0"], grid)[2] == (1,)
    with pytest.raises(InputError, match="--folds: is 9, but there are 4 speakers"):
        cross_validate(reference, scored, table, grid, 9)
    with pytest.raises(InputError, match="has none of the lattices' utterances"):
        cross_validate(Transcripts("ref", {"z": ["A"]}), scored, table, grid, 1)
    assert folds_of(["b", "a", "b"], 2) == [("a",), ("b",)]
    with pytest.raises(ValueError, match="the grid has no share"):
        MixtureGrid(())


def test_best_words_equal_the_best_path(tmp_path: Path) -> None:
    old = WordModel.of(random_model(3, 3, tmp_path), TABLE)
    grid = MixtureGrid((0.0, 0.4), (2.0, 7.0), (0.0, 0.7))
    for seed in range(40):
        scored = score_lattice(lattice(seed), NeuralHistories(tiny(), TABLE, CPU), SCALE, SecondPassConfig(), old)
        for (share, weight, penalty), found in zip(grid.places, best_words(scored, grid)):
            mixed = expand(scored.mixed(Mixture(share)))
            path = best_path(mixed, 1 / weight, 1.0, penalty)
            score = {tuple(p.word_ids.tolist()): p.score(1 / weight) - penalty * len(p.word_ids)
                     for p in nbest(mixed, 1000, 1 / weight)}  # fmt: skip
            assert path is not None
            assert score[found] == pytest.approx(score[tuple(path.word_ids.tolist())], abs=1e-4)


def test_commands(tmp_path: Path) -> None:
    random_model(3, 3, tmp_path)
    save_neural_lm(make(tmp_path / "lm"), tiny(), {}, {}, {})
    TABLE.write(tmp_path / "words.txt")
    lattices = [(f"u{seed}", lattice(seed)) for seed in range(4)]
    write_lattices(tmp_path / "a.gz", lattices, compact=True)
    (tmp_path / "ref").write_text("".join(f"u{i} A B\n" for i in range(4)))
    (tmp_path / "utt2spk").write_text("".join(f"u{i} s{i % 2}\n" for i in range(4)))

    def run(*words: object) -> tuple[int, str]:
        done = CliRunner().invoke(command, [str(w) for w in words])
        return done.exit_code, done.output + str(done.exception or "")

    common = ["--lm", tmp_path / "lm", "--words", tmp_path / "words.txt"]
    old = ["--old-lm", tmp_path / "3.3.arpa"]
    code, output = run("rescore", "tune", tmp_path / "a.gz", *common, *old, "--ref", tmp_path / "ref", "--utt2spk",
                       tmp_path / "utt2spk", "--lm-weights", "1:3", "--out-dir", tmp_path / "w")  # fmt: skip
    assert code == 0 and "tuned on others than s0: share" in output, output
    assert len((tmp_path / "w/hyp.txt").read_text().splitlines()) == 4
    for method in ("arcs", "compose", "nbest"):
        out = tmp_path / f"{method}.gz"
        code, output = run("rescore", "neural", tmp_path / "a.gz", out, *common, *old, "--method", method, "--weights",
                           tmp_path / "w/weights.json", "--acoustic-scale", "0.3")  # fmt: skip
        assert code == 0 and output.endswith(f"{out}: 4 lattices\n"), output
        assert [u for u, _ in read_compact_folder(out)] == ["u0", "u1", "u2", "u3"]
    code, output = run("rescore", "neural", tmp_path / "a.gz", tmp_path / "b.gz", *common, "--mixing", "log",
                       "--speakers", tmp_path / "utt2spk", "--history", "30")  # fmt: skip
    assert code == 0, output
    (tmp_path / "bad.json").write_text('{"share": 7}')
    for more, message in (([], "--mixing linear needs --old-lm"), ([*old, "--history", "3"], "go together"),
                          ([*old, "--weights", tmp_path / "bad.json"], "bad.json: holds no share of 0 to 1"),
                          ([*old, "--device", "tpu"], "device: is 'tpu'")):  # fmt: skip
        code, output = run("rescore", "neural", tmp_path / "a.gz", tmp_path / "b.gz", *common, *more)
        assert code != 0 and message in output, output
    code, output = run("rescore", "tune", tmp_path / "a.gz", *common, *old, "--ref", tmp_path / "ref", "--shares", "2",
                       "--out-dir", tmp_path / "w")  # fmt: skip
    assert code == 2 and "shares is 2, wanted 0 to 1" in output


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder
