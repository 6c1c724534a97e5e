"""What the stages above the monophone share: where they start from, their tree and first model, and how they resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.agreement import part_of, require_fit
from hybrid.align.convert import at_feature_rate, convert_alignments
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.align.texts import usable_texts
from hybrid.base.artifact import atomic_path
from hybrid.base.config import config_to_dict
from hybrid.base.disk import make_folder
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.base.integrity import check
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.base.reading import require_followed
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import read_int_vectors
from hybrid.gmm import AmDiagGmm, GmmAcousticModel, mix_up
from hybrid.hmm import TransitionModel, read_topology
from hybrid.model.folder import Model, check_phones
from hybrid.train.gmm.begin_and_end import finish_training, finished_model, training_graphs, training_inputs, work_dir
from hybrid.train.gmm.em import EmCorpus, EmState, Hook, run_em
from hybrid.train.gmm.ladder_config import StageConfig
from hybrid.train.gmm.state import fingerprint, hash_arrays, load_state, save_state
from hybrid.train.gmm.tree_of_corpus import TreeWork, corpus_tree_stats, gmm_of_tree, tree_of_corpus
from hybrid.tree import read_tree
from hybrid.tree.draw import describe_tree
from lexicon.lang_dir import LangDir

__all__ = ["GmmStage", "Start", "climb", "load_alignments", "load_feature_alignments"]

logger = get_logger(__name__)


def load_alignments(folder: Path, model: Model) -> CorpusAlignments:
    """Loads `ali.gz` of an alignment or model folder.

    Raises:
      InputError: no alignments, or transition-ids that the model does not have.
      MismatchError: the alignments are of another model, or not those that were written.
    """
    folder = Path(folder)
    path = folder / "ali.gz"
    require_followed(path)
    if not path.exists():
        raise InputError.at(path, "is not there", "Align first with `hybrid gmm align`.")
    require_fit(part_of(folder, "alignments"), model.part)
    check(path, cached=True)
    alignments = CorpusAlignments.from_items(read_int_vectors(path))
    if not len(alignments):
        raise InputError.at(path, "holds no alignments", "Align again; see failed.txt.")
    highest = model.transition_model.num_transition_ids
    if alignments.num_frames and not 1 <= alignments.transition_ids.min() <= alignments.transition_ids.max() <= highest:
        raise InputError.at(path, f"holds transition-ids outside 1 to {highest}", "Align again with this model.")
    return alignments


def load_feature_alignments(folder: Path, model: Model) -> CorpusAlignments:
    """As `load_alignments`, for the frames of the features: those of a network at a lower rate are spread over them.

    They may then have some frames more than the features (`at_feature_rate`).
    """
    factor = model.acoustic_model.subsampling_factor
    return at_feature_rate(load_alignments(folder, model), model.transition_model, factor)


@dataclass(frozen=True, eq=False)
class Start:
    """What a stage starts from.

    Attributes:
      model: of the stage below.
      alignments: of the training set, by that model (`load_feature_alignments`).
      store, lang: the training set.
    """

    model: Model
    alignments: CorpusAlignments
    store: FeatureStore
    lang: LangDir

    def __post_init__(self) -> None:
        check_phones(self.model, self.lang.path / "phones.txt")
        known = set(self.store.ids)
        if not any(u in known for u in self.alignments.ids):
            raise MismatchError(
                f"none of the aligned utterances is in {self.store.path}. Use the set that was aligned."
            )

    @property
    def gmm(self) -> AmDiagGmm:
        """The Gaussians of the stage below.

        Raises:
          InputError: it has none.
        """
        if not isinstance(self.model.acoustic_model, GmmAcousticModel):
            raise InputError.at(self.model.path, "holds no GMM", "Name the folder of a GMM.")
        return self.model.acoustic_model.gmm

    def fingerprint(self) -> str:
        """Returns a sha256 of all that a training takes from the model below and its alignments."""
        alignments, pipeline = self.alignments, self.model.pipeline
        aligned = {"row_splits": alignments.row_splits, "transition_ids": alignments.transition_ids}
        return fingerprint(
            self.gmm.content_hash(), self.model.tree.content_hash(), pipeline.to_dict(), hash_arrays(pipeline.arrays()),
            alignments.ids, hash_arrays(aligned),
        )  # fmt: skip

    def usable(self) -> CorpusAlignments:
        """Returns the alignments of utterances of the set whose frames agree with the features."""
        known = set(self.store.ids)
        kept: list[tuple[str, np.ndarray]] = []
        failures: dict[str, str] = {}
        factor = self.model.acoustic_model.subsampling_factor
        for utterance, ids in self.alignments.items():
            if utterance not in known:
                continue
            frames = self.store.num_frames(utterance)
            if not frames <= len(ids) < frames + factor:
                failures[utterance] = f"{len(ids)} aligned frames for {frames} frames of features"
                continue
            kept.append((utterance, ids[:frames]))
        if not kept:
            raise MismatchError(f"{self.store.path}: no alignment has as many frames as its features. Align again.")
        return CorpusAlignments.from_items(kept, failures)


@dataclass(frozen=True, eq=False)
class GmmStage:
    """One stage: its name, settings, features, and what it does besides EM.

    Attributes:
      name: for logs and identity.
      config: settings.
      extra: further settings that its result depends on.
      begin: start → feature pipeline and speaker transforms that the tree is built on.
      mix_up_first: mix up before the first pass (Kaldi does so for deltas).
      make_hook: start, corpus, executor → what to do in each pass between alignment and accumulation.
      finish: state, corpus, executor, folder → a speaker-independent model of the model, or None.
    """

    name: str
    config: StageConfig
    begin: Callable[[Start, CorpusAlignments, Executor | None], tuple[FeaturePipeline, dict[str, np.ndarray]]]
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    mix_up_first: bool = False
    make_hook: Callable[[Start, EmCorpus, Executor | None], Hook] | None = None
    finish: Callable[[EmState, EmCorpus, Executor | None, Path], GmmAcousticModel | None] | None = None

    def settings(self) -> dict[str, Any]:
        """Returns all settings as plain values."""
        names = [each.name for each in dataclasses.fields(StageConfig)]
        return {name: config_to_dict(getattr(self.config, name)) for name in names} | dict(self.extra)


@writes_into("gmm", "start.model", "start.store", "start.lang")
def climb(stage: GmmStage, start: Start, out_dir: Path, executor: Executor | None = None) -> Model:
    """Trains one stage, or goes on with a training that was stopped.

    Statistics for the tree from the alignments of the stage below, questions, tree, one Gaussian per leaf; the
    alignments are rewritten for the new tree; then Viterbi EM with mixing up.

    Returns:
      The model, saved in `out_dir` with `ali.gz`, `failed.txt`, `passes.tsv` and `tree.txt`.

    Raises:
      HybridError: nothing, or too much, could not be used.
    """
    out_dir, lang = Path(out_dir), start.lang
    log_settings(logger, f"{stage.name} training", stage.settings())
    inputs: dict[str, Any] = dict(training_inputs(start.store, lang))
    hashes = {name: found for name, (_, found) in inputs.items()}
    identity = fingerprint(stage.name, stage.settings(), hashes, start.store.ids, start.fingerprint())
    if start.model.path is not None:
        inputs["start"] = start.model.path / "final.safetensors"  # the folder may hold graphs and lattices
    if model := finished_model(out_dir, identity):
        return model
    folder = work_dir(out_dir)
    make_folder(folder)
    state, usable = _resume(folder, identity, start), start.usable()
    if state is None:
        state = _first_state(stage, start, usable, folder, executor)
        save_state(folder / "state.safetensors", state, identity)
    else:
        logger.info("going on with pass %d", state.next_pass)
    corpus, failures = _corpus(start, usable, state.transition_model, folder, executor)
    hook = stage.make_hook(start, corpus, executor) if stage.make_hook else None
    state = run_em(
        state, corpus, stage.config.em, stage.config.align, stage.config.update, stage.config.mix, executor, hook,
        save=lambda s: save_state(folder / "state.safetensors", s, identity),
    )  # fmt: skip
    independent = stage.finish(state, corpus, executor, out_dir) if stage.finish else None
    text = describe_tree(state.transition_model.tree, dict(zip(lang.phones.ids, lang.phones.symbols)))
    with atomic_path(out_dir / "tree.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")
    model = finish_training(out_dir, state, lang, failures, stage.settings(), inputs, identity, independent)
    seconds = sum(start.store.duration(u) for u in state.alignments.ids)
    log_totals(logger, len(state.alignments), len(failures) + len(state.alignments.failures), seconds)
    return model


def _resume(folder: Path, identity: str, start: Start) -> EmState | None:
    if not (folder / "tree").exists() or not (folder / "state.safetensors").exists():
        return None
    try:
        transition_model = TransitionModel(start.model.topology, read_tree(folder / "tree"))
        return load_state(folder / "state.safetensors", identity, transition_model)
    except (HybridError, ValueError) as error:
        logger.warning("%s cannot be continued (%s); starting afresh", folder, error)
        return None


def _first_state(
    stage: GmmStage, start: Start, alignments: CorpusAlignments, folder: Path, executor: Executor | None
) -> EmState:
    """Builds tree and first model, and rewrites the alignments for them."""
    topology = read_topology(start.lang.topo_path)
    pipeline, transforms = stage.begin(start, alignments, executor)
    work = TreeWork(
        start.model.transition_model, pipeline, stage.config.context, tuple(start.lang.context_indep_phones), transforms
    )
    stats = corpus_tree_stats(work, start.store, alignments, executor)
    tree, _ = tree_of_corpus(stats, start.lang, topology, stage.config.tree, stage.config.context)
    gmm, occupancy = gmm_of_tree(stats, tree)
    wanted = max(stage.config.tree.max_leaves, 1)
    if stage.mix_up_first:
        gmm = mix_up(gmm, occupancy, wanted, dataclasses.replace(stage.config.mix, power=0.2))
    transition_model = TransitionModel(topology, tree)
    tree.write(folder / "tree")
    return EmState(
        next_pass=1,
        gaussians=wanted,
        step=max(0, (stage.config.em.total_gaussians - wanted) // stage.config.em.last_mix_up_pass),
        gmm=gmm,
        transition_model=transition_model,
        pipeline=pipeline,
        alignments=convert_alignments(alignments, start.model.transition_model, transition_model),
        speaker_transforms=transforms,
        occupancy=occupancy,
    )


def _corpus(
    start: Start,
    alignments: CorpusAlignments,
    transition_model: TransitionModel,
    folder: Path,
    executor: Executor | None,
) -> tuple[EmCorpus, dict[str, str]]:
    """Compiles the training graphs; lists who cannot take part."""
    texts, failures = usable_texts(start.store, start.lang, list(alignments.ids))
    graphs, more = training_graphs(texts, start.lang, transition_model, folder, executor)
    utterances = [u for u, _ in texts if u in graphs]
    failures |= {**more, **alignments.failures}
    return EmCorpus(start.store, utterances, graphs, (start.lang.optional_silence,)), failures
