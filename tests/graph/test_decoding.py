"""HCLG: equal to plain composition for every context width, and to Kaldi's mkgraph; its folder; its errors."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.artifact import read_meta, write_meta
from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.base.limited import available_memory
from hybrid.formats.openfst import FstArrays, from_kaldifst, read_fst, to_kaldifst, write_fst
from hybrid.fst.equivalence import randomly_equivalent
from hybrid.fst.ops import replace_symbols
from hybrid.graph.config import GraphConfig
from hybrid.graph.decoding import DecodingGraph, compile_decoding_graph
from hybrid.graph.h_transducer import h_transducer
from hybrid.graph.means import BYTES_PER_PHONE, phones_spelt
from hybrid.graph.report import within_memory
from hybrid.graph.self_loops import add_self_loops, numbered_pairs
from hybrid.hmm import HmmTopology, TransitionModel, read_topology
from hybrid.tree import ContextTree
from hybrid.verify import verify
from lexicon.lang_dir import LangDir

MODELS = ["mono", "biphone", "triphone", "quinphone", "chain"]


def composed(lang, grammar, model: TransitionModel, scales: tuple[float, float]) -> FstArrays:
    """The readable reference: H∘C∘L∘G without determinisation, minimisation or pushing."""
    left = to_kaldifst(lang.L_arrays(disambig=True))
    kaldifst.arcsort(left, "olabel")
    lg = kaldifst.compose(left, to_kaldifst(grammar))
    context, ids = kaldifst.compose_context(
        lang.disambig_phones, model.tree.context_width, model.tree.central_position, lg
    )
    h, disambig = h_transducer(ids, model, scales[0])
    graph = from_kaldifst(kaldifst.compose(to_kaldifst(h), context))
    return add_self_loops(replace_symbols(graph, disambig, 0), model, scales[1])


@pytest.mark.parametrize("name", MODELS)
def test_equal_to_composition(lang, models, grammar, tmp_path, name):
    compile_decoding_graph(lang, grammar, models[name], tmp_path / "graph", GraphConfig(1.0, 0.1))
    graph = DecodingGraph.load(tmp_path / "graph").fst
    reference = composed(lang, grammar, models[name], (1.0, 0.1))
    assert randomly_equivalent(graph, reference, 25, 2e-3, max_length=300) == ""
    assert graph.num_arcs < reference.num_arcs


@pytest.mark.parametrize("name, scale", [("biphone", 0.1), ("chain", 1.0)])
def test_scales_left_open_are_those_of_the_topology(lang, models, grammar, name, scale):
    left_open = compile_decoding_graph(lang, grammar, models[name])
    assert left_open.fst.equals(compile_decoding_graph(lang, grammar, models[name], None, GraphConfig(1.0, scale)).fst)


def test_every_sentence_by_walking_all_paths(lang, models, sentence_fst, strings, same_strings, tmp_path):
    """A grammar without loops and a model without self-loops: all strings, in and out, with their weights."""
    straight = HmmTopology(tuple(replace(e, states=tuple(
        replace(s, transitions=((n + 1, 1.0),)) for n, s in enumerate(e.states)
    )) for e in models["mono"].topology.entries))  # fmt: skip
    model = TransitionModel(straight, models["mono"].tree)
    grammar = sentence_fst(("A SEED", "SEE A SEA", "SEEDS"))
    compile_decoding_graph(lang, grammar, model, tmp_path / "graph")
    made, expected = read_fst(tmp_path / "graph" / "HCLG.fst"), composed(lang, grammar, model, (1.0, 0.1))
    same_strings(strings(made), strings(expected), 1e-2)
    assert {ys for _, ys in strings(made)} == {
        tuple(lang.text_to_ids(s.split())) for s in ("A SEED", "SEE A SEA", "SEEDS")
    }


def test_folder_and_report(lang, models, grammar, tmp_path):
    write_fst(tmp_path / "G.fst", grammar)
    report = compile_decoding_graph(lang, tmp_path / "G.fst", models["mono"], tmp_path / "graph").report
    names = [o.name for o in report.operations]
    assert names == ["L∘G", "det*(L∘G)", "min(det*(L∘G))", "LG = push", "CLG = C∘LG", "H∘CLG", "det*(H∘CLG)",
                     "local rmeps", "HCLGa = min", "HCLG: self-loops"]  # fmt: skip
    pushed = report.operations[3]
    assert pushed.max_cost - pushed.min_cost < 5e-3  # every state sums to the same
    assert all(o.states > 0 and o.arcs > 0 and o.peak_gb > 0 for o in report.operations)
    meta = read_meta(tmp_path / "graph")
    assert meta["kind"] == "graph" and meta["facts"]["arcs"] == report.operations[-1].arcs
    assert set(meta["inputs"]) == {"tree", "topo", "words", "phones", "lexicon", "grammar"}
    assert set(meta["paths"]) == {"words", "phones", "lexicon", "grammar"}
    lines = (tmp_path / "graph" / "report.tsv").read_text().splitlines()
    assert lines[0] == "name\tstates\tarcs\tmin_cost\tmax_cost" and len(lines) == 11  # the same in every run
    assert all(row["peak_gb"] > 0 for row in meta["facts"]["operations"])
    graph = DecodingGraph.load(tmp_path / "graph")
    assert graph.words.symbols == lang.words.symbols
    assert (tmp_path / "graph" / "num_pdfs").read_text() == f"{models['mono'].num_pdfs}\n"
    assert (tmp_path / "graph" / "phones" / "word_boundary.int").exists()


def test_the_same_graph_twice(lang, models, grammar, tmp_path):
    for name in ("a", "b"):
        compile_decoding_graph(lang, grammar, models["triphone"], tmp_path / name)
    assert (tmp_path / "a" / "HCLG.fst").read_bytes() == (tmp_path / "b" / "HCLG.fst").read_bytes()


@pytest.mark.parametrize("name", ["biphone", "triphone"])
def test_a_small_graph_does_not_wait_for_kernels(lang, models, grammar, tmp_path, monkeypatch, caplog, name):
    """Before they are compiled the same graph, to the byte, is made by plain Python, and told; a large one is not."""
    caplog.set_level(logging.INFO)
    files, told = [], []
    for way, (compiled, little) in enumerate([(True, 1e9), (False, 1e9), (False, 3)]):
        monkeypatch.setattr("hybrid.graph.means.is_compiled", lambda fst, compiled=compiled: compiled)
        monkeypatch.setattr("hybrid.graph.means.LITTLE", little)
        compile_decoding_graph(lang, grammar, models[name], tmp_path / str(way))
        files.append((tmp_path / str(way) / "HCLG.fst").read_bytes())
        told.append("plain Python, for it is little and kernels are not compiled yet" in caplog.text)
        caplog.clear()
    assert files[0] == files[1] == files[2] and told == [False, True, False]


def test_a_graph_knows_its_model(lang, models, grammar, tmp_path):
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "graph")
    graph = DecodingGraph.load(tmp_path / "graph")
    graph.check_model(models["mono"], "exp/mono")
    with pytest.raises(
        MismatchError, match=r"graph and exp/tri were made from different versions of the tree \(.*again"
    ):
        graph.check_model(models["triphone"], "exp/tri")
    (tmp_path / "graph" / "meta.json").unlink()  # a graph folder of Kaldi's has none: ids decide
    kaldi = DecodingGraph.load(tmp_path / "graph")
    kaldi.check_model(models["mono"], "exp/mono")
    with pytest.raises(MismatchError, match=r"graph and exp/chain: transition_id \d+ lies outside 0–\d+"):
        kaldi.check_model(models["chain"], "exp/chain")


def test_swapped_words_and_labels_are_found(lang, models, grammar, tmp_path):
    """The first load of a file that was changed finds it, though neither its size nor its time tells."""
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "graph")
    file = tmp_path / "graph" / "HCLG.fst"
    fst, times = DecodingGraph.load(tmp_path / "graph").fst, os.stat(file)
    labels = fst.olabels.copy()
    first, second = np.unique(labels[labels > 0])[:2]
    labels[fst.olabels == first], labels[fst.olabels == second] = second, first
    write_fst(file, replace(fst, olabels=labels), "const")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_size == times.st_size
    with pytest.raises(
        MismatchError, match=r"HCLG\.fst: was changed or damaged: found hash \w+, meta\.json records \w+\."
    ):
        DecodingGraph.load(tmp_path / "graph").fst
    write_fst(file, fst, "const")
    DecodingGraph.load(tmp_path / "graph").fst
    words = (tmp_path / "graph" / "words.txt").read_text()
    a, b = lang.words.symbol(int(first)), lang.words.symbol(int(second))
    swapped = words.replace(f"\n{a} {first}\n", f"\n{a} {second}\n").replace(f"\n{b} {second}\n", f"\n{b} {first}\n")
    assert swapped != words
    (tmp_path / "graph" / "words.txt").write_text(swapped)
    with pytest.raises(MismatchError, match=r"words\.txt: was changed or damaged"):
        DecodingGraph.load(tmp_path / "graph")


def test_a_record_without_the_graphs_figures_is_told(lang, models, grammar, tmp_path):
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "graph")
    graph = DecodingGraph.load(tmp_path / "graph")
    damaged = replace(graph, meta={**graph.meta, "facts": {"num_pdfs": 3}})
    with pytest.raises(InputError, match="meta.json: holds no usable record of a graph .KeyError: 'operations'"):
        damaged.save(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_inputs_of_a_record_are_hashes_and_no_paths(lang, models, grammar, tmp_path):
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "graph")
    file = tmp_path / "graph" / "meta.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "inputs": {**record["inputs"], "lang": 5, "grammar": "/etc/passwd"}}))
    assert {"lang", "grammar"}.isdisjoint(DecodingGraph.load(tmp_path / "graph").inputs)


def test_no_graph_folder(tmp_path):
    with pytest.raises(
        InputError, match="has no HCLG.fst; wanted a graph folder. Make it with `hybrid graph compile` or `build`"
    ):
        DecodingGraph.load(tmp_path)


def test_grammars_that_cannot_be_used(lang, models, sentence_fst, tmp_path):
    grammar = sentence_fst(("A",))
    foreign = replace(grammar, ilabels=grammar.ilabels + 900)
    with pytest.raises(MismatchError, match=r"G: word_id 9\d\d lies outside 0–.* Make G with the words.txt of"):
        compile_decoding_graph(lang, foreign, models["mono"], tmp_path / "g")
    with pytest.raises(InputError, match="G: the grammar accepts nothing"):
        compile_decoding_graph(lang, FstArrays.empty(), models["mono"], tmp_path / "g")
    silent = replace(grammar, ilabels=np.full(1, lang.words["<s>"]))
    with pytest.raises(HybridError, match="L∘G accepts nothing: no sentence of the grammar can be spoken"):
        compile_decoding_graph(lang, silent, models["mono"], tmp_path / "g")
    assert not (tmp_path / "g").exists()


def test_words_without_pronunciation_are_warned_of(lang, models, sentence_fst, tmp_path, caplog):
    grammar = sentence_fst(("A SEED",))
    more = FstArrays.from_arcs(0, np.append(grammar.sources(), 0), np.append(grammar.ilabels, lang.words["<s>"]),
                               np.append(grammar.olabels, 0), np.append(grammar.next_states, 1),
                               np.append(grammar.costs, 0), grammar.final_costs)  # fmt: skip
    compile_decoding_graph(lang, more, models["mono"], tmp_path / "g")
    assert "1 words have no pronunciation and cannot be recognised: <s>" in caplog.text


def test_the_lexicon_is_read_once(lang, models, grammar, tmp_path, monkeypatch):
    read, reads = LangDir.L_arrays, []

    def counted(self, disambig=False):
        reads.append(disambig)
        return read(self, disambig)

    monkeypatch.setattr(LangDir, "L_arrays", counted)
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "g")
    assert reads == [True]


@pytest.fixture
def ambiguous_lang(lang, tmp_path, forget_files) -> LangDir:
    """A lang folder whose L_disambig lacks the symbols that tell SEA, SEE and SEED apart."""
    folder = tmp_path / "ambiguous"
    shutil.copytree(lang.path, folder)
    fst = lang.L_arrays(disambig=True)
    numbered = [lang.phones[s] for s in lang.phones.symbols if s.startswith("#") and s != "#0"]
    write_fst(folder / "L_disambig.fst", replace_symbols(fst, numbered, 0))
    forget_files(folder)
    return LangDir.load(folder)


def test_words_that_cannot_be_told_apart_are_named(ambiguous_lang, models, grammar, tmp_path):
    with pytest.raises(HybridError) as caught:
        compile_decoding_graph(ambiguous_lang, grammar, models["mono"], tmp_path / "g", GraphConfig(max_states=3000))
    text = str(caught.value)
    assert "ambiguous and G: L∘G cannot be determinised: one input has two outputs: 'SEA' and" in text
    assert "'SEA' and 'SEE' are both pronounced 'S_B IY_E'" in text
    assert "make the lang folder again with `hybrid lang prepare`" in text and "\n" not in text


def test_a_grammar_with_two_outputs_for_one_input_is_named(ambiguous_lang, models, sentence_fst, tmp_path):
    loop = sentence_fst(("SEED", "SEEDS", "SEEDS"))
    with pytest.raises(HybridError, match="the grammar is ambiguous: state 0 has two arcs for 'SEEDS'"):
        compile_decoding_graph(ambiguous_lang, replace(loop, olabels=np.arange(1, 4)), models["mono"], tmp_path / "g")


def test_an_ambiguous_grammar_is_named(lang, models, tmp_path):
    word = lang.words["SEED"]
    # Two loops that read the same word for ever and differ in weight: no finite determinisation.
    grammar = FstArrays(0, [0, 2, 3, 4], [word] * 4, [word] * 4, [1, 2, 1, 2], [0.0, 0.0, 1.0, 2.0], [np.inf, 0, 0])
    with pytest.raises(HybridError, match="the grammar is ambiguous: state 0 has two arcs for 'SEED'. Put #0 on its"):
        compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "g", GraphConfig(max_states=2000))


def test_predicted_memory_is_that_of_the_words_spelt_out():
    finals = [0.0] + [np.inf] * 3
    lexicon = FstArrays(0, [0, 2, 3, 4, 5], [1, 2, 3, 4, 5], [7, 8, 0, 0, 0], [1, 2, 3, 3, 0], [0.0] * 5, finals)
    line = FstArrays(0, [0, 1, 2, 3, 3], [7, 8, 8], [7, 8, 8], [1, 2, 3], [0.0] * 3, [np.inf] * 3 + [0.0])
    # Two words on five arcs, 2.5 phones each, and three words in G: 7.5 phones.
    assert phones_spelt(lexicon, line) == 7.5
    # A second pronunciation is spelt out wherever the word stands.
    twice = replace(lexicon, olabels=np.array([7, 8, 8, 0, 0]))
    assert phones_spelt(twice, line) == 5 / 3 * 5
    # The LibriSpeech trigram of 33 thousand words has 11.4 million phones, and triphones took 1.84 GB.
    assert 1.84e9 < BYTES_PER_PHONE * 11.4e6 < 3 * 1.84e9


def test_too_little_memory_is_one_line(lang, models, grammar, tmp_path):
    prune = r"Prune the language model \(`hybrid lm prune`\)"
    with pytest.raises(HybridError, match=rf"does not fit into 0.01 GB. {prune}"):
        within_memory(np.zeros, 10**9, gigabytes=0.01, predicted=8e9)
    states = 2 * 10**6
    none = np.zeros(0)
    many = FstArrays(0, np.zeros(states + 1), none, none, none, none, np.zeros(states))
    with pytest.raises(HybridError, match=r"does not fit into 0.05 GB"):
        within_memory(to_kaldifst, many, gigabytes=0.05, predicted=1e9)
    with pytest.raises(HybridError, match=rf"the graph does not fit into 1e-06 GB. {prune}"):
        compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "g", GraphConfig(memory_gb=1e-6))
    assert not (tmp_path / "g").exists()
    with pytest.raises(HybridError, match="does not fit into 1 GB"):  # whom the system kills, it kills alone
        within_memory(os._exit, 9, gigabytes=1, predicted=1e9)
    if Path("/proc/meminfo").exists():
        assert 1 << 20 < available_memory() < 1 << 50  # bytes


def test_this_process_is_never_limited(lang, models, grammar, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a limit on the whole process")

    monkeypatch.setattr("resource.setrlimit", refuse)
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "here")
    monkeypatch.setattr("hybrid.graph.report.SURE", 0.0)
    report = compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "child").report
    assert [o.name for o in report.operations][-1] == "HCLG: self-loops" and report.cpu_seconds > 0
    for name in ("HCLG.fst", "report.tsv", "disambig_tid.int"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "child" / name).read_bytes()


def test_a_limited_process_has_large_pages_and_keeps_what_it_frees(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    found = within_memory(os.getenv, "GLIBC_TUNABLES", gigabytes=1, predicted=1e9)
    settings = dict(part.split("=") for part in found.split(":"))
    assert settings["glibc.malloc.hugetlb"] == "1" and settings["glibc.malloc.check"] == "0"
    assert settings["glibc.malloc.mmap_max"] == "0" and float(settings["glibc.malloc.trim_threshold"]) > 1e11


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), number=st.integers(0, 60))
def test_states_before_states_are_numbered_as_sorted_pairs(seed, number):
    rng = np.random.default_rng(seed)
    states, classes = rng.integers(0, 5, number).astype(np.int32), rng.integers(1, 4, number).astype(np.int32)
    pairs, index = np.unique(states.astype(np.int64) * 4 + classes, return_inverse=True)
    found = numbered_pairs(states, classes, 5, 3)
    for array, wanted in zip(found, (pairs // 4, pairs % 4, index.reshape(-1))):
        np.testing.assert_array_equal(array, wanted)


def test_what_a_limited_process_raises_is_raised_here(ambiguous_lang, models, grammar, tmp_path, monkeypatch):
    monkeypatch.setattr("hybrid.graph.report.SURE", 0.0)
    with pytest.raises(HybridError, match="'SEA' and 'SEE' are both pronounced 'S_B IY_E'"):
        compile_decoding_graph(ambiguous_lang, grammar, models["mono"], tmp_path / "g", GraphConfig(max_states=3000))


def test_config_checks_itself():
    with pytest.raises(ValueError, match="self_loop_scale is -0.1, wanted at least 0"):
        GraphConfig(self_loop_scale=-0.1)


def kaldis_graph(kaldi_bin, lang: LangDir, model: TransitionModel, folder) -> FstArrays:
    """Makes HCLG with the steps of Kaldi's mkgraph.sh."""
    model.tree.write(folder / "tree")
    model.topology.write(folder / "topo")
    script = f"""set -e
    gmm-init-model-flat tree topo flat.mdl
    fsttablecompose {lang.path}/L_disambig.fst G.fst | fstdeterminizestar --use-log=true | fstminimizeencoded |
      fstpushspecial > LG.fst
    fstcomposecontext --context-size={model.tree.context_width} --central-position={model.tree.central_position} \
      --read-disambig-syms={lang.path}/phones/disambig.int --write-disambig-syms=dis ilabels LG.fst | \
      fstarcsort --sort_type=ilabel > CLG.fst
    make-h-transducer --disambig-syms-out=tid --transition-scale=1.0 ilabels tree flat.mdl > Ha.fst
    fsttablecompose Ha.fst CLG.fst | fstdeterminizestar --use-log=true | fstrmsymbols tid | fstrmepslocal |
      fstminimizeencoded > HCLGa.fst
    add-self-loops --self-loop-scale=0.1 --reorder=true flat.mdl HCLGa.fst > HCLG.fst"""
    path = f"{kaldi_bin}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-c", script], cwd=folder, check=True, capture_output=True, env={**os.environ, "PATH": path}
    )
    return read_fst(folder / "HCLG.fst")


@pytest.mark.peer
@pytest.mark.parametrize("name", ["mono", "triphone"])
def test_equal_to_kaldis_mkgraph(lang, models, grammar, kaldi_bin, tmp_path, name):
    if shutil.which("fstarcsort") is None:
        pytest.skip("OpenFst's fstarcsort, which mkgraph.sh calls, is not installed")
    write_fst(tmp_path / "G.fst", grammar)
    model = TransitionModel(models[name].topology, models[name].tree)
    theirs = kaldis_graph(kaldi_bin, lang, model, tmp_path)
    compile_decoding_graph(lang, grammar, model, tmp_path / "graph")
    ours = DecodingGraph.load(tmp_path / "graph").fst
    assert randomly_equivalent(ours, theirs, 40, 2e-3, max_length=300) == ""
    assert ours.num_arcs <= 1.05 * theirs.num_arcs and ours.num_states <= 1.05 * theirs.num_states


@pytest.mark.peer
@pytest.mark.slow
def test_equal_to_kaldis_mkgraph_on_a_larger_language(peers, kaldi_bin, tmp_path):
    if shutil.which("fstarcsort") is None:
        pytest.skip("OpenFst's fstarcsort, which mkgraph.sh calls, is not installed")
    from lm.config import EstimateConfig
    from lm.estimate import estimate_from_sentences
    from lm.grammar_fst import ngram_to_fst

    lang = LangDir.load(peers / "lang_small" / "lang")
    spoken = np.setdiff1d(np.unique(lang.L_arrays().olabels), [0, lang.oov_id])
    rng = np.random.default_rng(3)
    sentences = [[lang.words.symbol(int(w)) for w in rng.choice(spoken, rng.integers(1, 9))] for _ in range(300)]
    arpa, _ = estimate_from_sentences(sentences, EstimateConfig(order=3))
    grammar = ngram_to_fst(arpa, lang.words)
    write_fst(tmp_path / "G.fst", grammar)
    topology = read_topology(lang.topo_path)
    model = TransitionModel(topology, ContextTree.monophone(lang.sets, topology.pdf_class_counts()))
    theirs = kaldis_graph(kaldi_bin, lang, model, tmp_path)
    compile_decoding_graph(lang, grammar, model, tmp_path / "graph")
    ours = DecodingGraph.load(tmp_path / "graph").fst
    assert randomly_equivalent(ours, theirs, 40, 2e-3, max_length=400) == ""
    assert ours.num_arcs <= 1.02 * theirs.num_arcs and ours.num_states <= 1.02 * theirs.num_states


def test_verify_walks_to_the_model_that_a_graph_was_made_with(lang, models, grammar, tmp_path):
    model = tmp_path / "mono"
    model.mkdir()
    models["mono"].tree.write(model / "tree")
    models["mono"].topology.write(model / "topo")
    (model / "final.safetensors").write_bytes(b"weights")
    write_meta(model, "gmm")
    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "graph", model_dir=model)
    assert not any(v.bad for v in verify([tmp_path / "graph"]))
    (model / "final.safetensors").write_bytes(b"changed")
    assert [Path(v.path).name for v in verify([tmp_path / "graph"]) if v.bad] == ["final.safetensors"]
