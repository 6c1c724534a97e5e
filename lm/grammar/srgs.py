"""The Speech Recognition Grammar Specification 1.0 (W3C, 2004) in its XML form: read, and written.

A tag belongs to the element that it stands in: `<item>peter <tag>contact=PETER</tag></item>`. Nothing is fetched: a
document type is not looked up, entities are refused, and references lead to files beside the grammar only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import MAX_DEPTH
from lm.grammar.jsgf import SPECIAL, GrammarFile, Import
from lm.grammar.values import Choice, Grammar, Node, Ref, Repeat, Rule, Tagged, Together, Word, together

__all__ = ["parse_srgs", "write_srgs"]

NAMESPACE = "http://www.w3.org/2001/06/grammar"
AROUND = {"grammar": ("",), "rule": ("grammar",), "item": ("rule", "item", "one-of"), "one-of": ("rule", "item"),
          "ruleref": ("rule", "item"), "token": ("rule", "item"), "tag": ("rule", "item", "grammar"),
          "example": ("rule",), "lexicon": ("grammar",), "meta": ("grammar",), "metadata": ("grammar",)}  # fmt: skip
UNREAD = ("example", "lexicon", "meta", "metadata")
_QUOTED = re.compile(r'"([^"]*)"|([^\s"]+)')
_REPEAT = re.compile(r"(\d{1,9})(?:(-)(\d{1,9})?)?")


@dataclass(eq=False)
class _Element:
    """What stands open.

    Attributes:
      parts: read so far; of `one-of` (weight, part). tags: of the element. text: not yet cut into words.
    """

    name: str
    attributes: Mapping[str, str]
    line: int
    parts: list = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    text: str = ""


def parse_srgs(data: bytes, path: str) -> GrammarFile:
    """Parses one XML file.

    Args:
      data: in any encoding that XML declares.
      path: for errors.

    Raises:
      InputError: with the line of what is no XML, or no grammar.
    """
    reader = _Reader(path)
    try:
        reader.parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        line = reader.parser.ErrorLineNumber or 1
        what = expat.errors.messages.get(getattr(error, "code", 0), str(error))
        raise InputError.at(path, f"is not XML ({quote(what)})", "Mend this line.", line) from error
    return reader.finished()


class _Reader:
    """Takes what the parser finds."""

    def __init__(self, path: str) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.parser.CharacterDataHandler, self.parser.EntityDeclHandler = self._text, self._entity
        self.file, self._open, self._path = GrammarFile(path, "grammar"), [_Element("", {}, 1)], path
        self._root = ""

    def _error(self, found: str, cure: str = "Mend this line.", line: int | None = None) -> InputError:
        return InputError.at(self._path, found, cure, self.parser.CurrentLineNumber if line is None else line)

    def _entity(self, name: str, *_: object) -> None:
        raise self._error(f"declares the entity '{quote(name)}', which a grammar does not need", "Write it out.")

    def _start(self, full: str, attributes: Mapping[str, str]) -> None:
        space, _, name = full.rpartition(" ")
        around = self._open[-1]
        if around.name in UNREAD:
            name = "metadata"
        elif space not in ("", NAMESPACE):
            raise self._error(f"<{quote(name)}> is of '{quote(space)}', wanted {NAMESPACE}")
        elif name not in AROUND:
            raise self._error(f"<{quote(name)}> is no element of a grammar")
        elif around.name not in AROUND[name]:
            place = f"in <{around.name}>" if around.name else "outside of <grammar>"
            raise self._error(f"<{name}> stands {place}, wanted {' or '.join(AROUND[name]) or 'the whole file'}")
        if len(self._open) > MAX_DEPTH:
            raise self._error(f"has elements more than {MAX_DEPTH} deep")
        if name == "grammar":
            self._grammar(attributes)
        self._words(around)
        self._open.append(_Element(name, attributes, self.parser.CurrentLineNumber))

    def _grammar(self, attributes: Mapping[str, str]) -> None:
        if attributes.get("mode", "voice") != "voice":
            raise self._error(f"is for {quote(attributes['mode'])}, wanted a grammar of speech")
        if attributes.get("version", "1.0") != "1.0":
            raise self._error(f"has version {quote(attributes['version'])}, wanted 1.0")
        self._root = attributes.get("root", "")

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _words(self, element: _Element) -> None:
        """Cuts the text of an element into words."""
        if element.name in ("rule", "item", "token"):
            pairs = _QUOTED.findall(element.text) if element.name != "token" else [(element.text, "")]
            element.parts += [Word(word) for pair in pairs for word in (pair[0] or pair[1]).split()]
        elif element.text.strip() and element.name not in (*UNREAD, "tag"):
            raise self._error(f"text in <{element.name}>: '{quote(element.text.strip(), 20)}'", "Put it in <item>.")
        else:
            return
        element.text = ""

    def _end(self, _: str) -> None:
        element = self._open.pop()
        around = self._open[-1]
        self._words(element)
        if element.name == "tag":
            around.tags.append(element.text.strip())
        elif element.name == "ruleref":
            around.parts.append(self._reference(element))
        elif element.name == "token":
            around.parts.append(together(element.parts))
        elif element.name == "one-of":
            if not element.parts:
                raise self._error("<one-of> has no <item>")
            around.parts.append(Choice(tuple(element.parts)))
        elif element.name == "item":
            part = self._repeated(element)
            around.parts.append((self._number(element, "weight", 1.0), part) if around.name == "one-of" else part)
        elif element.name == "rule":
            self._rule(element)

    def _tagged(self, element: _Element) -> Node:
        part = together(element.parts)
        for tag in element.tags:
            part = Tagged(part, tag)
        return part

    def _rule(self, element: _Element) -> None:
        name = element.attributes.get("id", "")
        if not name or name in SPECIAL or re.search(r"[\s#<>]", name):
            raise self._error(f"'{quote(name)}' is no id of a rule", line=element.line)
        if name in self.file.rules:
            raise self._error(
                f"rule '{quote(name)}' is there already, in line {self.file.rules[name].line}", line=element.line
            )
        public = element.attributes.get("scope") == "public"
        self.file.rules[name] = Rule(name, self._tagged(element), public, self._path, element.line)

    def _number(self, element: _Element, name: str, default: float, most: float = 1e30) -> float:
        text = element.attributes.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            raise self._error(f'{name}="{quote(text)}", wanted a number from 0 to {most:g}', line=element.line)
        return value

    def _repeated(self, element: _Element) -> Node:
        part, text = self._tagged(element), element.attributes.get("repeat")
        again = self._number(element, "repeat-prob", 0.5, 1)
        if text is None:
            return part
        found = _REPEAT.fullmatch(text.strip())
        least = int(found[1]) if found else 0
        most = (int(found[3]) if found[3] else None if found[2] else least) if found else -1
        if found is None or (most is not None and most < least):
            raise self._error(f'repeat="{quote(text)}", wanted N, N-M or N-', line=element.line)
        if most is None and again == 1:
            raise self._error('repeat-prob="1" without a limit never ends', "Write less than 1.", line=element.line)
        return Repeat(part, least, most, again)

    def _reference(self, element: _Element) -> Node:
        special, uri = element.attributes.get("special"), element.attributes.get("uri")
        if special in SPECIAL and uri is None:
            return SPECIAL[str(special)]
        file, _, name = (uri or "").partition("#")
        if special is not None or not (file or name):
            raise self._error("<ruleref> wants uri, or special: NULL, VOID or GARBAGE", line=element.line)
        if not file:
            return Ref(name, element.line)
        found = Import(file, name, element.line)
        if found not in self.file.imports:
            self.file.imports.append(found)
        return Ref(f"{file}#{name}", element.line)

    def finished(self) -> GrammarFile:
        """The file, once all is read."""
        file = self.file
        if not file.rules:
            raise InputError.at(self._path, "has no rules", 'Write <rule id="name" scope="public">.')
        if self._root and self._root not in file.rules:
            raise InputError.at(self._path, f"has the root '{quote(self._root)}', which is no rule of it", "Add it.")
        public = tuple(rule.name for rule in file.rules.values() if rule.public)
        file.roots = (self._root,) if self._root else public
        return file


def write_srgs(grammar: Grammar) -> str:
    """Returns a grammar as XML that reads as the same rules; its roots are the public ones."""
    rules = [
        f"<rule id={quoteattr(rule.name)}{' scope=' + quoteattr('public') if rule.name in grammar.roots else ''}>"
        f"{_written(rule.body)}</rule>"
        for rule in grammar.rules.values()
    ]
    head = f'<grammar xmlns="{NAMESPACE}" version="1.0" xml:lang="und">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *rules, "</grammar>"]) + "\n"


def _written(node: Node) -> str:
    if isinstance(node, Word):
        return f"<token>{escape(node.text)}</token>"
    if isinstance(node, Together):
        return "".join(map(_written, node.parts)) if node.parts else '<ruleref special="NULL"/>'
    if isinstance(node, Choice):
        ways = "".join(f'<item weight="{weight!r}">{_written(part)}</item>' for weight, part in node.ways)
        return f"<one-of>{ways}</one-of>" if ways else '<ruleref special="VOID"/>'
    if isinstance(node, Ref):
        return f"<ruleref uri={quoteattr('#' + node.name)}/>"
    inside = _written(node.part)
    if isinstance(node, Tagged):
        return f"<item>{inside}<tag>{escape(node.tag)}</tag></item>"
    most = "" if node.most is None else node.most
    return f'<item repeat="{node.least}-{most}" repeat-prob="{node.again!r}">{inside}</item>'
