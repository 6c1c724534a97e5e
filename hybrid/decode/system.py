"""A model, a graph and a search engine that fit each other, loaded once per process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from hybrid.agreement import lang_part, part_of, require_fit, scale_differences
from hybrid.base.integrity import check, state_of
from hybrid.base.jobs import one_behind
from hybrid.base.log import get_logger
from hybrid.confidence.calibration import Calibration
from hybrid.data.utterance import Utterance
from hybrid.decode.bias_watch import BiasWatch
from hybrid.decode.engine import open_searcher
from hybrid.decode.language import Rescorer, SearchLm, SecondPass, lm_of_file, search_lm
from hybrid.decode.nearest_phrases import NearestPhrases
from hybrid.decode.raised_phrases import BOOST, with_lists, with_nearest
from hybrid.decode.reader import Reader
from hybrid.decode.recognition import Recognition
from hybrid.decode.reject import RejectConfig
from hybrid.decode.slot_trace import SlotTracer
from hybrid.graph.decoding import DecodingGraph
from hybrid.graph.filling import Filler, Filling
from hybrid.graph.own_grammar import garbage_ids
from hybrid.graph.own_words import GRAMMAR, Guess
from hybrid.model.folder import Model, load_model
from hybrid.search.choose import choose_engine
from hybrid.search.config import RetryConfig, SearchConfig
from hybrid.search.engines.k2_config import K2Config
from hybrid.search.protocol import Searcher, SearchResult
from hybrid.search.retry import search_with_retries
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.word_alignment import (
    WordAlignment,
    find_word_alignment,
    pause_phones,
    silence_phones,
    silent_words,
)
from lexicon.symbols import SymbolTable
from lm.biasing.bias_list import BiasLine, BiasList
from lm.grammar.automaton import GrammarAutomaton, automaton_of
from lm.grammar.load import read_grammar
from lm.word_list import ListEntry

__all__ = ["System", "SystemSpec", "load_system", "make_system"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class SystemSpec:
    """What to load; small enough to be sent to workers.

    Attributes:
      model_dir, graph_dir: folders of the two.
      lang_dir: where neither the graph folder nor the phones' names tell words from phones.
      search: widths, and an acoustic scale if it is not to be the model's.
      engine: "native", "torch", "k2", "reference", or "auto".
      device: of the acoustic model and of the engines torch and k2.
      kaldi_times: boundaries lie at frame number × shift, as Kaldi's, and not in the middle between windows.
      k2: settings of that engine.
      raw: keep lattices as the search gave them, not determinised.
      calibration: file of one (`hybrid confidence train`); by default calibration.json of the graph's or the model's
        folder, where there is one; those are of a plain first pass, and not taken with a second or with phrases.
      reject: confidences below which words or utterances are left out.
      second_pass: over each determinised lattice; what is told and kept is its result.
      search_arpa: the language model of the graph, where its records do not lead to it.
      lm: what a graph for look-ahead is composed with: an ARPA file, or G.fst.
      exact_backoff: with it, no path of a lattice backs off from a history that has the n-gram; else back-off is an
        epsilon, as in graphs that hold their model.
      only_best: words and phones of the best path, without lattices and confidences, for what is only read.
      brief: a few seconds of speech, see `open_searcher`.
      slots: (slot, file of its list). g2p: model that guesses pronunciations that such a list lacks.
      bias: list of phrases that are raised. bias_boost: natural log per word, of those without their own.
      bias_nearest: raise in each utterance only so many of them, the nearest in sound to a first search; 0: all.
      bias_pass: "search": while searching; "lattice": in the determinised lattices, after a second pass.
    """

    model_dir: str
    graph_dir: str
    lang_dir: str | None = None
    search: SearchConfig = field(default_factory=SearchConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    engine: str = "auto"
    device: str = "cpu"
    kaldi_times: bool = False
    k2: K2Config = field(default_factory=K2Config)
    raw: bool = False
    calibration: str | None = None
    reject: RejectConfig = field(default_factory=RejectConfig)
    second_pass: SecondPass | None = None
    search_arpa: str | None = None
    lm: str | None = None
    slots: tuple[tuple[str, str], ...] = ()
    g2p: str | None = None
    only_best: bool = False
    brief: bool = False
    bias: str | None = None
    bias_boost: float = BOOST
    bias_pass: Literal["search", "lattice"] = "search"
    bias_nearest: int = 0
    exact_backoff: bool = False

    def __post_init__(self) -> None:
        later = self.second_pass is not None or self.raises_later
        if self.only_best and (self.raw or later or self.reject != RejectConfig()):
            raise ValueError(
                "only_best leaves no lattices, wanted no raw ones, no second pass and no rejection with it"
            )
        if self.bias_pass not in ("search", "lattice"):
            raise ValueError(f"bias_pass is {self.bias_pass!r}, wanted 'search' or 'lattice'")
        if self.raw and (later or self.bias_pass == "lattice"):
            raise ValueError("raw lattices are those of the search, wanted no second pass with them")

    @property
    def raises_later(self) -> bool:
        """Whether phrases are raised in lattices."""
        return self.bias is not None and self.bias_pass == "lattice"

    @property
    def search_lm(self) -> SearchLm:
        """The language model of the graph."""
        if self.search_arpa is not None:
            return SearchLm(Path(self.search_arpa).name, Path(self.search_arpa), exact=self.exact_backoff)
        found = search_lm(self.graph_dir) if self.lm is None else lm_of_file(self.lm)
        return replace(found, exact=self.exact_backoff)

    @property
    def language_models(self) -> dict[str, str]:
        """Their names as every result has them: `search_lm`, and `second_lm` where there is a second pass."""
        second = {} if self.second_pass is None else {"second_lm": self.second_pass.name}
        return {"search_lm": self.search_lm.name, **second}

    @property
    def calibration_file(self) -> Path | None:
        """The calibration that is used, if any."""
        if self.calibration is not None:
            return Path(self.calibration)
        if self.second_pass is not None or self.bias is not None:
            return None
        places = (Path(folder) / "calibration.json" for folder in (self.graph_dir, self.model_dir) if folder)
        return next((file for file in places if file.is_file()), None)


@dataclass(frozen=True, eq=False)
class System:
    """Everything that turns features or scores into recognitions.

    Attributes:
      word_alignment: what tells which phones make a word; None where nothing does.
      pause_phones: ids of the phones between words.
      silent_words: ids of the words that are spoken as such pauses.
      second_pass: what is done to each determinised lattice, see `Reader`. calibration: of confidences.
      silence_phones: ids of all phones that are no speech.
      grammar: of the graph, where it was made of one.
      graph: that the searcher searches. contents: of its slots. filler: what compiles them, where it has slots.
      guess: pronunciations of words that fill slots and that nobody knows; see `hybrid.decode.slot_filler`.
      tracer: what tells which words stand in slots, where some are filled.
      filling: the contents, compiled. phrases: those that are raised; see `hybrid.decode.raised_phrases`.
      nearest: a long list, of which each utterance gets some. lent: new words that are there for the sake of phrases.
      watch: what looks whether the phrases swallow what is said, in all that is recognised with them.
    """

    spec: SystemSpec
    model: Model
    words: SymbolTable
    searcher: Searcher
    word_alignment: WordAlignment | None
    pause_phones: tuple[int, ...] = ()
    silent_words: frozenset[int] = frozenset()
    second_pass: Rescorer | None = None
    calibration: Calibration | None = None
    silence_phones: tuple[int, ...] = ()
    grammar: GrammarAutomaton | None = field(default=None, repr=False)
    graph: DecodingGraph | None = field(default=None, repr=False)
    contents: Mapping[str, Sequence[ListEntry]] = field(default_factory=dict)
    filler: Filler | None = field(default=None, repr=False)
    guess: Guess | None = field(default=None, repr=False)
    tracer: SlotTracer | None = field(default=None, repr=False)
    filling: Filling | None = field(default=None, repr=False)
    phrases: tuple[BiasLine, ...] = field(default=(), repr=False)
    nearest: NearestPhrases | None = field(default=None, repr=False)
    lent: tuple[ListEntry, ...] = ()
    watch: BiasWatch = field(default_factory=BiasWatch, repr=False)

    @property
    def config(self) -> SearchConfig:
        """Widths and the acoustic scale in use."""
        return self.searcher.config

    @property
    def times(self) -> FrameTimes:
        """When frames begin."""
        return FrameTimes.of(self.model, self.spec.kaldi_times)

    @cached_property
    def pauses(self) -> np.ndarray:
        """Which transition-ids are of pauses between words, bool [transition-ids + 1]."""
        return np.isin(self.model.transition_model.phones, self.pause_phones)

    @cached_property
    def raised(self) -> BiasList | None:
        """The phrases in word ids; None without any."""
        return BiasList.of(self.phrases, self.words) if self.phrases else None

    @cached_property
    def reader(self) -> Reader:
        """What turns the results of the search into recognitions."""
        return Reader(
            self.model, self.words, self.times, self.word_alignment, self.silent_words, self.config.scale,
            self.spec.raw, self.second_pass, self.calibration, self.spec.reject, self.grammar,
            garbage_ids(self.words), self.spec.only_best, self.tracer, self.filler is not None,
            self.raised.automaton() if self.raised is not None and self.spec.bias_pass == "lattice" else None,
        )  # fmt: skip

    def search(self, scores: Sequence[np.ndarray]) -> list[SearchResult]:
        """Searches utterances, with the retry ladder; scores are float32 [frame][pdf_id], unscaled.

        Returns:
          A result each; of scores that cannot be searched one that failed.
        """
        return search_with_retries(self.searcher, scores, retry=self.spec.retry)

    def search_each(self, scores: Sequence[np.ndarray]) -> Iterator[SearchResult]:
        """Searches as `search`; engines that search one utterance after the other give each as it is found."""
        groups = [list(scores)] if self.searcher.batched else [[one] for one in scores]
        return (result for group in groups for result in self.search(group))

    def searched(self, scores: Sequence[np.ndarray]) -> Iterator[tuple[System, SearchResult]]:
        """Searches as `search_each`, and again with the phrases of a long list that are near to what was found.

        Yields:
          The system that reads a result, and the result.
        """
        for one, result in zip(scores, self.search_each(scores)):
            near = self if self.nearest is None or result.failed else with_nearest(self, result)
            yield (near, near.search([one])[0]) if near.phrases and near is not self else (self, result)

    def recognise(self, utterances: Sequence[Utterance], scores: Sequence[np.ndarray]) -> list[Recognition]:
        """Searches utterances and reads off words and phones with their times, while the next one is searched.

        Args:
          scores: float32 [T][num_pdfs] of each utterance, unscaled natural logs.
        """
        found = (
            (one, item, result, own) for item, own, (one, result) in zip(utterances, scores, self.searched(scores))
        )
        return list(one_behind(_read, found))

    def recognise_each(self, spoken: Iterable[tuple[Utterance, np.ndarray]]) -> Iterator[Recognition]:
        """Does the same to utterances whose scores are made one after the other.

        Raises:
          InputError: scores that cannot be searched; names the utterance.
        """
        found = ((item, scores, next(self.searched([scores]))) for item, scores in spoken)
        yield from one_behind(_read, ((one, item, result.require(item.id), own) for item, own, (one, result) in found))

    def read(self, item: Utterance, result: SearchResult, first_frame: int = 0) -> Recognition:
        """See `Reader.read`."""
        return self.reader.read(item, result, first_frame)


def _read(found: tuple[System, Utterance, SearchResult, np.ndarray]) -> Recognition:
    system, item, result, scores = found
    one = system.read(item, result)
    system.watch.look(system, one, scores)
    return one


def load_system(spec: SystemSpec) -> System:
    """Loads model, graph and engine; the last one is kept as long as its files are the same, for a worker's sake.

    Raises:
      InputError: a file is missing or damaged.
      InputError: the device cannot be used here.
      MismatchError: model, graph and lang folder do not belong together, or a file of them was changed.
    """
    lists = (spec.g2p, spec.lm, spec.bias, *(path for _, path in spec.slots))
    places = (spec.model_dir, spec.graph_dir, spec.lang_dir, spec.calibration_file, *lists)
    with _loading:  # of several threads one loads
        return _load_system(spec, tuple(state_of(place) for place in places))


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _load_system(spec: SystemSpec, _states: object) -> System:
    choose_engine(spec.engine, spec.device)  # before the files are read
    model = load_model(spec.model_dir).to(spec.device)
    graph = DecodingGraph.load(spec.graph_dir)
    return with_lists(make_system(model, graph, spec))


def make_system(model: Model, graph: DecodingGraph, spec: SystemSpec | None = None) -> System:
    """Joins a model and a graph, from folders or compiled in memory, by a search engine.

    Args:
      spec: settings of search and engine, and a lang folder; where model and graph lie is not looked at.

    Raises:
      MismatchError: model, graph and lang folder do not belong together.
    """
    model_dir, graph_dir = (str(value.path or name) for value, name in ((model, "the model"), (graph, "the graph")))
    spec = replace(spec or SystemSpec("", ""), model_dir=model_dir, graph_dir=graph_dir)
    graph.check_model(model.transition_model, model_dir)
    for difference in scale_differences(graph.scales, model.acoustic_model):
        _log.warning("%s was compiled with %s", graph_dir, difference)
    if spec.lang_dir:
        lang_folder = lang_part(spec.lang_dir)
        require_fit(graph.part, lang_folder)
        require_fit(lang_folder, model.part)
    config = spec.search.of_model(model.acoustic_model.acoustic_scale)
    searcher = open_searcher(spec, graph, model.transition_model, config)
    lang = Path(spec.lang_dir) if spec.lang_dir else None
    word_alignment = find_word_alignment(graph.tables, lang, model.phones)
    silent = silent_words(graph.tables, lang, model.phones) | garbage_ids(graph.words)
    said = graph.tables / GRAMMAR
    check(said)
    calibration = None
    if file := spec.calibration_file:
        require_fit(graph.part, part_of(file, "calibration"))
        calibration = Calibration.load(file)
    second = None
    if spec.second_pass is not None and not spec.slots:  # else it is opened with their words (`with_lists`)
        second = spec.second_pass.open(graph.words, spec.search_lm, config.scale)
    return System(
        spec, model, graph.words, searcher, word_alignment, pause_phones(graph.tables, lang), silent, second,
        calibration, silence_phones(graph.tables, lang), automaton_of(read_grammar(said)) if said.is_file() else None,
        graph, filler=_filler(model, graph),
    )  # fmt: skip


def _filler(model: Model, graph: DecodingGraph) -> Filler | None:
    """Returns what fills the slots of a graph, if it has any."""
    if graph.slots is None:
        return None
    scales = graph.scales
    return Filler(graph.slots, model.transition_model, (scales["transition_scale"], scales["self_loop_scale"]))
