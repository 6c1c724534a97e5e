from dataclasses import dataclass, field

import pytest

from hybrid.base.config import config_from_dict, read_config, write_config
from hybrid.base.errors import InputError


@dataclass(frozen=True)
class Inner:
    beam: float = 10.0

    def __post_init__(self):
        if self.beam <= 0:
            raise ValueError(f"beam is {self.beam}, wanted more than 0")


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    widths: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)


def test_write_read_is_identity(tmp_path):
    config = Outer("y", (3,), Inner(2.5))
    write_config(tmp_path / "c.yaml", config)
    assert read_config(Outer, tmp_path / "c.yaml") == config


def test_missing_settings_keep_their_defaults():
    assert config_from_dict(Outer, {"inner": {"beam": 3}}) == Outer(inner=Inner(3.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: y", r"c\.yaml: unknown setting 'nmae'\. Settings are: name, widths, inner"),
        ("inner: {beam: -1}", r"beam is -1\.0, wanted more than 0"),
        ("- 1", "holds a list"),
        ("a: [", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_config(Outer, tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)
