"""Folders of neural models and their tokens: there and back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.base.errors import HybridError, InputError
from hybrid.formats.tensors import load_arrays, save_arrays
from lexicon.pieces import PieceConfig, train_pieces
from lm.neural.folder import NeuralLm, load_neural_lm, save_neural_lm
from lm.neural.text_scores import earlier_tokens, mixed_share, word_log_probs
from lm.neural.units import END, UNKNOWN, Units

CPU = torch.device("cpu")


def test_there_and_back(lm: NeuralLm, tmp_path) -> None:  # type: ignore[no-untyped-def]
    save_neural_lm(tmp_path, lm, {}, {}, {})
    back = load_neural_lm(tmp_path)
    assert back.config == lm.config and back.units == lm.units
    tokens, lengths = torch.randint(20, (2, 7)), torch.tensor([6, 6])
    assert torch.equal(back.network(tokens, lengths), lm.network(tokens, lengths))


def test_what_is_refused(lm: NeuralLm, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="holds no neural language model. Name the folder that `hybrid lm train-neura"):
        load_neural_lm(tmp_path)
    save_neural_lm(tmp_path, lm, {}, {}, {})
    whole = (tmp_path / "final.safetensors").read_bytes()
    (tmp_path / "final.safetensors").write_bytes(whole[:-9])
    with pytest.raises(HybridError, match="final.safetensors"):
        load_neural_lm(tmp_path)
    (tmp_path / "meta.json").unlink()
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_neural_lm(tmp_path)
    (tmp_path / "final.safetensors").write_bytes(whole)
    arrays, _ = load_arrays(tmp_path / "final.safetensors")
    name = next(iter(arrays))
    for change, message in (({name: np.full_like(arrays[name], np.nan)}, "holds NaN or infinity"),
                            ({name: arrays[name][..., :1]}, "wanted"), ({name: None}, "is none, wanted")):  # fmt: skip
        changed = {k: v for k, v in {**arrays, **change}.items() if v is not None}
        save_arrays(tmp_path / "final.safetensors", changed)
        with pytest.raises(InputError, match=message):
            load_neural_lm(tmp_path)
    save_arrays(tmp_path / "final.safetensors", arrays)
    settings = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(settings.replace("dim: 8", "dim: 4096"))
    with pytest.raises(InputError, match="weights, too few for 20 tokens and these settings"):
        load_neural_lm(tmp_path)
    (tmp_path / "config.yaml").write_text(settings)
    (tmp_path / "tokens.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match="tokens.txt: holds no usable list of tokens"):
        load_neural_lm(tmp_path)
    (tmp_path / "config.yaml").write_text("dimm: 3\n")
    with pytest.raises(InputError, match="config.yaml: unknown setting 'dimm'"):
        load_neural_lm(tmp_path)


def test_words() -> None:
    units = Units.of_words(["B", "A", "<s>", "B", "<unk>", "</s>"])
    assert units.symbols == ("</s>", "<unk>", "B", "A")
    assert units.of_word("A") == (3,) and units.of_word("</s>") == (END,) and units.of_word("C") == (UNKNOWN,)
    assert units.knows("A") and not units.knows("C")
    splits, tokens = units.table(["A", "C", "</s>"])
    assert splits.tolist() == [0, 1, 2, 3] and tokens.tolist() == [3, 1, 0]
    with pytest.raises(InputError, match="vocabulary: holds no word"):
        Units.of_words(["<s>"])
    with pytest.raises(ValueError, match="a token stands twice"):
        Units(("</s>", "<unk>", "A", "A"))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> bytes:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("pieces") / "pieces.model"
    train_pieces(["low lower lowest new newer newest wide wider widest"] * 9, path, PieceConfig(vocab_size=24))
    return path.read_bytes()


def test_pieces_sum_along_words(pieces: bytes, lm: NeuralLm, tmp_path) -> None:  # type: ignore[no-untyped-def]
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    symbols = [processor.id_to_piece(i) for i in range(processor.get_piece_size()) if i != processor.unk_id()]
    units = Units.of_pieces(symbols, pieces)
    assert len(units.of_word("lowest")) > 1 and "".join(units.symbols[t] for t in units.of_word("lowest")) == "▁lowest"
    from lm.neural.folder import build

    torch.manual_seed(0)
    whole = NeuralLm(lm.config, units, build(lm.config, len(units)).eval().requires_grad_(False))
    save_neural_lm(tmp_path, whole, {}, {}, {})
    back = load_neural_lm(tmp_path)  # needs nothing but the folder
    assert back.units == units
    words = ["lowest", "newer"]
    found = word_log_probs(back, [words], CPU)[0]
    spelt = [units.of_word(w) for w in (*words, "</s>")]
    row = torch.tensor([[END, *(t for tokens in spelt for t in tokens)]])
    each = whole.network(row, torch.tensor([row.shape[1] - 1]))[0].double().numpy()
    ends = np.cumsum([len(tokens) for tokens in spelt])
    np.testing.assert_allclose(found, [each[a:b].sum() for a, b in zip([0, *ends], ends)], atol=1e-6)
    assert not units.knows("жук") and UNKNOWN in units.of_word("жук")


def test_sentences_before(lm: NeuralLm) -> None:
    assert earlier_tokens([[5, 0], [6, 7, 0], [8, 0]], 5) == [6, 7, 0, 8, 0]
    assert earlier_tokens([[5, 0], [6, 7, 0], [8, 0]], 4) == [8, 0]
    sentences = [["w1", "w2"], ["w3"], [], ["w4", "w9", "w9"]]
    plain, batched = word_log_probs(lm, sentences, CPU), word_log_probs(lm, sentences, CPU, batch_tokens=1)
    carried = word_log_probs(lm, sentences, CPU, history=100)
    tokens = [0, *(lm.units.of_word(w)[0] for s in sentences for w in (*s, "</s>"))]
    row = lm.network(torch.tensor([tokens]), torch.tensor([len(tokens) - 1]))[0]
    np.testing.assert_allclose(np.concatenate(carried), row, atol=1e-5)
    for one, other in zip(plain, batched):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(plain[0], carried[0], atol=1e-6)
    assert abs(plain[3] - carried[3]).max() > 1e-3


def test_mixture() -> None:
    own, other, known = [np.log([0.5, 0.1])], [np.log([0.25, 0.3])], [np.array([True, True])]
    share, mixed = mixed_share(own, other, known, 0.5)
    np.testing.assert_allclose(np.exp(mixed[0]), [0.375, 0.2])
    share, mixed = mixed_share(own, other, known)
    better = [float(mixed_share(own, other, known, s)[1][0].sum()) for s in np.linspace(0, 1, 101)]
    assert mixed[0].sum() >= max(better) - 1e-6 and 0 < share < 1
