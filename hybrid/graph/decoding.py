"""The decoding graph HCLG: compiled into memory or a folder, saved, loaded, held against a model.

HCLG.fst words.txt phones.txt phones/   as Kaldi's graph folder
slots.json                             of a graph with slots: what the labels of HCLG.fst beyond the transition-ids mean
unigrams.npy                           of a graph that takes new words: what each word costs by itself
lexicon.txt                            of a graph with slots that was built of one's own sentences: pronunciations known
report.tsv                             states, arcs and stochasticity of every operation; seconds and memory: meta.json
meta.json                              hashes of tree, topo, words, L and G, and of its files; figures. Written last.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.agreement import Part, lang_part, part_of, require_fit
from hybrid.base.artifact import atomic_folder, content_hash, is_hash, read_meta, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.errors import HybridError, InputError
from hybrid.base.integrity import check
from hybrid.base.log import get_logger
from hybrid.base.names import is_id
from hybrid.base.output import check_folder
from hybrid.base.reading import reading, require_followed, text_lines
from hybrid.formats.npy import read_npy
from hybrid.formats.openfst import FstArrays, read_fst, write_fst
from hybrid.fst.minimize import DELTA
from hybrid.graph.ambiguity import explain
from hybrid.graph.config import KALDI_CHAIN_SCALES, KALDI_SCALES, GraphConfig
from hybrid.graph.means import within_means
from hybrid.graph.new_words import NEW, open_grammar
from hybrid.graph.places import Ghosts, places_last
from hybrid.graph.report import GraphReport, without_costs
from hybrid.graph.slot_table import SLOTS, SlotTable
from hybrid.graph.stages import FINE, NotDeterminizableError, make_clg, make_hclg, make_lg
from hybrid.graph.word_classes import Classes
from hybrid.graph.word_loop import word_loop
from hybrid.hmm import TransitionModel
from hybrid.ids import check_range
from lexicon.lexicon import Lexicon
from lexicon.phones import POSITIONS
from lexicon.symbols import SymbolTable
from lexicon.words.phone_fit import is_marked
from lexicon.words.spelling import Spelling

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir

__all__ = ["LEXICON", "DecodingGraph", "GraphConfig", "compile_decoding_graph"]

LOGGER = get_logger(__name__)
ARPA = "lm.arpa"  # the language model of a graph that was built of sentences, in its folder
UNIGRAMS = "unigrams.npy"
WORD_COST = "word_cost"  # fact of a graph of H, C and L alone
LEXICON = "lexicon.txt"  # of words that may fill slots, in graphs of one's own words
LANG_FILES = {"words": "words.txt", "phones": "phones.txt", "lexicon": "L_disambig.fst"}  # recorded as made from
COPIED = ("words.txt", "phones.txt", "phones/word_boundary.int", "phones/word_boundary.txt", "phones/align_lexicon.int",
          "phones/align_lexicon.txt", "phones/optional_silence.int", "phones/optional_silence.txt",
          "phones/disambig.int", "phones/silence.csl")  # fmt: skip


def compile_decoding_graph(
    lang: LangDir,
    grammar: FstArrays | str | os.PathLike | None,
    model: TransitionModel,
    out_dir: str | os.PathLike | None = None,
    config: GraphConfig = GraphConfig(),  # noqa: B008  (frozen)
    model_dir: str | os.PathLike | None = None,
    files: Mapping[str, str] | None = None,
    classes: Classes = Classes(),  # noqa: B008  (frozen)
) -> DecodingGraph:
    """Compiles HCLG, into memory or straight into a graph folder.

    Args:
      lang: its phones.txt must be the model's.
      grammar: G over the words of `lang`, #0 on its back-off arcs; None: a graph of H, C and L alone, for look-ahead.
      model: transition model with its tree.
      out_dir: the folder, which need not be held in memory; None: memory alone (`DecodingGraph.save` writes it).
      config: scales left open (see `GraphConfig.of_model`) are Kaldi's for the topology: GMM or chain.
      model_dir: where its tree and topo lie, for meta.json.
      files: name → text of further files of the folder.
      classes: what is put in the place of classes of the grammar; those with nothing become slots.

    Returns:
      The graph, with what each operation cost and made.

    Raises:
      InputError: `out_dir` holds something else than an earlier graph.
      HybridError: G has other words, L∘G cannot be determinised (the words are named), or memory is short.
    """
    made_from, alone = [lang.path, None if isinstance(grammar, FstArrays) else grammar], grammar is None
    if out_dir is not None:
        check_folder(out_dir, "graph", made_from, whole=True)  # before the work
    lexicon = lang.L_arrays(disambig=True)
    grammar, classes, unigrams = _grammar(lang, lexicon, grammar, made_from[1] or "G", classes)
    slots = SlotTable.of(classes.slots, lang, model.tree, model.num_transition_ids) if classes.slots else None
    config = config.of_model(*(KALDI_SCALES if model.topology.is_hmm else KALDI_CHAIN_SCALES))
    inputs = _inputs(lang, made_from[1], model, model_dir)

    def compiled(path: Path | None) -> DecodingGraph:
        """The graph in memory, or written to `path`."""
        try:
            arguments = lexicon, grammar, lang, model, config, path, classes, slots
            fst, facts, disambig, report, table = within_means(_compile, config.memory_gb, *arguments)
        except NotDeterminizableError as error:
            raise HybridError(f"{lang.path} and {made_from[1] or 'G'}: {error}: {explain(lang, grammar)}") from error
        LOGGER.info("HCLG: %.1f CPU s, peak %.2f GB", report.cpu_seconds, report.peak_gb)
        hashes = {name: value if isinstance(value, str) else value[1] for name, value in inputs.items()}
        facts |= {WORD_COST: float(grammar.final_costs[0])} if alone else {}
        meta = {"kind": "graph", "settings": config_to_dict(config), "inputs": hashes, "facts": facts}
        return DecodingGraph(lang.path, meta, None, fst, inputs, tuple(disambig), report, table, unigrams)

    if out_dir is None:
        return compiled(None)
    with atomic_folder(out_dir, "graph", made_from) as folder:
        graph = compiled(folder / "HCLG.fst")
        for name, text in (files or {}).items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        graph.write_companions(folder)
    return replace(DecodingGraph.load(out_dir), report=graph.report)


def _grammar(
    lang: LangDir, lexicon: FstArrays, grammar: FstArrays | str | os.PathLike | None, place: object, classes: Classes
) -> tuple[FstArrays, Classes, np.ndarray | None]:
    """Returns G, of a file or in memory, with classes in their places; all classes, and the costs of single words."""
    if grammar is None:
        grammar = word_loop(lexicon, lang.words["#0"])
    if not isinstance(grammar, FstArrays):
        check(grammar, cached=True)
        require_fit(part_of(grammar, "G"), lang_part(lang.path))
        grammar = read_fst(grammar)
    unigrams = None
    if classes.takes_words:
        label = max([lang.words.max_id, *classes.labels.values()]) + 1
        grammar, unigrams = open_grammar(grammar, lang.words["#0"], label, place)
        classes = Classes({**classes.labels, NEW: label}, classes.contents)
    classes.check_used(grammar, place)
    grammar = classes.expand(grammar)
    _check_grammar(lang, lexicon, grammar, place, classes)
    return grammar, classes, unigrams


def _inputs(
    lang: LangDir, grammar: object, model: TransitionModel, model_dir: str | os.PathLike | None
) -> dict[str, str | tuple[Path, str]]:
    """Returns name → hash, or path and hash, of what a graph is made from."""
    own = {"tree": model.tree.content_hash(), "topo": model.topology.content_hash()}
    files = {name: lang.path / file for name, file in LANG_FILES.items()}
    if grammar is not None:
        files["grammar"] = Path(str(grammar))
    return {
        **{name: known if model_dir is None else (Path(model_dir) / name, known) for name, known in own.items()},
        **{name: (path, content_hash(path)) for name, path in files.items()},
    }


def _compile(
    lexicon: FstArrays,
    grammar: FstArrays,
    lang: LangDir,
    model: TransitionModel,
    config: GraphConfig,
    path: Path | None,
    classes: Classes,
    slots: SlotTable | None,
) -> tuple[FstArrays | None, dict[str, Any], list[int], GraphReport, SlotTable | None]:
    """Returns HCLG, or writes it to `path`; its figures, symbols for disambiguation, the report, the table of slots."""
    assert config.transition_scale is not None and config.self_loop_scale is not None
    report, delta = GraphReport(), FINE if classes.symbols else DELTA
    first, count = 1 + max(lang.phones.max_id, int(lexicon.ilabels.max(initial=0))), len(classes.slots)
    symbols = range(first, first + len(classes.symbols))
    lg = make_lg(classes.pass_lexicon(lexicon, first), grammar, report, config.max_states, delta)
    ghosts = None if slots is None else Ghosts(slots, tuple(symbols[:count]), symbols.stop)
    disambig_phones = [*lang.disambig_phones, *symbols[count:]]
    clg, context_ids = make_clg(lg, disambig_phones, model.tree, report, ghosts)
    del lg
    scales = (config.transition_scale, config.self_loop_scale)
    hclg, disambig = make_hclg(clg, context_ids, model, scales, report, delta)
    del clg
    places = 0
    if slots is not None:
        hclg, places, slots = places_last(hclg, slots)
    facts = {
        "states": hclg.num_states, "arcs": hclg.num_arcs, "num_pdfs": model.num_pdfs,
        "num_transition_ids": model.num_transition_ids, "cpu_seconds": round(report.cpu_seconds, 2),
        "peak_gb": round(report.peak_gb, 3), "operations": report.as_rows(),
        **({} if slots is None else {"places": places}),
    }  # fmt: skip
    if path is None:
        return hclg, facts, disambig, report, slots
    write_fst(path, hclg, "const")
    return None, facts, disambig, report, slots


def _check_grammar(lang: LangDir, lexicon: FstArrays, grammar: FstArrays, place: object, classes: Classes) -> None:
    """Checks that G's labels are words of the lang folder or classes, and warns of words without pronunciation."""
    cure = f"Make G with the words.txt of {lang.path}."
    if not grammar.num_states or not np.isfinite(grammar.final_costs).any():
        raise InputError.at(place, "the grammar accepts nothing", "Look at the text or file that it was made from.")
    words = grammar.ilabels[~np.isin(grammar.ilabels, classes.symbols)]
    check_range("word_id", words, 0, lang.words.max_id, place, cure)
    check_range("word_id", grammar.olabels, 0, lang.words.max_id, place, cure)
    spoken = np.unique(lexicon.olabels)
    lost = [lang.words.symbol(int(i)) for i in np.setdiff1d(np.unique(words), np.append(spoken, 0))]
    if lost:
        shown = ", ".join(lost[:5]) + (" …" if len(lost) > 5 else "")
        LOGGER.warning("%s: %d words have no pronunciation and cannot be recognised: %s", place, len(lost), shown)


@dataclass(frozen=True, eq=False)
class DecodingGraph:
    """A decoding graph with its tables; the arrays of one in a folder are read when asked for.

    Attributes:
      tables: where words.txt, phones.txt and phones/ lie: its folder, or the lang folder that it was compiled with.
      meta: its record, as in meta.json; empty for Kaldi's own graph folders, which are read too.
      path: its folder; None in memory.
      arrays: HCLG in memory; None where it is read from the folder.
      inputs: name → hash, or (path, hash), of what it was made from.
      disambig: input symbols that stood for disambiguation until the end.
      report: what compilation cost; None where it was loaded.
      slots: that are open in it, if there are any: its input labels beyond the transition-ids are theirs then.
      unigrams: float32 [word_id], what each word costs by itself, where new words may be added.
    """

    tables: Path
    meta: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    arrays: FstArrays | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    disambig: tuple[int, ...] = ()
    report: GraphReport | None = None
    slots: SlotTable | None = None
    unigrams: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike) -> DecodingGraph:
        """Opens a graph folder.

        Raises:
          InputError: no graph folder.
          MismatchError: a file other than HCLG.fst is not the one that the graph was made with.
        """
        path = Path(path)
        require_followed(path)
        for name in ("HCLG.fst", "words.txt"):
            if not (path / name).exists():
                raise InputError.at(
                    path, f"has no {name}; wanted a graph folder", "Make it with `hybrid graph compile` or `build`."
                )
        for name in (*COPIED, SLOTS, UNIGRAMS, LEXICON):
            check(path / name)
        meta = read_meta(path)
        slots = SlotTable.read(path / SLOTS) if (path / SLOTS).exists() else None
        unigrams = read_npy(path / UNIGRAMS) if (path / UNIGRAMS).exists() else None
        symbols = path / "disambig_tid.int"
        lines = [line.strip() for _, line in text_lines(symbols)] if symbols.exists() else []
        inputs = {name: value for name, value in meta.get("inputs", {}).items() if is_hash(value)}  # else a path
        return cls(
            path, meta, path, None, inputs, tuple(int(line) for line in lines if is_id(line)), None, slots, unigrams
        )

    def save(self, out_dir: str | os.PathLike) -> None:
        """Writes the graph folder, which `load` reads.

        Raises:
          InputError: `out_dir` holds something else than an earlier graph.
        """
        with atomic_folder(out_dir, "graph", [self.tables]) as folder:
            write_fst(folder / "HCLG.fst", self.fst, "const")
            self.write_companions(folder)

    def write_companions(self, folder: Path) -> None:
        """Writes all of the graph folder but HCLG.fst, which must be there."""
        (folder / "phones").mkdir()
        for name in COPIED:
            if (self.tables / name).exists():
                shutil.copyfile(self.tables / name, folder / name)
        if self.slots is not None:
            (folder / SLOTS).write_text(self.slots.to_json(), encoding="utf-8", newline="\n")
        if self.unigrams is not None:
            np.save(folder / UNIGRAMS, self.unigrams)
        facts = self.meta.get("facts", {})
        (folder / "disambig_tid.int").write_text("".join(f"{i}\n" for i in self.disambig))
        if facts:  # a graph of Kaldi's has no record
            with reading(self.tables / "meta.json", "record of a graph", "Compile the graph again."):
                num_pdfs, rows = int(facts["num_pdfs"]), without_costs(facts["operations"])
                table = ["\t".join(rows[0])] + ["\t".join(str(v) for v in row.values()) for row in rows]
            (folder / "num_pdfs").write_text(f"{num_pdfs}\n")
            (folder / "report.tsv").write_text("\n".join(table) + "\n", encoding="utf-8")
        write_meta(folder, "graph", self.meta.get("settings"), self.inputs, facts)

    @cached_property
    def fst(self) -> FstArrays:
        """HCLG: transition-ids in, word-ids out.

        Raises:
          InputError: damaged.
          MismatchError: not the file that the graph was made with; each state of it is looked at once.
        """
        return read_fst(self.checked_fst) if self.arrays is None else self.arrays

    @property
    def checked_fst(self) -> Path:
        """Where HCLG.fst lies, of a graph that is not in memory.

        Raises:
          MismatchError: not the file that the graph was made with; each state of it is looked at once.
        """
        check(self.tables / "HCLG.fst", cached=True)
        return self.tables / "HCLG.fst"

    @cached_property
    def words(self) -> SymbolTable:
        """The word table."""
        return SymbolTable.read(self.tables / "words.txt")

    @cached_property
    def lexicon(self) -> dict[str, list[tuple[str, ...]]]:
        """Word → pronunciations, of the words that it was compiled with; without marks of place."""
        if (self.tables / LEXICON).exists():
            known = Lexicon.read(self.tables / LEXICON)
            return {word: [row.phones for row in known.pronunciations(word)] for word in known.words}
        file = self.tables / "phones" / "align_lexicon.txt"
        found: dict[str, list[tuple[str, ...]]] = {}
        marked = is_marked(SymbolTable.read(self.tables / "phones.txt")) if file.exists() else False
        for _, line in text_lines(file) if file.exists() else ():
            word, _, *phones = line.split()
            plain = tuple(p[:-2] if marked and p[-2:] in POSITIONS else p for p in phones)
            found.setdefault(word, []).append(plain)
        return found

    @cached_property
    def spelling(self) -> Spelling:
        """The words of its lexicon, found by other spellings too."""
        return Spelling(self.lexicon)

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 of the tree, topo, words and phones that the graph was made from."""
        return {k: h for k, h in self.meta.get("inputs", {}).items() if k in ("tree", "topo", "words", "phones")}

    @property
    def scales(self) -> dict[str, float]:
        """transition_scale and self_loop_scale in its costs; empty where no record tells them."""
        settings = self.meta.get("settings", {})
        names = ("transition_scale", "self_loop_scale")
        return {name: float(settings[name]) for name in names if isinstance(settings.get(name), (int, float))}

    @property
    def word_cost(self) -> float | None:
        """What each word, and the end, costs in a graph of H, C and L alone; None where G is in the graph."""
        cost = self.meta.get("facts", {}).get(WORD_COST)
        return float(cost) if isinstance(cost, (int, float)) and math.isfinite(cost) else None

    @property
    def part(self) -> Part:
        """What other artifacts must agree with."""
        if self.path is not None:
            return part_of(self.path, "graph")
        return Part("graph", "the graph", self.hashes, self.tables / "phones.txt")

    def check_model(self, model: TransitionModel, model_path: str | os.PathLike = "the model") -> None:
        """Checks that the graph was made from this model's tree and topology.

        Raises:
          MismatchError: names graph and model.
        """
        cure = f"Compile the graph again: `hybrid graph compile --model {model_path} …`."
        own = {"tree": model.tree.content_hash(), "topo": model.topology.content_hash()}
        phones = Path(model_path) / "phones.txt"
        part = Part("model", model_path, own, phones if phones.exists() else None)
        require_fit(self.part, part)
        if not self.hashes:  # a Kaldi graph folder: its ids at least must be the model's
            place = f"{self.path} and {model_path}"
            check_range("transition_id", self.fst.ilabels, 0, model.num_transition_ids, place, cure)
