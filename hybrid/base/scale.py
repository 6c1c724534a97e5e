"""Settings that leave the acoustic scale to the model."""

from __future__ import annotations

__all__ = ["HasAcousticScale"]


class HasAcousticScale:
    """Settings with an `acoustic_scale`, None where it is the model's; their `of_model` fills it in."""

    acoustic_scale: float | None

    @property
    def scale(self) -> float:
        """The acoustic scale in use.

        Raises:
          ValueError: none was given; `of_model` fills it in.
        """
        if self.acoustic_scale is None:
            raise ValueError("acoustic_scale is not set, and no model at hand states one: give a number")
        return self.acoustic_scale
