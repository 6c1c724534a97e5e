"""Recogniser: a file or samples in, a transcript out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.errors import InputError
from hybrid.data.utterance import Utterance
from hybrid.decode.recognition import Recognition
from hybrid.decode.system import System, SystemSpec, load_system, make_system
from hybrid.decode.transcript import Transcript
from hybrid.feats.vad import VadConfig
from hybrid.graph.decoding import DecodingGraph
from hybrid.model.folder import Model
from hybrid.model.recording import Recording
from hybrid.recogniser.session import Session
from hybrid.search.config import RetryConfig, SearchConfig

__all__ = ["Recogniser"]


class Recogniser:
    """Recognises recordings of any length with one model and one graph."""

    def __init__(self, system: System, vad: VadConfig | None = None) -> None:
        self.system, self.vad = system, vad or VadConfig()

    @classmethod
    def load(
        cls,
        model_dir: str | os.PathLike,
        graph_dir: str | os.PathLike,
        config: SearchConfig | None = None,
        retry: RetryConfig | None = None,
        lang_dir: str | os.PathLike | None = None,
        engine: str = "auto",
        device: str = "cpu",
        kaldi_times: bool = False,
    ) -> "Recogniser":
        """Loads a model folder and a graph folder.

        Args:
          config: widths of the search, and an acoustic scale where it is not to be the model's.
          lang_dir: wanted for word times where phones carry no position marks.
          engine: "auto", "native", "k2" or "reference".
          device: "cpu" or "cuda".
          kaldi_times: boundaries lie at frame number × shift, as Kaldi's, and not in the middle between windows.

        Raises:
          InputError, MismatchError: see `load_system`.
        """
        spec = SystemSpec(
            os.fspath(model_dir),
            os.fspath(graph_dir),
            None if lang_dir is None else os.fspath(lang_dir),
            config or SearchConfig(),
            retry or RetryConfig(),
            engine,
            device,
            kaldi_times,
        )
        return cls(load_system(spec))

    @classmethod
    def of(cls, model: Model, graph: DecodingGraph, spec: SystemSpec | None = None) -> "Recogniser":
        """Joins a model and a graph that are in memory; see `make_system`."""
        return cls(make_system(model, graph, spec))

    def recognise(self, audio: str | os.PathLike | np.ndarray, rate: int | None = None, channel: int = 0) -> Transcript:
        """Recognises a file, or samples (float32 [N] in [-1, 1], with their rate).

        A recording longer than `vad.max_length` is cut at pauses; see `Recording` for how it is normalised.

        Raises:
          InputError: the audio cannot be used.
        """
        if isinstance(audio, np.ndarray) and rate is None:
            raise InputError.at("samples", "have no sampling rate", "Give rate=…, in Hz.")
        name = "samples" if isinstance(audio, np.ndarray) else Path(audio).stem
        recording = Recording(
            self.system.model.unadapted, audio, channel, vad=self.vad, whole_within=self.vad.max_length, rate=rate
        )
        found: list[Recognition] = []
        for chunk in recording.chunks:
            number = f"-{len(found) + 1:04d}" if len(recording.chunks) > 1 else ""
            utterance = Utterance(f"{name}{number}", start=chunk.start, duration=chunk.duration, recording_id=name)
            scores = recording.scores(chunk.start, chunk.end)
            if not len(scores):
                raise InputError.at(
                    recording.path, f"{chunk.duration:g} s are shorter than one frame", "Leave this audio out."
                )
            found += self.system.recognise([utterance], [scores])
        return Transcript(tuple(found), name)

    def session(self, rate: int | None = None, name: str = "session", **options: Any) -> Session:
        """Opens a session for audio that comes in pieces; see `Session` for the options."""
        return Session(self.system, rate, name, **options)
