"""Runs one step of a recipe, unless what it makes is there and newer than its inputs; keeps its log and its costs.

    step.py --state exp --name mono --in data/train --in conf/mono.yaml --out exp/mono -- hybrid gmm train-mono …

A step is done again if its command has changed, if an input has another time or size than when it ran, or if an
output is gone. `STATE/steps/NAME.json` is written last, so a step that was killed is not taken for finished; it also
holds the CPU seconds (of all processes below) and the peak memory (of the largest of them), over all `attempts` on the
same inputs: what was spent is noted every second, so that a kill loses no more. The step's messages go to
`STATE/log/NAME.log`; its standard output, its warnings and a line now and then also reach the terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hybrid.base.locks import host_tag, is_alive, remove_leftovers, temporary_name

SHOW_EVERY = 20.0  # seconds between lines of a step's log that are shown though they are no warnings
SHOW_AT_END = 15  # lines of the log shown when a step fails
NOTE_EVERY = 1.0  # seconds between notes of what an attempt has cost so far
GRACE = 10.0  # seconds that processes may live on after the command that started them
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere a killed recipe leaves its step running, and workers' costs are not counted."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def stamp(path: Path) -> list[int] | None:
    """Time and size of a file; for a folder those of its meta.json, else of every file directly in it."""
    if not path.exists():
        return None
    if path.is_dir():
        meta = path / "meta.json"
        if not meta.exists():
            files = sorted(p for p in path.iterdir() if p.is_file())
            times = [p.stat().st_mtime_ns for p in files]
            return [max(times, default=0), sum(p.stat().st_size for p in files)]
        path = meta
    found = path.stat()
    return [found.st_mtime_ns, found.st_size]


def without_jobs(command: list[str]) -> list[str]:
    """Leaves out `--jobs N`, on which no result depends."""
    return [word for before, word in zip(["", *command], command) if "--jobs" not in (before, word)]


def is_done(record: Path, command: list[str], inputs: list[Path], outputs: list[Path]) -> bool:
    """Tells whether the step ran to its end with this command on these inputs, and its outputs are there."""
    try:
        old = json.loads(record.read_text(encoding="utf-8"))
        same = without_jobs(old["command"]) == without_jobs(command) and old["inputs"] == {
            str(p): stamp(p) for p in inputs
        }
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return same and all(p.exists() for p in outputs)


def remove_what_was_killed(outputs: list[Path]) -> None:
    """Removes temporary files and folders that commands killed on this host left at the outputs."""
    for output in outputs:
        remove_leftovers([*output.parent.glob(".*"), *(output.rglob(".*") if output.is_dir() else [])])


def follow(stream: IO[str], log: IO[str], always: bool) -> None:
    """Copies a stream into the log, and to the terminal what a user should see."""
    shown = time.monotonic()
    for line in stream:  # to the end, whatever cannot be written: the command would wait for us
        with contextlib.suppress(OSError):
            log.write(line)
            log.flush()
        now = time.monotonic()
        with contextlib.suppress(OSError):
            if always:
                print(line, end="", flush=True)
            elif " WARNING " in line or " ERROR " in line or now - shown >= SHOW_EVERY:
                print(f"    {line}", end="", file=sys.stderr, flush=True)
                shown = now


def become_group(lock: int) -> None:
    """In the new process: a process group of its own, noted in the step's lock, which ends when the step is killed."""
    os.setpgid(0, 0)
    os.pwrite(lock, f"{host_tag()} {os.getppid()} {os.getpid()}".encode(), 0)
    prctl(SET_PDEATHSIG, signal.SIGTERM)


def end_group(leader: int, how: int) -> None:
    """Signals every process of the command."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, how)


@dataclass
class Usage:
    """What the processes of a step that have ended took: CPU seconds of all, peak memory of the largest in kB."""

    seconds: float = 0.0
    kilobytes: int = 0

    def with_living(self) -> Usage:
        """Adds what the processes below this one have taken so far (Linux; elsewhere nothing)."""
        seconds, kilobytes = self.seconds, self.kilobytes
        found: dict[int, tuple[int, float]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = stat.read_text().rpartition(")")[2].split()
                spent = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
                found[int(stat.parent.name)] = (int(fields[1]), spent)
        below = {os.getpid()}
        while more := {pid for pid, (parent, _) in found.items() if parent in below} - below:
            below |= more
        for pid in below - {os.getpid()}:
            seconds += found[pid][1]
            with contextlib.suppress(OSError, ValueError):
                peak = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM:" in line]
                kilobytes = max([kilobytes, *(int(line.split()[1]) for line in peak)])
        return Usage(seconds, kilobytes)


@dataclass(frozen=True)
class Spent:
    """What was spent on a step before, in a file; it counts for the same command on the same inputs."""

    path: Path
    work: dict[str, Any]
    earlier: dict[str, Any]

    @classmethod
    def load(cls, path: Path, work: dict[str, Any]) -> Spent:
        nothing = {"attempts": 0, "cpu_s": 0.0, "wall_s": 0.0, "max_gb": 0.0}
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            earlier = (
                {name: type(value)(old[name]) for name, value in nothing.items()} if old["work"] == work else nothing
            )
        except (OSError, ValueError, KeyError, TypeError):
            earlier = nothing
        return cls(path, work, earlier)

    def total(self, usage: Usage, wall: float) -> dict[str, Any]:
        """Returns the costs of all attempts, this one included."""
        return {
            "attempts": self.earlier["attempts"] + 1,
            "cpu_s": round(self.earlier["cpu_s"] + usage.seconds, 2),
            "wall_s": round(self.earlier["wall_s"] + wall, 2),
            "max_gb": max(self.earlier["max_gb"], round(usage.kilobytes * 1024 / 1e9, 3)),
        }

    def note(self, usage: Usage, wall: float) -> None:
        """Keeps the costs so far, for the case that this attempt is killed."""
        write_record(self.path, {"work": self.work, **self.total(usage, wall)})


def wait_for_all(child: subprocess.Popen, usage: Usage) -> int:
    """Waits for the command and all that it started; what outlives it by GRACE seconds is killed.

    Args:
      usage: gets what they took.

    Returns:
      The command's status.
    """
    status = 1
    deadline: float | None = None
    while True:
        try:
            pid, code, taken = os.wait4(-1, os.WNOHANG if deadline else 0)
            if pid == 0:
                if deadline and time.monotonic() > deadline:
                    end_group(child.pid, signal.SIGKILL)
                    deadline = time.monotonic() + GRACE
                time.sleep(0.02)
                continue
        except ChildProcessError:
            return status
        except KeyboardInterrupt:
            end_group(child.pid, signal.SIGTERM)
            continue
        usage.seconds += taken.ru_utime + taken.ru_stime
        usage.kilobytes = max(usage.kilobytes, taken.ru_maxrss)
        if pid == child.pid:
            status = child.returncode = os.waitstatus_to_exitcode(code)
            deadline = time.monotonic() + GRACE


@contextlib.contextmanager
def alone(path: Path, name: str) -> Iterator[int]:
    """Holds the step's lock; yields its descriptor.

    The command holds it too (see `run`), so that a step killed a moment ago does not begin beside it: what such a one
    left at work is told to end, and killed after GRACE seconds.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    waiting, told = False, 0.0
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if not waiting:
                print(f"  {name}: another run is at it; waiting", file=sys.stderr)
            waiting = True
            host, step, leader = [*os.pread(lock, 100, 0).decode(errors="replace").split(), "", "", ""][:3]
            if host == host_tag() and (step + leader).isdecimal() and not is_alive(int(step)):
                told = told or time.monotonic()
                end_group(int(leader), signal.SIGTERM if time.monotonic() - told < GRACE else signal.SIGKILL)
            time.sleep(0.1)
        os.ftruncate(lock, 0)
        yield lock
    finally:
        os.close(lock)


def run(command: list[str], log_path: Path, spent: Spent, lock: int) -> tuple[int, dict[str, Any]]:
    """Runs the command to its end, with all processes that it leaves behind; returns its status and all costs.

    The command inherits the step's lock, in which its process group is noted.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    prctl(SET_CHILD_SUBREAPER, 1)
    with open(log_path, "w", encoding="utf-8") as log:
        log.write(f"# {' '.join(command)}\n")
        log.flush()
        child = subprocess.Popen(
            command,
            preexec_fn=lambda: become_group(lock),
            pass_fds=(lock,),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert child.stdout and child.stderr
        for how in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(how, lambda *_: end_group(child.pid, signal.SIGTERM))
        readers = [
            threading.Thread(target=follow, args=(stream, log, always), daemon=True)
            for stream, always in ((child.stdout, True), (child.stderr, False))
        ]
        usage, over = Usage(), threading.Event()

        def note() -> None:
            while not over.wait(NOTE_EVERY):
                spent.note(usage.with_living(), time.monotonic() - started)

        for reader in (*readers, notes := threading.Thread(target=note, daemon=True)):
            reader.start()
        status = wait_for_all(child, usage)
        over.set()
        for reader in (*readers, notes):
            reader.join()
    wall = time.monotonic() - started
    spent.note(usage, wall)
    return status, spent.total(usage, wall)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Writes the mark that the step is finished."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(record, indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs one step of a recipe.")
    parser.add_argument("--state", type=Path, required=True, help="folder of steps/ and log/")
    parser.add_argument("--name", required=True, help="unique in the recipe")
    parser.add_argument("--in", dest="inputs", type=Path, action="append", default=[], help="what it reads")
    parser.add_argument("--out", dest="outputs", type=Path, action="append", default=[], help="what it makes")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    prctl(SET_PDEATHSIG, signal.SIGTERM)
    record = options.state / "steps" / f"{options.name}.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    with alone(options.state / "steps" / f".{options.name}.lock", options.name) as lock:
        if is_done(record, options.command, options.inputs, options.outputs):
            print(f"  {options.name}: done before", file=sys.stderr)
            return 0
        for path in options.inputs:
            if not path.exists():
                print(f"step {options.name}: {path} is missing; run the stage that makes it", file=sys.stderr)
                return 1
        remove_what_was_killed(options.outputs)
        stamps = {str(p): stamp(p) for p in options.inputs}
        log_path = options.state / "log" / f"{options.name}.log"
        work = {"command": without_jobs(options.command), "inputs": stamps}
        spent = Spent.load(options.state / "steps" / f".{options.name}.spent", work)
        try:
            status, costs = run(options.command, log_path, spent, lock)
        except OSError as error:  # of the log; a write does not tell its file
            raise OSError(error.errno, error.strerror, error.filename or str(log_path)) from error
        missing = [p for p in options.outputs if not p.exists()] if status == 0 else []
        if status or missing:
            lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            print("\n".join(lines[-SHOW_AT_END:]), file=sys.stderr)
            reason = f"did not make {missing[0]}" if missing else f"ended with status {status}"
            print(f"step {options.name} {reason}; the whole log: {log_path.absolute()}", file=sys.stderr)
            return status if status > 0 else 1
        write_record(record, {"name": options.name, "command": options.command, "inputs": stamps, **costs})
        spent.path.unlink(missing_ok=True)
        tries = f" in {costs['attempts']} attempts" if costs["attempts"] > 1 else ""
        line = "  {}: {wall_s:.1f} s, {cpu_s:.1f} CPU s, {max_gb:.2f} GB{}"
        print(line.format(options.name, tries, **costs), file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # the command was told by itself
        sys.exit(130)
    except OSError as error:
        place = error.filename or "the folder of --state"
        sys.exit(f"step: {place}: {error.strerror}. Free some space or mend the permissions, and run the recipe again.")
