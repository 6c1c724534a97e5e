"""Errors that users can act on: one line with the place, what was found, what was wanted, and the cure.

Libraries raise these; only the command line prints them (without a traceback) and exits.
A programming error stays an ordinary exception.
"""

from __future__ import annotations

__all__ = ["HybridError", "InputError", "MismatchError", "MissingDependencyError"]


class HybridError(Exception):
    """A mistake in what the user handed over, told in one line."""


class InputError(HybridError):
    """A file, folder or setting that cannot be used as it is."""

    @classmethod
    def at(cls, place: object, message: str, cure: str = "", line: int | None = None) -> "InputError":
        """Builds `PLACE:LINE: message. cure` from its parts.

        Args:
          place: the file, option or object that is wrong.
          message: what was found and what was wanted.
          cure: a sentence that tells what to do.
          line: 1-based line number, where there is one.
        """
        where = f"{place}:{line}" if line is not None else f"{place}"
        text = f"{where}: {message.rstrip('.')}."
        return cls(f"{text} {cure}".rstrip())


class MismatchError(HybridError):
    """Two artifacts that do not belong together, e.g. a graph and a model of different trees."""


class MissingDependencyError(HybridError):
    """An optional package is absent; the message holds the command that installs it."""
