"""The id spaces of the recogniser, their first numbers, and checks that an array stays inside one.

| name               | from | meaning                                                                  |
|--------------------|------|--------------------------------------------------------------------------|
| `phone_id`         | 1    | row of phones.txt; 0 is epsilon, or "no phone" beyond an utterance's ends |
| `word_id`          | 1    | row of words.txt; 0 is epsilon                                           |
| `context_id`       | 1    | a phone in context: output label of H, input label of C and of C∘L∘G     |
| `hmm_state`        | 0    | state of a phone's topology                                              |
| `pdf_class`        | 0    | slot of a state in the tree                                              |
| `pdf_id`           | 0    | leaf of the tree, column of the scores                                   |
| `transition_state` | 1    | (phone, hmm_state, forward pdf, self-loop pdf), and no other             |
| `transition_index` | 0    | arc out of a transition_state                                            |
| `transition_id`    | 1    | (transition_state, transition_index): input label of H and HCLG          |
"""

from __future__ import annotations

import numpy as np

from hybrid.base.errors import MismatchError

__all__ = ["check_range"]


def check_range(name: str, ids: np.ndarray, first: int, last: int, place: object, cure: str = "") -> None:
    """Checks that every id lies in [first, last].

    Args:
      name: of the id space, as in the table above.
      ids: int array of any shape; an empty one passes.
      place: what holds the ids, for the message.

    Raises:
      MismatchError: names the first id outside and the range.
    """
    ids = np.asarray(ids).reshape(-1)
    if not ids.size or (int(ids.min()) >= first and int(ids.max()) <= last):
        return
    wrong = int(ids[(ids < first) | (ids > last)][0])
    raise MismatchError(f"{place}: {name} {wrong} lies outside {first}–{last}. {cure}".rstrip())
