"""A GMM-HMM in numbers, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.hmm import TransitionModel

__all__ = ["describe_model", "describe_pdfs"]


def describe_model(transition_model: TransitionModel, model: GmmAcousticModel) -> dict[str, Any]:
    """Returns the sizes of a model by name."""
    sizes = np.diff(model.gmm.row_splits)
    return {
        "phones": len(transition_model.topology.phones),
        "context_width": transition_model.tree.context_width,
        "pdfs": model.num_pdfs,
        "transition_ids": transition_model.num_transition_ids,
        "transition_states": transition_model.num_transition_states,
        "feature_dim": model.feature_dim,
        "gaussians": model.gmm.num_gaussians,
        "gaussians_per_pdf": f"{sizes.min()} to {sizes.max()}, mean {sizes.mean():.2f}",
        "acoustic_scale": f"{model.acoustic_scale:.6g}",
        "subsampling_factor": model.subsampling_factor,
    }


def describe_pdfs(transition_model: TransitionModel, model: GmmAcousticModel, phones: Any) -> Iterator[str]:
    """Yields `pdf_id Gaussians self-loop-probability phone/state …` for each pdf."""
    ids = np.arange(1, transition_model.num_transition_ids + 1)
    for pdf in range(model.num_pdfs):
        mine = ids[transition_model.pdf_ids[1:] == pdf]
        states = sorted({(int(transition_model.phones[i]), int(transition_model.hmm_states[i])) for i in mine})
        loops = mine[transition_model.is_self_loop[mine]]
        stay = f"{np.exp(transition_model.log_probs[loops]).mean():.3f}" if len(loops) else "-"
        count = int(np.diff(model.gmm.row_splits)[pdf])
        names = " ".join(f"{phones.symbol(phone)}/{state}" for phone, state in states)
        yield f"{pdf} {count} {stay} {names}"
