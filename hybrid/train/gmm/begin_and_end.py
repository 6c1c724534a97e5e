"""What every training begins and ends with: usable utterances and their graphs; the model folder and its reports."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.adapt.speakers import unadapted_speakers
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.artifact import atomic_path, content_hash, read_meta
from hybrid.base.disk import make_folder, remove_mark
from hybrid.base.errors import HybridError, MismatchError
from hybrid.base.failures import write_failed
from hybrid.base.integrity import check
from hybrid.base.log import get_logger
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import write_int_vectors
from hybrid.gmm import GmmAcousticModel
from hybrid.graph.training import TrainingGraphCompiler, TrainingGraphs, compile_training_graphs
from hybrid.hmm import TransitionModel
from hybrid.model.folder import MODEL_FILES, Model, is_model_dir, load_model, save_model
from hybrid.train.gmm.em import EmState, PassRecord
from hybrid.train.gmm.state import fingerprint
from lexicon.lang_dir import LangDir

__all__ = [
    "finish_training",
    "finished_model",
    "lang_hashes",
    "training_graphs",
    "training_inputs",
    "work_dir",
]

logger = get_logger(__name__)

REPORTS = ("ali.gz", "failed.txt", "passes.tsv", "tree.txt", "transforms.safetensors", "fmllr_basis.safetensors")
SHOWN = 10  # phones named in a warning


def work_dir(out_dir: Path) -> Path:
    """Returns the folder inside a model folder that holds the state of an unfinished training."""
    return out_dir / "work"


LANG_FILES = ("L.fst", "words.txt", "phones.txt", "topo", "phones/roots.int", "phones/sets.int", "oov.txt")


def lang_hashes(lang: LangDir) -> dict[str, str]:
    """Returns hashes of what training takes from a lang folder."""
    return {name: content_hash(lang.path / name) for name in LANG_FILES}


def training_inputs(store: FeatureStore, lang: LangDir) -> dict[str, tuple[Path, str]]:
    """Returns what every training is made from, by name: where it lies, and its hash."""
    files = {name: (lang.path / name, found) for name, found in lang_hashes(lang).items()}
    return {"features": (store.path, store.digest or fingerprint(store.ids)), **files}


def finished_model(out_dir: Path, identity: str) -> Model | None:
    """Returns the model of just this training, if the folder holds it whole; drops what was left of its state."""
    if not is_model_dir(out_dir) or read_meta(out_dir).get("facts", {}).get("identity") != identity:
        return None
    try:
        for name in MODEL_FILES:
            check(out_dir / name)
    except MismatchError as error:
        logger.warning("%s It is trained again.", error)
        return None
    logger.info("%s holds this model already; nothing to do", out_dir)
    shutil.rmtree(work_dir(out_dir), ignore_errors=True)  # stopped after the model was written
    return load_model(out_dir)


def training_graphs(
    texts: Sequence[tuple[str, Sequence[int]]],
    lang: LangDir,
    transition_model: TransitionModel,
    folder: Path,
    executor: Executor | None = None,
) -> tuple[TrainingGraphs, dict[str, str]]:
    """Compiles the training graphs, or loads them where the same ones were compiled before.

    Returns:
      The graphs, and the reason of each utterance that has none.
    """
    tree, hashes = transition_model.tree, lang_hashes(lang)
    name = fingerprint(hashes, tree.content_hash(), transition_model.topology.content_hash(), list(texts))[:16]
    path = folder / f"graphs.{name}.safetensors"
    if path.exists():
        graphs = TrainingGraphs.load(path, tree)
        missing = {u: "its training graph could not be compiled" for u, _ in texts if u not in graphs}
        return graphs, missing
    compiler = TrainingGraphCompiler(lang, transition_model)
    graphs, failures = compile_training_graphs(compiler, texts, executor)
    if not len(graphs):
        name, reason = next(iter(failures.items()))
        raise HybridError(f"no training graph could be compiled; the first failure, {name}: {reason}")
    make_folder(folder)
    graphs.save(path, transition_model)
    return graphs, failures


def write_passes(path: Path, history: Sequence[PassRecord]) -> None:
    """Writes a tab-separated table with a line for each pass."""
    names = [f.name for f in dataclasses.fields(PassRecord) if f.name != "seconds"]
    rows = ["\t".join(names)]
    for item in history:
        values = [getattr(item, name) for name in names]
        rows.append("\t".join(f"{v:.6f}" if isinstance(v, float) else str(v) for v in values))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _warn_of_starved(state: EmState, lang: LangDir) -> None:
    """Names the phones to which no frame was aligned in the last pass, and counts other states without frames."""
    hungry = state.occupancy == 0
    model = state.transition_model
    phones, pdfs = model.phones[1:], model.pdf_ids[1:]
    fed = np.unique(phones[~hungry[pdfs]])
    lost = np.setdiff1d(np.unique(phones), fed)
    if len(lost):
        names = [lang.phones.symbol(int(p)) for p in lost]
        shown = " ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
        logger.warning(
            "%d phones were not heard in training and keep the Gaussians that they began with: %s. Words with these "
            "phones will not be recognised well; add speech that has them, or take them out of the lexicon.",
            len(names), shown,
        )  # fmt: skip
    single = np.intersect1d(np.flatnonzero(hungry), pdfs[np.isin(phones, fed)])
    if len(single):
        logger.info("%d of %d pdfs, of phones that were heard, got no frame in the last pass", len(single), len(hungry))


def finish_training(
    out_dir: Path,
    state: EmState,
    lang: LangDir,
    failures: Mapping[str, str],
    settings: Mapping[str, Any],
    inputs: Mapping[str, Any],
    identity: str,
    speaker_independent: GmmAcousticModel | None = None,
) -> Model:
    """Writes alignments, reports and, last, the model; then drops the state of the training.

    An older model stands until now; killed from here on, the same training run again only writes.

    Args:
      failures: utterances that never took part; those of the last alignment are added, and, after them, speakers
        whom adaptation left as they were.
    """
    alignments: CorpusAlignments = state.alignments
    remove_mark(out_dir)
    write_int_vectors(out_dir / "ali.gz", alignments.items())
    remarks = unadapted_speakers(state.speaker_transforms)
    write_failed(out_dir / "failed.txt", {**remarks, **failures, **alignments.failures})
    write_passes(out_dir / "passes.tsv", state.history)
    _warn_of_starved(state, lang)
    model = Model(
        transition_model=state.transition_model,
        acoustic_model=GmmAcousticModel(state.gmm),
        pipeline=state.pipeline,
        phones_path=lang.path / "phones.txt",
        speaker_independent=speaker_independent,
    )
    last = state.history[-1]
    facts = {
        "identity": identity,
        "pdfs": state.gmm.num_pdfs,
        "gaussians": state.gmm.num_gaussians,
        "log_likelihood_per_frame": last.log_likelihood,
        "frames": last.frames,
        "utterances": len(alignments),
        "failed": len(failures) + len(alignments.failures),
    }
    files = [name for name in REPORTS if (out_dir / name).exists()]
    save_model(out_dir, model, settings, inputs, facts, files)
    shutil.rmtree(work_dir(out_dir), ignore_errors=True)
    return model
