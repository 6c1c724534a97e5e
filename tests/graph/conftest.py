"""A small language with homophones, prefixes, variants and silence; models of three context widths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays
from hybrid.hmm import HmmTopology, TransitionModel, read_topology
from hybrid.tree import ContextTree
from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Split, Table
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang

LEXICON = "<UNK> SPN\n!SIL SIL\nA AH\nA EY\nSEA S IY\nSEE S IY\nSEED S IY D\nSEEDS S IY D S\nADS EY D S\n"
SENTENCES = ("A SEED", "SEE A SEA", "SEEDS", "A A SEEDS ADS", "SEA ADS", "SEE")


def topology_text(nonsilence: list[int], silence: list[int]) -> str:
    return HmmTopology.kaldi_default(nonsilence, silence, 3, 5).to_text()


@pytest.fixture(scope="session")
def lang(tmp_path_factory) -> LangDir:
    folder = tmp_path_factory.mktemp("lang")
    dictionary = folder / "dict"
    dictionary.mkdir()
    for name, text in {
        "lexicon.txt": LEXICON,
        "silence_phones.txt": "SIL\nSPN\n",
        "nonsilence_phones.txt": "AH\nD\nEY\nIY\nS\n",
        "optional_silence.txt": "SIL\n",
    }.items():
        (dictionary / name).write_text(text)
    prepare_lang(dictionary, "<UNK>", folder / "lang", topology_text)
    return LangDir.load(folder / "lang")


def random_tree(topology: HmmTopology, width: int, central: int, seed: int) -> ContextTree:
    """A tree that asks one random question about every other position of the window, for each pdf-class."""
    rng, number = np.random.default_rng(seed), iter(range(10**6))
    others = [p for p in range(width) if p != central]

    def ask(positions: list[int]) -> Split | Leaf:
        if not positions:
            return Leaf(next(number))
        values = tuple(sorted({0, *rng.choice(topology.phones, len(topology.phones) // 2).tolist()}))
        return Split(positions[0], values, ask(positions[1:]), ask(positions[1:]))

    children: list[Table | None] = [None] * (max(topology.phones) + 1)
    for phone in topology.phones:
        children[phone] = Table(PDF_CLASS_KEY, tuple(ask(others) for _ in range(topology.num_pdf_classes(phone))))
    return ContextTree(width, central, Table(central, tuple(children)))


@pytest.fixture(scope="session")
def models(lang) -> dict[str, TransitionModel]:
    """Models whose transition probabilities are random, by name."""
    return make_models(lang, read_topology(lang.topo_path))


@pytest.fixture(scope="session")
def straight_models(lang) -> dict[str, TransitionModel]:
    """The same with HMMs that have no cycles but self-loops."""
    return make_models(lang, HmmTopology.kaldi_default(lang.nonsilence_phones, lang.silence_phones, 2, 1))


def make_models(lang: LangDir, topology: HmmTopology) -> dict[str, TransitionModel]:
    chain = HmmTopology.chain(topology.phones)
    made = {
        "mono": TransitionModel(topology, ContextTree.monophone(lang.sets, topology.pdf_class_counts())),
        "biphone": TransitionModel(topology, random_tree(topology, 2, 1, 1)),
        "triphone": TransitionModel(topology, random_tree(topology, 3, 1, 2)),
        "quinphone": TransitionModel(topology, random_tree(topology, 5, 2, 3)),
        "chain": TransitionModel(chain, random_tree(chain, 2, 1, 4)),
    }
    rng = np.random.default_rng(5)
    return {n: m.update(rng.uniform(5, 90, m.num_transition_ids + 1)) for n, m in made.items()}


@pytest.fixture(scope="session")
def grammar(lang) -> FstArrays:
    """A bigram with back-off, as arpa2fst would make it."""
    from lm.config import EstimateConfig
    from lm.estimate import estimate_from_sentences
    from lm.grammar_fst import ngram_to_fst

    sentences = [s.split() for s in SENTENCES] * 2
    model, _ = estimate_from_sentences(sentences, EstimateConfig(order=2))
    return ngram_to_fst(model, lang.words)


@pytest.fixture(scope="session")
def sentence_fst(lang) -> Callable[..., FstArrays]:
    """Returns a function: sentences → an acceptor of a straight line each."""

    def make(sentences: tuple[str, ...] = SENTENCES) -> FstArrays:
        source, labels, target, finals = [], [], [], [np.inf]
        for sentence in sentences:
            state = 0
            for word in sentence.split():
                finals.append(np.inf)
                source.append(state)
                labels.append(lang.words[word])
                target.append(len(finals) - 1)
                state = len(finals) - 1
            finals[state] = 0.5
        costs = np.linspace(0.1, 2.0, len(labels))
        return FstArrays.from_arcs(0, np.array(source), labels, labels, target, costs, np.array(finals))

    return make
