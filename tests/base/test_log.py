import logging

from hybrid.base import log


def test_progress_counts_and_says_what_is_left(caplog, monkeypatch):
    monkeypatch.setattr(log, "INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(log.sys.stderr, "isatty", lambda: False, raising=False)
    logger = logging.getLogger("hybrid.test_progress")
    with caplog.at_level(logging.INFO, logger="hybrid.test_progress"):
        with log.progress("aligning", 4, logger) as state:
            state.advance(note="-50.1 a frame")
            state.advance(done=0, failed=1)
    assert (state.done, state.failed) == (1, 1)
    assert "aligning: 1/4 done, -50.1 a frame" in caplog.messages[0]
    assert "aligning: 1/4 done, 1 failed, -50.1 a frame, about" in caplog.messages[1]


def test_track_yields_everything():
    assert list(log.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert list(log.track(iter("ab"), "counting")) == ["a", "b"]


def test_totals_hold_the_real_time_factor(caplog):
    logger = logging.getLogger("hybrid.test_totals")
    with caplog.at_level(logging.INFO, logger="hybrid.test_totals"):
        log.log_totals(logger, 3, 1, audio_seconds=100.0)
        log.log_settings(logger, "decode", {"beam": 13})
    assert "3 done, 1 failed" in caplog.text and "real-time factor" in caplog.text
    assert "decode: beam=13" in caplog.text and "numpy" in caplog.text
    assert log.peak_memory_gb() > 0.01


def test_names_cannot_write_escapes_into_a_log():
    record = logging.LogRecord("hybrid", logging.WARNING, "", 0, "%s failed", ("a\x1b[2J\nb",), None)
    assert log.OneLineFormatter("%(message)s").format(record) == "a\\x1b[2J b failed"
