"""JSGF and SRGS: what they mean, and the one line for what they get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from hybrid.base.errors import InputError
from lm.grammar.automaton import automaton_of
from lm.grammar.grammar_acceptor import Closures
from lm.grammar.load import read_grammar
from lm.grammar.parse import parse, stop_of
from lm.grammar.rules import findings
from lm.grammar.sentences import enumerate_language
from lm.grammar.srgs import write_srgs
from lm.grammar.values import Choice, Grammar, Ref, Repeat, Rule, Tagged, Together, Word
from tests.lm.grammar.test_language import nodes

HEAD = "#JSGF V1.0;\ngrammar g;\n"
XML = '<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" xml:lang="en"'


def read(folder: Path, text: str | bytes, name: str = "g.gram", **options) -> Grammar:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_grammar(folder / name, **options)


def language(grammar: Grammar, longest: int = 4) -> dict[str, float]:
    return {" ".join(s): round(p, 4) for s, p in enumerate_language(grammar, longest).items()}


def test_all_of_jsgf(tmp_path: Path) -> None:
    text = r"""#JSGF V1.0 UTF-8 en;  // a comment
/** of several
 * lines */
grammar com.example.g;
public <s> = /3/ "new york" | /1/ [very] ice-cream {a\}b} {second} /* here */ ;
<silent> = <NULL>;
public <other> = (a | <VOID>) <silent> o'clock+;
"""
    grammar = read(tmp_path, text)
    assert grammar.roots == ("s", "other") and grammar.name == "com.example.g"
    found = language(grammar, 3)
    assert found == {
        "new york": 0.375, "ice-cream": 0.0625, "very ice-cream": 0.0625, "a o'clock": 0.25, "a o'clock o'clock": 0.125
    }  # fmt: skip
    assert [tag.text for tag in parse(automaton_of(grammar), ("ice-cream",)).tags] == ["a}b", "second"]
    assert read_grammar(tmp_path / "g.gram", rule="silent").roots == ("silent",)


def test_a_tag_belongs_to_what_stands_before_it(tmp_path: Path) -> None:
    body = read(tmp_path, HEAD + "public <s> = a b* {t} | (c d) {u};").rules["s"].body
    assert body == Choice((
        (1.0, Together((Word("a"), Tagged(Repeat(Word("b")), "t")))),
        (1.0, Tagged(Together((Word("c"), Word("d"))), "u"))
    ))  # fmt: skip


@pytest.mark.parametrize("data", [
    "#JSGF V1.0 ISO8859-1 de;\ngrammar g;\npublic <s> = grün;".encode("latin-1"),
    ("\ufeff" + HEAD + "public <s> = grün;").encode(),
    (HEAD + "public <s> = grün;").encode("utf-16"), (HEAD.replace("\n", "\r\n") + "public <s> = grün;").encode(),
    f'<?xml version="1.0" encoding="ISO-8859-1"?>{XML} root="s"><rule id="s">grün</rule></grammar>'.encode("latin-1"),
])  # fmt: skip
def test_encodings(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data).words == ["grün"]


def test_imports(tmp_path: Path) -> None:
    (tmp_path / "com").mkdir()
    (tmp_path / "com/dates.gram").write_text(
        "#JSGF V1.0;\ngrammar com.dates;\npublic <day> = <d>;\n<d> = monday;\npublic <s> = x;"
    )
    (tmp_path / "names.jsgf").write_text("#JSGF V1.0;\ngrammar names;\npublic <name> = anna;")
    top = "import <com.dates.*>;\nimport <names.name>;\npublic <s> = <name> <day> <dates.day> <com.dates.s>;"
    grammar = read(tmp_path, HEAD + top)
    assert language(grammar) == {"anna monday monday x": 1.0}
    assert set(grammar.rules) == {"s", "com.dates.day", "com.dates.d", "com.dates.s", "names.name"}
    assert language(read(tmp_path, HEAD + "public <s> = <names.name>;")) == {"anna": 1.0}, "full names need no import"


def test_all_of_srgs(tmp_path: Path) -> None:
    (tmp_path / "names.grxml").write_text(f'{XML} root="n"><rule id="n">anna</rule></grammar>')
    text = f"""<?xml version="1.0"?>
<!DOCTYPE grammar PUBLIC "-//W3C//DTD GRAMMAR 1.0//EN" "http://www.w3.org/TR/speech-grammar/grammar.dtd">
{XML} root="s" mode="voice"><meta name="author" content="me"/><tag>ignored</tag>
<rule id="s" scope="public"><example>call <b xmlns="x">anna</b></example>
  <item repeat="0-1" repeat-prob="0.25">please</item> call <token>new york</token>
  <one-of><item weight="3"><ruleref uri="names.grxml"/><tag>name=ANNA</tag></item>
    <item><ruleref uri="#p"/></item></one-of>
  <ruleref special="NULL"/></rule>
<rule id="p"><item repeat="2">"peter"</item></rule></grammar>"""
    grammar = read(tmp_path, text, "g.grxml")
    assert language(grammar, 6) == {
        "call new york anna": 0.5625, "please call new york anna": 0.1875, "call new york peter peter": 0.1875,
        "please call new york peter peter": 0.0625,
    }  # fmt: skip
    found = parse(automaton_of(grammar), ("please", "call", "new", "york", "anna"))
    assert [(tag.text, tag.begin, tag.end) for tag in found.tags] == [("name=ANNA", 4, 5)]


@settings(max_examples=40, deadline=None)
@given(body=nodes)
def test_what_is_written_as_srgs_reads_as_the_same_language(tmp_path_factory, body) -> None:
    grammar = Grammar(
        "g", {"s": Rule("s", Choice(((1, body), (1, Word("c")))), True), "t": Rule("t", Word("b"))}, ("s",)
    )
    again = read(tmp_path_factory.mktemp("xml"), write_srgs(grammar), "g.grxml")
    assert language(again, 3) == language(grammar, 3)


WRONG = [
    ("hello", "g.gram:1: begins with 'hello', wanted #JSGF V1.0. Begin the file with `#JSGF V1.0;`."),
    (b"#JSGF V1.0 klingon;\n", "g.gram:1: 'klingon' is no encoding. Name it in the first line, e.g. UTF-8."),
    (HEAD.encode() + b"public <s> = gr\xfcn;",
     "g.gram:3: byte 0xfc is not UTF-8 text. Name the file's encoding in its first line"),
    (HEAD, "g.gram:3: has no rules. Write `public <name> = words;`."),
    (HEAD + "<s> = a;", "g.gram: has no public rule. Write `public` before the rule that is a sentence; in SRGS "),
    (f"{XML}><rule id='s'>a</rule></grammar>", 'in SRGS name it: root="RULE".'),
    (HEAD + "public <s> = ;", "g.gram:3: ';' where words were wanted. Write words, or <NULL> for silence."),
    (HEAD + "public <s> = (a;", "g.gram:3: ';' where ')' was wanted."),
    (HEAD + "public <s> = a\n", "g.gram:4: the end of the file where ';' was wanted."),
    (HEAD + "public <s> = a {t;", "g.gram:3: '{t;' lacks its }. Mend this line."),
    (HEAD + "public <s> = a; /* b", "g.gram:3: '/* b' lacks its */. Mend this line."),
    (HEAD + "public <s> = /x/ a | b;", "g.gram:3: '/x/ a | b;' lacks its weight. Mend this line."),
    (HEAD + "public <s> = /-1/ a | /1/ b;", "g.gram:3: '/-1/' is no weight, wanted /number/, 0 or more."),
    (HEAD + "public <s> = /1/ a | b;",
     "g.gram:3: way 2 of 2 has no weight, others have. Give all ways a weight, or none."),
    (HEAD + "public <s> = a;\n<s> = b;", "g.gram:4: rule <s> is there already, in line 3."),
    (HEAD + "public <NULL> = a;", "g.gram:3: <NULL> cannot be the name of a rule. Choose another."),
    (HEAD + "public <s> = <t>;", "g.gram:3: <t> is no rule. Add it, or import it; there are s."),
    (HEAD + "public <s> = " + "(" * 101 + "a" + ")" * 101 + ";", "g.gram:3: has groups more than 100 deep."),
    (HEAD + "public <s> = <s> a | b;",
     "g.gram:3: <s> → <s> is no right recursion. Only a call at the end can be compiled (right "
     "recursion). Put it there, or write * or +."),
    (HEAD + "public <s> = a <t> | b;\n<t> = [<u>];\n<u> = <s> c;",
     "g.gram:5: <u> → <s> → <t> → <u> is no right recursion."),
    (HEAD + "public <s> = a <s>;", "g.gram:3: can never be said: every way through <s> meets <VOID>, or never ends."),
    (HEAD + "public <s> = a <VOID>;", "g.gram:3: can never be said"),
    (HEAD + "import <g.s>;\npublic <s> = a;",
     "g.gram:3: imports itself. Put the rules that both need into a third file."),
    (HEAD + "import <x.y.s>;\npublic <s> = a;",
     "g.gram:3: imports 'x.y', which is not there. Make one of x/y.gram, x/y.jsgf, "
     "x.y.gram, x.y.jsgf, y.gram, y.jsgf, x.y beside "),
    (HEAD + f"import <{'x' * 300}.s>;\npublic <s> = a;", "which is not there. Make one of xxx"),
    (HEAD + "import <../x.s>;\npublic <s> = a;", "g.gram:3: imports '<../x.s>', wanted a rule."),
    (HEAD + "import <h.t>;\npublic <s> = <t>;", "g.gram:3: <t> is not public of "),
    (HEAD + "import <h.v>;\npublic <s> = <v>;", "g.gram:3: <v> is no rule of "),
    (HEAD + "import <h.s>;\nimport <h.s>;\npublic <s> = a;", "g.gram:4: imports <h.s> again, after line 3. Remove it."),
    (HEAD + "import <i.*>;\npublic <s> = a;", "i.gram:3: is imported in a circle: g.gram → i.gram → g.gram."),
    (HEAD + "public <s> = <r0>;" + "".join(f"<r{i}> = [<r{i + 1}> <r{i + 1}>]*;" for i in range(22)) + "<r22> = [a]*;",
     "arcs when its rules are written out, wanted at most 10,000,000. Use fewer repetitions, or rules that hold less."),
    ("<grammar>", "g.gram:1: is not XML (no element found). Mend this line."),
    (f"{XML}><rule id='s'>a</rule>\n<rule id='s'>b</rule></grammar>",
     "g.gram:2: rule 's' is there already, in line 1."),
    (f"{XML}><item>a</item></grammar>", "g.gram:1: <item> stands in <grammar>, wanted rule or item or one-of."),
    (f"{XML}><rules/></grammar>", "g.gram:1: <rules> is no element of a grammar."),
    (f"{XML} root='x'><rule id='s'>a</rule></grammar>", "g.gram: has the root 'x', which is no rule of it. Add it."),
    (f"{XML} mode='dtmf'><rule id='s'>a</rule></grammar>", "g.gram:1: is for dtmf, wanted a grammar of speech."),
    (f"{XML} root='s'><rule id='s'><item repeat='3-2'>a</item></rule></grammar>",
     "repeat=\"3-2\", wanted N, N-M or N-."),
    (f"{XML} root='s'><rule id='s'><item repeat='0-' repeat-prob='1'>a</item></rule></grammar>",
     "without a limit never ends."),
    (f"{XML} root='s'><rule id='s'><one-of><item weight='-1'>a</item></one-of></rule></grammar>",
     'weight="-1", wanted a number from 0'),
    (f"{XML} root='s'><rule id='s'><one-of>a</one-of></rule></grammar>", "text in <one-of>: 'a'. Put it in <item>."),
    (f"{XML} root='s'><rule id='s'><ruleref uri='http://x.org/a.grxml#b'/></rule></grammar>",
     "imports 'http://x.org/a.grxml', wanted a file beside it. Put the grammar beside this one; nothing is fetched."),
    (f"{XML} root='s'><rule id='s'><ruleref uri='../../etc/passwd'/></rule></grammar>", "wanted a file beside it."),
    (f"{XML} root='s'><rule id='s'><ruleref special='SELF'/></rule></grammar>",
     "<ruleref> wants uri, or special: NULL, VOID or GARBAGE."),
    ('<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + f"{XML} root='s'><rule id='s'>&b;</rule></grammar>",
     "g.gram:1: declares the entity 'a', which a grammar does not need. Write it out."),
    ('<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + f"{XML} root='s'><rule id='s'>&x;</rule></grammar>",
     "declares the entity 'x'"),
    (f"{XML} root='s'><rule id='s'>" + "<item>" * 120 + "a" + "</item>" * 120 + "</rule></grammar>",
     "has elements more than 100 deep."),
]  # fmt: skip


@pytest.mark.parametrize("text, message", WRONG, ids=range(len(WRONG)))
def test_one_line_for_each_mistake(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "h.gram").write_text("#JSGF V1.0;\ngrammar h;\npublic <s> = a;\n<t> = b;")
    (tmp_path / "i.gram").write_text("#JSGF V1.0;\ngrammar i;\nimport <g.*>;\npublic <t> = b;")
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


def test_rules_that_nest_too_deep_are_refused_and_long_ones_are_not(tmp_path: Path) -> None:
    chain = "".join(f"<r{i}> = a <r{i + 1}>;\n" for i in range(2000))
    with pytest.raises(InputError, match="holds groups and rules more than 150 deep. Write some rules out."):
        read(tmp_path, f"{HEAD}public <s> = <r0>;\n{chain}<r2000> = b;")
    assert len(read(tmp_path, f"{HEAD}public <s> = {'a ' * 5000};").rules["s"].body.parts) == 5000


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.gram: the file does not exist"):
        read_grammar(tmp_path / "none.gram")


def test_rules_that_do_nothing_are_found(tmp_path: Path) -> None:
    grammar = read(
        tmp_path, HEAD + "public <s> = a <silent> | <never>;\n<silent> = <NULL>;\n<never> = b <never>;\n<lost> = c;"
    )
    found = findings(grammar)
    assert (found.unreachable, found.void, found.empty) == (("lost",), ("never",), ("silent",))
    assert language(grammar) == {"a": 1.0}


@pytest.mark.real
def test_the_broken_files_of_the_corpora_are_refused_with_place_and_reason(corpora: Path) -> None:
    wanted = {
        "defective": "defective.gram:6: imports <goforward.move> again, after line 5. Remove it.",
        "fuzzed": "fuzzed.gram:4: 'qel\ufffdo' where the grammar's name was wanted. Mend this line.",
        "invalid": "invalid.gram:5: imports 'does_not_exist', wanted a rule. Write `import <grammar.rule>;`",
    }
    for name, message in wanted.items():
        with pytest.raises(InputError) as caught:
            read_grammar(corpora / "grammars" / f"{name}.gram")
        assert message in str(caught.value)


def test_recursion_in_a_rule_keeps_its_reference(tmp_path: Path) -> None:
    grammar = read(tmp_path, HEAD + "public <s> = a | a <s>;")
    assert grammar.rules["s"].body.ways[1][1] == Together((Word("a"), Ref("s", 3)))
    assert language(grammar, 3) == {"a": 0.5, "a a": 0.25, "a a a": 0.125}


def test_parts_that_may_all_be_left_out_are_refused_before_they_explode(tmp_path: Path) -> None:
    many = " ".join(f"[w{i}]" for i in range(100))
    for text, found in ((many, "parts that may be left out lead to more than 1,000 continuations"),
                        (f"({many})*", "a repetition of 100 parts that may all be left out is too large")):  # fmt: skip
        grammar = read(tmp_path, f"{HEAD}public <s> = {text};")
        with pytest.raises(InputError, match=f"g.gram: {found}. Use fewer optional parts in a row."):
            Closures(automaton_of(grammar), 1000)


def test_garbage_in_a_grammar_is_no_word_of_a_sentence(tmp_path: Path) -> None:
    automaton = automaton_of(read(tmp_path, HEAD + "public <s> = [<GARBAGE>] call anna {who=ANNA};"))
    found = parse(automaton, ("call", "anna"))
    assert found is not None and [(tag.text, tag.begin, tag.end) for tag in found.tags] == [("who=ANNA", 1, 2)]
    stop = stop_of(automaton, ("call",))
    assert stop is not None and stop.wanted == ("anna",)
