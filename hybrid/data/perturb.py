"""Sets at other speeds and volumes, as manifests: the audio is changed when it is read."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Any

from hybrid.base.doors import writes_into
from hybrid.base.errors import InputError
from hybrid.base.ranges import POSITIVE, Range, check_fields
from hybrid.data.manifest import Cut, manifest_path, parse_cut, usable_cuts
from hybrid.data.subset import write_chosen
from hybrid.data.trust import FILES_ONLY, Trust, changed

__all__ = ["PerturbConfig", "name_at_speed", "perturb_set"]


@dataclass(frozen=True)
class PerturbConfig:
    """How a set is varied; Kaldi's recipes take speeds 0.9, 1 and 1.1 and volumes from 0.125 to 2."""

    speeds: tuple[float, ...] = field(default=(0.9, 1.0, 1.1), metadata={"help": "Each utterance at each of these."})
    volume_low: float = field(default=1.0, metadata={"help": "Samples are multiplied by a factor from here …"})
    volume_high: float = field(default=1.0, metadata={"help": "… to here, drawn for each."})
    seed: int = field(default=0, metadata={"help": "Of the volumes."})

    def __post_init__(self) -> None:
        check_fields(self, speeds=Range(0.5, 2.0), volume_low=POSITIVE, volume_high=POSITIVE)
        if not self.speeds or len(set(self.speeds)) != len(self.speeds):
            raise ValueError("speeds: wanted at least one, and none twice")
        if self.volume_low > self.volume_high:
            raise ValueError(f"volume_low is {self.volume_low:g}, more than volume_high ({self.volume_high:g})")


def name_at_speed(name: str, speed: float) -> str:
    """Returns Kaldi's name of an utterance or speaker at another speed: sp0.9-NAME."""
    return name if speed == 1.0 else f"sp{speed:g}-{name}"


@writes_into("data", "cuts")
def perturb_set(
    cuts: str | os.PathLike, out_dir: str | os.PathLike, config: PerturbConfig, trust: Trust = FILES_ONLY
) -> int:
    """Writes a set with each utterance at each speed, named sp0.9-ID with speaker sp0.9-SPEAKER; returns how many.

    A speaker at another speed counts as another one, since the voice has another pitch.

    Raises:
      InputError: no usable cut.
    """
    usable, failed = usable_cuts(cuts, trust)
    if not usable:
        raise InputError.at(cuts, "has no utterance that can be used", "Look at it with `hybrid data check`.")
    out = []
    for utterance in usable:
        for speed in config.speeds:
            generator = random.Random(f"{config.seed} {utterance.id} {speed:g}")
            gain = generator.uniform(config.volume_low, config.volume_high)
            out.append(parse_cut(_record(utterance, speed, round(gain, 3), trust), cuts, trust=trust))
    settings = {"speeds": list(config.speeds), "volume": [config.volume_low, config.volume_high], "seed": config.seed}
    ordered = sorted(out, key=lambda each: each.id)
    return write_chosen(out_dir, ordered, failed, settings, {"cuts": manifest_path(cuts)})


def _record(utterance: Cut, speed: float, gain: float, trust: Trust) -> dict[str, Any]:
    record = utterance.record
    if speed == 1.0 and gain == 1.0:
        return record
    found = changed(record, speed, gain, trust)
    found["id"] = name_at_speed(utterance.id, speed)
    labels = []
    for label in record.get("supervisions") or []:
        new = {**label, "id": name_at_speed(str(label.get("id", utterance.id)), speed)}
        new |= {name: round(float(label[name]) / speed, 6) for name in ("start", "duration") if name in label}
        if label.get("speaker") is not None:
            new["speaker"] = name_at_speed(str(label["speaker"]), speed)
        labels.append(new)
    if "recording" in found:
        labels = [{**label, "recording_id": found["recording"]["id"]} for label in labels]
    order = ("id", "start", "duration", "channel", "supervisions", "recording")
    found = {**found, "supervisions": labels}
    return {name: found[name] for name in order if name in found} | found
