from concurrent.futures import ThreadPoolExecutor

from hybrid.base.jobs import blocks, map_in_order, pool


def square(x):
    return x * x


def test_results_come_in_the_order_of_the_items():
    with ThreadPoolExecutor(3) as executor:
        assert list(map_in_order(square, range(50), executor)) == [x * x for x in range(50)]
    assert list(map_in_order(square, range(5), None)) == [0, 1, 4, 9, 16]


def test_processes_give_the_same(tmp_path):
    with pool(2) as executor:
        assert list(map_in_order(square, range(10), executor)) == [x * x for x in range(10)]
    with pool(1) as executor:
        assert executor is None


def test_blocks_do_not_depend_on_anything_but_their_size():
    assert blocks([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert blocks([], 2) == []
