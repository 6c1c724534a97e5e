"""Texts tagged by lists: classes in the places of entries, and lists with counts."""

from __future__ import annotations

from click.testing import CliRunner

from hybrid.cli.main import command
from lm.tagging import Tagger
from lm.word_list import entries_of, read_word_list


def test_the_longest_entry_from_the_left():
    tagger = Tagger({"$CITY": entries_of(["NEW YORK", "YORK"]), "$NAME": entries_of(["YORK", "NEW YORK CITY", "ANN"])})
    said = "ANN OF NEW YORK CITY NEW YORK YORK NEW"
    assert " ".join(tagger.tag(said.split())) == "$NAME OF $NAME $CITY $CITY NEW"
    assert tagger.counts["$CITY"] == {("NEW", "YORK"): 1, ("YORK",): 1}
    assert [entry.weight for entry in tagger.counted("$NAME")] == [1.0, 2.0, 2.0]
    assert tagger.tag([]) == []


def test_the_command(tmp_path):
    """What it writes is what `lm train` and `--class` or `--fill` take."""
    (tmp_path / "text.txt").write_text("Call John Smith, now.\ncall mary\nCall $CONTACT.\nwait\n")
    (tmp_path / "contacts.txt").write_text("John Smith\t2\nMary\nPeter\t1\tP IY T ER\n")
    arguments = ["lm", "tag", tmp_path / "text.txt", "--class", f"CONTACT={tmp_path / 'contacts.txt'}", "--out",
                 tmp_path / "tagged.txt", "--counted", tmp_path / "lists"]  # fmt: skip
    result = CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0 and "$CONTACT: 2 times, 2 of 3 entries" in result.output
    assert (tmp_path / "tagged.txt").read_text() == "CALL $CONTACT NOW\nCALL $CONTACT\nCALL $CONTACT\nWAIT\n"
    john, mary, peter = read_word_list(tmp_path / "lists" / "CONTACT.txt")
    assert (john.text, john.weight, mary.weight, peter.weight) == ("JOHN SMITH", 3.0, 2.0, 1.0)
    assert peter.phones == (("P", "IY", "T", "ER"),)
