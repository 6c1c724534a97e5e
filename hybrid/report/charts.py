"""Curves of confidence as SVG, without a library: reliability diagram and deferral curve."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from hybrid.confidence.quality import Deferral, Reliability

__all__ = ["deferral_chart", "reliability_chart"]

WIDTH, HEIGHT, MARGIN = 360, 260, 44
Points = Sequence[tuple[float, float]]


def _frame(title: str, across: str, up: str, body: str, x_max: float, y_max: float, percent: str) -> str:
    """A picture with axes from 0 to the two ends, five marks each."""
    ticks = []
    for n in range(6):
        x, y = _place((n / 5, n / 5), 1, 1)
        ticks.append(
            f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 16}" text-anchor="middle">{x_max * n / 5:.3g}{percent}</text>'
        )
        ticks.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{y_max * n / 5:.3g}</text>')
        ticks.append(f'<path class="grid" d="M{MARGIN} {y:.1f}H{WIDTH - 8}"/>')
    labels = (
        f'<text class="name" x="{(MARGIN + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{html.escape(across)}</text>"
        f'<text class="name" transform="translate(12 {(HEIGHT - MARGIN) / 2 + 8}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(up)}</text>"
    )
    name = html.escape(title, quote=True)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>'
        f"{''.join(ticks)}{labels}{body}</svg>"
    )


def _place(point: tuple[float, float], x_max: float, y_max: float) -> tuple[float, float]:
    x = MARGIN + (WIDTH - 8 - MARGIN) * point[0] / x_max
    return x, HEIGHT - MARGIN - (HEIGHT - MARGIN - 8) * point[1] / y_max


def _line(points: Points, x_max: float, y_max: float, kind: str) -> str:
    places = " ".join("{:.1f},{:.1f}".format(*_place(point, x_max, y_max)) for point in points)
    return f'<polyline class="{kind}" points="{places}"/>'


def reliability_chart(raw: Reliability, calibrated: Reliability | None) -> str:
    """Returns confidence against the share of right words; dots are as large as their bins are full."""
    body = _line([(0, 0), (1, 1)], 1, 1, "ideal")
    for found, kind in ((raw, "raw"), (calibrated, "mended")):
        if found is None:
            continue
        points = list(zip(found.confidence.tolist(), found.accuracy.tolist()))
        body += _line(points, 1, 1, kind)
        for point, count in zip(points, found.counts.tolist()):
            x, y = _place(point, 1, 1)
            size = 2 + 5 * (count / max(found.counts.sum(), 1)) ** 0.5
            body += (
                f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"><title>{count} words</title></circle>'
            )
    return _frame("reliability of the confidences", "confidence", "share of right words", body, 1, 1, "")


def deferral_chart(raw: Deferral, calibrated: Deferral | None) -> str:
    """Returns the error rate of what is kept against the share that is deferred."""
    top = max(float(raw.kept[0]), 1e-9) * 1.1
    body = _line(_curve(raw.deferred, raw.ideal), 100, top, "ideal") + _line(
        _curve(raw.deferred, raw.kept), 100, top, "raw"
    )
    if calibrated is not None:
        body += _line(_curve(calibrated.deferred, calibrated.kept), 100, top, "mended")
    return _frame("deferral", "utterances deferred, the least sure first", "WER of the rest, %", body, 100, top, " %")


def _curve(shares: np.ndarray, rates: np.ndarray) -> Points:
    step = max(1, len(shares) // 200)
    return [(100.0 * float(s), float(r)) for s, r in zip(shares[::step], rates[::step])]
