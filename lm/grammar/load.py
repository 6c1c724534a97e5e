"""Reading of a grammar with all that it imports: files to one `Grammar`.

JSGF finds `<dates.month>` in `dates.gram` or `dates.jsgf` beside the file that asks (`a.b.dates` also in `a/b/`); SRGS
finds `dates.grxml#month` there. Nothing outside that folder is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import read_bytes
from lm.grammar.jsgf import GrammarFile, Import, parse_jsgf
from lm.grammar.rules import check_rules
from lm.grammar.srgs import parse_srgs
from lm.grammar.values import Grammar, Node, Ref, Rule, over

__all__ = ["MAX_FILES", "read_grammar", "read_grammar_file"]

ENDINGS = (".gram", ".jsgf")
MAX_FILES = 1000
_ENCODING = re.compile(rb"\s*#JSGF[ \t]+V1\.0[ \t]+([\w.:-]{1,40})", re.I)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_grammar(path: str | os.PathLike, rule: str | None = None) -> Grammar:
    """Reads a JSGF or SRGS file and what it imports.

    Args:
      rule: the one that is a sentence, public or not; None: the root, or all public ones.

    Raises:
      InputError: missing, damaged, no grammar; a rule or import that is not there, imports in a circle; recursion that
        is no right recursion; nothing that can be said.
    """
    files: dict[Path, GrammarFile] = {}
    top = _resolved(Path(path))
    _load(top, str(path), (), files)
    main = files[top]
    roots = (rule,) if rule is not None else main.roots
    if rule is not None and rule not in main.rules:
        raise InputError.at(path, f"has no rule '{quote(rule)}'", f"It has {_some(main.rules)}.")
    if not roots:
        cure = 'Write `public` before the rule that is a sentence; in SRGS name it: root="RULE".'
        raise InputError.at(path, "has no public rule", cure)
    names = _prefixes(files, top)
    rules: dict[str, Rule] = {}
    for file, parsed in files.items():
        imported = [(one, _resolved(_file_of(parsed, one))) for one in parsed.imports]
        for own in parsed.rules.values():
            body = _linked(own.body, names[file], parsed, [(one, files[to], names[to]) for one, to in imported])
            rules[names[file] + own.name] = replace(own, name=names[file] + own.name, body=body)
    grammar = Grammar(main.name, rules, tuple(roots), str(path))
    check_rules(grammar)
    return grammar


def read_grammar_file(path: str | os.PathLike) -> GrammarFile:
    """Reads one file: XML where its first sign is `<`, else JSGF.

    Raises:
      InputError: missing, in no encoding that is known, or no grammar.
    """
    data = read_bytes(path)
    mark = next((name for start, name in _MARKS if data.startswith(start)), "")
    if (data.decode(mark, "replace") if mark else data.decode("latin-1")).lstrip("\ufeff \t\r\n").startswith("<"):
        return parse_srgs(data, str(path))
    found = _ENCODING.match(data)
    encoding = mark or (found[1].decode("ascii") if found else "utf-8")
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise InputError.at(
            path, f"'{quote(encoding)}' is no encoding", "Name it in the first line, e.g. UTF-8.", 1
        ) from error
    except ValueError as error:
        start = getattr(error, "start", 0)
        what = f"byte 0x{data[start]:02x} is not {quote(encoding.upper())} text" if start < len(data) else str(error)
        cure = "Name the file's encoding in its first line, e.g. `#JSGF V1.0 ISO8859-1;`."
        raise InputError.at(path, what, cure, data.count(b"\n", 0, start) + 1) from error
    if "\0" in text:
        raise InputError.at(path, "holds zero bytes, wanted text", "Name its encoding in the first line.")
    return parse_jsgf(text.replace("\r\n", "\n"), str(path))


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path  # reading tells what is wrong


def _load(path: Path, shown: str, asking: tuple[Path, ...], files: dict[Path, GrammarFile]) -> None:
    """Reads a file and, before others, those that it imports."""
    if len(files) >= MAX_FILES:
        raise InputError.at(shown, f"is one of more than {MAX_FILES} imported files", "Join some.")
    files[path] = parsed = read_grammar_file(shown)
    for wanted in parsed.imports:
        other = _file_of(parsed, wanted)
        target = _resolved(other)
        if target in (*asking, path):
            chain = [one.name for one in (*asking, path, target)]
            chain = chain[chain.index(target.name) :]
            found = "imports itself" if len(chain) == 2 else f"is imported in a circle: {' → '.join(map(quote, chain))}"
            raise InputError.at(parsed.path, found, "Put the rules that both need into a third file.", wanted.line)
        if len(asking) > 100:
            raise InputError.at(parsed.path, "imports files more than 100 deep", "Join some.", wanted.line)
        if target not in files:
            _load(target, str(other), (*asking, path), files)
        _public(parsed, wanted, files[target])


def _file_of(file: GrammarFile, wanted: Import) -> Path:
    """Returns where an imported grammar lies."""
    folder = Path(file.path).parent
    tried = _places(wanted.grammar)
    for name in tried:
        if name.is_absolute() or ".." in name.parts or ":" in str(name):
            cure = "Put the grammar beside this one; nothing is fetched."
            raise InputError.at(
                file.path, f"imports '{quote(wanted.grammar)}', wanted a file beside it", cure, wanted.line
            )
        if os.path.isfile(folder / name):  # Path.is_file raises where a name is too long
            return folder / name
    shown = ", ".join(quote(name, 60) for name in tried)
    cure = f"Make one of {shown} beside {quote(file.path, 200)}." if len(tried) > 1 else f"Make {shown} there."
    raise InputError.at(file.path, f"imports '{quote(wanted.grammar)}', which is not there", cure, wanted.line)


def _places(name: str) -> list[Path]:
    if "/" in name or Path(name).suffix in (".grxml", ".xml", ".srgs"):
        return [Path(name)]
    parts = name.split(".")
    forms = dict.fromkeys(["/".join(parts), name, parts[-1]])
    return [Path(form + ending) for form in forms for ending in ENDINGS] + ([Path(name)] if "." in name else [])


def _public(file: GrammarFile, wanted: Import, other: GrammarFile) -> None:
    """Checks that what is imported may be."""
    if wanted.rule in ("*", ""):
        if not other.roots:
            raise InputError.at(
                file.path, f"imports {quote(other.path)}, which has no public rule", "Make one public.", wanted.line
            )
        return
    found = other.rules.get(wanted.rule)
    if found is None or not (found.public or wanted.rule in other.roots):
        what = "is not public" if found else "is no rule"
        cure = f"Public there: {_some(other.roots)}."
        raise InputError.at(file.path, f"<{quote(wanted.rule)}> {what} of {quote(other.path)}", cure, wanted.line)


def _prefixes(files: dict[Path, GrammarFile], top: Path) -> dict[Path, str]:
    """Returns what stands before the rules of each file: nothing for the first; a name that no other has."""
    prefixes: dict[Path, str] = {}
    for path, file in files.items():
        name = file.name if path.suffix in ENDINGS else path.stem
        number = sum(prefix in (f"{name}.", f"{name}_{n}.") for n, prefix in enumerate(prefixes.values()))
        prefixes[path] = "" if path == top else f"{name}_{number}." if number else f"{name}."
    return prefixes


Linked = tuple[Import, GrammarFile, str]


def _linked(node: Node, prefix: str, file: GrammarFile, imported: Sequence[Linked]) -> Node:
    """Returns a part whose references have the names of the whole grammar."""

    def link(one: Node) -> Node:
        """The same part, with what its references lead to."""
        if not isinstance(one, Ref):
            return over(one, link)
        if one.name in file.rules:
            return replace(one, name=prefix + one.name)
        found = {found for linked in imported for found in _meant(one.name, *linked)}
        if len(found) == 1:
            return replace(one, name=found.pop())
        what = f"<{quote(one.name)}> is no rule" if not found else f"<{quote(one.name)}> is imported from two grammars"
        cure = "Name the grammar: <grammar.rule>." if found else f"Add it, or import it; there are {_some(file.rules)}."
        raise InputError.at(file.path, what, cure, one.line)

    return link(node)


def _meant(name: str, wanted: Import, other: GrammarFile, prefix: str) -> list[str]:
    """Returns the rule that a reference means by an import, in a list, or an empty one."""
    if "#" in name:
        file, _, rule = name.partition("#")
        return [prefix + (rule or other.roots[0])] if (file, rule) == (wanted.grammar, wanted.rule) else []
    grammar, _, rule = name.rpartition(".")
    fits = not grammar or f".{wanted.grammar}".endswith(f".{grammar}")
    public = other.rules.get(rule) is not None and other.rules[rule].public
    return [prefix + rule] if fits and public and wanted.rule in ("*", rule) else []


def _some(names: Iterable[str]) -> str:
    shown = [quote(name, 40) for name in names]
    return ", ".join(shown[:8]) + (", …" if len(shown) > 8 else "")
