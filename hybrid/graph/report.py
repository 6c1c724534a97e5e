"""What each operation of graph compilation cost and made, and the limit on its memory."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hybrid.base.limited import available_memory, peak_gb, reset_peak, run_limited
from hybrid.base.log import cpu_seconds, get_logger
from hybrid.formats.openfst import FstArrays, vector_stats

if TYPE_CHECKING:
    import kaldifst

__all__ = ["GraphReport", "Operation", "within_memory", "without_costs"]

T = TypeVar("T")
SURE = 0.1  # of what is allowed; what is predicted to take less runs in this process

LOGGER = get_logger(__name__)


@dataclass(frozen=True)
class Operation:
    """One step of graph compilation.

    Attributes:
      name: e.g. "L∘G".
      states, arcs: of its result.
      seconds, cpu_seconds: it took.
      peak_gb: highest resident memory of the process during the step, in 1e9 bytes.
      min_cost, max_cost: what the arcs and final weights of a state sum to, at least and at most; 0 if stochastic.
    """

    name: str
    states: int
    arcs: int
    seconds: float
    cpu_seconds: float
    peak_gb: float
    min_cost: float
    max_cost: float

    def line(self) -> str:
        """One line for logs."""
        return (
            f"{self.name:<18} {self.states:>9} states {self.arcs:>10} arcs {self.seconds:>7.1f} s "
            f"{self.cpu_seconds:>7.1f} CPU s {self.peak_gb:>6.2f} GB  "
            f"state costs {self.min_cost:+.4f} to {self.max_cost:+.4f}"
        )


@dataclass(eq=False)
class GraphReport:
    """The operations of one compilation, in order."""

    operations: list[Operation] = field(default_factory=list)
    _last: tuple[weakref.ref, tuple[int, int, float, float]] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}  # what was measured last does not travel

    @contextmanager
    def measure(self, name: str) -> Iterator[list[Any]]:
        """Times the body, which puts its result (kaldifst FST or FstArrays) into the list it is given."""
        reset_peak()
        wall, cpu = time.monotonic(), cpu_seconds()
        result: list[Any] = []
        yield result
        wall, cpu, peak = time.monotonic() - wall, cpu_seconds() - cpu, peak_gb()
        if self._last is None or self._last[0]() is not result[0]:  # some operations have nothing to do
            self._last = weakref.ref(result[0]), _figures(result[0])
        states, arcs, low, high = self._last[1]
        self.operations.append(Operation(name, states, arcs, round(wall, 3), round(cpu, 3), peak, low, high))
        LOGGER.info("%s", self.operations[-1].line())

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all operations."""
        return sum(o.cpu_seconds for o in self.operations)

    @property
    def peak_gb(self) -> float:
        """The most memory that any operation held."""
        return max((o.peak_gb for o in self.operations), default=0.0)

    def as_rows(self) -> list[dict[str, Any]]:
        """Plain values for meta.json."""
        return [asdict(o) for o in self.operations]


def without_costs(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns what is the same in every run of the operations of a report: no seconds, no memory."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "cpu_seconds", "peak_gb")} for row in rows]


def _figures(fst: kaldifst.StdVectorFst | FstArrays) -> tuple[int, int, float, float]:
    """Returns states, arcs and the smallest and largest cost that a state sums to."""
    from hybrid.fst.ops import stochasticity

    if isinstance(fst, FstArrays):
        return fst.num_states, fst.num_arcs, *stochasticity(fst)
    return vector_stats(fst)


def within_memory(function: Callable[..., T], *args: Any, gigabytes: float, predicted: float) -> T:
    """Returns `function(*args)`; where it may want too much memory, it runs, limited, in a process of its own.

    Args:
      gigabytes: what it may take, in 1e9 bytes; 0 means nine tenths of what is free now.
      predicted: bytes that it will hardly pass.

    Raises:
      HybridError: it ran out of memory.
    """
    free = available_memory()
    allowed = gigabytes * 1e9 if gigabytes else (0.9 * free if free is not None else None)
    if allowed is None or predicted <= SURE * allowed:
        return function(*args)
    return run_limited(
        function, *args, allowed=allowed, imports=("kaldifst", "hybrid.formats.openfst_kernels", "hybrid.graph.stages"),
        too_much=f"the graph does not fit into {allowed / 1e9:.3g} GB. Prune the language model (`hybrid lm prune`), "
        "use a smaller vocabulary, or compile on a machine with more memory",
    )  # fmt: skip
