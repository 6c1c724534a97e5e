"""Kills a recipe at random moments, lets it go on, and compares its final files with those of an undisturbed run.

    kill_ladder.py --work-dir /tmp/kill --kills 50 -- bash egs/yesno/run.sh --work-dir {} --jobs 2

`{}` in the command becomes a folder below --work-dir: `whole` for the undisturbed run (kept, so that a second call
need not repeat it), `killed.N` for the others. At each kill every process of the command gets SIGKILL; then the same
command is started again, until it ends by itself; further kills begin again in a new folder. Compared are the contents
of all files but those that tell what a run cost (logs, `steps/`, `meta.json`, two columns of `results.tsv`); what a
killed process left behind under a temporary name counts as a difference. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hybrid.base.artifact import content_hash  # noqa: E402

COSTS = {"cpu_s", "max_gb"}  # columns of results.tsv that differ from run to run
NOT_COMPARED = {"steps", "log", "decode.log"}  # folders


def members(session: int) -> list[int]:
    """Processes of a session that are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if fields[0] != "Z" and int(fields[3]) == session:
                    found.append(int(entry.name))
    return found


def kill_all(process: subprocess.Popen) -> None:
    """Kills every process of the command's session, until none is left."""
    while left := members(process.pid):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    process.wait()


def start(command: list[str], folder: Path) -> subprocess.Popen:
    """Starts the command in a session of its own; its output goes beside the folder."""
    environment = {"HYBRID_ENV": sys.prefix, **os.environ}
    with open(folder.with_name(folder.name + ".log"), "ab") as log:
        return subprocess.Popen(
            [word.replace("{}", str(folder)) for word in command],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip


def last_line(folder: Path) -> str:
    """What the command said last."""
    lines = folder.with_name(folder.name + ".log").read_text(errors="replace").splitlines()
    return lines[-1].strip() if lines else ""


def content(path: Path) -> str:
    """A hash of a file without what it cost."""
    if path.name != "results.tsv":
        return content_hash(path)
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [i for i, name in enumerate(rows[0]) if name not in COSTS]
    return hashlib.sha256(repr([[row[i] for i in kept] for row in rows]).encode()).hexdigest()


def contents(folder: Path) -> dict[str, str]:
    """Path below the folder → hash, of every file that two runs must have alike."""
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith("meta.json")]
    kept = [p for p in files if not NOT_COMPARED & set(p.relative_to(folder).parts)]
    return {str(p.relative_to(folder)): content(p) for p in kept}


def differences(whole: dict[str, str], killed: dict[str, str]) -> list[str]:
    """One line for each file that is absent, too much, or another."""
    lines = [f"{name}: absent" for name in sorted(whole.keys() - killed.keys())]
    lines += [f"{name}: too much" for name in sorted(killed.keys() - whole.keys())]
    return lines + [
        f"{name}: another content" for name in sorted(whole) if killed.get(name, whole[name]) != whole[name]
    ]


def require_success(process: subprocess.Popen, folder: Path) -> None:
    if process.returncode:
        sys.exit(f"{folder}: the command ended with status {process.returncode}: {last_line(folder)}")


def run_whole(command: list[str], folder: Path) -> float:
    """Runs the command undisturbed, unless it was; returns its seconds."""
    mark = folder.with_name("whole.seconds")
    if not mark.exists():
        begin = time.monotonic()
        process = start(command, folder)
        process.wait()
        require_success(process, folder)
        mark.write_text(f"{time.monotonic() - begin:.1f}\n")
    return float(mark.read_text())


def run_killed(command: list[str], folder: Path, kills: int, longest: float, draw: random.Random) -> int:
    """Runs the command to its end with at most so many kills on the way; returns how many there were."""
    done = 0
    while True:
        process = start(command, folder)
        after = draw.uniform(0, longest)
        try:
            process.wait(after if done < kills else None)
        except subprocess.TimeoutExpired:
            kill_all(process)
            done += 1
            print(f"{folder.name:10} {done:5} {after:8.2f}  {last_line(folder)[:80]}", flush=True)
            continue
        require_success(process, folder)
        return done


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work-dir", type=Path, required=True, help="gets a folder for each run")
    parser.add_argument("--kills", type=int, default=3, help="how many in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--longest", type=float, help="seconds between kills (default: an eighth of the whole run)")
    parser.add_argument("command", nargs="+", help="after --; {} is the folder to work in")
    options = parser.parse_args()
    work, draw = options.work_dir.resolve(), random.Random(options.seed)
    work.mkdir(parents=True, exist_ok=True)
    seconds = run_whole(options.command, work / "whole")
    longest = options.longest or seconds / 8
    whole, left, number, bad = contents(work / "whole"), options.kills, 0, 0
    print(f"undisturbed: {seconds:.0f} s, {len(whole)} files\n{'run':10} {'kill':>5} {'after s':>8}  at", flush=True)
    while left:
        number += 1
        folder = work / f"killed.{number}"
        shutil.rmtree(folder, ignore_errors=True)
        done = run_killed(options.command, folder, left, longest, draw)
        left -= done
        found = differences(whole, contents(folder))
        bad += len(found)
        print("\n".join([f"{folder.name}: {done} kills, {len(found)} differences", *found]), flush=True)
    print(f"{options.kills} kills in {number} runs: {bad} differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
