"""Settings of a second pass; apart from its code, so that help is shown without loading that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, Range, check_fields

if TYPE_CHECKING:
    from hybrid.rescore.scored import Mixture

__all__ = ["SecondPassConfig"]


def _help(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class SecondPassConfig:
    """How lattices are scored with another model."""

    method: Literal["arcs", "compose", "nbest"] = _help(
        "arcs", "arcs: each word after the best way to it, in one batch; compose: whole lattices, the best first; "
        "nbest: the best word sequences.",
    )  # fmt: skip
    posterior: float = _help(0.02, "arcs: from this posterior on, an arc has a history of its own behind it.")
    beam: float = _help(8.0, "compose: behind the best path.")
    order: int = _help(4, "compose: words that tell histories apart, the next one included; 0: all.")
    nbest: int = _help(100, "nbest: word sequences.")
    share: float = _help(0.5, "Of the new model.")
    mixing: Literal["linear", "log"] = _help("linear", "Of probabilities (needs an old model), or of their logs.")
    batch_lattices: int = _help(16, "Lattices scored together.")

    def __post_init__(self) -> None:
        check_fields(self, posterior=POSITIVE, beam=NATURAL, order=Range(0, 100), nbest=COUNT, share=Range(0, 1),
                     batch_lattices=COUNT)  # fmt: skip
        for name, wanted in (("method", ("arcs", "compose", "nbest")), ("mixing", ("linear", "log"))):
            if getattr(self, name) not in wanted:
                raise ValueError(f"{name} is '{getattr(self, name)}', wanted one of {', '.join(wanted)}")

    @property
    def mixture(self) -> Mixture:
        """How the models are mixed."""
        from hybrid.rescore.scored import Mixture

        return Mixture(self.share, self.mixing == "linear")
