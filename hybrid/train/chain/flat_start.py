"""Flat-start lattice-free MMI: tree, phone sequences and supervision from transcripts alone (Hadian et al., 2018)."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.align.texts import usable_texts
from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, log_settings
from hybrid.chain.flat import biphone_tree, draw_path, text_numerator
from hybrid.chain.folder import write_chain_folder
from hybrid.chain.numerator import Numerator, NumeratorError
from hybrid.feats.store import FeatureStore
from hybrid.graph.phone_graph import LexiconIndex
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.train.chain.config import FlatConfig
from hybrid.train.chain.supervise import Items
from hybrid.train.gmm.begin_and_end import training_inputs
from hybrid.train.gmm.state import fingerprint
from hybrid.tree import ContextTree
from lexicon.lang_dir import LangDir

__all__ = ["TextSource", "make_flat_tree"]

logger = get_logger(__name__)


def make_flat_tree(
    store: FeatureStore, lang: LangDir, out_dir: Path, config: FlatConfig | None = None
) -> tuple[TransitionModel, dict[str, str]]:
    """Makes the tree of a chain model from transcripts, and writes its folder.

    Returns:
      The model, and why utterances were left out.

    Raises:
      HybridError: no text can be spoken.
    """
    config = config or FlatConfig()
    log_settings(logger, "flat start", config_to_dict(config))
    texts, failures = usable_texts(store, lang, store.ids)
    index = LexiconIndex(lang.L_arrays())
    sequences: list[tuple[str, np.ndarray]] = []
    for utterance, words in texts:
        try:
            graph = index.phone_graph(words)
        except HybridError as error:
            failures[utterance] = str(error)
            continue
        rng = np.random.default_rng([config.seed, zlib.crc32(utterance.encode())])
        sequences += [(f"{utterance}-{n}", draw_path(graph, rng)) for n in range(config.lm_samples)]
    if not sequences:
        name, reason = next(iter(failures.items()))
        raise HybridError(f"none of {len(store.ids)} utterances can be used; the first, {name}: {reason}")
    model = _model(lang, [phones for _, phones in sequences], config)
    known = training_inputs(store, lang)
    with atomic_folder(out_dir, "chain-tree", (store.path, lang.path)) as folder:
        hashes = write_chain_folder(folder, model, lang, sequences)
        write_failed(folder / "failed.txt", failures)
        facts = {"leaves": model.num_pdfs, "subsampling_factor": config.subsampling_factor, "failed": len(failures),
                 "hashes": hashes}  # fmt: skip
        inputs = {name: known[name] for name in ("features", "L.fst", "phones/sets.int")}
        write_meta(folder, "chain-tree", config_to_dict(config), inputs, facts)
    return model, failures


def _model(lang: LangDir, sequences: Sequence[np.ndarray], config: FlatConfig) -> TransitionModel:
    topology = HmmTopology.chain(sorted([*lang.silence_phones, *lang.nonsilence_phones]))
    if config.units != "biphone":
        shared = config.units == "state"
        return TransitionModel(topology, ContextTree.monophone(lang.sets, topology.pdf_class_counts(), shared))
    # each drawn pronunciation counts for its share of an utterance
    least = config.min_biphone_count * config.lm_samples
    return TransitionModel(topology, biphone_tree(lang.sets, lang.context_indep_phones, sequences, least))


@dataclass(frozen=True, eq=False)
class TextSource:
    """Numerators of transcripts, whose phones may be anywhere.

    Attributes:
      texts: utterance → word ids and frames of features.
      index: of L.
      model: of the chain.
      failures: utterances without a usable transcript, and why.
      lang_hash: of L.fst.
    """

    texts: Mapping[str, tuple[Sequence[int], int]]
    index: LexiconIndex
    model: TransitionModel
    failures: Mapping[str, str]
    lang_hash: str
    timed = False

    @classmethod
    def of_set(cls, store: FeatureStore, lang: LangDir, model: TransitionModel) -> TextSource:
        """Takes the transcripts of a set.

        Raises:
          InputError: no utterance has one.
        """
        texts, failures = usable_texts(store, lang, store.ids)
        found = {utterance: (words, store.num_frames(utterance)) for utterance, words in texts}
        lexicon = training_inputs(store, lang)["L.fst"][1]
        return cls(found, LexiconIndex(lang.L_arrays()), model, failures, lexicon)

    @property
    def ids(self) -> Sequence[str]:
        """Utterances with a transcript."""
        return list(self.texts)

    @property
    def make(self) -> Callable[[Any], Numerator]:
        """See `text_numerator`."""
        return functools.partial(_of_text, self.index, self.model)

    def items(self, ids: Sequence[str]) -> Items:
        """Returns word ids and frames."""
        return [(utterance, self.texts[utterance]) for utterance in ids]

    def identity(self, items: Items) -> str:
        """Returns a hash of texts, lexicon and tree."""
        return fingerprint(list(items), self.lang_hash, self.model.tree.content_hash())


def _of_text(index: LexiconIndex, model: TransitionModel, item: tuple[Sequence[int], int]) -> Numerator:
    try:
        return text_numerator(index.phone_graph(item[0]), item[1], model)
    except NumeratorError:
        raise
    except HybridError as error:  # a word without pronunciation
        raise NumeratorError(str(error)) from error
