"""Examines the installation: packages, whether they fit together, processor, memory, GPU."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["Probe", "cure", "examine"]

SETUP = "bash scripts/setup.sh"
CHECKOUT = Path(__file__).resolve().parents[1]  # of a checkout; of a wheel: site-packages

# Import name → (distribution, what does not work without it). All of them come with the package.
NEEDED = {
    "numpy": ("numpy", "everything"),
    "torch": ("torch", "acoustic models"),
    "scipy": ("scipy", "features and transforms"),
    "numba": ("numba", "alignment, graphs and the native search"),
    "kaldifst": ("kaldifst", "building graphs"),
    "lhotse": ("lhotse", "audio, manifests, features"),
    "soundfile": ("soundfile", "reading audio"),
    "sentencepiece": ("sentencepiece", "subword lexicons"),
    "kaldialign": ("kaldialign", "scoring"),
    "safetensors": ("safetensors", "models on disk"),
    "click": ("click", "this command"),
    "yaml": ("pyyaml", "settings"),
    "rich": ("rich", "progress bars"),
}

# Import name → (distribution, what needs it).
OPTIONAL = {
    "k2": ("k2", "the k2 search engine (CPU, CUDA)"),
    "espeakng_loader": ("espeakng-loader", "egs/assistant and `hybrid synth`"),
    "av": ("av", "audio of m4a, webm, wma, amr files"),
}


@dataclass(frozen=True)
class Probe:
    """One line of the examination: state is "ok", "missing" (optional) or "broken"."""

    state: str
    name: str
    text: str
    cure: str = ""


def examine() -> list[Probe]:
    """Returns the findings, machine first, then packages, then what must fit together."""
    findings = [_machine()]
    for name, (distribution, purpose) in NEEDED.items():
        findings.append(_package(name, distribution, purpose, "broken", cure(distribution)))
    for name, (distribution, purpose) in OPTIONAL.items():
        findings.append(_package(name, distribution, purpose, "missing", cure(distribution)))
    for check in (_k2_and_torch, _numpy_and_torch, _gpu, _kernels):
        finding = check()
        if finding:
            findings.append(finding)
    return findings


def cure(distribution: str) -> str:
    """Returns the command that mends a package, as the way of installing allows: set-up in a checkout, else pip.

    k2's wheels on the package index fit one Python and one torch; elsewhere its wheel page is the only way.
    """
    checkout = (CHECKOUT / "scripts" / "setup.sh").exists()
    if distribution == "k2":
        if sys.version_info[:2] != (3, 11):
            return "Python 3.11, which k2's wheels on the package index need; or a wheel from k2's wheel page"
        command = SETUP if checkout else "pip install k2==1.23.4 torch==1.13.1 'numpy<2'"
        return f"{command}   # Python 3.11, torch 1.13.1, k2 1.23.4"
    if checkout and distribution not in ("espeakng-loader", "av"):
        return SETUP
    try:
        asked = metadata.requires("hybrid-asr") or []
    except metadata.PackageNotFoundError:
        asked = []
    for line in asked:
        if found := re.match(rf"{re.escape(distribution)}(?![\w.-])[^;]*", line, re.IGNORECASE):
            return f"pip install '{found[0].strip()}'"
    return f"pip install {distribution}"


def _machine() -> Probe:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (ValueError, OSError):
        memory = "unknown memory"
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {cores} cores, {memory}"
    return Probe("ok", "machine", text)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown version"


def _package(name: str, distribution: str, purpose: str, otherwise: str, way: str) -> Probe:
    """Tries the import itself: a package can be installed and still not load."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError) as error:
        try:
            found = f"{metadata.version(distribution)} is installed but does not load ({str(error).splitlines()[0]})"
        except metadata.PackageNotFoundError:
            found = "not installed"
        return Probe(otherwise, distribution, f"{found}; needed for {purpose}", way)
    return Probe("ok", distribution, f"{_version(distribution)} ({purpose})")


def _k2_and_torch() -> Probe | None:
    """k2's binaries fit the one torch they were built with."""
    try:
        import k2
        import torch
    except (ImportError, OSError):
        return None
    built = getattr(k2, "k2_torch_version", None)
    try:
        k2.Fsa.from_str("0 1 -1 0\n1")
    except Exception as error:  # whatever a binary of another torch throws
        way = f"{cure('k2')}, or k2's wheel for torch {torch.__version__} from k2's wheel page"
        return Probe("broken", "k2 with torch", f"k2 loads but does not work ({str(error).splitlines()[0]})", way)
    text = f"k2 {_version('k2')} works with torch {torch.__version__}" + (
        f" (built for {built})" if isinstance(built, str) else ""
    )
    return Probe("ok", "k2 with torch", text)


def _numpy_and_torch() -> Probe | None:
    """torch before 2.3 was built against numpy 1 and cannot exchange arrays with numpy 2."""
    try:
        import numpy as np
        import torch
    except (ImportError, OSError):
        return None
    try:
        torch.from_numpy(np.zeros(1, dtype=np.float32)).numpy()
    except (RuntimeError, TypeError) as error:
        text = f"torch {torch.__version__} cannot use numpy {np.__version__} ({str(error).splitlines()[0]})"
        return Probe("broken", "numpy with torch", text, "pip install 'numpy<2'")
    return Probe("ok", "numpy with torch", f"numpy {np.__version__} and torch {torch.__version__} exchange arrays")


def _gpu() -> Probe | None:
    try:
        import torch
    except (ImportError, OSError):
        return None
    if not torch.cuda.is_available():
        return Probe("ok", "GPU", "none seen by torch; everything runs on the CPU")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    try:
        import k2

        usable = bool(getattr(k2, "with_cuda", False))
    except (ImportError, OSError):
        usable = False
    if usable:
        return Probe("ok", "GPU", f"{names}; k2 can use it")
    way = f"a CUDA build of k2 for torch {torch.__version__} from k2's wheel page"
    return Probe("missing", "GPU", f"{names}; training can use it, the k2 search cannot (no CUDA build of k2)", way)


def _kernels() -> Probe | None:
    """Compiled kernels: where they are kept, and whether all are whole; damaged ones are removed."""
    try:
        from hybrid.base.compiled import examine_kernels, kernels_folder
    except (ImportError, OSError):
        return None
    folder = kernels_folder()
    if folder.path is None:
        text = f"not kept: {folder.reason}; every run compiles them again"
        return Probe("missing", "compiled kernels", text, "set HYBRID_CACHE_DIR to a folder of your own")
    whole, removed = examine_kernels()
    text = f"{whole} in {folder.path}" + ("" if folder.writable else ", which may not be written")
    if removed:
        text += f"; {removed} damaged, removed, to be compiled again when they are needed"
    return Probe("ok", "compiled kernels", text)
