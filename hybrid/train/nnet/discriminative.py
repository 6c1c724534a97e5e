"""Sequence-discriminative training on lattices: MMI, boosted MMI, sMBR (Veselý et al. 2013), from a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hybrid.agreement import part_of, require_fit
from hybrid.base.config import config_to_dict
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.hmm import TransitionModel
from hybrid.ids import check_range
from hybrid.lattice.archive import read_lattice_folder
from hybrid.lattice.lattice import Lattice
from hybrid.model.folder import load_model
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.losses import DiscriminativeConfig, discriminative_objective
from hybrid.nnet.network import Output
from hybrid.nnet.sequence.lattices import LatticeArcs
from hybrid.train.gmm.ladder import load_alignments
from hybrid.train.nnet.checkpoint import network_arrays
from hybrid.train.nnet.objective import Parts
from hybrid.train.nnet.run import Task
from hybrid.train.nnet.sources import Item

__all__ = ["LatticeObjective", "LatticeTargets", "discriminative_task", "lattice_arcs"]

Targets = tuple[list[LatticeArcs], list[np.ndarray]]


def lattice_arcs(lattice: Lattice, model: TransitionModel, graph_scale: float = 1.0) -> LatticeArcs:
    """Returns a lattice as the objective reads it, with pdfs for transition-ids.

    Args:
      graph_scale: of language model, lexicon and transitions against the acoustic scores, which have the model's.
    """
    emits = lattice.transition_ids > 0
    graph = lattice.folded().graph_scores if lattice.columns else lattice.graph_scores
    final = lattice.folded().final_graph_scores if lattice.columns else lattice.final_graph_scores
    return LatticeArcs(
        from_state=lattice.sources,
        to_state=lattice.next_states,
        begin_frame=np.maximum(lattice.state_frames[lattice.sources], 0),
        pdf_splits=np.concatenate([[0], np.cumsum(emits)]),
        pdf=model.pdf_ids[lattice.transition_ids[emits]],
        graph_score=graph_scale * graph.astype(np.float64),
        final_score=graph_scale * final.astype(np.float64),
    )


@dataclass(frozen=True, eq=False)
class LatticeTargets:
    """Lattices of whole utterances, and the pdfs of what was said.

    Attributes:
      lattices, references: utterance → lattice; pdf of each frame of scores.
    """

    lattices: Mapping[str, LatticeArcs]
    references: Mapping[str, np.ndarray]
    factor: int
    fixed = True  # utterances begin at their first frame, as the lattices do

    def fault(self, item: Item) -> str:
        """See `Targets.fault`."""
        if item.name not in self.lattices:
            return "has no lattice"
        if item.name not in self.references:
            return "has no alignment"
        lattice, frames = self.lattices[item.name], -(-item.frames // self.factor)
        covered = int(lattice.frame.max(initial=-1)) + 1
        found = len(self.references[item.name])
        if covered != frames or found != frames:
            return f"gives {frames} frames of scores, its lattice covers {covered}, its alignment {found}"
        return ""

    def of_chunk(self, item: Item, start: int, frames: int) -> tuple[LatticeArcs, np.ndarray]:
        """See `Targets.of_chunk`."""
        return self.lattices[item.name], self.references[item.name]

    def together(self, chunks: Sequence[tuple[LatticeArcs, np.ndarray]]) -> Targets:
        """See `Targets.together`."""
        return [lattice for lattice, _ in chunks], [reference for _, reference in chunks]


@dataclass(frozen=True, eq=False)
class LatticeObjective:
    """A criterion on lattices; see `Objective`.

    Attributes:
      head: of the network whose scores are rated. log_prior: taken off them, as in decoding.
      classes: int [P], pdfs that count as one another: those of silence.
    """

    config: DiscriminativeConfig
    head: str
    log_prior: np.ndarray | None
    classes: np.ndarray
    advice: str = "Lattices or alignments are of another model: make both with the network that training starts from."
    frozen_norms = True  # as in decoding: a few long utterances are no sample of all speech

    @property
    def name(self) -> str:
        """The criterion's."""
        return self.config.criterion

    @property
    def ceiling(self) -> float | None:
        """All frames right, for sMBR; MMI's lacks the graph's part and has none."""
        return 1.0 if self.config.criterion == "smbr" else None

    def __call__(self, output: Output, targets: Targets) -> Parts:
        """See `Objective`."""
        scores = getattr(output, self.head).float()
        if self.log_prior is not None:
            scores = scores - torch.from_numpy(self.log_prior).to(scores.device)
        parts = discriminative_objective(scores, *targets, self.config, self.classes)
        frames = float(parts.frames)
        return Parts(
            parts.loss * frames, frames, {"objective": parts.objective * frames, "left_out": float(parts.failed)}
        )


def discriminative_task(
    model_dir: Path, lattices: Path, ali: Path, config: DiscriminativeConfig, graph_scale: float = 1.0,
    silence_phones: Sequence[int] = (),
) -> Task:  # fmt: skip
    """Goes on training a network on lattices of the training set that it made itself.

    Args:
      lattices: folder of `hybrid decode --raw`. ali: alignments by the network, with the transcripts.
      silence_phones: phones whose pdfs count as one another.

    Raises:
      InputError: no network, or no lattices.
      MismatchError: lattices or alignments of another model.
    """
    model = load_model(model_dir)
    acoustic = model.acoustic_model
    if not isinstance(acoustic, NetworkAcousticModel):
        raise InputError.at(model_dir, "holds no network", "Name the folder of one (hybrid nnet train).")
    require_fit(part_of(lattices, "lattices"), model.part)
    transitions = model.transition_model
    found: dict[str, LatticeArcs] = {}
    for utterance, lattice in read_lattice_folder(lattices):
        if not lattice.is_empty:
            ids = lattice.transition_ids
            check_range("transition_id", ids, 0, transitions.num_transition_ids, f"{lattices}, {quote(utterance)}")
            found[utterance] = lattice_arcs(lattice, transitions, graph_scale)
    if not found:
        raise HybridError(f"{lattices}: holds no lattice with a path. Decode the training set with {model_dir}.")
    alignments = load_alignments(ali, model)
    classes = np.arange(transitions.num_pdfs)
    quiet = np.unique(transitions.pdf_ids[1:][np.isin(transitions.phones[1:], list(silence_phones))])
    if len(quiet):
        classes[quiet] = quiet[0]
    return Task(
        transition_model=transitions,
        phones_path=Path(model.phones_path),
        targets=LatticeTargets(
            found, {u: transitions.pdf_ids[ids] for u, ids in alignments.items()}, acoustic.subsampling_factor
        ),
        objective=LatticeObjective(config, acoustic.head, acoustic.log_prior, classes),
        head=acoustic.head,
        scales=(acoustic.acoustic_scale, acoustic.transition_scale, acoustic.self_loop_scale),
        inputs={"model": model_dir, "lattices": lattices, "alignments": ali / "ali.gz"},
        settings={**config_to_dict(config), "graph_scale": graph_scale, "silence": list(silence_phones)},
        start=network_arrays(acoustic.network),
        log_prior=acoustic.log_prior,
    )
