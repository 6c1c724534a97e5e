"""The table of readers: which file of the world each reads, and what a command then does with the value."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from world import RATE, hybrid

__all__ = ["READERS", "Reader"]

Use = Callable[[Path, Path], Any]


@dataclass(frozen=True)
class Reader:
    """A file of the world and what is done with it.

    Attributes:
      file: relative to the world's folder; it is damaged.
      use: reads and uses it; called with the file and the world's folder. Output goes to `out` there.
    """

    file: str
    use: Use


# --- Kaldi's archives, scores, alignments ----------------------------------------------------------------------------


def _matrices(path: Path, _: Path) -> None:
    from hybrid.formats.kaldi_io import read_matrices

    for _, matrix in read_matrices(path):
        np.isfinite(matrix).all()


def _ints(path: Path, _: Path) -> None:
    from hybrid.formats.kaldi_io import read_int_vectors

    for _, vector in read_int_vectors(path):
        vector.sum()


def _matrix(path: Path, _: Path) -> None:
    from hybrid.formats.kaldi_io import read_matrix

    read_matrix(path).sum()


def _scores(path: Path, root: Path) -> None:
    """As `decode --scores`, up to the search."""
    from hybrid.base.errors import HybridError
    from hybrid.decode.sources import ScoreFolder
    from hybrid.search.batch import check_scores

    source = ScoreFolder(str(path.parent if path.suffix == ".npy" else path))
    speech, _ = source.utterances()
    for scores in source.scores(_model(root), speech):
        if not isinstance(scores, str):
            try:
                check_scores(scores, _model(root).tree.num_pdfs)
            except HybridError:
                continue


def _alignments(path: Path, root: Path) -> None:
    from hybrid.timing.segments import phone_segments
    from hybrid.train.gmm.ladder import load_alignments

    for _, ids in load_alignments(path.parent, _model(root)).items():
        phone_segments(ids, _model(root).transition_model)


# --- lattices --------------------------------------------------------------------------------------------------------


def _lattices(path: Path, root: Path) -> None:
    from hybrid.lattice.archive import read_compact_folder, read_lattices, write_lattices
    from hybrid.lattice.determinize import determinize, determinize_compact
    from hybrid.lattice.mbr import mbr_decode
    from hybrid.lattice.paths import best_path, nbest
    from hybrid.lattice.posteriors import arc_posteriors
    from hybrid.lattice.prune import prune

    kept = []
    for utterance, lattice in read_lattices(path):
        lattice.depth, lattice.num_frames
        best_path(lattice, 0.1)
        list(nbest(lattice, 3, 0.1))
        arc_posteriors(lattice, 0.1)
        kept.append((utterance, prune(lattice, 5.0, 0.1)))
        determinize(lattice, 5.0, 0.1, max_elements=20_000)
    for compact, text in itertools.product((False, True), repeat=2):
        write_lattices(root / "out" / "lat", kept, compact, text)
    for _, compact_lattice in read_compact_folder(path):
        mbr_decode(compact_lattice, 0.1)
        determinize_compact(compact_lattice, 5.0, 0.1, max_elements=20_000)


def _slf(path: Path, root: Path) -> None:
    from hybrid.lattice.archive import read_slf
    from hybrid.lattice.mbr import mbr_decode
    from lexicon.symbols import SymbolTable

    table = _once("words", root, lambda: SymbolTable.read(root / "graph/words.txt"))
    for _, compact in read_slf(path, table, 0.01):
        mbr_decode(compact, 0.1)


def _decoded(path: Path, root: Path) -> None:
    hybrid("lattice", "best-path", root / "decode", "--words", root / "graph/words.txt")


def _calibration(path: Path, root: Path) -> None:
    hybrid("confidence", "apply", root / "decode", "--calibration", path, "--words", root / "graph/words.txt")


def _report(path: Path, root: Path) -> None:
    hybrid("report", root / "decode", "--ref", root / "data", "--words", root / "graph/words.txt", "--sounds", 1,
           "--replications", 100, "--out", root / "out/report.html")  # fmt: skip


def _votes(path: Path, root: Path) -> None:
    hybrid("combine", "rover", path, root / "sure.txt", "--confidences")


def _sweep(path: Path, root: Path) -> None:
    hybrid("score", "sweep", "--ref", root / "data", "--lattices", root / "decode", "--words", root / "graph/words.txt",
           "--lm-weights", "10", "--penalties", "0", "--replications", 100, "--out-dir", root / "out")  # fmt: skip


# --- FSTs and graphs -------------------------------------------------------------------------------------------------


def _fst(path: Path, root: Path) -> None:
    from hybrid.formats.openfst import from_kaldifst, read_fst, to_kaldifst
    from hybrid.graph.info import describe

    fst = read_fst(path)
    describe(fst)
    from_kaldifst(to_kaldifst(fst))


def _grammar(path: Path, root: Path) -> None:
    hybrid("graph", "compile", "--model", root / "mono", "--lang", root / "lang", "--grammar", path, "--out-dir",
           root / "out/graph", "--max-states", 10000)  # fmt: skip


def _graph(path: Path, root: Path) -> None:
    """As `decode`: load what belongs together, search, tell words and phones."""
    from hybrid.data.utterance import Utterance
    from hybrid.decode.system import SystemSpec, _load_system, load_system
    from hybrid.search.config import SearchConfig

    _load_system.cache_clear()
    spec = SystemSpec(str(root / "mono"), str(root / "graph"), search=SearchConfig(beam=6.0, max_active=200))
    system = load_system(spec)
    scores = np.random.RandomState(0).randn(6, system.model.tree.num_pdfs).astype(np.float32)
    system.recognise([Utterance("u")], [scores])


def _graph_info(path: Path, root: Path) -> None:
    hybrid("graph", "info", root / "graph", "--model", root / "mono")


def _training_graphs(path: Path, root: Path) -> None:
    from hybrid.align.corpus_alignments import Aligner, align_corpus
    from hybrid.graph.training import TrainingGraphs

    model, store = _model(root), _store(root)
    graphs = TrainingGraphs.load(path, model.tree)
    aligner = Aligner(model.acoustic_model, model.transition_model, model.pipeline)  # type: ignore[arg-type]
    align_corpus(aligner, store, graphs, [u for u in store.ids if u in graphs])


def _chain(path: Path, root: Path) -> None:
    """As training: load denominator and supervision, cut chunks."""
    from hybrid.chain.folder import load_chain_model, load_denominator
    from hybrid.chain.store import Supervisions
    from hybrid.chain.supervision import Cutter

    _, part = _once("chain", root, lambda: load_chain_model(root / "ctree"))
    supervisions = Supervisions.open(root / "sup", part)
    cutter = Cutter(load_denominator(root / "den", part), supervisions.config)
    for utterance in supervisions.ids[:3]:
        numerator = supervisions[utterance]
        cutter.chunk(numerator, 0, min(numerator.num_frames, 60))


def _chain_den(path: Path, root: Path) -> None:
    hybrid("nnet", "chain-den", "--tree", root / "ctree", "--num-extra-lm-states", 5, "--out-dir", root / "out/den")


def _bias_list(path: Path, root: Path) -> None:
    from lexicon.symbols import SymbolTable
    from lm.biasing.bias_list import read_bias_list

    read_bias_list(path, SymbolTable.read(root / "lang/words.txt"), 1.0).automaton()


def _rules(path: Path, _: Path) -> None:
    from hybrid.written.form import WrittenForm
    from hybrid.written.rewriting import read_rules

    rules = read_rules(path)
    WrittenForm(before=rules, after=rules).text(["a", "ab", "b", "five", "thirty", "p", "m"])


def _own_words(path: Path, _: Path) -> None:
    from hybrid.graph.own_words import read_words

    read_words([path])


def _said(path: Path, _: Path) -> None:
    """As `grammar check` and `graph build` with small grammars, up to L."""
    from lm.grammar.automaton import automaton_of
    from lm.grammar.grammar_acceptor import acceptor
    from lm.grammar.load import read_grammar
    from lm.grammar.parse import parse, stop_of
    from lm.grammar.rules import estimate_arcs, findings
    from lm.grammar.sentences import facts_of
    from lm.grammar.srgs import parse_srgs, write_srgs

    grammar = read_grammar(path)
    findings(grammar)
    if estimate_arcs(grammar) > 5000:
        return
    automaton = automaton_of(grammar)
    facts_of(acceptor(automaton, automaton.word_numbers, len(automaton.words) + 1))
    for words in (["a", "w"], ["b", "c", "a", "w"]):
        parse(automaton, words)
        stop_of(automaton, words)
    parse_srgs(write_srgs(grammar).encode(), "again")


# --- networks --------------------------------------------------------------------------------------------------------


def _network(name: str, path: Path, root: Path) -> None:
    """A network's folder is described, scores a whole utterance and a stream, and is averaged."""
    from hybrid.train.nnet.describe import describe
    from hybrid.train.nnet.finish import average_model

    describe(root / name)
    model = _load_model(root / name)
    store, scorer = _store(root), model.acoustic_model
    features = model.pipeline.features(store, store.ids[0])
    model.scores(features)
    scorer.advance([scorer.open()], [features[:20]], [True])
    average_model(root / name, root / "out/average", 2, True, None, scorer.network.device)


def _network_state(path: Path, root: Path) -> None:
    """A killed training goes on."""
    import torch

    from hybrid.train.nnet.checkpoint import load_state
    from hybrid.train.nnet.config import OptimiserConfig
    from hybrid.train.nnet.log import write_rows
    from hybrid.train.nnet.optimiser import Optimiser

    network = _load_model(root / "net").acoustic_model.network
    optimiser = Optimiser(network, OptimiserConfig())
    state = load_state(path, network, optimiser, "me")
    if state is not None:
        torch.manual_seed(1_000_003 + state.step)
        write_rows(root / "out/passes.tsv", state.rows)
        for parameter in network.parameters():
            parameter.grad = parameter.detach() * 0.1 + 1
        optimiser.step(0.01, optimiser.gradient_norm())
        optimiser.arrays()


def _network_settings(path: Path, root: Path) -> None:
    """As `nnet train`, up to the first step."""
    from hybrid.train.nnet import tasks
    from hybrid.train.nnet.batches import plan_epoch
    from hybrid.train.nnet.chain import chain_task
    from hybrid.train.nnet.corpus import hold_out, usable_items
    from hybrid.train.nnet.optimiser import Optimiser
    from hybrid.train.nnet.run import _check_chunks, _maker, _network
    from hybrid.train.nnet.settings import settings_of

    settings = settings_of(path)
    config = settings.config
    whole = config.batches.whole
    task = chain_task(root / "ctree", root / "den", root / "sup", settings.chain, settings.subsampling_factor, whole)
    source = tasks.store_source(root / "feats", settings.cmvn, config.augment)
    items, failed = usable_items(source, task.targets, config.training.max_failed)
    corpus = hold_out(items, failed, config.training)
    network = _network(task, source, config)
    _check_chunks(config.batches, network)
    maker = _maker(source, corpus, task, network, config)
    for batch in plan_epoch([item.frames for item in items], config.batches, network.subsampling_factor, 0, 0):
        maker.make(0, batch)
        break
    Optimiser(network, config.optimiser).arrays()


def _discriminative(path: Path, root: Path) -> None:
    """As `nnet train --objective smbr`, up to the loss of the first utterances."""
    import torch

    from hybrid.lattice.lattice_set import LatticeSet
    from hybrid.nnet.losses import DiscriminativeConfig
    from hybrid.nnet.network import Output
    from hybrid.train.nnet.discriminative import discriminative_task
    from hybrid.train.nnet.sources import StoreSource

    LatticeSet.load(root / "ndecode", root / "graph/words.txt")
    task = discriminative_task(root / "xent", root / "ndecode", root / "ali", DiscriminativeConfig("smbr", 0.1))
    source = StoreSource(_store(root), _model(root).pipeline)
    for item in [item for item in source.items()[0] if not task.targets.fault(item)][:2]:
        targets = task.targets.together([task.targets.of_chunk(item, 0, item.frames)])
        scores = torch.zeros(1, item.frames, task.transition_model.num_pdfs)
        task.objective(Output(scores, scores, torch.tensor([item.frames])), targets)


def _decoding_graph(path: Path, root: Path) -> None:
    """A graph is loaded, decoded with, and saved again."""
    from hybrid.graph.decoding import DecodingGraph

    _graph(path, root)
    DecodingGraph.load(root / "graph").save(root / "out/again")


def _adapted_decoding(path: Path, root: Path) -> None:
    from hybrid.adapt.sources import AdaptedFeatureFolder

    source = AdaptedFeatureFolder(str(root / "feats"), str(path))
    speech, _ = source.utterances()
    for _ in source.scores(_model(root), speech[:2]):
        pass


# --- models ----------------------------------------------------------------------------------------------------------


def _model(root: Path) -> Any:
    """The undamaged model, loaded once."""
    return _once("model", root, lambda: _load_model(root / "mono"))


def _store(root: Path) -> Any:
    from hybrid.feats.store import FeatureStore

    return _once("store", root, lambda: FeatureStore.open(root / "feats"))


_CACHE: dict[tuple[str, Path], Any] = {}


def _once(name: str, root: Path, make: Callable[[], Any]) -> Any:
    if (name, root) not in _CACHE:
        _CACHE[name, root] = make()
    return _CACHE[name, root]


def _load_model(folder: Path) -> Any:
    from hybrid.model.folder import load_model

    return load_model(folder)


def _model_folder(path: Path, root: Path) -> None:
    from hybrid.gmm.describe import describe_model, describe_pdfs
    from hybrid.timing.segments import phone_segments

    model, store = _load_model(root / "mono"), _store(root)
    describe_model(model.transition_model, model.acoustic_model)
    describe_pdfs(model.transition_model, model.acoustic_model, model.phones)
    model.scores(model.pipeline.features(store, store.ids[0]))
    phone_segments(np.ones(3, np.int32), model.transition_model)


def _topology(path: Path, _: Path) -> None:
    from hybrid.hmm import TransitionModel, read_topology
    from hybrid.tree import ContextTree

    topology = read_topology(path)
    for phone in topology.phones:
        topology.states(phone)
    topology.to_text()
    tree = ContextTree.monophone([[phone] for phone in topology.phones], topology.pdf_class_counts())
    TransitionModel(topology, tree).self_loops


def _tree(path: Path, root: Path) -> None:
    from hybrid.hmm import TransitionModel, read_topology
    from hybrid.tree import read_tree
    from hybrid.tree.draw import describe_tree, draw_svg

    tree = read_tree(path)
    tree.to_text(), describe_tree(tree), draw_svg(tree), tree.depth
    windows = np.random.RandomState(1).randint(0, 6, (20, tree.context_width))
    tree.pdf_ids(windows, np.zeros(20, np.int64))
    TransitionModel(read_topology(root / "mono/topo"), tree).pdf_ids


def _transitions(path: Path, root: Path) -> None:
    from hybrid.hmm import read_transition_model

    model = read_transition_model(path, _model(root).tree)
    model.self_loops, model.log_probs_ignoring_self_loops, model.is_final


def _kaldi_model(path: Path, root: Path) -> None:
    from hybrid.gmm.kaldi_model import format_gmm, read_kaldi_model

    _, gmm = read_kaldi_model(path, _model(root).tree)
    gmm.log_likelihoods(np.zeros((3, gmm.dim), np.float32))
    format_gmm(gmm)


def _transforms(path: Path, root: Path) -> None:
    from hybrid.gmm.speaker_transforms import load_transforms

    model, store = _model(root), _store(root)
    transforms = load_transforms(path, model.pipeline.dim, model.hashes["tree"])
    stats = store.stats(store.speakers()[0])
    for transform in transforms.values():
        model.pipeline.apply(store.load(store.ids[0]), stats, transform)


def _basis(path: Path, root: Path) -> None:
    from hybrid.gmm.basis_fmllr import estimate_basis_fmllr
    from hybrid.gmm.fmllr import FmllrStats
    from hybrid.gmm.speaker_transforms import load_basis

    model = _model(root)
    dim = model.pipeline.dim
    basis = load_basis(path, dim, model.hashes["tree"])
    stats = FmllrStats.zeros(dim)
    stats.beta = 1000.0
    stats.packed += [row[np.triu_indices(dim + 1)] for row in [1000 * np.eye(dim + 1)] * dim]
    estimate_basis_fmllr(stats, basis)


def _state(path: Path, root: Path) -> None:
    from hybrid.train.gmm.state import load_state

    state = load_state(path, "me", _model(root).transition_model)
    if state is not None:
        for _, ids in state.alignments.items():
            ids.sum()
        state.transition_model.log_probs_not_self_loop


def _questions(path: Path, _: Path) -> None:
    from hybrid.tree.questions import Questions, read_questions

    Questions.compile(read_questions(path), 3, 3)


# --- features, audio, manifests --------------------------------------------------------------------------------------


def _feats(path: Path, root: Path) -> None:
    from hybrid.feats.store import FeatureStore

    store, model = FeatureStore.open(root / "feats"), _model(root)
    model.pipeline.require_match(store)
    for utterance in store.ids:
        store.text(utterance), store.duration(utterance), store.load(utterance)
        model.pipeline.features(store, utterance)
    store.global_stats()
    store.shortest(2)


def _extract(path: Path, root: Path) -> None:
    hybrid("feats", "extract", "--cuts", root / "data", "--config", root / "mfcc.yaml", "--out-dir", root / "out/feats")


def _extract_again(path: Path, root: Path) -> None:
    """An unfinished extraction goes on."""
    import shutil

    shutil.copytree(root / "feats", root / "out/feats")
    hybrid("feats", "extract", "--cuts", root / "data", "--config", root / "mfcc.yaml", "--out-dir", root / "out/feats")


def _audio(path: Path, _: Path) -> None:
    from hybrid.data.audio import audio_blocks, probe_audio, read_audio
    from hybrid.feats.vad import segment_file

    probe_audio(path)
    read_audio(path, rate=RATE)
    for _ in audio_blocks(path, 4096):
        pass
    segment_file(path)


def _header(path: Path, _: Path) -> None:
    from hybrid.data.headers import find_samples

    find_samples(path)
    _audio(path, _)


def _kaldi_data(path: Path, root: Path) -> None:
    hybrid("data", "from-kaldi", root / "kdata", "--out-dir", root / "out/kdata")


def _kaldi_folder(path: Path, root: Path) -> None:
    from hybrid.gmm.kaldi_folder import read_kaldi_folder

    read_kaldi_folder(root / "kmodel", _store(root))


def _beside(path: Path, _: Path) -> None:
    """A TextGrid as the text of a recording."""
    from hybrid.data.beside import spoken_beside, spoken_items
    from hybrid.data.utterance import Utterance

    spoken = spoken_beside(path.with_suffix(".wav"))
    spoken_items(Utterance("u", path, "s"), spoken or ())


def _text_settings(path: Path, root: Path) -> None:
    from lexicon.words.config import TextConfig
    from lexicon.words.normaliser import Normaliser

    Normaliser(TextConfig.of_folder(root / "lang")).words("A [x] b-a")


def _cuts(path: Path, root: Path) -> None:
    from hybrid.aligner.speech_source import items_of_cuts
    from hybrid.base.errors import HybridError
    from hybrid.data.manifest import load_samples, read_cuts

    for cut in read_cuts(path):
        try:
            load_samples(cut)
        except HybridError:
            continue
    items_of_cuts(path)


def _check_data(path: Path, root: Path) -> None:
    hybrid("data", "check", "--cuts", path, "--out-dir", root / "out/checked", "--max-failed", 1)


def _extract_cuts(path: Path, root: Path) -> None:
    hybrid("feats", "extract", "--cuts", path, "--config", root / "mfcc.yaml", "--out-dir", root / "out/feats")


def _subset(path: Path, root: Path) -> None:
    hybrid("data", "subset", "--cuts", root / "data", "--ids", path, "--out-dir", root / "out/subset")


def _named_texts(path: Path, _: Path) -> None:
    from hybrid.data.named_texts import read_named_texts

    read_named_texts(path)


def _librispeech(path: Path, root: Path) -> None:
    hybrid("data", "librispeech", "--corpus-dir", root / "libri", "--out-dir", root / "out/data")


def _textgrid(path: Path, _: Path) -> None:
    from hybrid.formats.praat import format_textgrid, read_textgrid

    format_textgrid(read_textgrid(path))


# --- lexicon, lang, language models ----------------------------------------------------------------------------------


def _symbols(path: Path, _: Path) -> None:
    from lexicon.symbols import SymbolTable

    table = SymbolTable.read(path)
    table.max_id, table.encode(list(table.symbols))


def _lang(path: Path, root: Path) -> None:
    from hybrid.graph.training import TrainingGraphCompiler
    from hybrid.timing.word_alignment import LexiconWordAlignment
    from lexicon.lang_dir import LangDir
    from lexicon.validate import check_lang_dir

    check_lang_dir(root / "lang")
    lang = LangDir.load(root / "lang")
    lang.pronunciations(), lang.find_clashes(5)
    LexiconWordAlignment.from_lang(lang)
    model = _model(root)
    TrainingGraphCompiler(lang, model.transition_model)(lang.text_to_ids(["A", "AB", "zz"]))


def _prepare(dict_dir: str, path: Path, root: Path) -> None:
    from lexicon.dict_dir import check_dict_dir

    if dict_dir == "dictp":
        import shutil

        for name in ("silence_phones.txt", "optional_silence.txt", "nonsilence_phones.txt", "extra_questions.txt"):
            shutil.copyfile(root / "dict" / name, root / "dictp" / name)
    check_dict_dir(root / dict_dir)
    hybrid("lang", "prepare", "--dict-dir", root / dict_dir, "--oov", "<UNK>", "--out-dir", root / "out/lang")


def _prepare_phones(path: Path, root: Path) -> None:
    hybrid("lang", "prepare", "--dict-dir", root / "dict", "--oov", "<UNK>", "--phones", path, "--out-dir",
           root / "out/lang")  # fmt: skip


def _lexicon(path: Path, _: Path) -> None:
    from lexicon.lexicon import Lexicon

    len(Lexicon.read(path).words)


def _cmudict(path: Path, root: Path) -> None:
    hybrid("lang", "cmudict", "--cmudict", path, "--out-dir", root / "out/dict")


def _grapheme(path: Path, root: Path) -> None:
    hybrid("lang", "grapheme", "--vocabulary", path, "--out-dir", root / "out/dict")


def _pieces(path: Path, root: Path) -> None:
    hybrid(
        "lang", "sentencepiece", "--vocabulary", root / "words.list", "--model", path, "--out-dir", root / "out/dict"
    )


def _oov(path: Path, root: Path) -> None:
    hybrid("lang", "oov", path, "--lang", root / "lang", "--with-ids")


def _pronunciations(path: Path, _: Path) -> None:
    from lexicon.words.user_lexicon import read_user_lexicon
    from lm.g2p.lexicons import read_pronunciations as read_lexicon

    read_lexicon(path)
    read_user_lexicon(path)


def _slot_list(path: Path, root: Path) -> None:
    from lm.word_list import read_word_list as read_entries

    for entry in read_entries(path):
        entry.line()


def _slot_table(path: Path, root: Path) -> None:
    from hybrid.graph.slot_table import SlotTable

    SlotTable.read(path).to_json()


def _vocabulary(path: Path, root: Path) -> None:
    from hybrid.data.check_report import read_vocabulary
    from lm.word_stream import read_word_list

    read_word_list(path)
    read_vocabulary(path)


def _arpa(path: Path, root: Path) -> None:
    from lexicon.symbols import SymbolTable
    from lm.arpa import read_arpa
    from lm.entropy_pruning import prune_entropy
    from lm.grammar_fst import ngram_to_fst
    from lm.perplexity import sentence_scores, text_ids

    model = read_arpa(path)
    for scores in sentence_scores(model, text_ids(model, root / "text.txt", False, False)):
        scores.total()
    ngram_to_fst(model, SymbolTable.read(root / "lang/words.txt"))
    prune_entropy(model, 1e-3)


def _mapped(path: Path, root: Path) -> None:
    from lm.mapped_model import read_scorer

    model = read_scorer(path)
    model.automaton.score(np.array([0, 2, 3, 2, 1, 2], np.int32) % len(model.vocabulary))


def _neural(path: Path, root: Path) -> None:
    import torch

    from lm.neural.folder import load_neural_lm
    from lm.neural.text_scores import word_log_probs

    word_log_probs(load_neural_lm(root / "neural"), [["A", "AB"], ["x"]], torch.device("cpu"))


def _weights(path: Path, root: Path) -> None:
    hybrid("rescore", "neural", root / "decode", root / "out/lat.gz", "--words", root / "graph/words.txt", "--lm",
           root / "neural", "--mixing", "log", "--weights", path)  # fmt: skip


def _lm_text(path: Path, root: Path) -> None:
    hybrid("lm", "train", path, "--order", 2, "--out", root / "out/lm.arpa")


def _g2p(path: Path, _: Path) -> None:
    from lm.g2p.model import G2pModel

    model = G2pModel.load(path)
    for word in ("A", "AB", "ZZ", ""):
        try:
            model.guess(word, 3)
        except ValueError:  # the command lists such words as failed
            continue


# --- settings and results --------------------------------------------------------------------------------------------


def _synthesis(path: Path, _: Path) -> None:
    from hybrid.base.config import read_config
    from hybrid.synth.corpus import SynthesisConfig

    read_config(SynthesisConfig, path)


def _score(hyp: bool, path: Path, root: Path) -> None:
    ref, other = (root / "table.txt", path) if hyp else (path, root / "hyp.txt")
    hybrid("score", "wer", "--ref", ref, "--hyp", other, "--utt2spk", root / "utt2spk", "--replications", 100,
           "--out-dir", root / "out/score")  # fmt: skip


def _cost(path: Path, root: Path) -> None:
    hybrid("score", "wer", "--ref", root / "table.txt", "--hyp", root / "hyp.txt", "--replications", 100,
           "--cost", path, "--results", root / "out/results.tsv", "--system", "mono", "--set", "dev",
           "--lm", "uni")  # fmt: skip


def _results(path: Path, root: Path) -> None:
    hybrid("score", "table", root / "results.tsv", "--into", root / "table.md")


def _meta(path: Path, root: Path) -> None:
    from lexicon.lang_dir import LangDir

    LangDir.load(path.parent)


def _verify(path: Path, _: Path) -> None:
    """As `doctor --verify`, whose status 1 is an answer too."""
    with contextlib.suppress(SystemExit):
        hybrid("doctor", "--verify", "--all", path.parent)


READERS: dict[str, Reader] = {
    "ark.binary": Reader("m.ark", _matrices),
    "ark.text": Reader("m.text.ark", _matrices),
    "ark.gz": Reader("m.ark.gz", _matrices),
    "ark.vectors": Reader("v.ark", _matrices),
    "ark.compressed": Reader("c.ark", _matrices),
    "ark.scp": Reader("m.scp", _matrices),
    "ark.single": Reader("one.mat", _matrix),
    "ark.ints": Reader("i.ark", _ints),
    "ark.ints-text": Reader("i.text.ark", _ints),
    "scores.npy": Reader("npy/u0.npy", _scores),
    "scores.ark": Reader("m.ark", _scores),
    "ali.gz": Reader("ali/ali.gz", _alignments),
    "ali.meta": Reader("ali/meta.json", _alignments),
    "lattice.binary": Reader("lat.ark", _lattices),
    "lattice.compact": Reader("lat.c.ark", _lattices),
    "lattice.text": Reader("lat.t.ark", _lattices),
    "lattice.compact-text": Reader("lat.ct.ark", _lattices),
    "lattice.gz": Reader("lat.gz", _lattices),
    "lattice.json": Reader("lat.jsonl", _lattices),
    "lattice.scp": Reader("lat.scp", _lattices),
    "lattice.slf": Reader("lat.slf", _slf),
    "lattice.folder": Reader("decode/lat.1.gz", _sweep),
    "lattice.folder-meta": Reader("decode/meta.json", _decoded),
    "lattice.decode-json": Reader("decode/decode.json", _decoded),
    "confidence.calibration": Reader("calibration.json", _calibration),
    "confidence.words": Reader("sure.txt", _votes),
    "report.transcript": Reader("decode/transcript.txt", _report),
    "report.times": Reader("decode/words.ctm", _report),
    "confidence.isotonic": Reader("isotonic.json", _calibration),
    "fst.vector": Reader("G.fst", _fst),
    "fst.const": Reader("L.const", _fst),
    "fst.symbols": Reader("G.symbols", _fst),
    "fst.grammar": Reader("G.fst", _grammar),
    "chain.denominator": Reader("den/den.safetensors", _chain),
    "chain.supervision": Reader("sup/parts/00000.safetensors", _chain),
    "chain.supervision.config": Reader("sup/config.yaml", _chain),
    "chain.supervision.meta": Reader("sup/meta.json", _chain),
    "chain.sequences": Reader("ctree/phone_sequences.gz", _chain_den),
    "chain.transitions": Reader("ctree/transitions", _chain_den),
    **{
        f"nnet.{name}": Reader(f"{name.split('.')[0]}/{file}", partial(_network, name.split(".")[0]))
        for name, file in {
            "net.weights": "final.safetensors",
            "net.config": "config.yaml",
            "net.meta": "meta.json",
            "net.passes": "passes.tsv",
            "net.kept": "checkpoints/0001.safetensors",
            "net.tree": "tree",
            "net.transitions": "transitions",
            "xent.weights": "final.safetensors",
            "xent.config": "config.yaml",
        }.items()
    },
    "nnet.state": Reader("net.state.safetensors", _network_state),
    "nnet.settings": Reader("conf/chain.yaml", _network_settings),
    "nnet.lattices": Reader("ndecode/lat.1.gz", _discriminative),
    "nnet.lattices-json": Reader("ndecode/decode.json", _discriminative),
    "nnet.transforms": Reader("transforms.safetensors", _adapted_decoding),
    "graph.saved-meta": Reader("graph/meta.json", _decoding_graph),
    "graph.saved-symbols": Reader("graph/disambig_tid.int", _decoding_graph),
    "graph.training": Reader("graphs.safetensors", _training_graphs),
    "graph.training-meta": Reader(
        "graphs.safetensors.meta.json", lambda _, r: _training_graphs(r / "graphs.safetensors", r)
    ),
    "graph.HCLG": Reader("graph/HCLG.fst", _graph),
    "graph.words": Reader("graph/words.txt", _graph),
    "graph.align-lexicon": Reader("graph/phones/align_lexicon.int", _graph),
    "graph.word-boundary": Reader("graph/phones/word_boundary.int", _graph),
    "graph.meta": Reader("graph/meta.json", _graph_info),
    "model.weights": Reader("mono/final.safetensors", _model_folder),
    "model.tree": Reader("mono/tree", _model_folder),
    "model.topo": Reader("mono/topo", _model_folder),
    "model.transitions": Reader("mono/transitions", _model_folder),
    "model.config": Reader("mono/config.yaml", _model_folder),
    "model.phones": Reader("mono/phones.txt", _model_folder),
    "model.meta": Reader("mono/meta.json", _model_folder),
    "model.kaldi": Reader("mono/final.mdl", _kaldi_model),
    "model.state": Reader("state.safetensors", _state),
    "topo": Reader("lang/topo", _topology),
    "tree.text": Reader("tri.tree", _tree),
    "tree.binary": Reader("tri.tree.bin", _tree),
    "transitions": Reader("mono/transitions", _transitions),
    "questions": Reader("questions.txt", _questions),
    "transforms.speakers": Reader("transforms.safetensors", _transforms),
    "transforms.basis": Reader("basis.safetensors", _basis),
    "feats.index": Reader("feats/index.tsv", _feats),
    "feats.block": Reader("feats/blocks/00000.f32", _feats),
    "feats.block-meta": Reader("feats/blocks/00000.meta.json", _extract_again),
    "feats.cmvn": Reader("feats/cmvn.safetensors", _feats),
    "feats.config": Reader("feats/config.yaml", _feats),
    "feats.meta": Reader("feats/meta.json", _feats),
    "feats.settings": Reader("mfcc.yaml", _extract),
    "audio.wav": Reader("audio/u3.wav", _audio),
    "audio.flac": Reader("sound.flac", _audio),
    "audio.ogg": Reader("sound.ogg", _audio),
    **({"audio.m4a": Reader("sound.m4a", _audio)} if find_spec("av") else {}),
    **{f"audio.header.{kind}": Reader(f"sound.{kind}", _header) for kind in ("au", "aiff", "w64", "caf", "rf64")},
    "audio.header.wav": Reader("audio/u2.wav", _header),
    **{
        f"kaldi.data.{name}": Reader(f"kdata/{name}", _kaldi_data)
        for name in ("wav.scp", "segments", "utt2spk", "text")
    },
    **{
        f"kaldi.folder.{name}": Reader(f"kmodel/{name}", _kaldi_folder)
        for name in ("final.mdl", "tree", "phones.txt", "cmvn_opts", "delta_opts")
    },
    "textgrid.beside": Reader("talk.TextGrid", _beside),
    "text.settings": Reader("lang/text.yaml", _text_settings),
    "cuts.jsonl": Reader("cuts.jsonl", _cuts),
    "cuts.gz": Reader("data/cuts.jsonl.gz", _cuts),
    "cuts.check": Reader("cuts.jsonl", _check_data),
    "cuts.extract": Reader("cuts.jsonl", _extract_cuts),
    "cuts.oov": Reader("cuts.jsonl", _oov),
    "cuts.ids": Reader("table.txt", _subset),
    "text.named": Reader("named.txt", _named_texts),
    "text.librispeech": Reader("libri/LibriSpeech/dev-clean/1/2/1-2.trans.txt", _librispeech),
    "text.textgrid": Reader("long.TextGrid", _textgrid),
    "text.textgrid-short": Reader("short.TextGrid", _textgrid),
    "text.oov": Reader("table.txt", _oov),
    "symbols.words": Reader("lang/words.txt", _symbols),
    "symbols.phones": Reader("lang/phones.txt", _prepare_phones),
    "lexicon": Reader("dict/lexicon.txt", _lexicon),
    "lexicon.probs": Reader("dictp/lexiconp.txt", _lexicon),
    "lexicon.cmudict": Reader("cmudict", _cmudict),
    "lexicon.grapheme": Reader("words.list", _grapheme),
    "lexicon.pieces": Reader("pieces.model", _pieces),
    "lexicon.pronunciations": Reader("dict/lexicon.txt", _pronunciations),
    "own.words": Reader("own.txt", _own_words),
    "slots.list": Reader("contacts.txt", _slot_list),
    "slots.table": Reader("slots.json", _slot_table),
    "said.gram": Reader("say.gram", _said),
    "said.grxml": Reader("say.grxml", _said),
    "written.rules": Reader("rules.tsv", _rules),
    "lm.biasing.bias_list": Reader("bias.txt", _bias_list),
    "lm.arpa": Reader("lm.arpa", _arpa),
    "lm.arpa-gz": Reader("lm.arpa.gz", _arpa),
    "lm.mapped": Reader("lm.map", _mapped),
    "neural.settings": Reader("neural/config.yaml", _neural),
    "neural.tokens": Reader("neural/tokens.txt", _neural),
    "neural.weights": Reader("neural/final.safetensors", _neural),
    "neural.pieces": Reader("neural/pieces.model", _neural),
    "rescore.weights": Reader("weights.json", _weights),
    "lm.word_stream": Reader("text.txt", _lm_text),
    "lm.word_table": Reader("vocab.txt", _vocabulary),
    "lm.g2p": Reader("g2p.arpa", _g2p),
    "settings.synth": Reader("voices.yaml", _synthesis),
    "score.reference": Reader("table.txt", partial(_score, False)),
    "score.hypothesis": Reader("hyp.txt", partial(_score, True)),
    "score.utt2spk": Reader("utt2spk", lambda _, root: _score(True, root / "hyp.txt", root)),
    "score.results": Reader("results.tsv", _results),
    "score.document": Reader("table.md", _results),
    "score.cost": Reader("cost.json", _cost),
    "meta": Reader("whole/meta.json", _meta),
    "meta.verify": Reader("whole/meta.json", _verify),
    "meta.verify-file": Reader("whole/words.txt", _verify),
}
READERS |= {
    f"dict.{name}": Reader(f"{folder}/{name}", partial(_prepare, folder))
    for folder, names in {
        "dict": ("lexicon.txt", "silence_phones.txt", "optional_silence.txt", "nonsilence_phones.txt",
                 "extra_questions.txt"),
        "dictp": ("lexiconp.txt", "lexiconp_silprob.txt", "silprob.txt"),
    }.items()
    for name in names
}  # fmt: skip
READERS |= {
    f"lang.{name.replace('/', '.')}": Reader(f"lang/{name}", _lang)
    for name in (
        "words.txt", "phones.txt", "oov.txt", "oov.int", "topo", "L.fst", "L_disambig.fst", "phones/align_lexicon.int",
        "phones/align_lexicon.txt", "phones/word_boundary.int", "phones/word_boundary.txt", "phones/sets.int",
        "phones/roots.int", "phones/extra_questions.int", "phones/silence.int", "phones/nonsilence.txt",
        "phones/silence.csl", "phones/context_indep.int", "phones/disambig.int", "phones/optional_silence.int",
        "phones/wdisambig_words.int", "phones/wdisambig_phones.int",
    )
}  # fmt: skip
