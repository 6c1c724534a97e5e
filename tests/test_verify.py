"""`hybrid doctor --verify`: an artifact, and everything it was made from that still lies where it was."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from hybrid.base.artifact import write_meta
from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.verify import verify


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """audio manifest → features → model → lattices, and an LM beside; a folder that may be moved as a whole."""
    root = tmp_path / "root"
    for name in ("data", "feats/blocks", "exp/mono/decode"):
        (root / name).mkdir(parents=True)
    (root / "data" / "cuts.jsonl.gz").write_text("cuts")
    write_meta(root / "data", "data", files=["cuts.jsonl.gz"])
    (root / "feats" / "blocks" / "0.f32").write_bytes(bytes(8))
    write_meta(root / "feats", "features", None, {"cuts": root / "data" / "cuts.jsonl.gz"}, {"digest": "d" * 64})
    (root / "exp" / "mono" / "final.safetensors").write_bytes(b"weights")
    inputs = {"features": (root / "feats", "d" * 64), "tree": "a" * 64}
    write_meta(root / "exp" / "mono", "gmm", None, inputs, files=["final.safetensors"])
    (root / "lm.arpa").write_text("arpa")
    write_meta(root / "lm.arpa", "arpa")
    (root / "exp" / "mono" / "decode" / "lat.1.gz").write_bytes(b"lattices")
    inputs = {"model": root / "exp" / "mono" / "meta.json", "lm": root / "lm.arpa"}
    write_meta(root / "exp" / "mono" / "decode", "lattices", None, inputs)
    return root


def states(*paths: Path) -> dict[str, str]:
    return {Path(v.path).name: v.state for v in verify(paths) if v.state != "ok"}


def test_a_whole_chain(chain: Path, tmp_path: Path) -> None:
    assert states(chain / "exp" / "mono" / "decode") == {}
    found = [Path(v.path).name for v in verify([chain / "exp" / "mono" / "decode"])]
    assert {"lat.1.gz", "meta.json", "final.safetensors", "feats", "0.f32", "cuts.jsonl.gz", "lm.arpa"} == set(found)
    shutil.move(chain, tmp_path / "elsewhere")
    assert states(tmp_path / "elsewhere" / "exp" / "mono" / "decode") == {}


@pytest.mark.parametrize(
    "name",
    ["exp/mono/decode/lat.1.gz", "exp/mono/final.safetensors", "feats/blocks/0.f32", "data/cuts.jsonl.gz", "lm.arpa"],
)
def test_a_change_anywhere_is_found(chain: Path, name: str) -> None:
    found = bytearray((chain / name).read_bytes())
    found[-1] ^= 0x80
    (chain / name).write_bytes(found)
    assert states(chain / "exp" / "mono" / "decode") == {Path(name).name: "changed"}
    assert states(chain / name) == {Path(name).name: "changed"}


def test_what_is_gone_is_told_apart(chain: Path) -> None:
    (chain / "lm.arpa").unlink()
    (chain / "data" / "cuts.jsonl.gz").unlink()
    (chain / "exp" / "mono" / "final.safetensors").unlink()
    (chain / "feats" / "meta.json").unlink()
    found = states(chain / "exp" / "mono" / "decode")
    assert found == {"lm.arpa": "not found", "final.safetensors": "missing", "feats": "no record"}


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "a/../../x"])
def test_a_record_that_names_files_elsewhere_is_told(chain: Path, name: str) -> None:
    meta = chain / "exp" / "mono" / "meta.json"
    record = json.loads(meta.read_text())
    meta.write_text(json.dumps(record | {"files": {name: "0" * 64}}))
    found = [v for v in verify([chain / "exp" / "mono"]) if v.bad]
    assert len(found) == 1 and f"'files' names '{name}', which does not lie in the artifact" in found[0].text


def test_inputs_that_never_end_are_not_read(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(chain / "pipe")
    meta = chain / "exp" / "mono" / "meta.json"
    record = json.loads(meta.read_text())
    monkeypatch.setattr("hybrid.verify.MAX_FILES", 3)
    record["paths"] = {"a": "/dev/zero", "b": "../../pipe", "c": "../.."}
    meta.write_text(json.dumps(record | {"inputs": dict.fromkeys("abc", "0" * 64)}))
    found = [v.text for v in verify([meta.parent]) if v.bad]
    assert len(found) == 3 and all("is no plain file or small folder" in text for text in found)


def test_an_older_artifact_has_no_record(chain: Path, forget_files) -> None:
    forget_files(chain / "feats")
    assert states(chain / "feats") == {"feats": "no record"}


def test_the_command(chain: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(command, ["doctor", *(str(a) for a in arguments)])
        return result.exit_code, result.output

    assert run("--verify", chain / "exp" / "mono") == (0, "5 ok, 0 changed\n")
    (chain / "exp" / "mono" / "final.safetensors").write_bytes(b"-weights")
    code, text = run("--verify", chain / "exp" / "mono")
    assert code == 1 and text.startswith(f"changed   {chain}/exp/mono/final.safetensors: found hash ")
    assert "meta.json records hash " in text and text.endswith("4 ok, 1 changed\n")
    code, text = run("--verify", "--json", chain / "exp" / "mono")
    assert code == 1 and {v["state"] for v in json.loads(text)} == {"ok", "changed"}
    assert run("--verify")[0] == 2 and run(chain)[0] == 2
    with pytest.raises(InputError, match="there is nothing to verify"):
        list(verify([chain / "nothing"]))
