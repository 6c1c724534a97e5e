"""Training graphs: equal to H∘C∘L∘text by composition, for every context width; batches, files, errors."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.equivalence import randomly_equivalent
from hybrid.graph.h_transducer import h_transducer
from hybrid.graph.phone_graph import LexiconIndex, add_context
from hybrid.graph.self_loops import add_self_loops
from hybrid.graph.training import (
    TrainingGraphCompiler,
    TrainingGraphConfig,
    TrainingGraphs,
    compile_training_graphs,
    transition_costs,
    with_transition_costs,
)
from hybrid.hmm import TransitionModel

SCALES = TrainingGraphConfig(transition_scale=1.0, self_loop_scale=0.3)
MODELS = ["mono", "biphone", "triphone", "quinphone", "chain"]


def compiler(lexicon, model: TransitionModel, config: TrainingGraphConfig | None = None) -> TrainingGraphCompiler:
    return TrainingGraphCompiler(lexicon, model, config or TrainingGraphConfig())


def straight(word_ids: list[int]) -> FstArrays:
    n = len(word_ids)
    splits = np.append(np.arange(n + 1), n)
    return FstArrays(0, splits, word_ids, word_ids, np.arange(1, n + 1), np.zeros(n), np.append(np.full(n, np.inf), 0))


def composed(lexicon: FstArrays, model: TransitionModel, word_ids: list[int]) -> FstArrays:
    """The readable reference: every transducer built, one composition after another."""
    left = to_kaldifst(lexicon)
    kaldifst.arcsort(left, "olabel")
    phones = kaldifst.compose(left, to_kaldifst(straight(word_ids)))
    tree = model.tree
    context, ids = kaldifst.compose_context([], tree.context_width, tree.central_position, phones)
    h, _ = h_transducer(ids, model, SCALES.transition_scale)
    graph = kaldifst.compose(to_kaldifst(h), context)
    return add_self_loops(from_kaldifst(graph), model, SCALES.self_loop_scale)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("text", ["SEED", "A SEE ADS", "SEEDS A SEA <UNK>", ""])
def test_equal_to_composition(lang, models, name, text):
    words = lang.text_to_ids(text.split())
    graph = compiler(lang, models[name], SCALES)(words)
    reference = composed(lang.L_arrays(), models[name], words)
    assert randomly_equivalent(graph, reference, 15, 1e-4, max_length=400) == ""
    assert not (graph.ilabels == 0).any()


def test_one_word_by_hand(lang, models):
    # SEED with optional silence on either side: 4 ways, each S IY D at least 3 frames a phone.
    graph = compiler(lang, models["mono"])(lang.text_to_ids(["SEED"]))
    model, seed = models["mono"], lang.words["SEED"]
    silence = lang.phones["SIL"]
    seen = set(model.phones[graph.ilabels].tolist())
    assert seen == {silence, lang.phones["S_B"], lang.phones["IY_I"], lang.phones["D_E"]}
    words = graph.olabels > 0
    assert set(graph.olabels[words]) == {seed} and set(model.phones[graph.ilabels[words]]) == {lang.phones["S_B"]}
    half = np.float32(np.log(2))
    total = float(graph.costs.sum())
    assert total > 0 and all(c == 0 or abs(c % half) < 1e-5 or abs(c % half - half) < 1e-5 for c in graph.costs)


def test_self_loops_follow_their_transition(lang, models):
    graph = compiler(lang, models["mono"])(lang.text_to_ids(["A", "SEEDS"]))
    model, sources = models["mono"], graph.sources()
    entering: dict[int, set[int]] = {}
    for arc in range(graph.num_arcs):
        state = int(model.transition_states[graph.ilabels[arc]])
        entering.setdefault(int(graph.next_states[arc]), set()).add(state)
    assert all(len(states) == 1 for states in entering.values())
    loops = model.is_self_loop[graph.ilabels]
    assert (sources[loops] == graph.next_states[loops]).all() and loops.sum() == len(entering)


def test_transition_costs_are_kaldis_rule(models):
    model = models["mono"]
    costs = transition_costs(model, 1.0, 1.0)
    np.testing.assert_allclose(costs[1:], -model.log_probs[1:], atol=1e-5)  # equal scales: the plain probability
    only_loops = transition_costs(model, 0.0, 0.1)
    loop = model.is_self_loop
    np.testing.assert_allclose(only_loops[loop], -0.1 * model.log_probs[loop], atol=1e-6)
    assert costs[0] == 0 and not transition_costs(model, 0.0, 0.0).any()


def test_costs_can_be_added_later(lang, models):
    words = lang.text_to_ids(["SEE", "A"])
    bare = compiler(lang, models["triphone"])(words)
    full = compiler(lang, models["triphone"], SCALES)(words)
    costs = transition_costs(models["triphone"], SCALES.transition_scale, SCALES.self_loop_scale)
    assert with_transition_costs(bare, costs).equals(full)


def test_batches_and_jobs_change_nothing(lang, models, tmp_path):
    compile_text = compiler(lang, models["triphone"])
    texts = [(f"utt{i}", lang.text_to_ids(["A", "SEED"][: i % 3])) for i in range(70)]
    texts.insert(5, ("bad", [lang.words.max_id + 1]))
    graphs, failed = compile_training_graphs(compile_text, texts)
    assert len(graphs) == 70 and list(failed) == ["bad"] and "has no pronunciation in L.fst" in failed["bad"]
    with ThreadPoolExecutor(2) as executor:
        again, _ = compile_training_graphs(compile_text, texts, executor)
    for utterance, words in texts:
        if utterance != "bad":
            assert again.graph(utterance).equals(graphs.graph(utterance))
            assert graphs.graph(utterance).equals(compile_text(words))


def test_save_and_load_is_identity(lang, models, tmp_path):
    model = models["mono"]
    compile_text = compiler(lang, model)
    graphs, _ = compile_training_graphs(compile_text, [("b", lang.text_to_ids(["A"])), ("ä", [])])
    graphs.save(tmp_path / "graphs.safetensors", model)
    again = TrainingGraphs.load(tmp_path / "graphs.safetensors", model.tree)
    assert again.ids == ("b", "ä") and "b" in again and "c" not in again
    assert all(graph.equals(graphs.graph(utterance)) for utterance, graph in again.items())
    with pytest.raises(
        MismatchError, match=r"graphs.safetensors and the model were made from different versions of the"
    ):
        TrainingGraphs.load(tmp_path / "graphs.safetensors", models["triphone"].tree)
    data = (tmp_path / "graphs.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        TrainingGraphs.load(tmp_path / "cut.safetensors")


def test_no_utterances(tmp_path, lang, models):
    graphs, failed = compile_training_graphs(compiler(lang, models["mono"]), [])
    assert len(graphs) == 0 and not failed
    graphs.save(tmp_path / "g", models["mono"])
    assert len(TrainingGraphs.load(tmp_path / "g")) == 0


def test_errors_name_the_word_and_the_phone(lang, models):
    compile_text = compiler(lang, models["mono"])
    with pytest.raises(
        InputError, match=r"text: word '<s>' \(2 of 2\) has no pronunciation in L.fst. Add it to the lex"
    ):
        compile_text([lang.words["A"], lang.words["<s>"]])
    with pytest.raises(InputError, match="has word id 0, wanted ids from 1"):
        compile_text([0])
    strange = FstArrays(0, [0, 1, 1], [999], [lang.words["A"]], [1], [0.0], [np.inf, 0.0])
    with pytest.raises(InputError, match="has phone 999, which has no HMM"):
        compiler(strange, models["mono"])([lang.words["A"]])


@st.composite
def phone_graphs(draw: st.DrawFn) -> FstArrays:
    """Epsilon-free, acyclic, deterministic on input as `phone_graph` makes them."""
    states = draw(st.integers(2, 5))
    arcs = draw(
        st.dictionaries(
            st.tuples(st.integers(0, states - 2), st.integers(1, 3)),
            st.tuples(st.integers(1, states - 1), st.integers(0, 2)),
            min_size=1,
            max_size=9,
        )
    )
    rows = [(s, x, y, min(s + d, states - 1), 0.5 * s + x) for (s, x), (d, y) in arcs.items()]
    source, il, ol, to, cost = (np.array(c) for c in zip(*rows))
    finals = draw(st.lists(st.sampled_from([np.inf, 0.25]), min_size=states - 1, max_size=states - 1))
    return FstArrays.from_arcs(0, source, il, ol, to, cost, np.array([*finals, 0.0]))


@settings(max_examples=80, deadline=None)
@given(graph=phone_graphs(), left=st.integers(0, 2), right=st.integers(0, 2))
def test_windows_are_the_phones_around(strings, same_strings, graph, left, right):
    from hybrid.fst.ops import connect

    graph = connect(graph)
    if not graph.num_states:
        return
    split, windows = add_context(graph, left, right)
    same_strings(strings(split), strings(graph))
    paths = [(split.start, ())]
    while paths:
        state, arcs = paths.pop()
        if np.isfinite(split.final_costs[state]):
            phones = [0] * left + split.ilabels[list(arcs)].tolist() + [0] * right
            for k, arc in enumerate(arcs):
                assert windows[arc].tolist() == phones[k : k + left + 1 + right]
        for arc in range(split.row_splits[state], split.row_splits[state + 1]):
            paths.append((int(split.next_states[arc]), (*arcs, arc)))


def test_context_where_the_start_is_entered():
    loop = FstArrays(0, [0, 2], [1, 2], [1, 2], [0, 0], [0.5, 0.25], [0.0])
    split, windows = add_context(loop, 1, 1)
    assert {tuple(w) for w in windows.tolist()} == set(itertools.product((0, 1, 2), (1, 2), (0, 1, 2)))
    assert not (split.next_states == split.start).any()


def test_phone_graph_is_deterministic(lang):
    graph = LexiconIndex(lang.L_arrays()).phone_graph(lang.text_to_ids(["A", "SEE", "A"]))
    pairs = list(zip(graph.sources().tolist(), graph.ilabels.tolist()))
    assert len(set(pairs)) == len(pairs) and not (graph.ilabels == 0).any()


@pytest.mark.peer
def test_equal_to_kaldi(peers, kaldi_bin, tmp_path):
    import subprocess

    from hybrid.formats.openfst import read_fst_stream
    from hybrid.tree import read_tree
    from lexicon.lang_dir import LangDir

    lang = LangDir.load(peers / "lang_small" / "lang")
    mdl, tree, ark = tmp_path / "mdl", tmp_path / "tree", tmp_path / "ark"
    subprocess.run([kaldi_bin / "gmm-init-mono", lang.topo_path, "39", mdl, tree], check=True, capture_output=True)
    rng = np.random.default_rng(1)
    spoken = np.setdiff1d(np.unique(lang.L_arrays().olabels), [0])
    texts = {f"u{i}": rng.choice(spoken, 4 + 3 * i).tolist() for i in range(4)}
    (tmp_path / "text").write_text("".join(f"{u} {' '.join(map(str, ids))}\n" for u, ids in texts.items()))
    command = [kaldi_bin / "compile-train-graphs", tree, mdl, lang.path / "L.fst"]
    subprocess.run([*command, f"ark:{tmp_path}/text", f"ark:{ark}"], check=True, capture_output=True)
    from hybrid.hmm import read_topology

    compile_text = compiler(lang, TransitionModel(read_topology(lang.topo_path), read_tree(tree)))
    with open(ark, "rb") as stream:
        for utterance, words in texts.items():
            assert stream.read(len(utterance) + 1).decode() == utterance + " "
            place = stream.tell()
            if stream.read(2) != b"\0B":
                stream.seek(place)
            theirs = read_fst_stream(stream)
            assert randomly_equivalent(compile_text(words), theirs, 8, 1e-4) == ""


def test_joined_packs_are_one_pack(lang, models):
    compile_text = compiler(lang, models["mono"])
    graphs = {f"u{i}": compile_text([word]) for i, word in enumerate((3, 4, 5))}
    packs = [TrainingGraphs.pack({u: graphs[u] for u in ids}) for ids in (["u0"], [], ["u1", "u2"], [])]
    joined, whole = TrainingGraphs.join(packs), TrainingGraphs.pack(graphs)
    assert joined.ids == whole.ids and list(joined.arrays) == list(whole.arrays)
    for name in ("starts", "state_splits", "arc_splits"):
        mine, wanted = getattr(joined, name), getattr(whole, name)
        assert mine.dtype == wanted.dtype and np.array_equal(mine, wanted)
    for name, array in whole.arrays.items():
        assert joined.arrays[name].dtype == array.dtype and np.array_equal(joined.arrays[name], array)
    assert len(TrainingGraphs.join([])) == 0


@pytest.mark.parametrize(
    "name, value",
    [("row_splits", 10**6), ("row_splits", -1), ("next_states", 10**6), ("state_splits", 7), ("arc_splits", -5),
     ("starts", 99), ("ilabels", -3), ("costs", np.nan)],
)  # fmt: skip
def test_damaged_graphs_are_refused(tmp_path, lang, models, name, value):
    """A row that points elsewhere made the search read foreign memory."""
    from hybrid.formats.tensors import load_arrays, save_arrays

    model = models["mono"]
    graphs, _ = compile_training_graphs(TrainingGraphCompiler(lang, model), [("u", [3]), ("v", [4, 3])])
    graphs.save(tmp_path / "g.safetensors", model)
    arrays, _ = load_arrays(tmp_path / "g.safetensors")
    arrays[name] = arrays[name].copy()
    arrays[name][1] = value
    save_arrays(tmp_path / "g.safetensors", arrays)
    (tmp_path / "g.safetensors.meta.json").unlink()  # its hash would tell first
    with pytest.raises(InputError, match=r"g\.safetensors"):
        TrainingGraphs.load(tmp_path / "g.safetensors")
