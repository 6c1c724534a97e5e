import functools
import multiprocessing.forkserver
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

from hybrid.base.errors import HybridError
from hybrid.base.jobs import WorkerPool, blocks, map_in_order, one_behind, pool
from hybrid.base.log import cpu_seconds


def square(x):
    return x * x


def die_once(folder, x):
    """Squares, but the first time that it sees 5 its process is killed."""
    mark = os.path.join(folder, "died")
    if x == 5 and not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError(f"bad {x}")


def test_results_come_in_the_order_of_the_items():
    with ThreadPoolExecutor(3) as executor:
        assert list(map_in_order(square, range(50), executor)) == [x * x for x in range(50)]
    assert list(map_in_order(square, range(5), None)) == [0, 1, 4, 9, 16]


def test_processes_give_the_same():
    with pool(2) as executor:
        assert list(map_in_order(square, range(10), executor)) == [x * x for x in range(10)]
    with pool(1) as executor:
        assert executor is None


def test_all_workers_of_a_large_pool_have_work(monkeypatch):
    monkeypatch.setattr(WorkerPool, "_start", lambda self: ThreadPoolExecutor(self.jobs))
    together = threading.Barrier(24, timeout=60)  # passed only if 24 are under way at once
    with pool(24) as executor:
        assert len(list(map_in_order(lambda _: together.wait(), range(48), executor))) == 48


class Model:
    """A shared value that counts how often it is pickled and loaded."""

    pickled = 0

    def __init__(self, folder, size=10**6):
        self.folder, self.weights = folder, bytes(size)

    def __getstate__(self):
        Model.pickled += 1
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(os.path.join(self.folder, f"loaded-{os.getpid()}"), "a") as stream:
            stream.write("x")

    def times(self, x):
        time.sleep(0.02)
        return die_once(self.folder, x) * len(self.weights)

    def harmless(self, x):
        return x * len(self.weights)


def test_a_shared_value_is_pickled_once_and_loaded_once_by_each_worker(tmp_path):
    model = Model(str(tmp_path))
    with pool(3) as executor:
        Model.pickled = 0
        results = list(map_in_order(Model.times, range(60), executor, shared=model))
    assert results == [x * x * 10**6 for x in range(60)] and (tmp_path / "died").exists()  # one died on the way
    assert Model.pickled == 1
    loads = [p.read_text() for p in tmp_path.glob("loaded-*")]
    assert 1 <= len(loads) <= 6 and set(loads) == {"x"}
    assert list(map_in_order(Model.harmless, range(3), None, shared=model)) == [0, 10**6, 2 * 10**6]


def test_a_shared_value_is_not_sent_with_every_item(tmp_path, monkeypatch):
    sent = []
    submit = WorkerPool.submit

    def counted(self, fn, *args, **kwargs):
        sent.append(len(pickle.dumps((fn, args))))
        return submit(self, fn, *args, **kwargs)

    monkeypatch.setattr(WorkerPool, "submit", counted)
    with pool(2) as executor:
        list(map_in_order(Model.harmless, range(100), executor, shared=Model(str(tmp_path))))
    assert sum(size > 10**6 for size in sent) <= 4
    assert sorted(sent)[90] < 1000


def test_another_executor_shares_too(tmp_path):
    with ThreadPoolExecutor(3) as executor:
        for factor in (10, 20, 30, 10):  # more values than a worker remembers
            results = map_in_order(Model.harmless, range(100), executor, shared=Model(str(tmp_path), factor))
            assert list(results) == [factor * x for x in range(100)]


def test_a_killed_fork_server_changes_nothing():
    with pool(2) as executor:
        results = []
        for x in map_in_order(square, range(20), executor, ahead=2):
            if len(results) == 5:
                os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, signal.SIGKILL)
            results.append(x)
    assert results == [x * x for x in range(20)]


def test_a_fork_server_that_answers_no_more_is_waited_for(monkeypatch):
    """Killed, it is gone a moment later; until then Python takes it for alive, and starts no other."""
    process = subprocess.Popen(["sleep", "0.5"])
    monkeypatch.setattr(multiprocessing.forkserver._forkserver, "_forkserver_pid", process.pid)
    executor = WorkerPool(1)
    monkeypatch.setattr(executor._executor, "submit", Mock(side_effect=ConnectionRefusedError()))
    with pytest.raises(BrokenExecutor, match="was killed"):
        executor.submit(square, 1)
    assert process.poll() == 0


def burn(seconds):
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


def test_the_workers_time_is_counted():
    before = cpu_seconds()
    with pool(2) as executor:
        list(map_in_order(burn, [0.3, 0.3], executor))
    assert cpu_seconds() - before >= 0.5


def test_a_killed_worker_changes_nothing(tmp_path):
    with pool(2) as executor:
        results = list(map_in_order(functools.partial(die_once, str(tmp_path)), range(20), executor, ahead=4))
        shared = list(map_in_order(die_once, range(20), executor, ahead=4, shared=str(tmp_path)))
    assert (tmp_path / "died").exists()
    assert results == shared == [x * x for x in range(20)]


def test_a_worker_that_always_dies_is_one_line():
    with pool(2) as executor, pytest.raises(HybridError, match=r"died 3 times .* Use fewer --jobs"):
        list(map_in_order(die, [1], executor))


KILLED = """
import os, sys, time
from hybrid.base.jobs import map_in_order, pool
from tests_of_jobs import report
if __name__ == "__main__":
    with pool(2) as executor:
        list(map_in_order(report, [sys.argv[1]] * 2, executor))
"""


def test_workers_end_with_a_killed_parent(tmp_path):
    (tmp_path / "main.py").write_text(KILLED)
    lines = (
        "import os, time\ndef report(folder):\n    open(f'{folder}/{os.getpid()}', 'w').close()\n    time.sleep(60)\n"
    )
    (tmp_path / "tests_of_jobs.py").write_text(lines)
    (tmp_path / "pids").mkdir()
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{tmp_path}"}
    process = subprocess.Popen([sys.executable, tmp_path / "main.py", tmp_path / "pids"], env=environment)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "pids").iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(p.name) for p in (tmp_path / "pids").iterdir()]
    assert len(workers) == 2
    process.kill()
    process.wait()
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(runs, workers))


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_ordinary_error_passes_through():
    with pool(2) as executor, pytest.raises(ValueError, match="bad 1"):
        list(map_in_order(fail, [1, 2], executor))


def test_blocks_do_not_depend_on_anything_but_their_size():
    assert blocks([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert blocks([], 2) == []


@pytest.mark.slow
def test_a_dask_cluster_is_an_executor_like_any_other(tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "dashboard_address": None,
        "local_directory": str(tmp_path / "d"),
    }
    with distributed.LocalCluster(processes=True, **options) as cluster, distributed.Client(cluster) as client:
        executor = client.get_executor()
        results = list(map_in_order(functools.partial(die_once, str(tmp_path)), range(20), executor, ahead=4))
        shared = list(map_in_order(die_once, range(20), executor, ahead=4, shared=str(tmp_path)))
    assert (tmp_path / "died").exists()
    assert results == shared == [x * x for x in range(20)]


def test_one_behind_works_while_the_next_item_is_made():
    """The second item is made only when the first is being worked on: without a thread of its own this never ends."""
    begun, made = threading.Event(), []

    def items():
        yield 0
        assert begun.wait(30)
        made.append(1)
        yield 1

    def work(item):
        if item == 0:
            begun.set()
        return item * 10, threading.current_thread()

    results = list(one_behind(work, items()))
    assert [value for value, _ in results] == [0, 10] and made == [1]
    assert all(thread is not threading.current_thread() for _, thread in results)
    with pytest.raises(ZeroDivisionError):
        list(one_behind(lambda n: 1 // n, [1, 0, 2]))
    assert list(one_behind(str, range(40), ahead=2)) == [str(n) for n in range(40)]


def test_an_interrupted_run_with_cancelled_work_says_nothing(tmp_path):
    """The pool's thread sees its workers end, with cancelled work before it, ere it is told to end itself."""
    (tmp_path / "main.py").write_text(
        "import time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from hybrid.base.jobs import pool\n"
        "plain = ProcessPoolExecutor.shutdown\n"
        "ProcessPoolExecutor.shutdown = lambda *args, **more: (time.sleep(1), plain(*args, **more))\n"
        "if __name__ == '__main__':\n"
        "    with pool(2) as executor:\n"
        "        executor.submit(abs, 1).result()\n"
        "        work = [executor.submit(time.sleep, 300) for _ in range(40)]\n"
        "        time.sleep(1)\n"
        "        assert any([one.cancel() for one in work])\n"
        "        raise SystemExit(7)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, tmp_path / "main.py"], env=environment, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (7, "")


def test_a_terminated_run_leaves_no_semaphore(tmp_path):
    """SIGTERM to the process that gives out the work: its workers end, and nothing is said to be leaked."""
    (tmp_path / "main.py").write_text(
        "import pathlib, sys, time\n"
        "from hybrid.base.jobs import map_in_order, pool\n"
        "from hybrid.cli.main import ending_well\n"
        "def work(x):\n"
        "    pathlib.Path(sys.argv[1], str(x)).touch()\n"
        "    time.sleep(300)\n"
        "if __name__ == '__main__':\n"
        "    with ending_well(), pool(2) as executor:\n"
        "        list(map_in_order(work, range(4), executor))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    line = [sys.executable, tmp_path / "main.py", tmp_path]
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (tmp_path / "1").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    _, told = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM
    assert "leaked" not in told and "Traceback" not in told, told
