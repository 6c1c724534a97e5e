"""Trees beside Kaldi's programs, on the small language directory and random speech."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.kaldi_io import read_int_vectors, write_int_vectors, write_matrices
from hybrid.hmm import TransitionModel, read_transition_model
from hybrid.tree import (
    ContextTree,
    Questions,
    Root,
    TreeConfig,
    TreeStats,
    accumulate_tree_stats,
    build_tree,
    find_questions,
    pdf_moments,
    read_questions,
    read_tree,
    tree_objective,
    write_questions,
)
from lexicon.lang_dir import LangDir

pytestmark = pytest.mark.peer

DIM = 4
WIDE = (1, 1, 1, 1)
FLOORED = (1, 1, 0.1, 0.03)  # of the features: variances of 0.1² lie below the floor in small leaves, of 0.03² in all


@pytest.fixture(scope="module")
def lang(peers) -> LangDir:
    return LangDir.load(peers / "lang_small" / "lang")


@pytest.fixture(scope="module")
def run(kaldi_bin):
    def call(program: str, *arguments: object) -> str:
        done = subprocess.run([kaldi_bin / program, *map(str, arguments)], capture_output=True, text=True, check=True)
        return done.stderr

    return call


@pytest.fixture(scope="module")
def mono(run, lang, tmp_path_factory) -> tuple[Path, TransitionModel]:
    folder = tmp_path_factory.mktemp("mono")
    sets = f"--shared-phones={lang.path / 'phones' / 'sets.int'}"
    run("gmm-init-mono", "--binary=false", sets, lang.topo_path, DIM, folder / "mdl", folder / "tree")
    text = (folder / "mdl").read_text()
    (folder / "trans").write_text(text[: text.index("</TransitionModel>")] + "</TransitionModel>\n")
    return folder, read_transition_model(folder / "trans", read_tree(folder / "tree"))


@pytest.fixture(scope="module")
def speech(mono) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    return speak(mono[1], seed=0)


def speak(model, seed, scales=(1.0,) * DIM):
    """Random phones, and features that depend on them: (utterance, features, transition-ids, phones, durations)."""
    random = np.random.default_rng(seed)
    phones_known = np.array(model.topology.phones)
    sounds = 2 * random.normal(size=(phones_known.max() + 1, DIM))
    result = []
    for number in range(150):
        phones = random.choice(phones_known, random.integers(4, 15))
        ids, durations = [], []
        for phone in phones:
            state, begin = 0, len(ids)
            while state < len(model.topology.states(int(phone))):
                pdf = model.tree.pdf_id((int(phone),), model.topology.states(int(phone))[state].forward_pdf_class)
                transition_state = model.transition_state_of(int(phone), state, pdf, pdf)
                arcs = model.topology.states(int(phone))[state].transitions
                ways = [i for i, (target, _) in enumerate(arcs) if target != state]
                arc = ways[random.integers(len(ways))]
                ids.append(model.transition_id_of(transition_state, arc))
                loop = model.self_loops[transition_state]
                ids += [loop] * (random.integers(0, 3) if loop else 0)
                state = arcs[arc][0]
            durations.append(len(ids) - begin)
        left = np.repeat(np.concatenate([[0], phones[:-1]]), durations)
        x = sounds[np.repeat(phones, durations)] + 0.4 * sounds[left] + random.normal(size=(len(ids), DIM))
        x = (x * scales).astype(np.float32)
        result.append((f"utt{number:03d}", x, np.array(ids, np.int32), phones, np.array(durations)))
    return result


def stats_of(speech, model, lang, width=3, position=1) -> TreeStats:
    classes = np.array(
        [-1]
        + [
            model.topology.states(int(model.phones[i]))[int(model.hmm_states[i])].forward_pdf_class
            for i in range(1, model.num_transition_ids + 1)
        ]
    )
    independent = lang.context_indep_phones
    return TreeStats.merge(
        accumulate_tree_stats(x, phones, durations, classes[ids], width, position, independent)
        for _, x, ids, phones, durations in speech
    )


def variances(moments: np.ndarray) -> np.ndarray:
    """float64 [leaf][D], of the leaves that have frames."""
    seen = moments[moments[:, 0] > 0]
    means, squares = np.split(seen[:, 1:] / seen[:, :1], 2, axis=1)
    return squares - means * means


def parse_stats(text: str) -> dict[tuple[tuple[int, int], ...], np.ndarray]:
    result = {}
    for entry in re.split(r"\bEV ", text)[1:]:
        head, _, tail = entry.partition("T GCL ")
        numbers = [int(n) for n in head.split()[1:]]
        values = np.array([float(v) for v in re.sub(r"[\[\]]", " ", tail).split()])
        result[tuple(zip(numbers[::2], numbers[1::2]))] = np.concatenate([values[:1], values[2:]])
    return result


def write_stats(path: Path, stats: TreeStats) -> None:
    lines = [f"BTS {len(stats.contexts)} "]
    for context, pdf_class, moments in zip(stats.contexts.tolist(), stats.pdf_classes.tolist(), stats.moments):
        event = [(-1, pdf_class)] + [(i, p) for i, p in enumerate(context) if p >= 0]
        sums = [" ".join(f"{v:.9g}" for v in row) for row in moments[1:].reshape(2, -1)]
        keys = " ".join(f"{k} {v}" for k, v in event)
        lines.append(f"EV {len(event)} {keys} T GCL {moments[0]:.9g} 0.01  [\n  {sums[0]}\n  {sums[1]} ]\n")
    path.write_text("".join(lines))


@pytest.mark.parametrize("width, position", [(1, 0), (2, 1), (3, 1), (5, 2)])
def test_statistics(run, lang, mono, speech, tmp_path, width, position):
    write_matrices(tmp_path / "feats.ark", ((u, x) for u, x, *_ in speech))
    write_int_vectors(tmp_path / "ali.ark", ((u, ids) for u, _, ids, *_ in speech))
    run(
        "acc-tree-stats", "--binary=false", f"--context-width={width}", f"--central-position={position}",
        f"--ci-phones={':'.join(map(str, lang.context_indep_phones))}", mono[0] / "mdl",
        f"ark:{tmp_path / 'feats.ark'}", f"ark:{tmp_path / 'ali.ark'}", tmp_path / "acc",
    )  # fmt: skip
    theirs = parse_stats((tmp_path / "acc").read_text())
    stats = stats_of(speech, mono[1], lang, width, position)
    ours = {}
    for event, moments in zip(stats.events.tolist(), stats.moments):
        keys = [(-1, event[-1])] + [(i, p) for i, p in enumerate(event[:-1]) if p >= 0]
        ours[tuple(keys)] = moments
    assert sorted(ours) == sorted(theirs)
    for event in ours:
        np.testing.assert_allclose(ours[event], theirs[event], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("scales", [WIDE, FLOORED], ids=["wide", "floored"])
@pytest.mark.parametrize("threshold, max_leaves", [(300, 0), (60, 0), (20, 150)])
def test_the_same_tree(run, lang, mono, tmp_path, threshold, max_leaves, scales):
    stats = stats_of(speak(mono[1], 0, scales), mono[1], lang)
    write_stats(tmp_path / "acc", stats)
    found = find_questions(stats, lang.sets)
    write_questions(tmp_path / "questions.int", [*found, *lang.extra_questions])
    run("compile-questions", lang.topo_path, tmp_path / "questions.int", tmp_path / "questions.qst")
    roots = lang.path / "phones" / "roots.int"
    log = run(
        "build-tree", "--binary=false", "--verbose=1", f"--thresh={threshold}", f"--max-leaves={max_leaves}",
        tmp_path / "acc", roots, tmp_path / "questions.qst", lang.topo_path, tmp_path / "tree",
    )  # fmt: skip
    counts = mono[1].topology.pdf_class_counts()
    questions = Questions.compile([*found, *lang.extra_questions], 3, max(counts.values()))
    config = TreeConfig(threshold=threshold, max_leaves=max_leaves)
    tree, report = build_tree(stats, lang.roots, questions, counts, config)
    splits = int(re.search(r"split (\d+) times", log)[1])
    gain = float(re.search(r"like-impr = (\S+) per frame", log)[1])
    assert report.num_splits == splits and splits >= 3
    assert report.gain / report.frames == pytest.approx(gain, rel=2e-4)
    theirs = read_tree(tmp_path / "tree")
    assert tree.num_pdfs == theirs.num_pdfs
    assert tree_objective(stats, tree) == pytest.approx(tree_objective(stats, theirs), rel=1e-6)
    below = (variances(pdf_moments(stats, tree)) < config.variance_floor).any(axis=0)
    assert below[:2].tolist() == [False, False] and below[3] == (scales == FLOORED)
    # the same division of the data; where two questions divide it alike, rounding decides which is asked
    pairs = np.stack([t.pdf_ids(stats.contexts, stats.pdf_classes) for t in (tree, theirs)], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1]))
    if threshold == 300:
        assert tree.to_text() == (tmp_path / "tree").read_text()


@pytest.mark.parametrize("max_leaves", [5, 7, 9, 12, 15])
def test_the_same_rounding_of_few_leaves(run, lang, mono, speech, tmp_path, max_leaves):
    stats = stats_of(speech, mono[1], lang)
    write_stats(tmp_path / "acc", stats)
    phones = sorted(mono[1].topology.phones)
    roots = [Root(True, True, tuple(phones[i::3])) for i in range(3)]
    (tmp_path / "roots.int").write_text("".join(f"shared split {' '.join(map(str, r.phones))}\n" for r in roots))
    found = find_questions(stats, lang.sets)
    write_questions(tmp_path / "questions.int", found)
    run("compile-questions", lang.topo_path, tmp_path / "questions.int", tmp_path / "questions.qst")
    run("build-tree", "--binary=false", f"--max-leaves={max_leaves}", tmp_path / "acc", tmp_path / "roots.int",
        tmp_path / "questions.qst", lang.topo_path, tmp_path / "tree")  # fmt: skip
    counts = mono[1].topology.pdf_class_counts()
    tree, _ = build_tree(stats, roots, Questions.compile(found, 3, 5), counts, TreeConfig(max_leaves=max_leaves))
    theirs = read_tree(tmp_path / "tree")
    assert tree.num_pdfs == theirs.num_pdfs
    assert tree_objective(stats, tree) == pytest.approx(tree_objective(stats, theirs), rel=1e-6)


@pytest.mark.parametrize("scales", [WIDE, FLOORED], ids=["wide", "floored"])
def test_questions_are_as_good(run, lang, mono, tmp_path, scales):
    """Local search ends here and there, so sets differ; the trees that they allow must be as good."""
    counts = mono[1].topology.pdf_class_counts()
    gains = []
    for seed in range(3):
        stats = stats_of(speak(mono[1], seed, scales), mono[1], lang)
        write_stats(tmp_path / "acc", stats)
        run("cluster-phones", tmp_path / "acc", lang.path / "phones" / "sets.int", tmp_path / "questions.int")
        theirs, ours = read_questions(tmp_path / "questions.int"), find_questions(stats, lang.sets)
        assert set(map(tuple, lang.sets)) <= set(ours) and abs(len(ours) - len(theirs)) <= 5
        compiled = [Questions.compile(sets, 3, 5) for sets in (ours, theirs)]
        config = TreeConfig(threshold=30)
        gains.append([build_tree(stats, lang.roots, sets, counts, config)[1].gain for sets in compiled])
    ours_total, theirs_total = np.sum(gains, axis=0)
    assert ours_total > 0.995 * theirs_total


def test_monophone_trees(run, lang, mono, tmp_path):
    counts = mono[1].topology.pdf_class_counts()
    shared = ContextTree.monophone(lang.sets, counts)
    assert shared.to_text() == (mono[0] / "tree").read_text()
    run("gmm-init-mono", lang.topo_path, DIM, tmp_path / "mdl", tmp_path / "tree")
    apart = ContextTree.monophone([(p,) for p in mono[1].topology.phones], counts)
    assert read_tree(tmp_path / "tree") == apart


def test_converted_alignments(run, lang, mono, speech, tmp_path):
    from hybrid.align.convert import convert_alignments
    from hybrid.align.corpus_alignments import CorpusAlignments

    stats = stats_of(speech, mono[1], lang)
    counts = mono[1].topology.pdf_class_counts()
    questions = Questions.compile([*find_questions(stats, lang.sets), *lang.extra_questions], 3, 5)
    tree, _ = build_tree(stats, lang.roots, questions, counts, TreeConfig(threshold=30))
    tree.write(tmp_path / "tree")
    write_stats(tmp_path / "acc", stats)
    run("gmm-init-model", tmp_path / "tree", tmp_path / "acc", lang.topo_path, tmp_path / "mdl")
    write_int_vectors(tmp_path / "ali.ark", ((u, ids) for u, _, ids, *_ in speech))
    run("convert-ali", mono[0] / "mdl", tmp_path / "mdl", tmp_path / "tree", f"ark:{tmp_path / 'ali.ark'}",
        f"ark:{tmp_path / 'new.ark'}")  # fmt: skip
    alignments = CorpusAlignments.from_items((u, ids) for u, _, ids, *_ in speech)
    ours = convert_alignments(alignments, mono[1], TransitionModel(mono[1].topology, tree))
    theirs = dict(read_int_vectors(tmp_path / "new.ark"))
    assert sorted(ours.ids) == sorted(theirs)
    for utterance, ids in ours.items():
        np.testing.assert_array_equal(ids, theirs[utterance])
