"""What a search takes above Python with its imports: the mapped graph once, and little beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays, write_fst
from hybrid.graph.decoding import DecodingGraph
from hybrid.model.folder import load_model
from hybrid.search.layout import load_search_graph

STATES, ARCS = 400_000, 3_000_000
CHILD = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from hybrid.graph.decoding import DecodingGraph
from hybrid.model.folder import load_model
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig

def memory(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

model = load_model(sys.argv[1]).transition_model
config = SearchConfig(max_active=500, acoustic_scale=1.0)

def searched(searcher, number):
    scores = np.random.default_rng(number).normal(0, 3, (100, model.num_pdfs)).astype(np.float32)
    return searcher.search([scores])[0].status

def loaded(folder):
    return make_searcher("native", DecodingGraph.load(folder), model, config)

searched(loaded(sys.argv[2]), 0)  # kernels are loaded, as imports are
begin = memory("VmRSS")
searcher = loaded(sys.argv[3])
with ThreadPoolExecutor(2) as pool:
    assert set(pool.map(lambda n: searched(searcher, n), range(4))) == {"complete"}
print(memory("VmHWM") - begin)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux")
def test_two_threads_take_no_more_than_the_graph_and_some(tiny, tmp_path: Path) -> None:
    """The bar is 1.3 times HCLG.fst and 50 MB; a copy of the graph, or numbers for each of its states, pass it."""
    model = load_model(tiny.model).transition_model
    for name in ("small", "large"):
        shutil.copytree(tiny.graph, tmp_path / name, ignore=shutil.ignore_patterns(".*", "HCLG.fst", "meta.json"))
    shutil.copy(tiny.graph / "HCLG.fst", tmp_path / "small")
    rng = np.random.default_rng(0)
    sources = np.append(np.arange(STATES), rng.integers(0, STATES, ARCS - STATES))
    ids = rng.integers(1, len(model.pdf_ids), ARCS)
    fst = FstArrays.from_arcs(
        0, sources, ids, np.zeros(ARCS, np.int32), rng.integers(0, STATES, ARCS), rng.random(ARCS), np.zeros(STATES)
    )  # fmt: skip
    write_fst(tmp_path / "large" / "HCLG.fst", fst, "const")
    for name in ("small", "large"):
        load_search_graph(DecodingGraph.load(tmp_path / name), model)  # laid out, to be mapped
    size = (tmp_path / "large" / "HCLG.fst").stat().st_size
    folders = (tiny.model, tmp_path / "small", tmp_path / "large")
    command = [sys.executable, "-c", CHILD, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0.3 * size < int(done.stdout) <= 1.3 * size + 50e6
