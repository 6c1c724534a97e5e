"""`hybrid doctor`: what is installed, what fits together, what is missing, and the command that mends it."""

from __future__ import annotations

import click


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Says what is installed, what fits together and what is missing, with a cure for each finding.

    Status 1 when something that every command needs is missing or broken.

    Example: hybrid doctor
    """
    import json

    from hybrid.doctor import examine

    report = examine()
    if as_json:
        click.echo(json.dumps([f.__dict__ for f in report], indent=1))
    else:
        for finding in report:
            click.echo(f"{finding.state:8}{finding.name:18}{finding.text}")
            if finding.cure:
                click.echo(f"{'':26}→ {finding.cure}")
    if any(f.state == "broken" for f in report):
        raise SystemExit(1)
