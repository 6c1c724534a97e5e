"""The JSpeech Grammar Format 1.0 (W3C note, 2000): text to values.

    #JSGF V1.0 UTF-8 en;
    grammar phone;
    import <names.contact>;
    public <call> = [please] call (<contact> | /0.1/ everybody {contact=ALL});

A tag belongs to what stands before it, as far as a word, a group or a rule reaches. A recursive-descent parser of
bounded depth; every error has its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import MAX_DEPTH
from lm.grammar.values import GARBAGE, NULL, VOID, Choice, Node, Ref, Repeat, Rule, Tagged, Word, together, walk

__all__ = ["GrammarFile", "Import", "parse_jsgf"]

_SKIPPED = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_HEADER = re.compile(r"\s*#JSGF[ \t]+V1\.0(?:[ \t]+(?P<encoding>[^\s;]+))?(?:[ \t]+(?P<locale>[^\s;]+))?[ \t]*;", re.I)
_TOKENS = re.compile(
    r"""(?P<weight>/\s*[0-9.eE+-]*\s*/)|(?P<rule><[^<>\n]*>)|(?P<tag>\{(?:\\.|[^{}\\])*\})|(?P<quoted>"(?:\\.|[^"\\])*")
    |(?P<sign>[;=|*+()\[\]])|(?P<word>[^\s;=|*+<>()\[\]{}/"]+)""",
    re.DOTALL | re.VERBOSE,
)
_RULE = re.compile(r"[^\s<>{}\"*]+")
_GRAMMAR = re.compile(r"[\w$-]+(\.[\w$-]+)*")
_IMPORT = re.compile(r"[\w$-]+(\.[\w$-]+)*\.(\*|[^\s<>{}\"*.]+)")
SPECIAL: dict[str, Node] = {"NULL": NULL, "VOID": VOID, "GARBAGE": Repeat(Word(GARBAGE), 1, None, 0.9)}


@dataclass(frozen=True)
class Import:
    """A rule, or all public rules (`*`), of another grammar.

    Attributes:
      grammar: its name, or the name of its file. rule: "" for the one that it names as its root.
      line: where it is asked for.
    """

    grammar: str
    rule: str
    line: int


@dataclass(eq=False)
class GrammarFile:
    """One file, whose references are not looked up yet.

    Attributes:
      roots: of SRGS, the rule named as such; of JSGF the public ones.
    """

    path: str
    name: str = ""
    rules: dict[str, Rule] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)
    roots: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def parse_jsgf(text: str, path: str) -> GrammarFile:
    """Parses the text of one file.

    Args:
      path: for errors.

    Raises:
      InputError: with the line of what is no JSGF.
    """
    header = _HEADER.match(text)
    if header is None:
        cure = "Begin the file with `#JSGF V1.0;`."
        raise InputError.at(path, f"begins with '{quote(text.strip()[:20])}', wanted #JSGF V1.0", cure, 1)
    return _Parser(text, header.end(), path).file()


class _Parser:
    """Reads tokens one after the other, one ahead."""

    def __init__(self, text: str, begin: int, path: str) -> None:
        self._path, self._depth = path, 0
        self._tokens = self._scan(text, begin)
        self._next = next(self._tokens)

    def _scan(self, text: str, at: int) -> Iterator[_Token]:
        """Yields the tokens of a text, an empty one at its end."""
        line, counted = 1, 0
        while True:
            if skipped := _SKIPPED.match(text, at):
                at = skipped.end()
            line, counted = line + text.count("\n", counted, at), at
            if at == len(text):
                break
            found = _TOKENS.match(text, at)
            if found is None:
                closing = {"<": "its >", "{": "its }", '"': "its closing quote", "/": "its weight"}.get(text[at])
                if text.startswith("/*", at):
                    closing = "its */"
                raise self._error(f"'{quote(text[at : at + 12])}' " + (
                    f"lacks {closing}" if closing else "has no place here"), line)  # fmt: skip
            yield _Token(str(found.lastgroup), found[0], line)
            at = found.end()
        while True:
            yield _Token("end", "", line)

    def _error(self, found: str, line: int, cure: str = "Mend this line.") -> InputError:
        return InputError.at(self._path, found, cure, line)

    def _take(self, wanted: str = "") -> _Token:
        """Returns the next token, which must be `wanted` where that is given."""
        token = self._next
        if wanted and token.text != wanted:
            raise self._error(f"{_shown(token)} where '{wanted}' was wanted", token.line)
        self._next = next(self._tokens)
        return token

    def file(self) -> GrammarFile:
        """grammar NAME; (import <RULE>;)* ([public] <RULE> = EXPANSION;)*"""
        file = GrammarFile(self._path)
        self._take("grammar")
        name = self._take()
        if name.kind != "word" or not _GRAMMAR.fullmatch(name.text):
            raise self._error(f"{_shown(name)} where the grammar's name was wanted", name.line)
        self._take(";")
        file.name = name.text
        while self._next.text == "import":
            file.imports.append(self._import(file))
        while self._next.kind != "end":
            rule = self._rule()
            if rule.name in file.rules:
                first = file.rules[rule.name].line
                raise self._error(f"rule <{quote(rule.name)}> is there already, in line {first}", rule.line)
            file.rules[rule.name] = rule
        if not file.rules:
            raise self._error("has no rules", self._next.line, "Write `public <name> = words;`.")
        file.roots = tuple(rule.name for rule in file.rules.values() if rule.public)
        file.imports += _unasked(file)
        return file

    def _import(self, file: GrammarFile) -> Import:
        self._take("import")
        token = self._take()
        name = token.text[1:-1]
        if token.kind != "rule" or not _IMPORT.fullmatch(name):
            cure = "Write `import <grammar.rule>;` or `import <grammar.*>;`."
            raise self._error(f"imports {_shown(token)}, wanted a rule", token.line, cure)
        self._take(";")
        grammar, _, rule = name.rpartition(".")
        found = Import(grammar, rule, token.line)
        if again := [one for one in file.imports if (one.grammar, one.rule) == (grammar, rule)]:
            raise self._error(f"imports <{quote(name)}> again, after line {again[0].line}", token.line, "Remove it.")
        return found

    def _rule(self) -> Rule:
        public = self._next.text == "public"
        if public:
            self._take()
        token = self._take()
        if token.kind != "rule":
            raise self._error(f"{_shown(token)} where a rule was wanted", token.line, "Write `<name> = words;`.")
        name = self._name(token)
        if name in SPECIAL or "." in name:
            raise self._error(f"<{quote(name)}> cannot be the name of a rule", token.line, "Choose another.")
        self._take("=")
        body = self._choice()
        self._take(";")
        return Rule(name, body, public, self._path, token.line)

    def _name(self, token: _Token) -> str:
        name = token.text[1:-1]
        if not _RULE.fullmatch(name):
            raise self._error(f"'{quote(token.text)}' is no name of a rule", token.line)
        return name

    def _choice(self) -> Node:
        """SEQUENCE (| SEQUENCE)*, all with a weight or none."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"has groups more than {MAX_DEPTH} deep", self._next.line)
        ways, line = [self._way()], self._next.line
        while self._next.text == "|":
            self._take()
            ways.append(self._way())
        weights = [weight for weight, _ in ways]
        if None in weights and any(weight is not None for weight in weights):
            cure = "Give all ways a weight, or none."
            raise self._error(f"way {weights.index(None) + 1} of {len(ways)} has no weight, others have", line, cure)
        self._depth -= 1
        if len(ways) == 1 and weights[0] is None:
            return ways[0][1]
        return Choice(tuple((1.0 if weight is None else weight, part) for weight, part in ways))

    def _way(self) -> tuple[float | None, Node]:
        weight = self._weight(self._take()) if self._next.kind == "weight" else None
        parts: list[Node] = []
        while self._next.kind in ("word", "quoted", "rule") or self._next.text in ("(", "["):
            parts.append(self._part())
        if not parts:
            cure = "Write words, or <NULL> for silence."
            raise self._error(f"{_shown(self._next)} where words were wanted", self._next.line, cure)
        return weight, together(parts)

    def _weight(self, token: _Token) -> float:
        text = token.text.strip("/").strip()
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1e30:
            raise self._error(f"'{quote(token.text)}' is no weight, wanted /number/, 0 or more", token.line)
        return value

    def _part(self) -> Node:
        """A word, rule or group, with what stands behind it: `*`, `+` and tags."""
        token = self._take()
        part: Node
        if token.kind == "word":
            part = Word(token.text)
        elif token.kind == "quoted":
            part = together([Word(word) for word in re.sub(r"\\(.)", r"\1", token.text[1:-1]).split()])
        elif token.kind == "rule":
            name = self._name(token)
            part = SPECIAL[name] if name in SPECIAL else Ref(name, token.line)
        else:
            part = self._choice()
            self._take(")" if token.text == "(" else "]")
            part = part if token.text == "(" else Repeat(part, 0, 1)
        if self._next.text in ("*", "+"):
            part = Repeat(part, 0 if self._take().text == "*" else 1)
        while self._next.kind == "tag":
            part = Tagged(part, re.sub(r"\\([{}\\])", r"\1", self._take().text[1:-1]).strip())
        return part


def _unasked(file: GrammarFile) -> list[Import]:
    """Returns the imports that full names of rules stand for, which need no `import`."""
    found: dict[tuple[str, str], Import] = {}
    refs = (node for rule in file.rules.values() for node in walk(rule.body) if isinstance(node, Ref))
    for node in refs:
        grammar, _, rule = node.name.rpartition(".")
        asked = any(f".{one.grammar}".endswith(f".{grammar}") for one in file.imports)
        if node.name not in file.rules and _IMPORT.fullmatch(node.name) and not asked:
            found.setdefault((grammar, rule), Import(grammar, rule, node.line))
    return list(found.values())


def _shown(token: _Token) -> str:
    return f"'{quote(token.text)}'" if token.text else "the end of the file"
