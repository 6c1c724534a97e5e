"""Makes the pages of the documentation site, for mkdocs: python scripts/site_pages.py [FOLDER, by default build/site]

FOLDER/pages/     README, docs/ and the pages of recipes as they lie in the project, so that their links mean the same;
                  commands/: a page for each group of `hybrid`, from click; python/: one for each room, for mkdocstrings
FOLDER/mkdocs.yml docs/mkdocs.yml with the whole table of contents

`bash scripts/docs.sh` runs it and builds the site.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from hybrid.cli.main import GROUPS, command

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**/*.md",
    "egs/*/*.md",
    "egs/*/pretrained/*/*.md",
)
TUTORIALS = ("domain", "kaldi", "mfa", "vosk", "lattices")  # by kind of user
GUIDES = ("data", "lang", "lm", "gmm", "nnet", "align", "graph", "decoding", "search", "rescoring", "confidence")
KERNELS = re.compile(r"_kernels?$")  # compiled loops: their callers are documented


def copy_pages(to: Path) -> list[Path]:
    """Copies pages as they lie; names of pages in backticks become links.

    Raises:
      SystemExit: a page names one that is not there.
    """
    found = sorted({p.relative_to(ROOT) for pattern in PAGES for p in ROOT.glob(pattern)})
    for page in found:

        def link(name: re.Match, page: Path = page) -> str:
            target = Path(name[1])
            if target not in found:
                sys.exit(f"scripts/site_pages.py: {page} names {target}, which is no page. Correct it.")
            return f"[`{target}`]({os.path.relpath(target, page.parent)})"

        text = (ROOT / page).read_text(encoding="utf-8")
        (to / page).parent.mkdir(parents=True, exist_ok=True)
        (to / page).write_text(re.sub(r"(?<![\[\w])`((?:docs|egs)/[\w/.-]+\.md)`", link, text), encoding="utf-8")
    return found


def option_rows(found: click.Command, context: click.Context) -> Iterator[str]:
    """Yields the rows of a table of arguments and options, with their defaults."""
    for parameter in found.params:
        record = parameter.get_help_record(context) or (parameter.make_metavar(context), "")
        names, text = (part.replace("|", "\\|").replace("\n", " ") for part in record)
        yield f"| `{names}` | {text} |"


def command_text(found: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    """Yields the paragraphs of a command and of those below it."""
    yield f"{'#' * depth} {context.command_path}"
    for paragraph in re.split(
        r"\n\s*\n", "\n\n".join(filter(None, (found.help, found.epilog))).replace("\b", "").strip()
    ):
        text = " ".join(paragraph.split())
        label, colon, example = text.partition("Example: ")
        yield f"{label}\n\n```text\n{example}\n```" if colon else text
    rows = list(option_rows(found, context))
    if not isinstance(found, click.Group):
        yield "```text\n" + found.get_usage(context) + "\n```"
    if rows:
        yield "| option | |\n|---|---|\n" + "\n".join(rows)
    if isinstance(found, click.Group):
        for name in found.list_commands(context):
            below = found.get_command(context, name)
            assert below is not None
            yield from command_text(below, click.Context(below, context, name), depth + 1)


def write_commands(folder: Path) -> list[str]:
    """Writes a page for each group of commands; returns their names."""
    folder.mkdir(parents=True)
    context = click.Context(command, info_name="hybrid")
    for name in GROUPS:
        found = command.get_command(context, name)
        assert found is not None
        text = "\n\n".join(command_text(found, click.Context(found, context, name), 1))
        (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    return list(GROUPS)


def rooms() -> dict[str, list[str]]:
    """Returns the modules of each room, without commands, kernels and what is private."""
    found: dict[str, list[str]] = {}
    for package in ("hybrid", "lexicon", "lm"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            if parts[:2] == ("hybrid", "cli") or any(p.startswith("_") or KERNELS.search(p) for p in parts):
                continue
            inside = path.stem != "__init__"
            room = ".".join(parts[:-1] if inside else parts)
            if inside or "__all__" in path.read_text(encoding="utf-8"):
                found.setdefault(room, []).append(".".join(parts))
    return found


def write_python(folder: Path) -> list[str]:
    """Writes a page for each room; returns the rooms."""
    folder.mkdir(parents=True)
    for room, modules in rooms().items():
        parts = [f"# {room}", *(f"## {module}\n\n::: {module}\n" for module in modules)]
        (folder / f"{room}.md").write_text("\n\n".join(parts), encoding="utf-8")
    return list(rooms())


def contents(pages: list[Path], commands: list[str], python: list[str]) -> list:
    """Returns the table of contents, in which every page has its place."""
    docs = [str(page) for page in pages if page.parts[0] == "docs"]
    tutorials, guides = ([f"docs/{name}.md" for name in names] for names in (TUTORIALS, GUIDES))
    decisions = [page for page in docs if page.startswith("docs/decisions/")]
    others = [page for page in docs if page not in {*tutorials, *guides, *decisions}]
    return [
        {"Home": "README.md"},
        {"Tutorials": tutorials},
        {"Guides": guides},
        {"More": [*others, *(str(page) for page in pages if len(page.parts) == 1 and page.name != "README.md")]},
        {"Recipes": [str(page) for page in pages if page.parts[0] == "egs"]},
        {"Decisions": decisions},
        {"Commands": [{name: f"commands/{name}.md"} for name in commands]},
        {"Python": [{room: f"python/{room}.md"} for room in python]},
    ]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    shutil.rmtree(folder / "pages", ignore_errors=True)
    pages = copy_pages(folder / "pages")
    commands = write_commands(folder / "pages" / "commands")
    python = write_python(folder / "pages" / "python")
    settings = {
        "INHERIT": os.path.relpath(ROOT / "docs" / "mkdocs.yml", folder),
        "docs_dir": "pages",
        "site_dir": "html",
        "nav": contents(pages, commands, python),
    }
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")


if __name__ == "__main__":
    main()
