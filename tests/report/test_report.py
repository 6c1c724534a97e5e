"""The page of a decoding: what it says, that its texts are texts, that it fetches nothing, and what a browser shows."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from hybrid.confidence.calibration import Calibration
from hybrid.report.collect import read_system
from hybrid.report.config import ReportConfig
from hybrid.report.spectrogram import flac_uri, png, spectrogram
from hybrid.score.transcripts import read_transcripts
from tests.tiny_recogniser import must, run

from .conftest import EVIL

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(html.parser.HTMLParser):
    """The elements of a page, the text of each kind, and the data of its script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    def find(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in wanted.items())]


@pytest.fixture(scope="module")
def text(decoded: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "page.html"
    given = ("--words", decoded / "words.txt", "--against-words", decoded / "words.txt", "--title", f"<b>{EVIL}")
    Calibration(0.1, knots=(0.0, 1.0), levels=(0.25, 0.75)).save(out.with_name("c.json"))
    must("report", decoded / "one", "--ref", decoded / "data", "--out", out, "--against", decoded / "two", *given,
         "--sounds", 2, "--replications", 100, "--calibration", out.with_name("c.json"))  # fmt: skip
    return out.read_text()


def data_of(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


def test_what_it_says(text: str, decoded: Path) -> None:
    data = data_of(text)
    assert [one["id"] for one in data["utterances"]] == ["u0", "u1", "u2"] and len(data["systems"]) == 2
    first, second = data["utterances"][0]["systems"]
    assert first["pairs"] == [["A", "A"], ["&amp;", "&amp;"], ["B", "A"]] and first["errors"] == 1
    assert second["pairs"] == [["A", "A"], ["&amp;", ""], ["B", "B"]]
    assert first["times"] == [[0.0, 0.1], [0.1, 0.2], [0.2, 0.3]]
    assert first["confidences"] == pytest.approx([0.65] * 3) and second["confidences"] == pytest.approx([0.8] * 2)
    assert first["nbest"][0][2] == "A &amp; A" and len(first["nbest"]) == 5
    assert first["network"][0] == [0.0, 10.0, [["A", 0.8], ["B", 0.2]]]
    sounds = [one["id"] for one in data["utterances"] if one["audio"]]
    assert sounds == ["u0", "u1"] and data["utterances"][0]["seconds"] == 1.0
    page = Page(text)
    cells = page.texts["td"]
    assert cells[:7] == [str(decoded / "one"), "28.57", cells[2], "1", "0", "1", "7"]
    assert "MAPSSWE: p, two-tailed" in cells and len(page.find("svg")) == 4
    assert {"tg.arpa", "one_lm", "two_lm"} <= set(page.texts["dd"])
    assert any("calibrated: ECE" in span for span in page.texts["span"])


def test_texts_stay_texts_and_nothing_is_fetched(text: str) -> None:
    page = Page(text)
    assert [a.get("type") for a in page.find("script")] == ["application/json", None]
    assert not page.find("b") and page.texts["h1"] == [f"<b>{EVIL}"] and EVIL not in text
    assert data_of(text)["utterances"][1]["systems"][0]["words"][0] == EVIL
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"data:[a-z/]+;base64,[\w+/=]+", "", text))
    assert not [a for t, a in page.elements if {"src", "href", "srcset", "action"} & set(a)]
    policy = page.find("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}'; ")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp|import\(", script)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_in_a_browser(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(text)

    def dom(state: str) -> Page:
        line = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
                "--virtual-time-budget=3000", "--dump-dom", f"file://{tmp_path}/page.html{state}"]  # fmt: skip
        return Page(subprocess.run(line, capture_output=True, timeout=300, check=True).stdout.decode())

    whole = dom("")
    assert whole.texts["title"][0] == f"<b>{EVIL}"  # no text became a script
    assert whole.texts["output"] == ["3 of 3 utterances"]
    rows = [a["data-id"] for a in whole.find("button", **{"class": "row"})]
    assert sorted(rows) == ["u0", "u1", "u2"] and rows[-1] == "u2"  # most errors first
    chosen = dom("#text=a&kind=I&inErrors=true&u=u1")
    assert chosen.texts["output"] == ["1 of 3 utterances"]
    assert [a["data-id"] for a in chosen.find("button", **{"class": "row"})] == ["u1"]
    assert [h for h in chosen.texts["h3"] if h == "u1"] and len(chosen.find("audio")) == 1
    assert chosen.find("img")[0]["src"].startswith("data:image/png;base64,")
    assert len(chosen.find("div", **{"class": "mark"})) == 3 and len(chosen.find("div", **{"class": "bin"})) == 5
    assert len(chosen.find("ol", **{"class": "nbest"})) == 2 and EVIL in chosen.texts["span"]
    assert dom("#only=differ&order=id&u=u2").texts["output"] == ["2 of 3 utterances"]


def test_less_is_enough(decoded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "transcript.txt").write_text("u0 A\n")
    (tmp_path / "text").write_text("u0 A\n")
    must("report", folder, "--ref", tmp_path / "text", "--out", tmp_path / "page.html", "--replications", 100)
    data = data_of((tmp_path / "page.html").read_text())
    assert data["utterances"][0]["systems"][0]["sure"] == -1 and data["utterances"][0]["audio"] == ""
    (folder / "words.ctm").write_text("u0 1 x\n")
    error = str(run("report", folder, "--ref", decoded / "data", "--out", tmp_path / "p.html").exception)
    assert f"{folder / 'words.ctm'}:1: is no `recording channel start duration word` line. Decode again." in error
    shutil.copy(decoded / "one/lat.1.gz", folder)
    (folder / "words.ctm").unlink()
    (folder / "transcript.txt").write_text("u0 A\n")
    without = run("report", folder, "--ref", decoded / "data", "--out", tmp_path / "p.html", "--replications", 100)
    lost = "confidences, n-best lists and networks are left out, for the graph's words.txt is not where it was; --words"
    assert lost in without.stderr
    (folder / "transcript.txt").write_text("u0 ELSE\n")
    given = (folder, "--ref", decoded / "data", "--out", tmp_path / "p.html", "--words", decoded / "words.txt")
    assert "has words in transcript.txt that words.txt lacks" in str(run("report", *given).exception)
    assert "'--sounds'" not in str(run("report", *given, "--sounds", 0).output)
    with pytest.raises(ValueError, match="sounds is -1, wanted"):
        ReportConfig(sounds=-1)


def test_raw_lattices_are_determinised(decoded: Path, tmp_path: Path) -> None:
    from hybrid.lattice.archive import is_compact, read_lattice_folder, write_lattices

    shutil.copytree(decoded / "one", tmp_path / "raw")
    write_lattices(tmp_path / "raw/lat.1.gz", list(read_lattice_folder(decoded / "one")))
    assert is_compact(decoded / "one") and not is_compact(tmp_path / "raw")
    reference = read_transcripts(decoded / "data")
    found = [
        read_system(folder, reference, ReportConfig(replications=100), {}, decoded / "words.txt").views["u0"]
        for folder in (decoded / "one", tmp_path / "raw")
    ]
    assert found[0].confidences == pytest.approx(found[1].confidences)


def test_pictures() -> None:
    time = np.arange(8000) / 8000
    pixels = spectrogram(np.sin(2 * np.pi * 1000 * time).astype(np.float32), 8000)
    assert pixels.dtype == np.uint8 and pixels.shape == (128, 98)
    assert set(np.argmin(pixels, axis=0)) == {128 - 32}  # 1000 Hz is the 32nd of 128 bins, the highest on top
    file = png(pixels)
    width, height = struct.unpack(">II", file[16:24])
    body = zlib.decompress(file[41 : 41 + struct.unpack(">I", file[33:37])[0]])
    assert (width, height) == (98, 128) and np.frombuffer(body, np.uint8).reshape(128, 99)[
        :, 1:
    ].tolist() == pixels.tolist()
    assert spectrogram(np.zeros(3, np.float32), 8000).shape[1] == 1
    assert base64.b64decode(flac_uri(np.zeros(80, np.float32), 8000).partition(",")[2])[:4] == b"fLaC"
