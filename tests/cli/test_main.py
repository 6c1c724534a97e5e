import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hybrid.cli import main
from hybrid.cli.main import GROUPS, command

HEAVY = ("torch", "lhotse", "k2", "kaldifst", "numba", "scipy", "rich")


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_help_answers_without_heavy_imports(group):
    code = f"""
import sys
from hybrid.cli.main import command
try:
    command.main({[group, "--help"] if group else ["--help"]!r}, standalone_mode=True)
except SystemExit as error:
    assert error.code == 0, error.code
heavy = [m for m in {HEAVY!r} if m in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_a_users_mistake_is_one_line_and_status_one(monkeypatch, capsys):
    from hybrid.base.errors import InputError

    def fail(**_):
        raise InputError.at("data/x", "is empty", "Fill it.", line=3)

    monkeypatch.setattr(main.command, "main", fail)
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == "hybrid: data/x:3: is empty. Fill it."


def test_a_status_that_a_command_ends_with_is_the_programs(monkeypatch, tmp_path, capsys):
    (tmp_path / "g.gram").write_text("#JSGF V1.0;\ngrammar g;\npublic <go> = go left | go right;\n")
    (tmp_path / "said.txt").write_text("go home\n")
    said = ["--text", str(tmp_path / "said.txt"), "--strict"]
    monkeypatch.setattr("sys.argv", ["hybrid", "grammar", "check", str(tmp_path / "g.gram"), *said])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 1
    monkeypatch.setattr("sys.argv", ["hybrid", "grammar", "check", str(tmp_path / "g.gram")])
    main.main()


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [(KeyboardInterrupt(), SystemExit, "130"), (EOFError("no data left"), EOFError, "no data left")],
)
def test_only_an_interruption_is_called_so(monkeypatch, error, expected, text):
    def fail():
        raise error

    monkeypatch.setattr("hybrid.doctor.examine", fail)
    monkeypatch.setattr("sys.argv", ["hybrid", "doctor"])
    with pytest.raises(expected, match=text):
        main.main()


def test_doctor_finds_what_is_installed():
    result = CliRunner().invoke(command, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    findings = {f["name"]: f for f in json.loads(result.output)}
    assert findings["numpy"]["state"] == "ok"
    assert findings["k2"]["state"] in ("ok", "missing")
    assert findings["k2"]["state"] == "ok" or "setup.sh" in findings["k2"]["cure"]


def test_doctor_calls_a_package_that_does_not_load_broken(monkeypatch):
    from hybrid import doctor

    def refuse(name):
        raise ImportError(f"cannot load {name}")

    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    finding = doctor._package("numpy", "numpy", "everything", "broken", "bash scripts/setup.sh")
    assert finding.state == "broken" and "does not load (cannot load numpy)" in finding.text
    assert finding.cure == "bash scripts/setup.sh"


def test_doctor_advises_what_the_way_of_installing_allows(monkeypatch, tmp_path):
    from hybrid import doctor

    assert doctor.cure("numpy") == "bash scripts/setup.sh"
    assert doctor.cure("espeakng-loader").startswith("pip install 'espeakng-loader")
    monkeypatch.setattr(doctor, "CHECKOUT", tmp_path)  # installed by pip: there is no script to run
    assert doctor.cure("numpy") == "pip install 'numpy>=1.23'"
    assert doctor.cure("sentencepiece").startswith("pip install 'sentencepiece>=")
    monkeypatch.setattr(doctor.sys, "version_info", (3, 11, 4))
    assert doctor.cure("k2").startswith("pip install k2==1.23.4 torch==1.13.1 'numpy<2'")
    monkeypatch.setattr(doctor.sys, "version_info", (3, 12, 1))
    assert doctor.cure("k2").startswith("Python 3.11, which k2's wheels on the package index need")


@pytest.mark.parametrize("words", ["hybrid gmm train-m", "hybrid decode --reject-b"])
def test_completion_of_a_shell(monkeypatch, capsys, words):
    monkeypatch.setattr("sys.argv", ["hybrid"])
    monkeypatch.setenv("_HYBRID_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        main.main()
    assert capsys.readouterr().out.startswith(f"plain,{words.split()[-1]}")


def test_doctor_examines_the_compiled_kernels(monkeypatch, tmp_path):
    monkeypatch.setenv("HYBRID_CACHE_DIR", str(tmp_path))
    (tmp_path / "kernels").mkdir(mode=0o700)
    (tmp_path / "kernels" / "cut.kernel").write_bytes(b"")
    (tmp_path / "kernels" / "foreign.kernel").write_bytes(b"cos\nsystem\n(S'touch PWNED'\ntR.")
    findings = {f["name"]: f for f in json.loads(CliRunner().invoke(command, ["doctor", "--json"]).output)}
    text = f"0 in {tmp_path / 'kernels'}; 2 damaged, removed, to be compiled again when they are needed"
    assert findings["compiled kernels"]["text"] == text
    assert not list((tmp_path / "kernels").glob("*.kernel"))


# Sends SIGINT to its own process when a module is imported, or where a function of the command is called.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {at!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
import threading
shutdown = threading._shutdown
def at_exit():
    if {at!r} == "exit":
        os.kill(os.getpid(), signal.SIGINT)
    shutdown()
threading._shutdown = at_exit
sys.argv = ["hybrid", "graph", "info", "nothing"]
from hybrid.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("at", ["click", "click.types", "hybrid.base.errors", "hybrid.cli.graph", "numpy", "exit"])
def test_an_interruption_at_any_moment_is_no_traceback_and_status_130(at):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED.format(at=at)], capture_output=True, text=True)
    # click writes an empty line; what is wrong with `nothing` is told before the exit
    said = [line for line in done.stderr.splitlines() if line and not line.startswith("hybrid: nothing: ")]
    assert said in ([], ["hybrid: interrupted"]), done.stderr
    assert done.returncode in (130, -signal.SIGINT)  # a shell calls both 130


def test_workers_leave_an_interruption_to_the_one_that_started_them(tmp_path):
    code = (
        "import os, signal\nfrom hybrid.base.jobs import map_in_order, pool\nfrom hybrid.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # see INTERRUPTED
        "def work():\n"
        "    with pool(2) as executor:\n"
        "        next(map_in_order(abs, [1], executor))\n"
        "        os.killpg(os.getpid(), signal.SIGINT)\n"
        "        signal.pause()\n"
        "main._run = work\nmain.main()"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, start_new_session=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "hybrid: interrupted\n")
