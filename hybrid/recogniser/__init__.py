"""The door for users: load a model and a graph, give audio, get text, times and lattices.

>>> from hybrid.recogniser import Recogniser
>>> recogniser = Recogniser.load("exp/mono", "exp/mono/graph")
>>> transcript = recogniser.recognise("my.wav")
>>> print(transcript.text)
>>> for word in transcript.words:
...     print(f"{word.start:.2f} {word.duration:.2f} {word.label}")
>>> lattice = transcript.segments[0].lattice
"""

from hybrid.decode.recognition import Recognition
from hybrid.decode.reject import RejectConfig
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.decode.transcript import Transcript
from hybrid.recogniser.recogniser import Recogniser
from hybrid.recogniser.session import EndpointConfig, PartialText, Session

__all__ = [
    "EndpointConfig", "PartialText", "Recogniser", "Recognition", "RejectConfig", "Session", "System", "SystemSpec",
    "Transcript", "load_system",
]  # fmt: skip
