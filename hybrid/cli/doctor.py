"""`hybrid doctor`: what is installed, what fits together, what is missing; whether artifacts are what they were."""

from __future__ import annotations

from pathlib import Path

import click

from hybrid.cli.echo import echo


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--verify", is_flag=True, help="Verify the artifacts PATHS instead, and all that they were made from.")
@click.option("--all", "show_all", is_flag=True, help="With --verify: also list what is as it was.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--compile", "compile_kernels", is_flag=True, help="Compile all kernels beforehand (set-up does it).")
def command(as_json: bool, verify: bool, show_all: bool, paths: tuple[Path, ...], compile_kernels: bool) -> None:
    """Says what is installed, what fits together and what is missing, with a cure for each finding.

    With --verify every file of the artifacts (models, graphs, features, lattices, language models, …) is read and held
    against the hashes recorded when they were made, and so is everything they were made from that still lies where it
    was.

    Status 1 when something that every command needs is missing or broken, or when a file was changed.

    \b
    hybrid doctor
    hybrid doctor --verify exp/tri2b/decode_test
    """
    if verify != bool(paths):
        raise click.UsageError("--verify and PATHS go together: `hybrid doctor --verify exp/mono`")
    if verify:
        _verify(paths, as_json, show_all)
    else:
        if compile_kernels:
            _compile()
        _examine(as_json)


def _compile() -> None:
    from hybrid.cli.main import command as hybrid
    from hybrid.rehearsal import rehearse

    echo("compiling kernels on made-up speech, a few minutes, only now", err=True)
    used, compiled = rehearse(hybrid)
    echo(f"kernels: {used} called, {compiled} signatures compiled, the others were in the cache", err=True)


def _examine(as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from hybrid.doctor import examine

    report = examine()
    if as_json:
        echo(json.dumps([asdict(f) for f in report], indent=1))
    else:
        for finding in report:
            echo(f"{finding.state:8}{finding.name:18}{finding.text}")
            if finding.cure:
                echo(f"{'':26}→ {finding.cure}")
    if any(f.state == "broken" for f in report):
        raise SystemExit(1)


def _verify(paths: tuple[Path, ...], as_json: bool, show_all: bool) -> None:
    import json
    from collections import Counter
    from dataclasses import asdict

    from hybrid.base.errors import one_line
    from hybrid.verify import verify

    found = []
    for verdict in verify(paths):
        found.append(verdict)
        if not as_json and (show_all or verdict.state != "ok"):
            echo(one_line(f"{verdict.state:10}{verdict.path}: {verdict.text}"))
    if as_json:
        echo(json.dumps([asdict(v) for v in found], indent=1))
    else:
        counts = Counter(v.state for v in found)
        states = ("ok", "changed", "missing", "not found", "no record")
        echo(", ".join(f"{counts[s]} {s}" for s in states if counts[s] or s in ("ok", "changed")))
    if any(v.bad for v in found):
        raise SystemExit(1)
