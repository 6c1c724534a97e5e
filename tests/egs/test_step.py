"""Steps of recipes: done once, done again when something changed, killed and gone on."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hybrid.base.locks import host_tag, temporary_name

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def step(root: Path, tmp_path: Path) -> Run:
    """Runs a step named `one` that reads `in` and makes `out` with the shell command given."""
    (tmp_path / "in").write_text("1\n")

    def run(command: str, start: bool = False, words: list[str] | None = None):  # type: ignore[no-untyped-def]
        words = words or ["--in", "in", "--out", "out", "--", "bash", "-c", command]
        words = [sys.executable, str(root / "scripts/step.py"), "--state", "exp", "--name", "one", *words]
        if start:
            return subprocess.Popen(words, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL)
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def count(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text().splitlines())


COMMAND = "cat in > out; echo x >> runs"


def test_done_once_and_again_when_something_changed(step: Run, tmp_path: Path) -> None:
    assert step(COMMAND).returncode == 0
    assert "one: done before" in step(COMMAND).stderr
    assert count(tmp_path) == 1
    (tmp_path / "in").write_text("22\n")
    step(COMMAND)
    assert (tmp_path / "out").read_text() == "22\n"
    step(COMMAND + " ")
    (tmp_path / "out").unlink()
    step(COMMAND + " ")
    assert count(tmp_path) == 4


def test_the_number_of_jobs_is_no_change(step: Run, tmp_path: Path) -> None:
    for jobs in (1, 2):
        words = ["--in", "in", "--out", "out", "--", "bash", "-c", COMMAND, "--jobs", str(jobs)]
        step("", words=words)
    assert count(tmp_path) == 1


def test_a_folder_counts_by_its_meta(step: Run, tmp_path: Path) -> None:
    (tmp_path / "in").unlink()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "meta.json").write_text("{}")
    command = "touch out; echo x >> runs"
    step(command)
    (tmp_path / "in" / "other").write_text("x")
    step(command)
    assert count(tmp_path) == 1
    (tmp_path / "in" / "meta.json").write_text("{ }")
    step(command)
    assert count(tmp_path) == 2


def test_costs_count_processes_left_behind(step: Run, tmp_path: Path) -> None:
    burn = f"{sys.executable} -c 'import time; x=bytearray(60<<20)\nwhile time.process_time()<0.5: pass'"
    step(f"touch out; ({burn} &)")
    record = json.loads((tmp_path / "exp/steps/one.json").read_text())
    assert record["cpu_s"] >= 0.5
    assert record["max_gb"] >= 0.06
    assert record["wall_s"] >= 0.4


BURN = f"{sys.executable} -c 'import time\nwhile time.process_time()<1.5: pass'"


def test_costs_are_summed_over_attempts(step: Run, tmp_path: Path) -> None:
    """A failed attempt counts exactly, a killed one but for its last second; on other inputs the sum begins anew."""
    command = f"{BURN}; test -f go && touch out"
    assert step(command).returncode != 0
    process = step(command, start=True)
    wait_for(lambda: cost_so_far(tmp_path, attempts=2) >= 2.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    assert "in 3 attempts" in step(command).stderr
    record = json.loads((tmp_path / "exp/steps/one.json").read_text())
    assert record["attempts"] == 3 and record["cpu_s"] >= 3.5 and record["wall_s"] >= 3.5
    (tmp_path / "in").write_text("22\n")
    step(command)
    record = json.loads((tmp_path / "exp/steps/one.json").read_text())
    assert record["attempts"] == 1 and record["cpu_s"] < 3.0


def cost_so_far(tmp_path: Path, attempts: int) -> float:
    try:
        found = json.loads((tmp_path / "exp/steps/.one.spent").read_text())
    except FileNotFoundError:
        return 0.0
    return found["cpu_s"] if found["attempts"] == attempts else 0.0


def test_log_and_terminal(step: Run, tmp_path: Path) -> None:
    done = step("touch out; echo result; echo detail >&2; echo 12:00:00 WARNING careful >&2")
    assert done.stdout == "result\n"
    assert "WARNING careful" in done.stderr
    assert "detail" not in done.stderr
    assert {"result", "detail"} <= set((tmp_path / "exp/log/one.log").read_text().splitlines())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo the reason >&2; exit 3", "step one ended with status 3; the whole log: "),
        ("true", "step one did not make out; the whole log: "),
    ],
)
def test_failures(step: Run, tmp_path: Path, command: str, message: str) -> None:
    done = step(command)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "exp/steps/one.json").exists()


def test_a_log_that_cannot_be_written_is_one_line(step: Run, tmp_path: Path) -> None:
    (tmp_path / "exp/log").mkdir(parents=True)
    (tmp_path / "exp/log/one.log").symlink_to("/dev/full")
    done = step(COMMAND)
    assert done.returncode == 1
    assert done.stderr == (
        "step: exp/log/one.log: No space left on device. Free some space or mend the permissions, "
        "and run the recipe again.\n"
    )


def test_output_that_nobody_can_keep_does_not_stop_a_command(script, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    follow = script("scripts/step.py").follow
    with open("/dev/full", "w") as full:
        lines = iter(["a\n", "b\n"])
        follow(lines, full, False)
        assert next(lines, None) is None
        with contextlib.suppress(OSError):
            full.close()


def test_missing_input(step: Run, tmp_path: Path) -> None:
    (tmp_path / "in").unlink()
    assert "step one: in is missing; run the stage that makes it" in step(COMMAND).stderr


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert what()


def test_killed_in_the_middle(step: Run, tmp_path: Path) -> None:
    process = step(f"echo half > .tmp$$-{host_tag()}-012345.out; echo $$ > pid; sleep 60", start=True)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "")
    process.send_signal(signal.SIGKILL)
    process.wait()
    child = int((tmp_path / "pid").read_text())
    # The command itself is told to end when the step that started it is gone.
    wait_for(lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())
    assert list(tmp_path.glob(".tmp*.out"))
    assert step(COMMAND).returncode == 0
    assert not list(tmp_path.glob(".tmp*.out"))
    assert (tmp_path / "out").read_text() == "1\n"


def test_begun_again_while_a_killed_one_still_ends(step: Run, tmp_path: Path) -> None:
    """A command may take its time to end, and leave children that nobody told: none of them works beside the next."""
    slow = "exec 2> /dev/null; trap 'echo ended >> runs; exit' TERM; sleep 60 & echo $! > pid; sleep 0.7; sleep 60"
    process = step(slow, start=True)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "")
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = step(COMMAND)
    assert done.returncode == 0 and "another run is at it; waiting" in done.stderr
    assert (tmp_path / "runs").read_text() == "ended\nx\n"
    child = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    assert not child.exists() or " Z " in child.read_text()


def test_interrupted_while_it_waits_is_no_traceback(root: Path, step: Run, tmp_path: Path) -> None:
    first = step("sleep 5", start=True)
    wait_for(lambda: (tmp_path / "exp/log/one.log").exists())
    words = [sys.executable, str(root / "scripts/step.py"), "--state", "exp", "--name", "one", "--", "true"]
    second = subprocess.Popen(
        words, cwd=tmp_path, text=True, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )  # fmt: skip
    assert second.stderr and "another run is at it" in second.stderr.readline()
    second.send_signal(signal.SIGINT)
    assert second.communicate()[1] == "" and second.returncode == 130
    first.terminate()
    first.wait()


def test_what_outlives_the_command_is_ended(step: Run, tmp_path: Path) -> None:
    done = step("touch out; (trap '' TERM; echo $BASHPID > pid; sleep 60; sleep 60) & sleep 0.3; kill $$")
    assert done.returncode != 0
    child = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{child}").exists()


def test_temporary_files_of_living_processes_stay(step: Run, tmp_path: Path) -> None:
    mine = tmp_path / temporary_name("out")
    another_hosts = tmp_path / ".tmp999999999-ffffff-012345.out"
    for file in (mine, another_hosts):
        file.write_text("in use")
    step(COMMAND)
    assert mine.exists() and another_hosts.exists()


def test_two_runs_at_once(step: Run, tmp_path: Path) -> None:
    first = step("sleep 3; " + COMMAND, start=True)
    wait_for(lambda: (tmp_path / "exp/log/one.log").exists())
    second = step("sleep 3; " + COMMAND)
    assert "another run is at it; waiting" in second.stderr
    assert "done before" in second.stderr
    assert first.wait() == 0
    assert count(tmp_path) == 1
