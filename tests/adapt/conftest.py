"""What is adapted to."""

from tests.spoken_states import lang, make_store, model, speak, store, texts

__all__ = ["lang", "make_store", "model", "speak", "store", "texts"]
