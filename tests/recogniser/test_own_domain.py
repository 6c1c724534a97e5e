"""From sentences with words that no dictionary has to a graph in one command, and what a voice says recognised."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.model.ready import model_folder
from hybrid.recogniser import Recogniser
from tests.tiny_recogniser import must, run

pytestmark = [pytest.mark.slow]
NEW = ["glimbex", "torvane", "plandor", "quistel", "marnock", "fendrel", "brisbor", "candovar", "selvik", "dornabel"]
TEXT = """
open the glimbex in the kitchen / close the torvane in the garden / start the plandor in the bedroom
stop the quistel in the office / clean the marnock in the hall / move the fendrel in the cellar
check the brisbor in the attic / lift the candovar in the garage / paint the selvik in the bathroom
sell the dornabel in the library / what time is it now / play some music please / turn off all lights
call my mother back / read the news again / set an alarm for seven / how warm will tomorrow be
send this letter home / show me every train / good night
"""
SENTENCES = [sentence.strip() for line in TEXT.strip().splitlines() for sentence in line.split("/")]


def test_sixty_words_ten_of_them_new(tmp_path: Path) -> None:
    """The bar: one command, under 15 CPU seconds with no kernel compiled yet; the next recognises what a voice says."""
    pytest.importorskip("espeakng_loader")
    from hybrid.synth.espeak import Voice, speak

    words = {word for sentence in SENTENCES for word in sentence.split()}
    lexicon = (model_folder("en-small") / "lexicon.txt").read_text().splitlines()
    known = {line.split()[0] for line in lexicon}
    assert len(words) >= 60 and {w for w in words if w.upper() not in known} == set(NEW) and len(SENTENCES) == 20
    (tmp_path / "s.txt").write_text("".join(f"{sentence.capitalize()}.\n" for sentence in SENTENCES))
    (tmp_path / "some.txt").write_text("\n".join(lexicon[100::6]) + "\n")
    must("lm", "g2p-train", tmp_path / "some.txt", "--order", 4, "--out", tmp_path / "g2p.arpa")
    command = [sys.executable, "-m", "hybrid.cli.main", "graph", "build", "--model", "en-small", "--sentences", "s.txt",
               "--g2p", "g2p.arpa", "--out-dir", "graph"]  # fmt: skip
    cold = {**os.environ, "HYBRID_CACHE_DIR": str(tmp_path / "kernels")}  # as after an installation
    before = sum(children())
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=cold)
    assert done.returncode == 0 and sum(children()) - before < 15, done.stderr
    assert "plain Python, for it is little" in done.stderr
    listed = run("graph", "words", tmp_path / "graph").output
    assert all(name.upper() in listed for name in NEW) and listed.count("guessed") >= len(NEW)
    recogniser = Recogniser.load("en-small", tmp_path / "graph")
    right = dict.fromkeys(("en-us", "en-gb-scotland"), 0)
    for voice in right:
        for number, sentence in enumerate(SENTENCES):
            spoken = speak(sentence, Voice(voice))
            noise = np.random.default_rng(number).normal(size=len(spoken.samples)) * 0.003
            soundfile.write(tmp_path / "my.wav", spoken.samples / 32768 + noise, spoken.rate)
            right[voice] += recogniser.recognise(tmp_path / "my.wav").text == sentence.upper()
    assert right["en-us"] >= 17 and sum(right.values()) >= 33, right


def children() -> tuple[float, float]:
    """CPU seconds of ended child processes."""
    import resource

    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime, spent.ru_stime
