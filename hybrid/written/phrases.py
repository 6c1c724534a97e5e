"""Whole phrases: idioms that stay as they are, titles, and abbreviations of the nemo style."""

from __future__ import annotations

from hybrid.written.sentence import Sentence, WrittenToken

__all__ = ["idiom", "write_abbreviation", "write_title"]

# Number words that neither count nor measure.
_IDIOMS = """
second to none; one may; one on one; one by one; nine to five; ten to one; cloud nine; catch twenty two; forty winks
eleventh hour; seventh heaven; twenty twenty hindsight; twenty twenty vision; hindsight is twenty twenty; fifty fifty
twenty four seven; two by four; four by four; one thousand and one nights; at sixes and sevens; nine times out of ten
nine out of ten; back to square one; on second thought; on second thoughts; second nature; second hand; third party
first come first served; one in a million; one in a thousand; at one point; ten four; dressed to the nines; five star
my two cents; two cents worth; fifth wheel; third degree; two thirds; three quarters; seven seas; high five
the big five; i may; you may; he may; she may; we may; they may; it may; that may
twelfth night; ten commandments; one hundred and one dalmatians; zero sum; zero tolerance; ground zero
one hundredth of; one thousandth of; million dollar question; sixty four thousand dollar question; second guess
the roaring twenties; forty niner; forty niners; twenty one gun salute; talk nineteen to the dozen
nineteen to the dozen; ten a penny; ten penny; a hundred to one; a thousand to one; a million to one; the eleventh hour
"""
IDIOMS = frozenset(
    tuple(phrase.split()) for line in _IDIOMS.splitlines() for phrase in line.split(";") if phrase.split()
)
LONGEST_IDIOM = max(map(len, IDIOMS))
SHORT = {"mister": "mr.", "missus": "mrs.", "missis": "mrs.", "doctor": "dr."}
NAMED = ("call", "email", "text", "message", "with", "from", "by", "to", "and", "dear", "paging", "is", "for")
ABBREVIATIONS = {"for example": "e.g.", "seven eleven": "7-eleven", "cat five e": "CAT5e",
                 "p c i e x eight": "PCIe x8", "x eighty six": "x86"}  # fmt: skip
_FUNCTION = """
a an the and or but of to in on at for with from by is are was were be been has have had do does did will would
can could may might must shall should not no yes please what who when where why how which that this these those
i you he she it we they me him her us them my your his its our their as if then than so said says say now today
tomorrow here there up down out tonight about also just too very only never always who's i'm it's that's don't
"""
FUNCTION = frozenset(_FUNCTION.split())


def idiom(s: Sentence, i: int) -> int:
    """The place behind a phrase that stays as it is; 0 where none begins."""
    for count in range(min(LONGEST_IDIOM, len(s.words) - i), 0, -1):
        if s.words[i : i + count] in IDIOMS and not s.alone(i, i + count):
            return i + count
    return 0


def write_title(s: Sentence, i: int) -> list[WrittenToken] | None:
    """ "mister quilter"; doctors only where somebody is meant."""
    title, name = s.at(i), s.at(i + 1)
    if title not in SHORT or not name or name in FUNCTION or not name[0].isalpha():
        return None
    if title == "doctor" and s.at(i - 1) not in NAMED and not s.alone(i, i + 2):
        return None
    return [s.put(SHORT[title], i, i + 1)]


def write_abbreviation(s: Sentence, i: int) -> list[WrittenToken] | None:
    """In the nemo style, abbreviations and products written with digits."""
    if not s.nemo:
        return None
    for phrase, text in ABBREVIATIONS.items():
        words = phrase.split()
        if s.says(i, words):
            parts = text.split()
            if len(parts) == 1:
                return [s.put(text, i, i + len(words), True)]
            middle = i + len(words) - len(parts)
            return [s.put(parts[0], i, middle, True), s.put(parts[1], middle, i + len(words), True)]
    return None
