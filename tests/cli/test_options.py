from dataclasses import dataclass, field
from typing import Literal

import click
from click.testing import CliRunner

from hybrid.cli.options import config_options, make_config


@dataclass(frozen=True)
class Config:
    beam: float = field(default=13.0, metadata={"help": "Width in nats."})
    kind: Literal["a", "b"] = "a"
    careful: bool = True
    widths: tuple[int, ...] = (1, 2)
    limit: int | None = None

    def __post_init__(self):
        if self.beam <= 0:
            raise ValueError(f"beam is {self.beam}, wanted more than 0")


@click.command(context_settings={"show_default": True})
@config_options(Config)
def command(**options):
    click.echo(repr(make_config(Config, options)))


def test_defaults_come_from_the_dataclass():
    assert CliRunner().invoke(command, []).output.strip() == repr(Config())
    assert "Width in nats.  [default: 13.0]" in CliRunner().invoke(command, ["--help"]).output


def test_options_set_fields():
    options = ["--beam", "2", "--kind", "b", "--no-careful", "--widths", "5", "--limit", "7"]
    assert CliRunner().invoke(command, options).output.strip() == repr(Config(2.0, "b", False, (5,), 7))


def test_a_refused_value_is_a_usage_error():
    result = CliRunner().invoke(command, ["--beam", "-1"])
    assert result.exit_code == 2
    assert "beam is -1.0, wanted more than 0" in result.output
