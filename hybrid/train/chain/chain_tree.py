"""The tree of a chain model: from another model's alignments and features, at a third of the frame rate.

A folder of tree, topology, transitions, phones and alignments, of which decoding graphs are compiled, denominators
and supervision made, and networks trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.align.convert import phone_runs
from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, log_settings
from hybrid.chain.folder import write_chain_folder
from hybrid.chain.subsampling import chain_pdf_classes, subsample_alignments, subsampled_durations
from hybrid.formats.kaldi_io import write_int_vectors
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.train.chain.config import ChainTreeConfig, ChainTreeShifts
from hybrid.train.gmm.begin_and_end import training_inputs
from hybrid.train.gmm.ladder import Start
from hybrid.train.gmm.state import fingerprint, hash_arrays
from hybrid.train.gmm.tree_of_corpus import TreeWork, corpus_tree_stats, tree_of_corpus
from hybrid.tree import TreeReport, TreeStats

__all__ = ["train_chain_tree"]

logger = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class _ChainTreeWork(TreeWork):
    """Statistics at a lower frame rate.

    Attributes:
      frames: which frames.
    """

    frames: ChainTreeShifts = field(default_factory=ChainTreeShifts)

    def utterance(self, features: np.ndarray, ids: np.ndarray) -> list[TreeStats]:
        """Returns the statistics of one utterance at each offset at which its phones have frames enough."""
        phones, durations = phone_runs(ids, self.transition_model)
        factor, parts = self.frames.subsampling_factor, []
        for offset in range(self.frames.shifts):
            kept = subsampled_durations(durations, factor, offset)
            if kept is not None:
                parts.append(self.accumulate(features[offset::factor], phones, kept, chain_pdf_classes(kept)))
        empty = TreeStats.empty(self.context.context_width, self.context.central_position, features.shape[1])
        return parts or [empty]


def train_chain_tree(
    start: Start,
    out_dir: Path,
    config: ChainTreeConfig | None = None,
    executor: Executor | None = None,
    transforms: Mapping[str, np.ndarray] | None = None,
) -> tuple[TransitionModel, TreeReport]:
    """Builds the tree of a chain model and writes its folder.

    Args:
      start: the model whose features and alignments are used, and the training set.
      transforms: of the training's speakers, if the model was adapted to them.

    Raises:
      HybridError: no utterance can be used.
    """
    config = config or ChainTreeConfig()
    log_settings(logger, "tree of a chain model", config_to_dict(config))
    model, lang, factor = start.model, start.lang, config.frames.subsampling_factor
    topology = HmmTopology.chain(p for entry in model.topology.entries for p in entry.phones)
    work = _ChainTreeWork(
        model.transition_model, model.pipeline, config.context, tuple(lang.context_indep_phones), transforms or {},
        config.frames,
    )  # fmt: skip
    usable = start.usable()
    stats = corpus_tree_stats(work, start.store, usable, executor)
    tree, report = tree_of_corpus(stats, lang, topology, config.tree, config.context)
    transition_model = TransitionModel(topology, tree)
    alignments = subsample_alignments(usable, model.transition_model, transition_model, factor)
    if not len(alignments):
        name, reason = next(iter(alignments.failures.items()))
        raise HybridError(f"none of {len(usable)} utterances has frames enough; the first, {name}: {reason}")
    with atomic_folder(out_dir, "chain-tree", (model.path, start.store.path, lang.path)) as folder:
        phones = ((u, phone_runs(ids, model.transition_model)[0]) for u, ids in usable.items() if u in alignments)
        hashes = write_chain_folder(folder, transition_model, lang, phones)
        write_int_vectors(folder / "ali.gz", alignments.items())
        write_failed(folder / "failed.txt", alignments.failures)
        facts = {"leaves": tree.num_pdfs, "subsampling_factor": factor, "utterances": len(alignments),
                 "frames": alignments.num_frames, "hashes": hashes}  # fmt: skip
        write_meta(folder, "chain-tree", config_to_dict(config), _inputs(start), facts)
    return transition_model, report


def _inputs(start: Start) -> dict[str, tuple[Path, str] | str]:
    """Returns what a tree is made from, by name; not the topology and tree below, which are not this model's own."""
    known = training_inputs(start.store, start.lang)
    aligned = {"row_splits": start.alignments.row_splits, "transition_ids": start.alignments.transition_ids}
    hashes = fingerprint(start.model.hashes, start.alignments.ids, hash_arrays(aligned))
    return {name: known[name] for name in ("features", "phones/roots.int", "phones/sets.int")} | {"alignments": hashes}
