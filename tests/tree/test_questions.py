import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.tree import PDF_CLASS_KEY, Questions, TreeStats, find_questions, read_questions, write_questions


def stats_of(means, classes=(1,)):
    random = np.random.default_rng(0)
    rows, phones = [], []
    for phone, mean in means.items():
        for pdf_class in classes:
            x = random.normal(size=(50, 2)) + mean
            rows.append(np.concatenate([[50], x.sum(0), (x * x).sum(0)]))
            phones.append((phone, pdf_class))
    phones = np.array(phones)
    contexts = np.stack([phones[:, 0] * 0, phones[:, 0], phones[:, 0] * 0], axis=1).astype(np.int32)
    return TreeStats(1, contexts, phones[:, 1].astype(np.int32), np.array(rows))


MEANS = {1: [0, 0], 2: [0, 1], 3: [20, 20], 4: [20, 21], 5: [-20, 20]}


def test_families_of_sounds_become_questions():
    found = find_questions(stats_of(MEANS), [(p,) for p in MEANS])
    assert {(1, 2), (3, 4), (1, 2, 3, 4, 5)} <= set(found)
    assert {(p,) for p in MEANS} <= set(found)
    assert list(found) == sorted(found)


def test_sets_are_never_divided_and_unseen_phones_keep_their_set():
    found = find_questions(stats_of(MEANS), [(1, 3), (2, 4), (5,), (6, 7)])
    assert (6, 7) in found
    for question in found:
        for inseparable in ({1, 3}, {2, 4}, {6, 7}):
            assert not inseparable & set(question) or inseparable <= set(question)


def test_only_the_named_pdf_classes_count():
    moved = stats_of({1: [0, 0], 2: [0, 0.1], 3: [9, 9]}, classes=(1,))
    noise = stats_of({1: [50, 0], 2: [-50, 0], 3: [0, 0]}, classes=(0, 2))
    both = TreeStats.merge([moved, noise])
    sets = [(1,), (2,), (3,)]
    assert find_questions(both, sets) == find_questions(moved, sets)
    assert find_questions(both, sets, pdf_classes=(0, 2)) == find_questions(noise, sets, pdf_classes=(0, 2))


def test_compiled_questions():
    questions = Questions.compile([(2, 1), (3,), (1, 2)], context_width=2, max_pdf_classes=3)
    assert questions.by_key == {0: ((1, 2), (3,)), 1: ((1, 2), (3,)), PDF_CLASS_KEY: ((0,), (0, 1))}
    with pytest.raises(ValueError, match="non-empty, sorted"):
        Questions({0: ((2, 1),)})


def test_files_there_and_back(tmp_path):
    path = tmp_path / "questions.int"
    write_questions(path, [(1, 2), (30,)])
    assert path.read_text() == "1 2\n30\n" and read_questions(path) == ((1, 2), (30,))


@pytest.mark.parametrize(
    "text, message",
    [("1 2\nA B\n", ":2: found 'A B'; wanted phone ids. Use ids, not symbols."), ("1 1\n", ":1: a phone stands twice")],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "questions.int"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_questions(path)
    assert message in str(error.value)


def test_bad_sets():
    with pytest.raises(ValueError, match="disjoint"):
        find_questions(stats_of(MEANS), [(1,), (1, 2)])
