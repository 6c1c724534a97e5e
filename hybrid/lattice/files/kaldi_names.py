"""Names that are no files: Kaldi's for archives."""

from __future__ import annotations

import os
import re

from hybrid.base.errors import InputError

__all__ = ["require_plain_name"]

KALDI_NAME = re.compile(r"(ark|scp)[a-z,]*:")  # as in ark,t:FILE


def require_plain_name(path: str | os.PathLike) -> None:
    """Raises InputError for one of Kaldi's names of archives (ark,t:FILE), which would name a file here."""
    if KALDI_NAME.match(os.fspath(path)):
        cure = "Give the file alone; - is standard input or output, --text and --scp choose the form."
        raise InputError.at(path, "is a name of Kaldi's for an archive", cure)
