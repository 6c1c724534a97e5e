"""Recogniser: a file or samples in, a transcript out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from hybrid.adapt.recording_transform import adapts, transform_of
from hybrid.base.errors import HybridError, InputError, one_line
from hybrid.data.utterance import Utterance
from hybrid.decode.graph_lm import with_lm
from hybrid.decode.raised_phrases import BOOST, with_phrases
from hybrid.decode.reject import RejectConfig
from hybrid.decode.system import System, SystemSpec, load_system, make_system
from hybrid.decode.transcript import Transcript
from hybrid.feats.vad import VadConfig
from hybrid.graph.decoding import DecodingGraph
from hybrid.graph.own_words import Guess
from hybrid.model.folder import Model
from hybrid.model.recording import Recording
from hybrid.recogniser.session import Session
from hybrid.recogniser.slot_contents import Lists, SlotContents
from hybrid.rescore.decoding_pass import passes_of
from hybrid.search.config import RetryConfig, SearchConfig
from lm.biasing.bias_list import BiasLines

__all__ = ["Recogniser"]


Audio = str | os.PathLike | np.ndarray
Audios = list[Audio] | tuple[Audio, ...]


def _name(audio: Audio) -> str:
    return "samples" if isinstance(audio, np.ndarray) else Path(audio).stem


class Recogniser:
    """Recognises recordings of any length with one model and one graph."""

    def __init__(
        self, system: System, vad: VadConfig | None = None, adapt: bool = True, guess: Guess | None = None
    ) -> None:
        """Takes a system.

        Args:
          adapt: a model of speaker-adaptive training to each recording; else its speaker-independent model is used.
          guess: pronunciations of new words of which none is known, as `hybrid.aligner.guess.g2p_guesser` gives.
        """
        self.vad, self.adapt = vad or VadConfig(), adapt
        self.system = system if guess is None else replace(system, guess=guess)
        self._changing = threading.Lock()  # changes by several threads follow each other, and none is lost

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
        reject: RejectConfig | None = None,
        rescore: Sequence[str | os.PathLike] = (),
        search_lm: str | os.PathLike | None = None,
        raw: bool = False,
        adapt: bool = True,
        lm: str | os.PathLike | None = None,
        exact_backoff: bool = False,
        g2p: str | os.PathLike | None = None,
        bias_pass: Literal["search", "lattice"] = "search",
    ) -> "Recogniser":
        """Loads a model folder and a graph folder.

        Args:
          config: widths of the search, and an acoustic scale where it is not to be the model's.
          lang_dir: wanted for word times where phones carry no position marks.
          engine: "auto", "native", "torch", "k2" or "reference".
          device: "cpu" or "cuda".
          kaldi_times: boundaries lie at frame number × shift, as Kaldi's, and not in the middle between windows.
          reject: confidences below which words or utterances are left out.
          rescore: language models of a second pass, see `hybrid.rescore.decoding_pass.passes_of`.
          search_lm: ARPA file of the graph's language model, where its records do not lead to it.
          raw: keep lattices as the search gave them, not determinised.
          adapt: see `__init__`.
          lm: of a graph that was compiled for look-ahead, which has none: an ARPA file, or G.fst over its words.
          exact_backoff: of such a graph: every path has the score that `lm` gives its words, see `SystemSpec`.
          g2p: model that guesses pronunciations of words of lists, phrases and `add_word` that nobody gives.
          bias_pass: "search": `bias` raises phrases while searching; "lattice": in lattices, with any engine and graph.

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
            raw=raw,
            reject=reject or RejectConfig(),
            second_pass=passes_of(rescore),
            search_arpa=None if search_lm is None else os.fspath(search_lm),
            lm=None if lm is None else os.fspath(lm),
            exact_backoff=exact_backoff,
            g2p=None if g2p is None else os.fspath(g2p),
            bias_pass=bias_pass,
        )
        return cls(load_system(spec), adapt=adapt)

    @classmethod
    def of(cls, model: Model, graph: DecodingGraph, spec: SystemSpec | None = None) -> "Recogniser":
        """Joins a model and a graph that are in memory; see `make_system`."""
        return cls(make_system(model, graph, spec))

    @overload
    def recognise(self, audio: Audio, rate: int | None = None, channel: int = -1) -> Transcript: ...

    @overload
    def recognise(self, audio: Audios, rate: int | None = None, channel: int = -1) -> list[Transcript]: ...

    def recognise(
        self, audio: Audio | Audios, rate: int | None = None, channel: int = -1
    ) -> Transcript | list[Transcript]:
        """Recognises a file, or samples (float32 [N] in [-1, 1], with their rate), or a list of either.

        Speech is found first: a recording in which nothing is said has no segments, and one longer than
        `vad.max_length` is cut at pauses; see `Recording` for how it is normalised. A model of speaker-adaptive
        training is adapted to each recording in two searches before the last one.

        Args:
          channel: of a file, from 0; -1 for the mean of all.

        Returns:
          The transcript; of a list one each, in order, whose `error` tells why a recording could not be used.

        Raises:
          InputError: the audio cannot be used (where it is not one of a list).
        """
        if isinstance(audio, (list, tuple)):
            return [self._or_error(one, rate, channel) for one in audio]
        if isinstance(audio, np.ndarray) and rate is None:
            raise InputError.at("samples", "have no sampling rate", "Give rate=…, in Hz.")
        name, adapted = _name(audio), self.adapt and adapts(self.system)
        model = self.system.model if adapted else self.system.model.unadapted
        recording = Recording(model, audio, channel, vad=self.vad, whole_within=self.vad.max_length, rate=rate)
        transform = None
        if adapted:
            transform = transform_of(self.system, recording, recording.chunks)
        spoken = self._spoken(recording, name, transform)
        return Transcript(tuple(self.system.recognise_each(spoken)), name, **self.system.spec.language_models)

    def _or_error(self, audio: Audio, rate: int | None, channel: int) -> Transcript:
        try:
            return self.recognise(audio, rate, channel)
        except (HybridError, OSError) as error:
            return Transcript((), _name(audio), one_line(error), **self.system.spec.language_models)

    def _spoken(
        self, recording: Recording, name: str, transform: np.ndarray | None
    ) -> Iterator[tuple[Utterance, np.ndarray]]:
        """Yields the stretches of speech with their scores."""
        for number, chunk in enumerate(recording.chunks, 1):
            suffix = f"-{number:04d}" if len(recording.chunks) > 1 else ""
            features = recording.features(chunk.start, chunk.end, transform)
            if not len(features):
                raise InputError.at(
                    recording.path, f"{chunk.duration:g} s are shorter than one frame", "Leave this audio out."
                )
            item = Utterance(f"{name}{suffix}", start=chunk.start, duration=chunk.duration, recording_id=name)
            yield item, recording.model.scores(features)

    def use_lm(self, path: str | os.PathLike) -> None:
        """Puts another language model in the place of the one that a graph for look-ahead is composed with.

        Sessions that are open keep theirs (`Session.use_lm`).

        Args:
          path: of an ARPA file, or G.fst over the words of the graph.

        Raises:
          InputError: the graph was compiled with a grammar; the file is damaged, or has hardly a word of the graph.
        """
        self._change(lambda system: with_lm(system, path))

    def _change(self, change: Callable[[System], System]) -> None:
        with self._changing:
            self.system = change(self.system)

    # --- slots and new words -----------------------------------------------------------------------

    @property
    def _contents(self) -> SlotContents:
        return SlotContents(self.system)

    def fill(self, lists: Lists) -> None:
        """Replaces what stands in slots of the graph; sessions that are open keep what they have (`Session.fill`).

        Args:
          lists: slot → the file of a list, or its entries; an empty one empties the slot. Other slots keep theirs.

        Raises:
          InputError: the graph has no such slot, a list is bad, a word cannot be said; see `SlotContents.fill`.
        """
        self._change(lambda system: SlotContents(system).fill(lists).system)

    def can_add(self) -> bool:
        """Whether words can be added: the graph was compiled with a place for them."""
        return self.system.filler is not None and self._contents.can_add()

    def add_word(
        self,
        text: str,
        pronunciations: str | Sequence[str | Sequence[str]] | None = None,
        like: str | None = None,
        probability: float | None = None,
    ) -> None:
        """Adds a word or a phrase to the vocabulary, at once; see `SlotContents.add` for arguments and errors."""
        self._change(lambda system: SlotContents(system).add(text, pronunciations, like, probability).system)

    def remove_word(self, text: str) -> None:
        """Takes an added word or phrase away again.

        Raises:
          InputError: it was not added.
        """
        self._change(lambda system: SlotContents(system).remove(text).system)

    def vocabulary(self) -> tuple[str, ...]:
        """The words and phrases in slots and those added, sorted."""
        return () if self.system.filler is None else self._contents.vocabulary()

    def save_contents(self, path: str | os.PathLike) -> None:
        """Writes what stands in the slots, added words included, to a small file for another process."""
        self._contents.save(path)

    def load_contents(self, path: str | os.PathLike) -> None:
        """Fills the slots as a file of `save_contents` says.

        Raises:
          InputError: another file, or another graph's slots.
        """
        self._change(lambda system: SlotContents(system).load(path).system)

    def bias(self, phrases: BiasLines, boost: float = BOOST, nearest: int = 0) -> None:
        """Raises phrases in the search, in the place of those raised before; sessions that are open keep theirs.

        Args:
          phrases: the file of a list, or phrases; each a text, (text, boost per word) or (text, boost, words that must
            stand before it). None at all: nothing is raised.
          boost: natural log per word, of phrases without their own; below 0 they are pushed down.
          nearest: for lists of thousands: raise in each utterance so many of them, the nearest in sound to what a first
            search finds; 0: all. Sessions do not search twice, and raise nothing of such a list.

        Words that the graph lacks are heard where it takes new words (`can_add`) and they can be guessed.

        Raises:
          InputError: a bad list, no phrase with words of the graph, or an engine that raises none; see `with_phrases`.
        """
        self._change(lambda system: with_phrases(system, phrases, boost, nearest))

    def session(self, rate: int | None = None, name: str = "session", **options: Any) -> Session:
        """Opens a session for audio that comes in pieces; see `Session` for the options."""
        return Session(self.system, rate, name, **{"said": self.vad.said, **options})
