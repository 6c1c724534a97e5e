"""The written form of transcripts: times and confidences of tokens, the command's files."""

from __future__ import annotations

from pathlib import Path

from hybrid.decode.written import written_labels
from hybrid.timing.ctm import TimedLabel
from hybrid.written.form import WrittenForm
from tests.tiny_recogniser import Tiny, run


def labels(*items: tuple[str, float]) -> list[TimedLabel]:
    """Words of a second each, pauses of half a second, from 1.0 on."""
    found, time = [], 1.0
    for label, confidence in items:
        length = 1.0 if label else 0.5
        found.append(TimedLabel(label, time, length, confidence if label else None))
        time += length
    return found


def test_a_token_has_the_time_of_its_words_and_the_least_confidence() -> None:
    words = labels(("", 0), ("at", 0.9), ("five", 0.8), ("", 0), ("thirty", 0.5), ("", 0), ("tomorrow", 1.0))
    assert written_labels(words, WrittenForm()) == (
        words[0],
        words[1],
        TimedLabel("5:30", 2.5, 2.5, 0.5),
        words[5],
        words[6],
    )


def test_no_token_reaches_over_a_rejected_word() -> None:
    words = labels(("twenty", 0.9), ("", 0), ("dollars", 0.8))
    assert [w.label for w in written_labels(words, WrittenForm())] == ["$20"]
    rejected = [TimedLabel("five", words[1].start, 0.5, 0.1)]
    assert [w.label for w in written_labels(words, WrittenForm(), rejected)] == ["20", "", "dollars"]


def test_unknown_confidence_stays_unknown() -> None:
    words = [TimedLabel("twenty", 0.0, 1.0), TimedLabel("dollars", 1.0, 1.0, 0.5)]
    assert written_labels(words, WrittenForm()) == (TimedLabel("$20", 0.0, 2.0, None),)
    assert written_labels([], WrittenForm()) == ()


def test_files_of_the_command(tiny: Tiny, bursts, save_wav, tmp_path: Path) -> None:
    save_wav(tmp_path / "one.wav", bursts(["LOW", "HIGH", "MID"], 77))
    (tmp_path / "rules.tsv").write_text("low high\tLH\n", encoding="utf-8")
    command = ("decode", "--model", tiny.model, "--graph", tiny.graph, tmp_path / "one.wav")
    rules = ("--written", "--written-rules", tmp_path / "rules.tsv")
    result = run(*command, *rules)
    assert result.exit_code == 0 and result.stdout == "one LH MID\n", result.output
    out = tmp_path / "out"
    assert run(*command, *rules, "--out-dir", out, "--format", "json").exit_code == 0
    assert (out / "transcript.txt").read_text() == "one LOW HIGH MID\n"
    assert (out / "written.txt").read_text() == "one LH MID\n"
    spoken, written = ([line.split() for line in (out / name).read_text().splitlines() if line[0] != ";"]
                       for name in ("words.ctm", "written.ctm"))  # fmt: skip
    assert [line[4] for line in written] == ["LH", "MID"] and written[0][2] == spoken[0][2] and written[1] == spoken[2]
    assert '"LH"' in (out / "recordings" / "one.json").read_text()
    assert run(*command, "--out-dir", out).exit_code == 0 and not (out / "written.txt").exists()
    result = run(*command, "--written-rules", tmp_path / "rules.tsv")
    assert result.exit_code == 2 and "go with --written" in result.output
    result = run(*command, "--written", "--written-after", tmp_path / "none.tsv")
    assert "none.tsv: the file does not exist" in str(result.exception)
