"""Dockerfile: nobody can build it in the tests, so its steps are held against the tree and README."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest

from tests.pages import Page, unknown

ROOT = Path(__file__).resolve().parents[2]
STEPS = re.findall(r"^([A-Z]+) (.*)$", re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()), re.MULTILINE)


def steps(name: str) -> list[str]:
    return [rest for step, rest in STEPS if step == name]


def test_order_user_and_entry() -> None:
    """One named base; root installs, a user of its own runs; the entry is the command."""
    assert STEPS[0][0] == "FROM" and re.fullmatch(r"python:3\.\d+-slim", steps("FROM")[0]) and len(steps("FROM")) == 1
    at = STEPS.index(("USER", "hybrid"))
    assert [rest for step, rest in STEPS[at:] if step == "RUN"] == ["hybrid doctor --compile"]
    assert any(f"useradd --create-home {user}" in " ".join(steps("RUN")) for user in steps("USER"))
    assert steps("ENTRYPOINT") == ['["hybrid"]'] and steps("WORKDIR") == ["/data"]
    assert all(path.startswith("/") for path in steps("WORKDIR"))


def test_what_is_copied_is_what_installing_needs() -> None:
    """The whole folder is copied; what is ignored is nothing that the package is made of."""
    assert steps("COPY") == [". /src"]
    at = STEPS.index(("COPY", ". /src"))
    assert STEPS[at - 1][1].endswith(" torch")  # gigabytes that are not fetched again when the sources change
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = [
        ROOT / name for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "hybrid", "lexicon", "lm")
    ]
    for line in setup["options.data_files"].values():
        needed += [path for pattern in line.split() for path in ROOT.glob(pattern)]
    assert len(needed) > 10 and all(path.exists() for path in needed)
    for path in needed:
        parts = path.relative_to(ROOT)
        assert not any(parts.match(pattern) or any(p.match(pattern) for p in parts.parents) for pattern in ignored)
    for pattern in (".git", ".venv*", "egs/*/data", "egs/*/exp"):  # they are large, or of this machine
        assert pattern in ignored


def test_commands_are_those_of_readme() -> None:
    """torch first, then the package with extras that there are; `hybrid` commands that exist; the runs README names."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    pips = [part.strip() for run in steps("RUN") for part in run.split("&&") if "pip install" in part]
    assert len(pips) == 2 and pips[0].endswith(" torch") and all("--no-cache-dir" in pip for pip in pips)
    extras = re.search(r'"/src\[([\w,]+)\]"', pips[1])
    assert extras and set(extras[1].split(",")) <= set(setup["options.extras_require"])
    readme = Page("README.md").text
    assert all(line in readme for line in ("pip install torch", "pip install .", "hybrid doctor --compile"))
    for run in steps("RUN"):
        for part in map(str.strip, run.split("&&")):
            assert not part.startswith("hybrid ") or not unknown(shlex.split(part))
    comments = [line[1:].strip() for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("#")]
    runs = [line[line.index("docker ") :] for line in comments if "docker build" in line or "docker run" in line]
    assert len(runs) == 2
    assert runs[0] in readme and runs[1].partition("en-small")[0] in readme


@pytest.mark.parametrize("package", ["libsndfile1"])
def test_packages_of_the_system_leave_no_lists(package: str) -> None:
    (line,) = [run for run in steps("RUN") if "apt-get install" in run]
    assert package in line and "--no-install-recommends" in line and "apt-get update &&" in line
    assert line.endswith("rm -rf /var/lib/apt/lists/*") and " -y " in line
