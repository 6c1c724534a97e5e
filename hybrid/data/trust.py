"""What a manifest may make this program do: read audio files, and nothing else unless the user says so.

lhotse runs sources of type `command` and paths `pipe:…` in a shell, fetches URLs, and reads `.sph` files by a shell
command that holds their name. A manifest from a stranger is therefore told apart twice:

- `refusal` looks through a whole line, also through what is never read here (features, custom fields), and names the
  first thing in it that is more than a plain file.
- `lhotse_cut` builds what lhotse gets: only fields, kinds and transforms that are known here, and only files that are
  there. `load_by_lhotse` reads these by libsndfile alone, which starts no program.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import require_followed

__all__ = ["FILES_ONLY", "NotAllowedError", "Trust", "changed", "lhotse_cut", "load_by_lhotse", "not_allowed",
           "refusal", "resampled", "source_files"]  # fmt: skip


@dataclass(frozen=True)
class Trust:
    """What the user allows a manifest besides files.

    Attributes:
      commands: shell commands that it names are run.
      urls: addresses that it names are fetched.
    """

    commands: bool = False
    urls: bool = False


FILES_ONLY = Trust()


class NotAllowedError(InputError):
    """A manifest wants more than files."""


_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Ways to store features, arrays and images that read one local file and unpickle nothing.
_STORAGE = {"lilcom_files", "numpy_files", "numpy_hdf5", "lilcom_hdf5", "chunked_lilcom_hdf5", "lilcom_chunky",
            "pillow_files"}  # fmt: skip
_TRANSFORMS = {"Clipping", "Compress", "DereverbWPE", "LoudnessNormalization", "Narrowband", "Resample",
               "ReverbWithImpulseResponse", "Speed", "Tempo", "Volume"}  # fmt: skip
_RATE = (1000, 768_000)
_LIMITS = {"factor": (0.1, 10.0), "source_sampling_rate": _RATE, "target_sampling_rate": _RATE}  # of transforms
_LOCK = threading.Lock()  # lhotse's choice of a reader is global


def refusal(record: Any, trust: Trust = FILES_ONLY) -> tuple[str, str] | None:
    """Finds what a manifest line would have done that is not allowed.

    Args:
      record: the line, as JSON gives it.

    Returns:
      What was found, and the option that allows it ("" where none does); None where all is well.
    """
    for node in _objects(record):
        if {"type", "channels", "source"} <= node.keys():
            found = _of_source(node, trust)
        elif "storage_type" in node:
            found = _of_storage(node, trust)
        else:
            continue
        if found is not None:
            return found
    return None


def source_files(record: dict[str, Any]) -> list[str]:
    """Returns the audio files that a manifest line names: of its tracks and impulse responses, too."""
    found = [node["source"] for node in _objects(record) if node.get("type") == "file" and "source" in node]
    return sorted({path for path in found if isinstance(path, str)})


def not_allowed(found: tuple[str, str], cut: str, place: object = "", line: int | None = None) -> InputError:
    """Builds the error for what `refusal` found in a cut."""
    cure = f"If you trust who made it: {found[1]}." if found[1] else "Write the audio into files."
    if not place:
        return NotAllowedError.at(cut, f"has {found[0]}, which is not allowed", cure)
    return NotAllowedError.at(place, f"{cut} has {found[0]}, which is not allowed", cure, line)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    stack = [value] if isinstance(value, (dict, list)) else []
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
        inner = node.values() if isinstance(node, dict) else node
        stack += [one for one in inner if isinstance(one, (dict, list))]


def _of_source(source: dict[str, Any], trust: Trust) -> tuple[str, str] | None:
    kind, path = source["type"], source["source"]
    if kind == "command":
        return None if trust.commands and isinstance(path, str) else _command(path)
    if kind not in ("file", "url"):
        return f"a source of type '{quote(kind, 20)}', wanted a file", ""
    found = _of_path(path, trust)
    if found is None and kind == "url" and not path.startswith("pipe:") and not _URL.match(path):
        return f"a source of type 'url' that is none ({quote(path)})", ""
    return found


def _of_storage(node: dict[str, Any], trust: Trust) -> tuple[str, str] | None:
    kind, paths = _name(node["storage_type"]), [node.get("storage_path"), node.get("storage_key")]
    for path in paths:
        found = _of_path(path, trust) if isinstance(path, str) else None
        if found is not None:
            return found
    if kind in _STORAGE or (kind == "lilcom_url" and trust.urls):
        return None
    return f"data stored as '{quote(kind, 20)}', wanted files", "--allow-urls" if kind == "lilcom_url" else ""


def _name(value: Any) -> str:
    """A value that should be a name, as text; lists and objects are no keys of a set."""
    return value if isinstance(value, str) else repr(value)


def _of_path(path: Any, trust: Trust) -> tuple[str, str] | None:
    if not isinstance(path, str):
        return f"a source that is {quote(repr(path), 40)}, wanted the path of a file", ""
    bare = path.strip()
    if bare.startswith(("pipe:", "|")) or bare.endswith("|"):
        return None if trust.commands else _command(path)
    return None if not _URL.match(bare) or trust.urls else _url(path)


def _command(text: object) -> tuple[str, str]:
    return f"a shell command ({quote(text)})", "--allow-commands"


def _url(text: object) -> tuple[str, str]:
    return f"a URL ({quote(text)})", "--allow-urls"


def lhotse_cut(record: dict[str, Any], trust: Trust = FILES_ONLY) -> dict[str, Any]:
    """Builds what lhotse needs to read a cut's audio, of known fields only; text and features are left out.

    Raises:
      InputError: a kind of cut, source or transform that is not known here or not allowed, or a file that is missing.
    """
    place = f"cut '{quote(record.get('id'))}'"
    found = refusal(record, trust)
    if found is not None:
        raise not_allowed(found, place)
    kind = record.get("type", "MonoCut")
    if kind in ("MonoCut", "Cut", "MultiCut"):
        cut = _only(record, "id", "start", "duration", "channel") | {"start": record.get("start", 0.0)}
        cut["recording"] = _recording(_part(record, "recording", dict, place), trust, place)
        return cut | {"type": "MultiCut" if kind == "MultiCut" else "MonoCut"}
    if kind == "MixedCut":
        mixed = {"id": record.get("id"), "tracks": [_track(t, trust) for t in _part(record, "tracks", list, place)]}
        if record.get("snr_reference") is not None:
            mixed["snr_reference"] = _track(record["snr_reference"], trust)
        return mixed | _transforms(record, trust, place) | {"type": kind}
    if kind == "PaddingCut":
        names = ("id", "duration", "sampling_rate", "feat_value", "num_frames", "num_features", "frame_shift")
        return _only(record, *names, "num_samples") | {"type": kind}
    raise InputError.at(place, f"is of kind '{quote(kind, 20)}', wanted MonoCut, MultiCut or MixedCut", "Mend it.")


def _part(record: dict[str, Any], name: str, kind: type, place: str) -> Any:
    if not isinstance(record.get(name), kind):
        raise InputError.at(place, f"has no usable {name}", "Mend it.")
    return record[name]


def _only(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields of these names that hold plain values or lists of them."""
    found = {name: record[name] for name in names if record.get(name) is not None}
    for name, value in found.items():
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, (str, int, float)):
                raise InputError.at(
                    f"cut '{quote(record.get('id'))}'", f"has an unusable {quote(name, 40)}", "Mend it."
                )
    return found


def _track(track: Any, trust: Trust) -> dict[str, Any]:
    if not isinstance(track, dict) or not isinstance(track.get("cut"), dict):
        raise InputError.at("a track of a MixedCut", "holds no cut", "Mend it.")
    cut = lhotse_cut({**track["cut"], "type": track.get("type", "MonoCut")}, trust)
    return _only(track, "offset", "snr", "is_snr_reference", "mute") | {"type": cut.pop("type"), "cut": cut}


def _recording(record: dict[str, Any], trust: Trust, place: str) -> dict[str, Any]:
    sources = [_source(source, place) for source in _part(record, "sources", list, place)]
    found = {"id": record.get("id", "recording"), "sources": sources}
    found |= _only(record, "sampling_rate", "num_samples", "duration", "channel_ids")
    return found | _transforms(record, trust, place)


def _source(source: Any, place: str) -> dict[str, Any]:
    if not isinstance(source, dict) or not {"type", "channels", "source"} <= source.keys():
        raise InputError.at(place, "has a source without type, channels or path", "Mend it.")
    found = _only(source, "type", "channels", "source")
    if source["type"] == "file":
        require_followed(source["source"])
        if not os.path.isfile(source["source"]):
            raise InputError.at(source["source"], "audio file is missing", "Mend the path, or restore the file.")
        found["source"] = str(Path(source["source"]).absolute())
    return found


def _transforms(record: dict[str, Any], trust: Trust, place: str) -> dict[str, Any]:
    if not record.get("transforms"):
        return {}
    return {"transforms": [_transform(one, trust, place) for one in _part(record, "transforms", list, place)]}


def _transform(transform: Any, trust: Trust, place: str) -> dict[str, Any]:
    if not isinstance(transform, dict) or _name(transform.get("name")) not in _TRANSFORMS:
        name = transform.get("name") if isinstance(transform, dict) else transform
        raise InputError.at(place, f"has an unknown transform '{quote(name, 40)}'", "Mend it.")
    settings = dict(_part(transform, "kwargs", dict, place))
    rir, generator = settings.pop("rir", None), settings.pop("rir_generator", None)
    made = _only(settings, *settings)
    for name, value in made.items():
        low, high = _LIMITS.get(name, (-1e9, 1e9))
        is_number = isinstance(value, (int, float))
        if name in _LIMITS and not is_number or is_number and not low <= value <= high:
            raise InputError.at(place, f"has a transform of {quote(name, 40)} {quote(value, 20)}", "Mend it.")
    if isinstance(rir, dict):
        made["rir"] = _recording(rir, trust, place) if "sources" in rir else lhotse_cut(rir, trust)
    if isinstance(generator, dict):
        made["rir_generator"] = _only(generator, *generator)
    return {"name": transform["name"], "kwargs": made}


def load_by_lhotse(record: dict[str, Any], trust: Trust = FILES_ONLY) -> tuple[np.ndarray, int]:
    """Reads the audio of a cut that is no plain stretch of a file, by lhotse.

    Returns:
      float32 [N], the mean where there are several channels, and the rate.

    Raises:
      InputError: see `lhotse_cut`; or lhotse cannot read it.
    """
    from lhotse.audio import get_current_audio_backend, set_current_audio_backend
    from lhotse.audio.backend import LibsndfileBackend
    from lhotse.serialization import deserialize_item

    usable = lhotse_cut(record, trust)
    try:
        with _LOCK:
            before = get_current_audio_backend()
            set_current_audio_backend(LibsndfileBackend())
            try:
                cut = deserialize_item(usable)
                samples = np.asarray(cut.load_audio(), np.float32)
            finally:
                set_current_audio_backend(before)
        if not samples.size:
            raise ValueError("it holds no samples")
        samples = samples.mean(axis=0) if samples.ndim == 2 and len(samples) > 1 else samples.reshape(-1)
        rate = int(cut.sampling_rate)
    except Exception as error:  # lhotse raises many kinds
        reason = quote(" ".join(str(error).split()), 300)
        place = f"cut '{quote(record.get('id'))}'"
        raise InputError.at(place, f"lhotse cannot load it ({reason})", "Mend the cut.") from error
    return np.ascontiguousarray(samples), rate


def resampled(record: dict[str, Any], rate: int, trust: Trust = FILES_ONLY) -> dict[str, Any]:
    """Returns a manifest line that yields the same audio at another rate; text and custom fields stay, features go.

    Raises:
      InputError: see `lhotse_cut`; or lhotse cannot.
    """
    from lhotse.serialization import deserialize_item

    usable = lhotse_cut(record, trust)
    try:
        found = deserialize_item(usable).resample(rate).to_dict()
    except Exception as error:  # lhotse raises many kinds
        reason = quote(" ".join(str(error).split()), 300)
        place = f"cut '{quote(record.get('id'))}'"
        raise InputError.at(place, f"lhotse cannot resample it ({reason})", "Mend the cut.") from error
    for new, old in zip(found.get("tracks", []), record.get("tracks", [])):
        new["cut"] = _with_labels(new["cut"], old["cut"])
    return _with_labels(found, record)


def changed(record: dict[str, Any], speed: float, gain: float, trust: Trust = FILES_ONLY) -> dict[str, Any]:
    """Returns a manifest line, without labels, that yields the same audio at another speed and volume.

    Raises:
      InputError: see `lhotse_cut`; or lhotse cannot.
    """
    from lhotse.serialization import deserialize_item

    usable = lhotse_cut(record, trust)
    try:
        cut = deserialize_item(usable)
        cut = cut.perturb_speed(speed) if speed != 1.0 else cut
        found = (cut.perturb_volume(gain) if gain != 1.0 else cut).to_dict()
    except Exception as error:  # lhotse raises many kinds
        reason = quote(" ".join(str(error).split()), 300)
        place = f"cut '{quote(record.get('id'))}'"
        raise InputError.at(place, f"lhotse cannot change its speed or volume ({reason})", "Mend the cut.") from error
    found.pop("supervisions", None)
    return found


def _with_labels(cut: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    labels = {name: old[name] for name in ("supervisions", "custom") if name in old}
    order = ("id", "start", "duration", "channel", "supervisions", "recording", "custom")  # as lhotse writes them
    found = cut | labels
    return {name: found[name] for name in order if name in found} | found
