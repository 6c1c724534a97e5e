import functools
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from hybrid.base.errors import HybridError
from hybrid.base.jobs import blocks, map_in_order, pool


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


def test_a_killed_worker_changes_nothing(tmp_path):
    with pool(2) as executor:
        results = list(map_in_order(functools.partial(die_once, str(tmp_path)), range(20), executor, ahead=4))
    assert (tmp_path / "died").exists()
    assert results == [x * x for x in range(20)]


def test_a_worker_that_always_dies_is_one_line():
    with pool(2) as executor, pytest.raises(HybridError, match=r"died 3 times .* Use fewer --jobs"):
        list(map_in_order(die, [1], executor))


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
    assert (tmp_path / "died").exists()
    assert results == [x * x for x in range(20)]
