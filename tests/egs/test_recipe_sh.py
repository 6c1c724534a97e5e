"""What run.sh scripts share: options, stages, help; and the form of every recipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

RECIPES = ("yesno", "fsdd", "librispeech", "assistant")
BODY = """
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/recipe.sh"
option corpus_dir /somewhere "where the corpus is"
option weight 10 "larger is heavier"
start "$@"
if stage 1 "First."; then echo "one $weight $corpus_dir"; fi
if stage 2 "Second."; then step work --out made -- touch made; echo two; fi
if stage 3 "Third."; then false; echo unreachable; fi
"""


@pytest.fixture
def recipe(root: Path, tmp_path: Path) -> Path:
    """A recipe of three stages in a copy of the project's layout."""
    folder = tmp_path / "project" / "egs" / "small"
    folder.mkdir(parents=True)
    (tmp_path / "project" / "scripts").symlink_to(root / "scripts")
    (folder / "run.sh").write_text("#!/usr/bin/env bash" + BODY)
    return folder / "run.sh"


def run(recipe: Path, environment: dict[str, str], *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(recipe), *words], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )


def test_stages(recipe: Path, environment: dict[str, str]) -> None:
    done = run(recipe, environment, "--stop-stage", "2", "--weight=7")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "one 7 /somewhere\ntwo\n"
    assert "stage 1: First.\n" in done.stderr
    assert (recipe.parent / "made").exists()
    assert run(recipe, environment, "--stage", "2", "--stop-stage", "2").stdout == "two\n"


def test_a_failing_command_ends_the_recipe(recipe: Path, environment: dict[str, str]) -> None:
    done = run(recipe, environment, "--stage", "3")
    assert done.returncode == 1
    assert "unreachable" not in done.stdout


def test_work_folder_and_paths_count_from_the_user(recipe: Path, environment: dict[str, str], tmp_path: Path) -> None:
    done = run(
        recipe, environment, "--work-dir", "out", "--corpus-dir", "speech", "--stop-stage", "2", cwd=tmp_path
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == f"one 10 {tmp_path}/speech"
    assert (tmp_path / "out" / "made").exists()


def test_sets_in_several_folders(recipe: Path, environment: dict[str, str], tmp_path: Path) -> None:
    text = recipe.read_text().replace('echo "one', 'holding dev "$corpus_dir"; echo; echo "one')
    recipe.write_text(text)
    for folder in ("a/train", "b/dev", "with,comma/dev"):
        (tmp_path / folder).mkdir(parents=True)
    for given, found in (("a,b", "b"), ("b", "b"), ("a,c", "a"), ("with,comma", "with,comma")):
        done = run(recipe, environment, "--corpus-dir", given, "--stop-stage", "1", cwd=tmp_path)
        assert done.stdout.splitlines()[0] == f"{tmp_path}/{found}", done.stderr


def test_help_and_wrong_options(recipe: Path, environment: dict[str, str]) -> None:
    text = run(recipe, environment, "--help").stdout
    assert "--corpus-dir" in text
    assert "larger is heavier (default: 10)" in text
    assert text.endswith("stages:\n  1   First.\n  2   Second.\n  3   Third.\n")
    for words, message in (
        (("--wieght", "7"), "no option --wieght; --help lists them"),
        (("7",), "'7' is no option; --help lists them"),
        (("--weight",), "--weight wants a value"),
    ):
        done = run(recipe, environment, *words)
        assert done.returncode == 2
        assert message in done.stderr


@pytest.mark.parametrize("name", RECIPES)
def test_form(root: Path, environment: dict[str, str], name: str) -> None:
    file = root / "egs" / name / "run.sh"
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    assert "scripts/recipe.sh" in text
    assert "rm -r" not in text
    for place in ("/home/", "/tmp/", "/work/"):
        assert place not in text
    usage = run(file, environment, "--help").stdout
    for option in ("--stage", "--stop-stage", "--jobs", "--work-dir"):
        assert option in usage
    stages = usage.partition("stages:\n")[2].splitlines()
    assert [int(line.split()[0]) for line in stages] == list(range(1, len(stages) + 1)) and len(stages) > 5


def test_settings_of_networks(root: Path) -> None:
    """Every file of settings can be read, and its network built, without a training; also for a GPU."""
    from hybrid.nnet.network import build_network
    from hybrid.train.nnet.settings import settings_of

    names = {"chain", "chain_long", "chain_fmllr", "conformer", "flat", "full_sum", "xent", "smbr"}
    files = [file for file in sorted(root.glob("egs/*/conf/**/*.yaml")) if file.stem in names]
    assert {file.parent.parent.name for file in files} >= {"librispeech", "conf", "fsdd", "yesno", "assistant"}
    for file in files:
        config = settings_of(file).config
        assert build_network(config.architecture, config.network, 40, 50).num_pdfs == 50


def dry(root: Path, *lines: str, step: str = 'printf "%s\\t" "$@"; echo') -> subprocess.CompletedProcess:
    """Runs lines of a recipe in which a step does nothing but print its words, or fails."""
    begin = ["set -euo pipefail; recipe=egs/a device=cpu threads=1 jobs=1", f"step() {{ {step}; }}"]
    begin += [f'. "{root}/scripts/{part}.sh"' for part in ("ladder", "chain")]
    words = ["bash", "-c", "\n".join([*begin, "ladder exp/feats/train", *lines])]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("source", "option"), [("data/train", "--cuts"), ("exp/hires/train", "--feats")])
def test_networks_learn_from_audio_or_from_features(root: Path, source: str, option: str) -> None:
    done = dry(root, f"chain_train chain {source}")
    wanted = ["--config", "egs/a/conf/chain.yaml", option, source, "--tree", "exp/chain_tree"]
    assert "\t".join(wanted) in done.stdout


STAGES_OF_NETWORKS = {
    "chain": ("chain_parts tri3b 1200 500", "chain_train chain data/train"),
    "flat": ("flat_parts 500", "chain_train flat data/train"),
    "full_sum": ("full_sum_parts 500 train", "chain_train full_sum data/train"),
    "xent": ("xent_train xent tri3b data/train",),
    "smbr": ("hires train", "lattices_train smbr chain ug train"),
}
GIVEN = {"chain": {"tri3b", "tri3b_ali"}, "xent": {"tri3b", "tri3b_ali"}, "smbr": {"chain", "chain/graph_ug"}}


@pytest.mark.parametrize("name", STAGES_OF_NETWORKS)
def test_stages_of_networks_hang_together(root: Path, name: str) -> None:
    """Dry: what a step takes is made before it or given, commands have their options, and the network comes last."""
    from hybrid.cli.main import command as main

    done = dry(root, *STAGES_OF_NETWORKS[name])
    assert done.returncode == 0, done.stderr
    made = {f"exp/{place}" for place in GIVEN.get(name, ())}
    for line in done.stdout.splitlines():
        step, run = line.rstrip("\t").split("\t--\t")
        words = step.split("\t")
        taken = {words[n + 1] for n, word in enumerate(words) if word == "--in"}
        assert {place for place in taken if not place.startswith(("data/", "exp/feats/", "egs/a/conf/"))} <= made
        made.add(words[words.index("--out") + 1])
        called = run.split("\t")
        context, found = click.Context(main), main
        for word in called[1:]:
            found = found.get_command(context, word) if isinstance(found, click.Group) else found
        options = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in called if word.startswith("--")} <= options, run
    assert f"exp/{name}" in made and words[0] == name


def test_full_sum_needs_no_gmm(root: Path) -> None:
    done = dry(root, *STAGES_OF_NETWORKS["full_sum"])
    assert "tri" not in done.stdout.replace("--tree", "").replace("_tree", "")
    last = done.stdout.splitlines()[-1]
    assert "conf/chain.yaml" in last and "--sup\texp/full_sum_sup" in last and "--den\texp/flat_den" in last


def test_a_stage_of_networks_ends_at_the_first_failure(root: Path) -> None:
    """`parts && train` would not: bash goes on inside a function that is not last in such a list."""
    done = dry(root, "full_sum_parts 500 train", step='echo "$1"; [ "$1" != full_sum_hmm ]')
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1] == "full_sum_hmm"
    for file in sorted(root.glob("egs/*/run.sh")):
        assert not [
            line
            for line in file.read_text(encoding="utf-8").splitlines()
            if "_parts" in line and "&& chain_train" in line
        ]


def test_options_of_the_whole_of_librispeech(root: Path, environment: dict[str, str]) -> None:
    usage = run(root / "egs/librispeech/run.sh", environment, "--help").stdout
    lines = (root / "egs/librispeech/conf/960/options").read_text(encoding="utf-8").splitlines()
    given = dict(line.split() for line in lines if not line.startswith("#"))
    assert all(f"  {name} " in usage for name in given)
    for model in given["--models"].split(","):
        name = model.replace("_sp", "")
        assert f"{name}:" in usage or name in ("mono", "tri1", "tri2b", "tri3b")
    for name in ("chain", "conformer"):
        assert (root / given["--conf-dir"] / f"{name}.yaml").exists()


def test_shared_part_stops_at_errors(root: Path) -> None:
    assert "set -euo pipefail" in (root / "scripts" / "recipe.sh").read_text()


@pytest.mark.parametrize("name", RECIPES)
def test_committed_results_agree(root: Path, name: str) -> None:
    from hybrid.score.results import BEGIN, END, format_table, read_results

    if not (root / "egs" / name / "RESULTS.tsv").exists():
        pytest.skip(f"egs/{name} has no RESULTS.tsv yet")
    rows = read_results(root / "egs" / name / "RESULTS.tsv")
    assert rows
    assert any(row.system == "mono" for row in rows)
    document = (root / "egs" / name / "RESULTS.md").read_text(encoding="utf-8")
    assert document.partition(BEGIN)[2].partition(END)[0] == "\n" + format_table(rows)
    assert f"bash egs/{name}/run.sh" in document


@pytest.mark.parametrize(
    ("models", "smbr_from", "taken"),
    [
        ("mono,chain,chain_fmllr,joint", "chain", "chain"),
        ("chain,chain_long,chain_fmllr,smbr,joint", "chain", "chain_long smbr"),
        ("chain,chain_long,chain_fmllr,smbr,joint", "chain_long", "chain smbr"),
        ("chain,xent,chain_fmllr,smbr,joint", "xent", "chain"),
    ],
)
def test_joint_takes_what_smbr_made_of_a_network(root: Path, models: str, smbr_from: str, taken: str) -> None:
    assert dry(root, f"smbr_from={smbr_from}", f"unadapted_of {models}").stdout == taken
