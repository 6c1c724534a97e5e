"""The decoding graph HCLG as a folder: compiled, loaded, held against a model.

HCLG.fst words.txt phones.txt phones/   as Kaldi's graph folder
report.tsv                             states, arcs and stochasticity of every operation; seconds and memory: meta.json
meta.json                              hashes of tree, topo, words, L and G, and of its files; figures. Written last.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.agreement import Part, lang_part, part_of, require_fit
from hybrid.base.artifact import atomic_folder, read_meta, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.errors import HybridError, InputError
from hybrid.base.integrity import check
from hybrid.base.log import get_logger
from hybrid.base.output import check_folder
from hybrid.formats.openfst import FstArrays, read_fst, write_fst
from hybrid.graph.ambiguity import explain
from hybrid.graph.config import GraphConfig
from hybrid.graph.report import GraphReport, within_memory
from hybrid.graph.stages import NotDeterminizableError, make_clg, make_hclg, make_lg
from hybrid.hmm import TransitionModel
from hybrid.ids import check_range

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir
    from lexicon.symbols import SymbolTable

__all__ = ["DecodingGraph", "GraphConfig", "compile_decoding_graph"]

LOGGER = get_logger(__name__)
# Of G spelt out, at the peak of compilation. Trigrams took: of 33 thousand words 79 with monophones (0.90 GB), 161 with
# triphones (1.84 GB); of 126 thousand 86 with monophones (2.93 GB).
BYTES_PER_PHONE = 400
COPIED = ("words.txt", "phones.txt", "phones/word_boundary.int", "phones/word_boundary.txt", "phones/align_lexicon.int",
          "phones/align_lexicon.txt", "phones/optional_silence.int", "phones/optional_silence.txt",
          "phones/disambig.int", "phones/silence.csl")  # fmt: skip


def compile_decoding_graph(
    lang: LangDir,
    grammar: FstArrays | str | os.PathLike,
    model: TransitionModel,
    out_dir: str | os.PathLike,
    config: GraphConfig = GraphConfig(),  # noqa: B008  (frozen)
    model_dir: str | os.PathLike | None = None,
) -> GraphReport:
    """Compiles HCLG and writes the graph folder.

    Args:
      lang: its phones.txt must be the model's.
      grammar: G over the words of `lang`, #0 on its back-off arcs: an n-gram model's, or any other.
      model: transition model with its tree.
      model_dir: where its tree and topo lie, for meta.json.

    Returns:
      What each operation cost and made.

    Raises:
      InputError: `out_dir` holds something else than an earlier graph.
      HybridError: G has other words, L∘G cannot be determinised (the words are named), or memory is short.
    """
    place = "G" if isinstance(grammar, FstArrays) else grammar
    made_from = [lang.path, None if isinstance(grammar, FstArrays) else grammar]
    check_folder(out_dir, "graph", made_from, whole=True)  # before the work
    if not isinstance(grammar, FstArrays):
        check(grammar, cached=True)
        require_fit(part_of(grammar, "G"), lang_part(lang.path))
        grammar = read_fst(grammar)
    lexicon = lang.L_arrays(disambig=True)
    _check_grammar(lang, lexicon, grammar, place)
    with atomic_folder(out_dir, "graph", made_from) as folder:
        try:
            states, arcs, disambig, report = within_memory(
                _compile, lexicon, grammar, lang.disambig_phones, model, config, folder / "HCLG.fst",
                gigabytes=config.memory_gb, predicted=_predicted_bytes(lexicon, grammar),
            )  # fmt: skip
        except NotDeterminizableError as error:
            raise HybridError(f"{lang.path} and {place}: {error}: {explain(lang, grammar)}") from error
        LOGGER.info("HCLG: %.1f CPU s, peak %.2f GB", report.cpu_seconds, report.peak_gb)
        _write_companions(folder, lang, model, disambig, report)
        inputs = {
            "tree": _input_of(model_dir, "tree", model.tree.content_hash()),
            "topo": _input_of(model_dir, "topo", model.topology.content_hash()),
            "words": lang.path / "words.txt",
            "phones": lang.path / "phones.txt",
            "lexicon": lang.path / "L_disambig.fst",
            **({} if isinstance(place, str) and place == "G" else {"grammar": place}),
        }
        facts = {
            "states": states, "arcs": arcs, "num_pdfs": model.num_pdfs,
            "num_transition_ids": model.num_transition_ids, "cpu_seconds": round(report.cpu_seconds, 2),
            "peak_gb": round(report.peak_gb, 3),
            "operations": report.as_rows(),
        }  # fmt: skip
        write_meta(folder, "graph", config_to_dict(config), inputs, facts)
    return report


def _input_of(folder: str | os.PathLike | None, name: str, known: str) -> str | tuple[Path, str]:
    return known if folder is None else (Path(folder) / name, known)


def _compile(
    lexicon: FstArrays,
    grammar: FstArrays,
    disambig_phones: list[int],
    model: TransitionModel,
    config: GraphConfig,
    path: Path,
) -> tuple[int, int, list[int], GraphReport]:
    """Writes HCLG; returns its states and arcs, the input symbols that were for disambiguation, and the report."""
    report = GraphReport()
    lg = make_lg(lexicon, grammar, report, config.max_states)
    clg, context_ids = make_clg(lg, disambig_phones, model.tree, report)
    del lg
    scales = (config.transition_scale, config.self_loop_scale)
    hclg, disambig = make_hclg(clg, context_ids, model, scales, report)
    del clg
    write_fst(path, hclg, "const")
    return hclg.num_states, hclg.num_arcs, disambig, report


def _predicted_bytes(lexicon: FstArrays, grammar: FstArrays) -> float:
    """Returns what compilation will hardly pass: each word of G spelt out in all its pronunciations, and room."""
    pronunciations = np.bincount(lexicon.olabels, minlength=1 + int(grammar.ilabels.max(initial=0)))
    pronunciations[0] = 1
    phones = lexicon.num_arcs / max(1, np.count_nonzero(lexicon.olabels))
    return BYTES_PER_PHONE * (1 + phones * float(pronunciations[grammar.ilabels].sum()))


def _check_grammar(lang: LangDir, lexicon: FstArrays, grammar: FstArrays, place: object) -> None:
    """Checks that G's labels are words of the lang folder, and warns of words without pronunciation."""
    cure = f"Make G with the words.txt of {lang.path}."
    if not grammar.num_states or not np.isfinite(grammar.final_costs).any():
        raise InputError.at(place, "the grammar accepts nothing", "Look at the text or file that it was made from.")
    check_range("word_id", grammar.ilabels, 0, lang.words.max_id, place, cure)
    check_range("word_id", grammar.olabels, 0, lang.words.max_id, place, cure)
    spoken = np.unique(lexicon.olabels)
    lost = [lang.words.symbol(int(i)) for i in np.setdiff1d(np.unique(grammar.ilabels), np.append(spoken, 0))]
    if lost:
        shown = ", ".join(lost[:5]) + (" …" if len(lost) > 5 else "")
        LOGGER.warning("%s: %d words have no pronunciation and cannot be recognised: %s", place, len(lost), shown)


def _write_companions(
    folder: Path, lang: LangDir, model: TransitionModel, disambig: list[int], report: GraphReport
) -> None:
    (folder / "phones").mkdir()
    for name in COPIED:
        if (lang.path / name).exists():
            shutil.copyfile(lang.path / name, folder / name)
    (folder / "disambig_tid.int").write_text("".join(f"{i}\n" for i in disambig))
    (folder / "num_pdfs").write_text(f"{model.num_pdfs}\n")
    rows = report.without_costs()
    table = ["\t".join(rows[0])] + ["\t".join(str(v) for v in row.values()) for row in rows]
    (folder / "report.tsv").write_text("\n".join(table) + "\n", encoding="utf-8")


@dataclass(frozen=True, eq=False)
class DecodingGraph:
    """A graph folder; its arrays are read when asked for.

    Attributes:
      path: the folder.
      meta: of its meta.json; empty for Kaldi's own graph folders, which are read too.
    """

    path: Path
    meta: dict[str, Any]

    @classmethod
    def load(cls, path: str | os.PathLike) -> DecodingGraph:
        """Opens a graph folder.

        Raises:
          InputError: no graph folder.
          MismatchError: a file other than HCLG.fst is not the one that the graph was made with.
        """
        path = Path(path)
        for name in ("HCLG.fst", "words.txt"):
            if not (path / name).exists():
                raise InputError.at(
                    path, f"has no {name}; wanted a graph folder", "Make it with `hybrid graph compile`."
                )
        for name in COPIED:
            check(path / name)
        return cls(path, read_meta(path))

    @cached_property
    def fst(self) -> FstArrays:
        """HCLG: transition-ids in, word-ids out.

        Raises:
          InputError: damaged.
          MismatchError: not the file that the graph was made with; each state of it is looked at once.
        """
        check(self.path / "HCLG.fst", cached=True)
        return read_fst(self.path / "HCLG.fst")

    @cached_property
    def words(self) -> SymbolTable:
        """The word table."""
        from lexicon.symbols import SymbolTable

        return SymbolTable.read(self.path / "words.txt")

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 of the tree, topo, words and phones that the graph was made from."""
        return {
            name: h for name, h in self.meta.get("inputs", {}).items() if name in ("tree", "topo", "words", "phones")
        }

    def check_model(self, model: TransitionModel, model_path: str | os.PathLike = "the model") -> None:
        """Checks that the graph was made from this model's tree and topology.

        Raises:
          MismatchError: names graph and model.
        """
        cure = f"Compile the graph again: `hybrid graph compile --model {model_path} …`."
        own = {"tree": model.tree.content_hash(), "topo": model.topology.content_hash()}
        phones = Path(model_path) / "phones.txt"
        part = Part("model", model_path, own, phones if phones.exists() else None)
        require_fit(part_of(self.path, "graph"), part)
        if not self.hashes:  # a Kaldi graph folder: its ids at least must be the model's
            place = f"{self.path} and {model_path}"
            check_range("transition_id", self.fst.ilabels, 0, model.num_transition_ids, place, cure)
