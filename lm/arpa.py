"""ARPA files: written so that every float32 reads back the same, read as they are found in the wild.

Accepted: anything before `\\data\\`; tabs or spaces; CRLF; gzip; missing back-offs; rows and sections'
rows in any order; orders declared with 0 n-grams; -99 and -inf for no probability; a probability
above 1 by rounding. Everything else is refused with the number of the line.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path, write_gzip
from lm.arpa_kernels import POWERS, format_rows
from lm.arpa_reader import read_arpa
from lm.ngram import NgramModel

__all__ = ["read_arpa", "write_arpa"]

_BUFFER_BYTES = 1 << 22


def write_arpa(path: str | os.PathLike, model: NgramModel) -> None:
    """Writes a model, gzipped where the name ends in .gz; back-offs of 0 are left out, as the format allows.

    Raises:
      HybridError: the disk is full or the place not writable.
    """
    if os.fspath(path).endswith(".gz"):
        with write_gzip(path, level=5) as stream:
            _write(stream, model)
    else:
        with atomic_path(path) as temporary, open(temporary, "wb", buffering=0) as stream:
            _write(stream, model)


def _write(stream: Any, model: NgramModel) -> None:
    lines = [f"ngram {n}={count}" for n, count in enumerate(model.num_ngrams, 1)]
    stream.write(("\\data\\\n" + "\n".join(lines) + "\n").encode())
    blob, offsets = model.vocabulary.blob
    longest = int(np.diff(offsets).max())
    buffer = np.empty(max(_BUFFER_BYTES, 2 * (64 + (longest + 1) * model.order)), np.uint8)
    for n, level in enumerate(model.levels, 1):
        stream.write(f"\n\\{n}-grams:\n".encode())
        columns = model.columns(n)
        row = 0
        while row < len(level):
            row, size = format_rows(
                columns, row, len(level), level.log10_probs, level.log10_backoffs, blob, offsets, POWERS, buffer
            )
            stream.write(buffer.data[:size])
    stream.write(b"\n\\end\\\n")
