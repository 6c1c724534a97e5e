"""The page: its frame, tables and charts as HTML with every text escaped, its utterances as data for its script.

Nothing is fetched: style, script, sounds and pictures are in the file, and its content policy forbids all else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from hybrid.confidence.facts import utterance_confidence
from hybrid.report.charts import deferral_chart, reliability_chart
from hybrid.report.collect import SystemResult
from hybrid.score.edits import ErrorCounts, align
from hybrid.score.significance import BootstrapConfig, mapsswe, paired_bootstrap

__all__ = ["Sound", "render"]

TOP = 15  # rows of confusions
Sound = tuple[str, str, float]  # audio, picture (data URIs), seconds


def render(
    title: str, systems: Sequence[SystemResult], speakers: Mapping[str, str], sounds: Mapping[str, Sound],
    config: BootstrapConfig | None = None,
) -> str:  # fmt: skip
    """Returns the whole page.

    Args:
      systems: one, or two over the same references, the first of which is in question.
      speakers: utterance → speaker. sounds: utterance → its sound, for some.
    """
    style, script = (
        resources.files("hybrid.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    body = [f"<h1>{_text(title)}</h1>", _totals(systems)]
    body += [_comparison(systems, config or BootstrapConfig())] if len(systems) > 1 else []
    body += [_speakers(systems), _confidence(systems), _confusions(systems), _finder(speakers)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_text(title)}</title>'
        f"<style>{style}</style></head>\n<body>\n{''.join(body)}\n"
        f'<script type="application/json" id="data">{_json(_data(systems, speakers, sounds))}</script>\n'
        f"<script>{script}</script>\n</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _json(value: Any) -> str:
    """JSON that ends no script element, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    titles = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _counts(counts: ErrorCounts) -> list[str]:
    return [f"{counts.rate:.2f}", *(str(n) for n in (counts.insertions, counts.deletions, counts.substitutions))]


def _totals(systems: Sequence[SystemResult]) -> str:
    rows, facts = [], []
    for one in systems:
        found = one.score
        total, sentences = found.words.total(), len(found.words.ids)
        interval = f"{found.interval.low:.2f} – {found.interval.high:.2f}"
        share = f"{100 * found.sentence_errors / max(sentences, 1):.1f}"
        rate, *kinds = _counts(total)
        rows.append(
            [one.name, rate, interval, *kinds, total.words, f"{found.characters.total().rate:.2f}", share, sentences]
        )
        items = "".join(f"<dt>{_text(k)}</dt><dd>{_text(v)}</dd>" for k, v in one.facts.items())
        facts.append(
            f"<details><summary>{_text(one.name)}</summary><dl class='facts'>{items}</dl></details>" if items else ""
        )
    level = f"{100 * systems[0].score.level:g} % interval"
    head = ("system", "WER %", level, "ins", "del", "sub", "words", "CER %", "sentences wrong %", "utterances")
    return f"<section id='totals'><h2>Word error rate</h2>{_table(head, rows)}{''.join(facts)}</section>"


def _comparison(systems: Sequence[SystemResult], config: BootstrapConfig) -> str:
    first, second = systems
    found = paired_bootstrap(first.score.words, second.score.words, config)
    pairs = {u: (r, h, second.pairs[u][1]) for u, (r, h) in first.pairs.items()}
    test = mapsswe(pairs)
    rows = [
        ("difference of WER, points", f"{found.difference:+.2f}"),
        (f"{100 * config.level:g} % interval (paired bootstrap)", f"{found.low:+.2f} – {found.high:+.2f}"),
        ("resampled sets on which the first is better", f"{100 * found.p_better:.1f} %"),
        ("MAPSSWE: segments", test.segments),
        ("MAPSSWE: z, negative if the first is better", f"{test.statistic:+.2f}"),
        ("MAPSSWE: p, two-tailed", f"{test.p_value:.3g}"),
    ]
    names = f"{first.name} against {second.name}"
    return f"<section id='comparison'><h2>Two systems</h2>{_table((names, ''), rows)}</section>"


def _speakers(systems: Sequence[SystemResult]) -> str:
    names = systems[0].score.speakers
    if not names:
        return ""
    head = [
        "speaker",
        "words",
        *(c for one in systems for c in (f"WER % {one.name}" if systems[1:] else "WER %", "ins", "del", "sub")),
    ]
    rows = [
        [name, names[name].words, *(c for one in systems for c in _counts(one.score.speakers[name]))] for name in names
    ]
    return f"<section id='speakers'><h2>Speakers</h2>{_table(head, rows)}</section>"


def _confidence(systems: Sequence[SystemResult]) -> str:
    parts = []
    for one in systems:
        if one.raw is None:
            continue
        mended = one.calibrated
        lines = [f"<span class='raw'>● posteriors: {_text(one.raw)}</span>"]
        lines += [f"<span class='mended'>● calibrated: {_text(mended)}</span>"] if mended else []
        charts = reliability_chart(one.raw.reliability, None if mended is None else mended.reliability)
        charts += deferral_chart(one.raw.deferral, None if mended is None else mended.deferral)
        parts.append(
            f"<h3>{_text(one.name)}</h3><div class='side'>{charts}</div><p class='key'>{'<br>'.join(lines)}</p>"
        )
    return f"<section id='confidence'><h2>Confidence</h2>{''.join(parts)}</section>" if parts else ""


def _confusions(systems: Sequence[SystemResult]) -> str:
    parts = []
    for one in systems:
        found = one.score.confusions
        columns: list[tuple[str, list[tuple[str, str, int]]]] = [
            ("substitutions", [(f"{a} → {b}", f"{a} {b}", n) for (a, b), n in found.substitutions.most_common(TOP)]),
            ("deletions", [(w, w, n) for w, n in found.deletions.most_common(TOP)]),
            ("insertions", [(w, w, n) for w, n in found.insertions.most_common(TOP)]),
        ]
        tables = []
        for name, items in columns:
            rows = "".join(
                f'<tr><td><button data-find="{_text(find)}">{_text(shown)}</button></td><td>{n}</td></tr>'
                for shown, find, n in items
            )
            tables.append(f"<div><h3>{name}</h3><table><tbody>{rows}</tbody></table></div>")
        parts.append(f"<h3>{_text(one.name)}</h3><div class='side'>{''.join(tables)}</div>")
    return f"<section id='confusions'><h2>Confusions</h2>{''.join(parts)}</section>"


def _finder(speakers: Mapping[str, str]) -> str:
    options = "".join(f"<option>{_text(name)}</option>" for name in sorted(set(speakers.values())) if name)
    return (
        "<section id='utterances'><h2>Utterances</h2><form id='filter'>"
        "<input name='text' type='search' placeholder='words or id' aria-label='words or id'>"
        "<label><input name='inErrors' type='checkbox'> among the errors</label>"
        f"<select name='speaker' aria-label='speaker'><option value=''>all speakers</option>{options}</select>"
        "<select name='kind' aria-label='kind of error'><option value=''>all errors</option>"
        "<option value='S'>substitutions</option><option value='D'>deletions</option>"
        "<option value='I'>insertions</option>"
        "</select><select name='only' aria-label='which'><option value=''>all</option><option value='wrong'>with errors"
        "</option><option value='differ'>systems differ</option></select><select name='order' aria-label='order'>"
        "<option value='errors'>most errors first</option><option value='rate'>highest rate first</option>"
        "<option value='sure'>least sure first</option><option value='id'>by id</option></select>"
        "<output id='count'></output></form><div id='list'></div><div id='detail'></div>"
        "<noscript>This list needs the page's own script.</noscript></section>"
    )


def _data(systems: Sequence[SystemResult], speakers: Mapping[str, str], sounds: Mapping[str, Sound]) -> dict[str, Any]:
    utterances = []
    for name, (said, _) in systems[0].pairs.items():
        audio, picture, seconds = sounds.get(name, ("", "", 0.0))
        utterances.append(
            {
                "id": name, "speaker": speakers.get(name, ""), "count": len(said), "audio": audio, "picture": picture,
                "seconds": seconds, "systems": [_shown(one, name) for one in systems],
            }
        )  # fmt: skip
    return {"systems": [one.name for one in systems], "utterances": utterances}


def _shown(one: SystemResult, name: str) -> dict[str, Any]:
    said, heard = one.pairs[name]
    view, pairs = one.views[name], align(said, heard)
    return {
        "pairs": pairs, "errors": sum(a != b for a, b in pairs), "words": view.words,
        "times": [[round(t, 3) for t in span] for span in view.times],
        "confidences": [round(c, 4) for c in view.confidences],
        "sure": round(utterance_confidence(np.array(view.confidences)), 4) if view.confidences else -1,
        "nbest": [[round(g, 3), round(a, 3), text] for g, a, text in view.nbest],
        "network": [[round(b, 1), round(e, 1), row] for b, e, row in view.network],
    }  # fmt: skip
