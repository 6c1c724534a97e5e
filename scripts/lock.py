"""Regenerates the lock files from setup.cfg: python3.11 scripts/lock.py [--upgrade] [k2] [current] [docs]

What is locked already keeps its version, unless --upgrade asks for the newest of everything.

requirements/k2.txt       Python 3.11 on Linux, torch 1.13.1, numpy<2, k2 1.23.4; with hashes
requirements/current.txt  current torch and numpy, no k2; versions without hashes, since
                          torch's wheel differs from index to index and machine to machine
requirements/docs.txt     the extra `docs` alone, which needs nothing of the project; with hashes

pip resolves (`--dry-run --report`) in a throw-away environment; this script only writes down
what it chose. Standard library only.
"""

import configparser
import json
import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
PIP = "pip==25.3"  # pip 26 refuses the name of k2's wheels
# Several wheels of k2 1.23.4 carry one and the same tag; this is the one built for Python 3.11.
K2_SHA256 = "5b5f709b12b9cd092b583984d0b7d940c9f898101259c998d68d1f4adefa48d4"
STACKS = {"k2": ["k2", "synth", "dev"], "current": ["synth", "dev", "triton"], "docs": ["docs"]}
HASHED = ("k2", "docs")
CURRENT_PINS = ["torch==2.13.0"]


def resolve(stack: str, upgrade: bool) -> list[dict]:
    """Returns pip's report entries for the project with the extras of `stack`."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        subprocess.run([python, "-m", "pip", "install", "-q", PIP], check=True)
        report = f"{folder}/report.json"
        wanted = [f"{ROOT}[{','.join(STACKS[stack])}]"] if stack != "docs" else requirements("docs")
        wanted += ["setuptools<81", "wheel"]
        pins = CURRENT_PINS if stack == "current" else []
        lock = ROOT / "requirements" / f"{stack}.txt"
        if lock.exists() and not upgrade:
            held = pathlib.Path(folder, "held.txt")
            held.write_text("".join(line.split()[0] + "\n" for line in lock.read_text().splitlines() if "==" in line))
            pins = [*pins, "-c", str(held)]
        command = [python, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", report, *wanted, *pins], check=True)
        return json.loads(pathlib.Path(report).read_text())["install"]


def requirements(extra: str) -> list[str]:
    """Returns what an extra of setup.cfg asks for."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings["options.extras_require"][extra].split()


def lines(entries: list[dict], hashes: bool) -> list[str]:
    """Formats report entries as requirement lines, sorted by name."""
    out = []
    for entry in entries:
        name = entry["metadata"]["name"].lower().replace("_", "-")
        version = entry["metadata"]["version"].split("+")[0]
        if name == "hybrid-asr":
            continue
        sha256 = entry["download_info"]["archive_info"]["hashes"]["sha256"]
        if name == "k2":
            sha256 = K2_SHA256
        out.append(f"{name}=={version}" + (f" --hash=sha256:{sha256}" if hashes else ""))
    return sorted(out)


def main() -> None:
    upgrade = "--upgrade" in sys.argv[1:]
    for stack in [name for name in sys.argv[1:] if name != "--upgrade"] or STACKS:
        path = ROOT / "requirements" / f"{stack}.txt"
        text = lines(resolve(stack, upgrade), hashes=stack in HASHED)
        path.parent.mkdir(exist_ok=True)
        path.write_text("# Made by scripts/lock.py from setup.cfg; do not edit.\n" + "\n".join(text) + "\n")
        print(f"wrote {path.relative_to(ROOT)}: {len(text)} packages")


if __name__ == "__main__":
    main()
