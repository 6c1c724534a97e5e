"""The dictionary folder: a lexicon and its phone set, as Kaldi's `data/local/dict` holds them.

    lexicon.txt | lexiconp.txt | lexiconp_silprob.txt and silprob.txt
    silence_phones.txt nonsilence_phones.txt optional_silence.txt extra_questions.txt

The richest lexicon there is the one used; where several stand side by side they must agree.
"""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

from hybrid.base.artifact import atomic_folder, write_meta
from hybrid.base.errors import quote
from hybrid.base.integrity import tell_changes
from hybrid.base.log import get_logger
from hybrid.base.reading import require_followed
from lexicon.lexicon import NAMES, Lexicon, Pronunciation, check_lexicon, check_words
from lexicon.phones import PhoneSet, bad_phone_form
from lexicon.silence import check_silence_probs
from lexicon.text import Problem, check_lines, raise_first

__all__ = ["check_dict_dir", "read_dict_dir", "write_dict_dir"]

logger = get_logger(__name__)
MOST_TOLD = 5
FORMAT_HELP = "see docs/lang.md for the files of a dictionary folder"


def read_dict_dir(path: str | os.PathLike) -> tuple[PhoneSet, Lexicon]:
    """Reads a dictionary folder.

    Raises:
      InputError: the first problem that `check_dict_dir` finds, and how many more there are.
    """
    phones, lexicon, problems = check_dict_dir(path)
    raise_first(problems, f"`hybrid lang validate {path}` lists them")
    for problem in problems[:MOST_TOLD]:
        logger.warning("%s", problem)
    if len(problems) > MOST_TOLD:
        logger.warning("%d more warnings: `hybrid lang validate %s` lists them", len(problems) - MOST_TOLD, path)
    assert phones is not None and lexicon is not None
    return phones, lexicon


def write_dict_dir(
    path: str | os.PathLike,
    phones: PhoneSet,
    lexicon: Lexicon,
    settings: dict | None = None,
    inputs: dict | None = None,
    extra_files: dict[str, str] | None = None,
) -> None:
    """Writes a dictionary folder with its provenance, whole or not at all.

    Args:
      settings, inputs: how and from what it was made, for meta.json.
      extra_files: name → text of files to put beside (lists of what was left out).
    """
    with atomic_folder(path, "dict") as folder:
        phones.write(folder)
        lexicon.write(folder / NAMES["plain"], "plain")
        if lexicon.form != "plain":
            lexicon.write(folder / NAMES["probs"], "probs")
        if lexicon.silence_probs is not None:
            lexicon.write(folder / NAMES["silprobs"], "silprobs")
            lexicon.silence_probs.write(folder / "silprob.txt")
        for name, text in (extra_files or {}).items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        facts = {"words": len(lexicon.words), "pronunciations": len(lexicon), "phones": len(phones)}
        write_meta(folder, "dict", settings, inputs, facts)


def check_dict_dir(path: str | os.PathLike) -> tuple[PhoneSet | None, Lexicon | None, list[Problem]]:
    """Reads a dictionary folder and collects everything that is wrong with it.

    Returns:
      The phone set and the lexicon, None where errors leave none, and the problems in the order of the files.
    """
    folder = Path(path)
    require_followed(folder)
    if not folder.is_dir():
        problem = Problem(folder, None, "is no folder", f"a dictionary folder ({FORMAT_HELP})", "Correct the path.")
        return None, None, [problem]
    for file in sorted(folder.glob("*.txt")):
        tell_changes(file)
    phones, problems = _check_phones(folder)
    known = set(phones[0]) | set(phones[1])
    lexicon, found = _check_lexicons(folder, known)
    problems += found + _check_questions(folder, known, phones[1])
    if (folder / "nonterminals.txt").exists():
        cure = "Remove it; grammars are joined at the level of G."
        problems.append(Problem(folder / "nonterminals.txt", None, "nonterminals are not supported", "", cure))
    if any(p.severity == "error" for p in problems):
        return None, None, problems
    return PhoneSet.read(folder), lexicon, problems


PhoneLines = tuple[dict[str, int], dict[str, int]]


def _check_phones(folder: Path) -> tuple[PhoneLines, list[Problem]]:
    """Reads silence and non-silence phones (name → line) and the optional silence."""
    tables: list[dict[str, int]] = []
    problems: list[Problem] = []
    for name in ("silence_phones.txt", "nonsilence_phones.txt"):
        lines, found = check_lines(folder / name)
        problems += found
        table: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            problems += _check_phone_line(folder / name, number, line.split(), table, tables)
        tables.append(table)
    file = folder / "optional_silence.txt"
    lines, found = check_lines(file)
    problems += found
    if not found and (len(lines) != 1 or lines[0].strip() not in tables[0]):
        cure = "Write the phone that stands between words, e.g. SIL."
        wanted = f"one line with one of the {len(tables[0])} phones of silence_phones.txt"
        problems.append(Problem(file, 1, f"found '{quote(' '.join(lines), 60)}'", wanted, cure))
    return (tables[0], tables[1]), problems


def _check_phone_line(
    file: Path, number: int, phones: list[str], table: dict[str, int], earlier: list[dict[str, int]]
) -> list[Problem]:
    if not phones:
        return [Problem(file, number, "an empty line", "one phone, or phones that share a root", "Remove the line.")]
    problems = []
    for phone in phones:
        if phone in table:
            found = f"phone '{quote(phone)}' stands in line {table[phone]} already"
            problems.append(Problem(file, number, found, "each phone once", "Remove one of them."))
        elif any(phone in other for other in earlier):
            found = f"phone '{quote(phone)}' is a silence phone already"
            cure = "Remove it from one of the two files."
            problems.append(Problem(file, number, found, "silence and non-silence phones apart", cure))
        elif reason := bad_phone_form(phone):
            problems.append(Problem(file, number, f"phone '{quote(phone)}' {reason}", "another name", "Rename it."))
        table.setdefault(phone, number)
    return problems


def _check_lexicons(folder: Path, known: set[str]) -> tuple[Lexicon | None, list[Problem]]:
    """Reads every lexicon in the folder; returns the richest."""
    problems: list[Problem] = []
    found: list[tuple[str, list[Pronunciation]]] = []
    for form, name in NAMES.items():
        if (folder / name).exists():
            entries, wrong = check_lexicon(folder / name, form, known)
            problems += wrong or check_words(folder / name, entries)
            found.append((name, entries))
    if not found or (len(found) == 1 and found[0][0] == NAMES["silprobs"]):
        wanted = "lexicon.txt ('word phone …') or lexiconp.txt ('word probability phone …')"
        return None, [*problems, Problem(folder, None, "holds no lexicon", wanted, "Add one of them.")]
    silence_probs = None
    if found[-1][0] == NAMES["silprobs"]:
        silence_probs, wrong = check_silence_probs(folder / "silprob.txt")
        problems += wrong
    if any(p.severity == "error" for p in problems):
        return None, problems
    for (first, entries), (second, others) in zip(found, found[1:]):
        problems += _check_pair(folder, first, entries, second, others)
    if any(p.severity == "error" for p in problems):
        return None, problems
    return Lexicon(tuple(found[-1][1]), silence_probs), problems


def _check_pair(
    folder: Path, first: str, entries: list[Pronunciation], second: str, others: list[Pronunciation]
) -> list[Problem]:
    """Checks that two lexicons of the folder hold the same pronunciations in the same order."""
    cure = f"Remove {second} if {first} is the one you edited, else make {first} from it again."
    for number, (one, other) in enumerate(zip(entries, others), 1):
        if one[:2] != other[:2]:
            found = f"'{quote(' '.join((other.word, *other.phones)))}'"
            wanted = f"'{quote(' '.join((one.word, *one.phones)))}' as in line {number} of {first}"
            return [Problem(folder / second, number, found, wanted, cure)]
    if len(entries) != len(others):
        found = f"has {len(others)} lines and {first} has {len(entries)}"
        return [Problem(folder / second, None, found, "the same pronunciations in both", cure)]
    return []


def _check_questions(folder: Path, known: set[str], nonsilence: dict[str, int]) -> list[Problem]:
    """Checks the extra questions, and that they split the groups of non-silence phones."""
    file = folder / "extra_questions.txt"
    questions: list[set[str]] = []
    problems: list[Problem] = []
    if file.exists():
        lines, problems = check_lines(file, may_be_empty=True)
        for number, line in enumerate(lines, 1):
            phones = line.split()
            if not phones:
                problems.append(Problem(file, number, "an empty line", "a set of phones", "Remove the line."))
            for phone in phones:
                if phone not in known:
                    found = f"phone '{quote(phone)}' is absent from silence_phones.txt and nonsilence_phones.txt"
                    cure = "Add the phone or correct this line."
                    problems.append(Problem(file, number, f"{found} ({len(known)} phones)", "", cure))
            questions.append(set(phones))
    groups: dict[int, list[str]] = {}
    for phone, number in nonsilence.items():
        groups.setdefault(number, []).append(phone)
    for number, group in groups.items():
        for one, other in combinations(group, 2):
            if not any((one in q) != (other in q) for q in questions):
                found = f"phones '{quote(one)}' and '{quote(other)}' share a tree root and no question tells them apart"
                wanted = "a line of extra_questions.txt that holds one of them and not the other"
                cure = "Add such a line, or put them on lines of their own."
                problems.append(Problem(folder / "nonsilence_phones.txt", number, found, wanted, cure))
    return problems
