"""Contextual spelling correction with the words and pronunciations of a graph; see `lm.biasing.correction`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hybrid.base.log import get_logger
from hybrid.decode.nearest_phrases import spelt, usual_case
from hybrid.graph.decoding import DecodingGraph
from hybrid.graph.own_words import Guess
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.paths import best_path
from lexicon.symbols import SymbolTable
from lm.biasing.bias_list import BiasLine
from lm.biasing.correction import Corrector
from lm.biasing.correction_config import CorrectionConfig
from lm.biasing.phone_costs import PhoneCosts
from lm.biasing.phrase_filter import PhraseFilter

__all__ = ["corrector_of", "sure_words"]

logger = get_logger(__name__)
Pairs = Sequence[tuple[Sequence[str], Sequence[str]]]


def corrector_of(
    graph: DecodingGraph,
    lines: Iterable[BiasLine],
    config: CorrectionConfig | None = None,
    guess: Guess | None = None,
    confusions: Pairs = (),
) -> Corrector:
    """Makes what corrects transcripts of a graph by a list of phrases, whose boosts and contexts do not count.

    Args:
      guess: pronunciations of words of the list that the graph lacks; None: their phrases are left out.
      confusions: words that were said and those that were heard, of some utterances; costs are learnt from them.
    """
    lexicon = graph.lexicon
    case = usual_case(lexicon)
    said = list(dict.fromkeys(tuple(spelt(w, lexicon, case) for w in text.split()) for text, _, _ in lines))
    missing = sorted({word for words in said for word in words if word not in lexicon})
    spoken = {**(guess(missing) if guess is not None and missing else {}), **lexicon}
    phones = {phone for ways in spoken.values() for way in ways for phone in way}
    pairs = [tuple(_phones(words, spoken) for words in pair) for pair in confusions if all(_known(pair, spoken))]
    costs = PhoneCosts.learnt(phones, [(a, b) for a, b in pairs]) if pairs else PhoneCosts.even(phones)
    sounds = PhraseFilter.of(said, spoken, costs)
    if sounds.unspoken:
        logger.warning("%d of %d phrases have no pronunciation and are left out", len(sounds.unspoken), len(said))
    return Corrector([" ".join(words) for words in said], sounds, spoken, config or CorrectionConfig())


def _known(pair: Iterable[Sequence[str]], spoken: Mapping[str, object]) -> Iterable[bool]:
    return (word in spoken for words in pair for word in words)


def _phones(words: Sequence[str], spoken: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
    return [phone for word in words for phone in spoken[word][0]]


def sure_words(compact: CompactLattice, scale: float, table: SymbolTable) -> tuple[list[str], list[float]]:
    """Returns the words of the best path of a lattice and their confidences.

    Args:
      scale: of acoustic scores. table: names of word ids.
    """
    path = best_path(expand(compact), scale)
    if path is None or not len(path.word_ids):
        return [], []
    found = mbr_decode(compact, scale, words=path.word_ids, fixed=True)
    return [table.symbol(int(word)) for word in path.word_ids], found.confidences.tolist()
