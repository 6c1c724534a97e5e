"""The espeak-ng library through ctypes: text and a voice in, samples and timed phonemes out.

Every utterance is spoken in a forked child that starts the library anew, because the library keeps state from one
utterance to the next (phases of its oscillators, random numbers) and its own re-start can hang: so the same text and
voice give the same samples, alone or in any batch.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.optional import import_optional
from hybrid.base.ranges import Range, check_fields

__all__ = ["SpokenText", "TimedSymbol", "Voice", "english_bases", "speak", "variants"]

TIME_LIMIT = 60.0  # seconds for one utterance; speech comes a hundred times faster than it lasts
PAUSE_MARKS = "_"  # espeak's names of pauses begin with it

# speak_lib.h
_SYNCHRONOUS = 2
_WITH_PHONEMES, _DO_NOT_EXIT = 0x0001, 0x8000
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_LIST_END, _WORD, _PHONEME = 0, 1, 7


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes:
      base: accent, e.g. `en-us`, `en-gb-x-rp`; `hybrid synth voices` lists them.
      variant: voice quality, e.g. `f3`, `klatt2`; empty for the accent's own.
      rate: words a minute, 80 to 450.
      pitch, pitch_range: 0 to 100; 50 is the voice's own.
    """

    base: str = "en-us"
    variant: str = ""
    rate: int = 170
    pitch: int = 50
    pitch_range: int = 50

    def __post_init__(self) -> None:
        check_fields(self, rate=Range(80, 450), pitch=Range(0, 100), pitch_range=Range(0, 100))
        if not self.base:
            raise ValueError("voice has no base")

    @property
    def name(self) -> str:
        """`base+variant`, as espeak-ng names it."""
        return f"{self.base}+{self.variant}" if self.variant else self.base


@dataclass(frozen=True)
class TimedSymbol:
    """A phoneme (espeak's own mnemonic, stress mark kept) or a word, in seconds from the start."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class SpokenText:
    """One spoken utterance.

    Attributes:
      samples: int16 [N].
      rate: samples per second.
      phones: in order and without gaps; pauses have symbols that begin with `_`.
      words: as they stand in the text; a word starts with its first phoneme.
    """

    samples: np.ndarray
    rate: int
    phones: tuple[TimedSymbol, ...]
    words: tuple[TimedSymbol, ...]


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def _loader() -> ModuleType:
    return import_optional(
        "espeakng_loader",
        "Speech synthesis",
        "Install it with `pip install espeakng-loader` (GPL-3.0; hence an extra, hybrid-asr[synth]).",
    )


@cache
def _library() -> ctypes.CDLL:
    """Loads the library; nothing is started in this process."""
    loader = _loader()
    library = ctypes.CDLL(loader.get_library_path())
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    return library


@cache
def variants() -> tuple[str, ...]:
    """Returns the names of the voice variants, about a hundred, sorted."""
    folder = Path(_loader().get_data_path()) / "voices" / "!v"
    return tuple(sorted(file.name for file in folder.iterdir() if file.is_file()))


@cache
def english_bases() -> tuple[str, ...]:
    """Returns the accents of English, by the names that `Voice.base` takes, sorted."""
    names = set()
    for file in (Path(_loader().get_data_path()) / "lang" / "gmw").glob("en*"):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        names |= {line.split()[1] for line in lines if line.startswith("language ")}
    return tuple(sorted(names - {"en-gb"}))  # en-gb goes by the name en


class _Recorder:
    """Collects what the library's callback delivers."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.phones: list[tuple[int, str]] = []  # (sample, symbol)
        self.words: list[tuple[int, int, int]] = []  # (sample, position in the text from 1, length)
        self.callback = _Callback(self._take)

    def _take(self, wave, count: int, events) -> int:  # type: ignore[no-untyped-def]
        if wave and count > 0:
            self.blocks.append(ctypes.string_at(wave, 2 * count))
        place = 0
        while (event := events[place]).type != _LIST_END:
            if event.type == _PHONEME:
                self.phones.append((event.sample, event.id.string.decode("utf-8", "replace")))
            elif event.type == _WORD:
                self.words.append((event.sample, event.text_position, event.length))
            place += 1
        return 0


def _speak_here(text: str, voice: Voice, seed: int) -> bytes:
    """Speaks in this process (the child): a JSON header with its length in front, then int16 samples."""
    library = _library()
    data = _loader().get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _WITH_PHONEMES | _DO_NOT_EXIT)
    if rate <= 0:
        raise HybridError(f"espeak-ng does not start with its data at {data.decode()}. Install the package again.")
    recorder = _Recorder()
    library.espeak_SetSynthCallback(recorder.callback)
    if voice.variant and voice.variant not in variants() or library.espeak_SetVoiceByName(voice.name.encode()):
        raise InputError.at("voice", f"espeak-ng has no '{quote(voice.name)}'", "`hybrid synth voices` lists them.")
    for parameter, value in ((_RATE, voice.rate), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)
    library.espeak_ng_SetRandSeed(seed)
    raw = text.encode() + b"\0"
    status = library.espeak_Synth(raw, ctypes.c_size_t(len(raw)), 0, 0, 0, _UTF8, None, None)
    if status:
        raise HybridError(f"espeak-ng could not speak '{quote(text, 60)}' (status {status}).")
    header = json.dumps({"rate": rate, "phones": recorder.phones, "words": recorder.words}).encode()
    return struct.pack("<q", len(header)) + header + b"".join(recorder.blocks)


def _child(write_end: int, text: str, voice: Voice, seed: int) -> None:
    """Runs in the fork; never returns."""
    status = 1
    try:
        try:
            reply = b"+" + _speak_here(text, voice, seed)
        except HybridError as error:
            reply = b"-" + str(error).encode()
        with os.fdopen(write_end, "wb") as stream:
            stream.write(reply)
        status = 0
    finally:
        os._exit(status)


@contextmanager
def _forked(text: str, voice: Voice, seed: int) -> Iterator[int]:
    """Yields the read end of a pipe to a child that speaks; the child is gone afterwards."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _child(write_end, text, voice, seed)
    os.close(write_end)
    try:
        yield read_end
    finally:
        os.close(read_end)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _read_all(pipe: int, text: str) -> bytes:
    blocks: list[bytes] = []
    deadline = time.monotonic() + TIME_LIMIT
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise HybridError(f"espeak-ng took more than {TIME_LIMIT:g} s for '{quote(text, 60)}'. Shorten the text.")
        block = os.read(pipe, 1 << 20)
        if not block:
            return b"".join(blocks)
        blocks.append(block)


def speak(text: str, voice: Voice, seed: int = 1) -> SpokenText:
    """Speaks a sentence.

    Args:
      text: one line of plain words.
      voice: who speaks.
      seed: of the library's random numbers (breath, jitter).

    Raises:
      MissingDependencyError: the package espeakng-loader is absent.
      InputError: empty text, or a voice that espeak-ng does not have.
      HybridError: the library failed.
    """
    if not text.strip() or "\0" in text:
        raise InputError.at("text to speak", "is empty or holds a zero byte", "Give words.")
    _library()
    variants()
    with _forked(text, voice, seed) as pipe:
        reply = _read_all(pipe, text)
    if reply[:1] == b"-":
        raise (InputError if reply.startswith(b"-voice") else HybridError)(reply[1:].decode())
    if reply[:1] != b"+":
        raise HybridError(
            f"espeak-ng crashed while it spoke '{quote(text, 60)}' as {quote(voice.name)}. Choose another voice."
        )
    (size,) = struct.unpack("<q", reply[1:9])
    header = json.loads(reply[9 : 9 + size])
    samples = np.frombuffer(reply[9 + size :], np.int16)
    return _assemble(text, samples, header["rate"], header["phones"], header["words"])


def _assemble(
    text: str,
    samples: np.ndarray,
    rate: int,
    phones: list[tuple[int, str]],
    words: list[tuple[int, int, int]],
) -> SpokenText:
    """Turns starts into intervals: a phoneme lasts until the next, a word until the next word or pause."""
    starts = [min(start, len(samples)) for start, _ in phones] + [len(samples)]
    timed = [
        TimedSymbol(symbol, start / rate, end / rate)
        for (_, symbol), start, end in zip(phones, starts, starts[1:])
        if end > start
    ]
    spoken = []
    for place, (start, position, length) in enumerate(words):
        stop = words[place + 1][0] if place + 1 < len(words) else len(samples)
        mine = [p for p in timed if start <= round(p.start * rate) < stop and not p.symbol.startswith(PAUSE_MARKS)]
        if mine:
            spoken.append(TimedSymbol(text[position - 1 : position - 1 + length], mine[0].start, mine[-1].end))
    return SpokenText(samples, rate, tuple(timed), tuple(spoken))
