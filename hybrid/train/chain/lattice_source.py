"""Supervision from lattices: every way a text may have been spoken, as a model hears it (Kaldi's align_fmllr_lats)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.align.convert import feature_frames
from hybrid.align.texts import usable_texts
from hybrid.base.errors import HybridError
from hybrid.chain.numerator import Numerator, NumeratorError, lattice_numerator
from hybrid.chain.phone_lattice import phone_ways
from hybrid.feats.store import FeatureStore
from hybrid.graph.training import TrainingGraphCompiler, TrainingGraphConfig
from hybrid.hmm import TransitionModel
from hybrid.model.folder import Model, check_phones
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.train.chain.supervise import Items
from hybrid.train.gmm.begin_and_end import training_inputs
from hybrid.train.gmm.state import fingerprint, hash_arrays
from lexicon.lang_dir import LangDir

__all__ = ["LatticeSource", "WaysOfText"]

SELF_LOOP_SCALE = 0.1  # of GMMs' training graphs


@dataclass(frozen=True, eq=False)
class WaysOfText:
    """Searches features along a text's graph, and keeps what the beam leaves; sent to the workers.

    Attributes:
      aligner: scores the features, whose transition-ids the graphs have.
      store, transforms: static features, and the speakers' transforms by which the aligner was adapted.
      compiler: of graphs.
      model: of the chain.
      beam: of search and lattice, in scaled log units.
    """

    aligner: Model
    store: FeatureStore
    transforms: Mapping[str, np.ndarray]
    compiler: TrainingGraphCompiler
    model: TransitionModel
    beam: float

    def __call__(self, item: tuple[str, Sequence[int]]) -> Numerator:
        """Returns the numerator of an utterance and its word ids.

        Raises:
          NumeratorError: the text cannot be spoken, or no way through it is left.
        """
        utterance, words = item
        transform = self.transforms.get(self.store.speaker(utterance))
        features = self.aligner.pipeline.features(self.store, utterance, transform)
        try:
            graph = self.compiler(words)
        except HybridError as error:
            raise NumeratorError(str(error)) from error
        scale = self.aligner.acoustic_model.acoustic_scale
        config = SearchConfig(self.beam, self.beam, acoustic_scale=scale)
        searcher = make_searcher("native", graph, self.aligner.transition_model, config)
        result = searcher.search([self.aligner.scores(features)])[0]
        if result.failed:
            raise NumeratorError(result.error)
        if not result.complete:
            raise NumeratorError(f"has no way through its text within a beam of {self.beam:g}")
        phones, times = phone_ways(result.lattice, self.aligner.transition_model, self.beam, scale)
        factor, scored = self.aligner.acoustic_model.subsampling_factor, result.lattice.num_frames
        frames = np.where(times < scored, feature_frames(times, factor), len(features))
        return lattice_numerator(phones, frames, len(features), self.model)


@dataclass(frozen=True, eq=False)
class LatticeSource:
    """Numerators of utterances with features and texts.

    Attributes:
      make: from (utterance, word ids) to a numerator.
      texts: utterance → word ids.
      failures: why other utterances have none.
      inputs: a hash of features, lexicon, aligner and tree.
    """

    make: WaysOfText
    texts: Mapping[str, Sequence[int]]
    failures: Mapping[str, str]
    inputs: str
    timed = True

    @classmethod
    def of_set(
        cls,
        aligner: Model,
        store: FeatureStore,
        lang: LangDir,
        model: TransitionModel,
        beam: float,
        transforms: Mapping[str, np.ndarray] | None = None,
    ) -> LatticeSource:
        """Takes the transcripts of a set.

        Raises:
          InputError: no utterance has one.
          MismatchError: features or lang folder are not the aligner's.
        """
        check_phones(aligner, lang.path / "phones.txt")
        aligner.pipeline.require_match(store)
        transforms = dict(transforms or {})
        texts, failures = usable_texts(store, lang, store.ids)
        compiler = TrainingGraphCompiler(lang, aligner.transition_model, TrainingGraphConfig(1.0, SELF_LOOP_SCALE))
        make = WaysOfText(aligner if transforms else aligner.unadapted, store, transforms, compiler, model, beam)
        known = {name: found for name, (_, found) in training_inputs(store, lang).items()}
        inputs = fingerprint(known, aligner.hashes, hash_arrays(transforms), beam, model.tree.content_hash())
        return cls(make, dict(texts), failures, inputs)

    @property
    def ids(self) -> Sequence[str]:
        """Utterances with a transcript."""
        return list(self.texts)

    def items(self, ids: Sequence[str]) -> Items:
        """Returns utterances and word ids."""
        return [(utterance, (utterance, self.texts[utterance])) for utterance in ids]

    def identity(self, items: Items) -> str:
        """Returns a hash of texts and inputs."""
        return fingerprint(list(items), self.inputs)
