"""What a network's folder holds, as lines for people."""

from __future__ import annotations

from pathlib import Path

from hybrid.base.artifact import read_meta
from hybrid.base.errors import InputError
from hybrid.model.folder import load_model
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.network import told_frames
from hybrid.train.nnet.average import kept_models
from hybrid.train.nnet.log import read_rows

__all__ = ["describe"]


def describe(model_dir: Path) -> dict[str, object]:
    """Returns name → value of a network's shape, context, scales and training.

    Raises:
      InputError: the folder holds no network.
    """
    model = load_model(model_dir)
    acoustic = model.acoustic_model
    if not isinstance(acoustic, NetworkAcousticModel):
        raise InputError.at(model_dir, "holds no network", "`hybrid gmm info` looks at GMMs.")
    network = acoustic.network

    found: dict[str, object] = {
        "architecture": network.architecture,
        "parameters": sum(p.numel() for p in network.parameters()),
        "feature_dim": network.feature_dim,
        "pdfs": network.num_pdfs,
        "subsampling_factor": network.subsampling_factor,
        "left_context": told_frames(network.left_context),
        "right_context": told_frames(network.right_context),
        "delay": told_frames(network.delay),
        "head": acoustic.head,
        "log_prior": "yes" if acoustic.log_prior is not None else "no",
        "acoustic_scale": f"{acoustic.acoustic_scale:g}",
        "transition_scale": f"{acoustic.transition_scale:g}",
        "self_loop_scale": f"{acoustic.self_loop_scale:g}",
    }
    found |= {f"network.{name}": value for name, value in network.settings()["network"].items()}
    facts = read_meta(model_dir).get("facts", {})
    found |= {
        name: facts[name] for name in ("steps", "hours", "utterances", "failed", "skipped_steps") if name in facts
    }
    kept = kept_models(Path(model_dir))
    if kept:
        found["kept"] = " ".join(str(each.number) for each in kept)
    table = Path(model_dir) / "passes.tsv"
    if table.exists():
        for row in read_rows(table)[-1:]:
            found |= {name: f"{value:.4g}" for name, value in row.items() if "objective" in name or "accuracy" in name}
    return found
