"""What alignments tell of pronunciations and of silence between them: counts, in the forms of Kaldi's get_prons.sh.

pron_counts_nowb.txt          count word phone …; pauses are counted as the word <eps>
sil_counts_nowb.txt           silence before, none before, silence after, none after, word phone …
pron_bigram_counts_nowb.txt   count, one "word phone …" and the next, tab-separated, pauses left out
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["BEGIN", "END", "PAUSE", "PronunciationCounts", "Spoken"]

Spoken = tuple[str, ...]
"""A word and its phones without position marks; a pause is (`<eps>`, silence phone)."""

PAUSE = "<eps>"
BEGIN: Spoken = ("<s>",)
END: Spoken = ("</s>",)


@dataclass(eq=False)
class PronunciationCounts:
    """How often pronunciations were said, and what stood beside them; adding two is adding up their data.

    Attributes:
      spoken: pronunciation or pause → how often it was said.
      neighbours: pronunciation or sentence end → [silence before, none before, silence after, none after].
      pairs: (pronunciation or begin, the next one or end) → how often, with or without silence between them.
      utterances: how many were counted.
    """

    spoken: Counter[Spoken] = field(default_factory=Counter)
    neighbours: dict[Spoken, list[int]] = field(default_factory=dict)
    pairs: Counter[tuple[Spoken, Spoken]] = field(default_factory=Counter)
    utterances: int = 0

    def add(self, utterance: Sequence[Spoken]) -> None:
        """Counts one utterance: words and pauses in the order in which they were said."""
        self.spoken.update(utterance)
        self.utterances += 1
        items = (BEGIN, *utterance, END)
        for one, other in pairwise(items):
            if one[0] != PAUSE:
                self._of(one)[2 if other[0] == PAUSE else 3] += 1
            if other[0] != PAUSE:
                self._of(other)[0 if one[0] == PAUSE else 1] += 1
        self.pairs.update(pairwise(item for item in items if item[0] != PAUSE))

    def _of(self, item: Spoken) -> list[int]:
        return self.neighbours.setdefault(item, [0, 0, 0, 0])

    def __iadd__(self, other: PronunciationCounts) -> PronunciationCounts:
        self.spoken += other.spoken
        self.pairs += other.pairs
        for item, counts in other.neighbours.items():
            mine = self._of(item)
            mine[:] = [a + b for a, b in zip(mine, counts)]
        self.utterances += other.utterances
        return self

    def to_files(self) -> dict[str, str]:
        """Returns file name → text, lines sorted: the most frequent pronunciation first, else by their bytes."""
        spoken = sorted(self.spoken.items(), key=lambda pair: (-pair[1], pair[0]))
        neighbours = sorted((" ".join(item), counts) for item, counts in self.neighbours.items())
        pairs = sorted((" ".join(a), " ".join(b), count) for (a, b), count in self.pairs.items())
        return {
            "pron_counts_nowb.txt": "".join(f"{count} {' '.join(item)}\n" for item, count in spoken),
            "sil_counts_nowb.txt": "".join(f"{' '.join(map(str, counts))} {text}\n" for text, counts in neighbours),
            "pron_bigram_counts_nowb.txt": "".join(f"{count}\t{a}\t{b}\n" for a, b, count in pairs),
        }
