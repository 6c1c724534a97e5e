"""`hybrid lang`: lexicons and lang folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hybrid.cli.echo import echo
from hybrid.cli.language.options import make_normaliser, make_text_config, text_options
from hybrid.cli.options import MODEL, TEXT, InModelPath, Whole, config_options, make_config, writes_file, writes_folder
from hybrid.model.ready import LEXICON
from lexicon.cmudict import CmudictConfig
from lexicon.grapheme import GraphemeConfig
from lexicon.lang_config import LangConfig
from lexicon.pieces import PieceConfig
from lexicon.pronunciation_probs import PronunciationConfig
from lexicon.words.config import TextConfig

if TYPE_CHECKING:
    from lexicon.lexicon import Lexicon
    from lexicon.phones import PhoneSet

FILE = click.Path(path_type=Path)
vocabulary_option = click.option(
    "--vocabulary",
    "vocabularies",
    type=FILE,
    multiple=True,
    help="Words to pronounce: any text, or lhotse cuts (*.jsonl.gz); may be repeated.",
)
ids_option = click.option("--with-ids", is_flag=True, help="Each line of a text begins with its utterance id.")
dict_option = click.option("--out-dir", type=FILE, required=True, help="The dictionary folder to make.")


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Make, check and inspect lexicons and lang folders."""


@command.command()
@click.option("--dict-dir", type=FILE, required=True, help="Dictionary folder: lexicon.txt and the phone files.")
@click.option("--oov", default="<UNK>", help="Word of the lexicon that stands for words outside it.")
@click.option("--out-dir", type=FILE, required=True, help="The lang folder to make.")
@click.option("--num-nonsilence-states", type=click.IntRange(1, 100), default=3, help="HMM states of a speech phone.")
@click.option("--num-silence-states", type=click.IntRange(1, 100), default=5, help="HMM states of a silence phone.")
@click.option("--phones", type=InModelPath("phones.txt"), help="phones.txt of a trained model, its folder or its name "
              "(en-small), to use a new dictionary with that model.")  # fmt: skip
@config_options(LangConfig)
@config_options(TextConfig)
@writes_folder("lang", "dict_dir", "phones", whole=True)
def prepare(dict_dir: Path, oov: str, out_dir: Path, phones: Path | None, **options: Any) -> None:
    """Make a lang folder (words, phones, L.fst, topology) from a dictionary folder.

    Example: hybrid lang prepare --dict-dir data/dict --oov "<UNK>" --out-dir data/lang
    """
    from hybrid.base.errors import quote
    from hybrid.base.log import get_logger
    from hybrid.hmm.topology import HmmTopology
    from lexicon.lang_dir import LangDir
    from lexicon.prepare import prepare_lang
    from lexicon.symbols import SymbolTable

    config, text = make_config(LangConfig, options), make_config(TextConfig, options)
    if options["num_silence_states"] == 2:
        raise click.UsageError("--num-silence-states 2 is not possible: silence has 1 state, or 3 and more.")

    def make_topo(nonsilence: list[int], silence: list[int]) -> str:
        return HmmTopology.kaldi_default(nonsilence, silence, **options).to_text()

    prepare_lang(dict_dir, oov, out_dir, make_topo, config, SymbolTable.read(phones) if phones else None, text)
    lang = LangDir.load(out_dir)
    counts = f"{len(lang.words)} word symbols, {len(lang.silence_phones)} silence and {len(lang.nonsilence_phones)}"
    get_logger("hybrid.lang").info("%s: %s speech phones, OOV word %s", out_dir, counts, quote(oov))


@command.command()
@click.argument("folder", type=FILE)
@click.option("--limit", type=Whole(1), default=50, help="Problems to show.")
def validate(folder: Path, limit: int) -> None:
    """Check a dictionary folder or a lang folder; status 1 if it has errors.

    Example: hybrid lang validate data/dict
    """
    from hybrid.base.errors import InputError
    from lexicon.dict_dir import check_dict_dir
    from lexicon.validate import check_lang_dir

    is_lang = (folder / "words.txt").exists() or (folder / "phones.txt").exists()
    problems = check_lang_dir(folder) if is_lang else check_dict_dir(folder)[2]
    for problem in problems[:limit]:
        echo(f"{problem.severity}: {problem}")
    if len(problems) > limit:
        echo(f"… and {len(problems) - limit} more (--limit shows them)")
    errors = sum(p.severity == "error" for p in problems)
    kind = "lang folder" if is_lang else "dictionary folder"
    if errors:
        raise InputError.at(folder, f"{errors} errors in this {kind}", "Mend them and check again.")
    echo(f"{folder}: this {kind} is right ({len(problems)} warnings)")


@command.command()
@click.option("--cmudict", type=InModelPath(LEXICON), required=True, help="cmudict.dict (or cmudict-0.7b in UTF-8), or "
              "a ready model, whose lexicon it is (en-small).")  # fmt: skip
@vocabulary_option
@ids_option
@click.option("--extra", type=FILE, multiple=True, help="Further 'word phone …' lines, e.g. names; may be repeated.")
@click.option("--phones", type=InModelPath("phones.txt"), help="phones.txt of a trained model, its folder or its name: "
              "only pronunciations that it can spell.")  # fmt: skip
@dict_option
@config_options(CmudictConfig)
@text_options
@writes_folder("dict", "cmudict", "vocabularies", "extra", "phones", whole=True)
def cmudict(
    cmudict: Path,
    vocabularies: tuple[Path, ...],
    with_ids: bool,
    extra: tuple[Path, ...],
    phones: Path | None,
    out_dir: Path,
    **options: Any,
) -> None:
    """Make a dictionary folder from CMUdict, for a vocabulary or for all its words.

    Words of the vocabulary without pronunciation are counted and listed in OUT_DIR/failed.txt.

    Example: hybrid lang cmudict --cmudict cmudict.dict --vocabulary vocab.txt --out-dir data/dict
    """
    from hybrid.base.log import get_logger
    from lexicon.cmudict import dictionary_from, in_phones_of, read_cmudict
    from lexicon.symbols import SymbolTable
    from lexicon.word_sources import vocabulary_of
    from lexicon.words.normaliser import Normaliser
    from lexicon.words.phone_fit import absent_phones, base_phones, is_marked
    from lexicon.words.user_lexicon import read_user_lexicon, tell_rejected

    config = make_config(CmudictConfig, options)
    entries = read_cmudict(cmudict, config.keep_stress)
    lists = [read_user_lexicon(file) for file in extra]
    tell_rejected([problem for _, rejected in lists for problem in rejected])
    more = [row.entry for listed, _ in lists for row in listed]
    special = [e.word for e in config.special_entries()]
    normaliser = Normaliser(make_text_config(options), [*entries, *(e.word for e in more), *special])
    words = vocabulary_of(vocabularies, with_ids, normaliser) if vocabularies else None
    normaliser.changes.log("vocabulary")
    reasons: dict[str, str] = {}
    if phones is not None:
        table = SymbolTable.read(phones)
        known = base_phones(table, is_marked(table))
        entries, lacking = in_phones_of(entries, known, words)
        reasons = {word: f"needs phone {phone}, which the model lacks" for phone in lacking for word in lacking[phone]}
        if lacking:
            get_logger("hybrid.lang").warning("%s", absent_phones(phones, lacking, known))
    made = dictionary_from(entries, config, words, more)
    _write(out_dir, made, config, [cmudict, *vocabularies, *extra], "not in the dictionary", reasons)


@command.command()
@vocabulary_option
@ids_option
@dict_option
@config_options(GraphemeConfig)
@writes_folder("dict", "vocabularies", whole=True)
def grapheme(vocabularies: tuple[Path, ...], with_ids: bool, out_dir: Path, **options: Any) -> None:
    """Make a dictionary folder in which words are pronounced as they are spelt.

    Example: hybrid lang grapheme --vocabulary transcripts.txt --out-dir data/dict
    """
    from lexicon.grapheme import grapheme_dictionary

    config = make_config(GraphemeConfig, options)
    made = grapheme_dictionary(_vocabulary(vocabularies, with_ids), config)
    _write(out_dir, made, config, vocabularies, "has no letter")


@command.command()
@vocabulary_option
@ids_option
@click.option("--model", type=FILE, help="A SentencePiece model; without, one is trained on --train-text.")
@click.option("--train-text", type=FILE, multiple=True, help="Text to train pieces on; may be repeated.")
@dict_option
@config_options(PieceConfig)
@writes_folder("dict", "vocabularies", "model", "train_text", whole=True)
def sentencepiece(
    vocabularies: tuple[Path, ...],
    with_ids: bool,
    model: Path | None,
    train_text: tuple[Path, ...],
    out_dir: Path,
    **options: Any,
) -> None:
    """Make a dictionary folder whose units are SentencePiece pieces; words stay words.

    The pieces carry their own mark of the word's begin, so prepare the lang folder with
    --no-position-dependent-phones. A trained model is kept as OUT_DIR.model.

    Example: hybrid lang sentencepiece --vocabulary vocab.txt --train-text text.txt --out-dir data/dict_bpe
    """
    from hybrid.base.artifact import write_meta
    from hybrid.base.config import config_to_dict
    from hybrid.base.output import check_file
    from lexicon.pieces import load_pieces, piece_dictionary, train_pieces
    from lexicon.word_sources import read_utterances

    if (model is None) == (not train_text):
        raise click.UsageError("Give either --model or --train-text.")
    config = make_config(PieceConfig, options)
    if model is None:
        model = out_dir.with_name(out_dir.name + ".model")
        check_file(model, "pieces", train_text, "--out-dir")
        lines = (" ".join(words) for file in train_text for _, words in read_utterances(file, with_ids))
        train_pieces(lines, model, config)
        write_meta(model, "pieces", config_to_dict(config), {file.name: file for file in train_text})
    made = piece_dictionary(_vocabulary(vocabularies, with_ids), load_pieces(model), config)
    _write(out_dir, made, config, [model, *vocabularies], "has a letter that the pieces lack")


@command.command("add-probs")
@click.option("--dict-dir", type=FILE, required=True, help="Dictionary folder that the lang folder was made from.")
@click.option("--lang", type=FILE, required=True, help="Lang folder that the alignments were made with.")
@click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder that aligned.")
@click.option("--ali", type=FILE, required=True, help="Alignments (hybrid gmm align, align-fmllr), or a model folder.")
@click.option("--feats", type=FILE, required=True, help="Folder of features that were aligned; for its transcripts.")
@click.option("--out-dict", type=FILE, required=True, help="The dictionary folder to make.")
@click.option("--out-lang", type=FILE, required=True, help="The lang folder to make; models stay as they are.")
@config_options(PronunciationConfig)
@writes_folder("dict", "dict_dir", "lang", "ali", "feats", argument="out_dict", whole=True)
@writes_folder("lang", "dict_dir", "lang", "ali", "feats", argument="out_lang", whole=True)
def add_probs(
    dict_dir: Path, lang: Path, model_dir: Path, ali: Path, feats: Path, out_dict: Path, out_lang: Path, **options: Any
) -> None:
    """Estimate pronunciation and silence probabilities from alignments (Chen et al. 2015).

    Words, phones, topology and tree roots stay, so that models, G and language models work with the new lang folder;
    decoding graphs are compiled again.

    Example: hybrid lang add-probs --dict-dir data/dict --lang data/lang --model exp/tri3b --ali exp/tri3b_ali
    --feats exp/feats/train --out-dict data/dict_sp --out-lang data/lang_sp
    """
    from hybrid.aligner.pronunciations import add_probabilities
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from hybrid.train.gmm.ladder import load_alignments
    from lexicon.lang_dir import LangDir

    config = make_config(PronunciationConfig, options)
    model = load_model(model_dir)
    alignments, store = load_alignments(ali, model), FeatureStore.open(feats)
    add_probabilities(dict_dir, LangDir.load(lang), model, alignments, store, out_dict, out_lang, config)


@command.command()
@click.argument("texts", type=TEXT, nargs=-1, required=True)
@click.option("--lexicon", type=FILE, help="A lexicon (lexicon.txt, lexiconp.txt).")
@click.option("--lang", type=FILE, help="A lang folder, or a words.txt.")
@ids_option
@text_options
@click.option("--show", type=Whole(), default=20, help="Words to print, the most frequent first.")
@click.option("--out", type=FILE, help="Write all words with counts and first utterance here (tab-separated).")
@writes_file("table", "texts", "lexicon", "lang")
def oov(
    texts: tuple[Path, ...], lexicon: Path | None, lang: Path | None, with_ids: bool, show: int, out: Path | None,
    **options: Any,
) -> None:  # fmt: skip
    """Count the words of texts (or cuts) that a lexicon or lang folder lacks.

    Example: hybrid lang oov data/test/cuts.jsonl.gz --lang data/lang
    """
    from hybrid.base.artifact import atomic_path
    from lexicon.lexicon import Lexicon
    from lexicon.word_sources import read_utterances
    from lexicon.words.normaliser import Normaliser
    from lexicon.words.oov import count_oov
    from lexicon.words.spelling import told_loss

    if (lexicon is None) == (lang is None):
        raise click.UsageError("Give either --lexicon or --lang.")
    if lexicon is not None:
        normaliser = Normaliser(make_text_config(options), Lexicon.read(lexicon).words)
    else:
        normaliser = make_normaliser(options, lang)
    assert normaliser.spelling is not None
    pairs = (pair for file in texts for pair in read_utterances(file, with_ids, normaliser))
    report = count_oov(pairs, normaliser.spelling)
    echo(report.summary())
    missing = [word for word, *_ in report.counts]
    if told := normaliser.changes.told() or told_loss(missing, report.types, normaliser.spelling):
        echo(told)
    for word, count, first in report.counts[:show]:
        echo(f"{count:8d} {word}  ({first})")
    if out:
        with atomic_path(out) as temporary:
            temporary.write_text(report.to_tsv(), encoding="utf-8")


@command.command()
@click.argument("lang", type=FILE)
@click.option("--word", "words", multiple=True, help="Show the pronunciations of a word; may be repeated.")
@click.option("--homophones", is_flag=True, help="List words that sound alike.")
def info(lang: Path, words: tuple[str, ...], homophones: bool) -> None:
    """Say what a lang folder holds.

    Example: hybrid lang info data/lang --word HELLO
    """
    from lexicon.disambig import homophones as find_homophones
    from lexicon.lang_dir import LangDir

    loaded = LangDir.load(lang)
    pairs = loaded.pronunciations()
    marked = "marked" if loaded.word_boundary else "not marked"
    echo(f"words {len({w for w, _ in pairs})}\npronunciations {len(pairs)}\nOOV word {loaded.oov_word}")
    echo(f"silence phones {len(loaded.silence_phones)}\nspeech phones {len(loaded.nonsilence_phones)}")
    echo(f"disambiguation symbols {len(loaded.disambig_phones)}\nword position {marked}")
    for word in words:
        found = [phones for w, phones in pairs if w == word]
        for phones in found:
            echo(f"{word} {' '.join(phones)}")
        if not found:
            echo(f"{word}: not in the lexicon, recognised as {loaded.oov_word}")
    if homophones:
        for phones, group in find_homophones(pairs).items():
            echo(f"{' '.join(group)}: {' '.join(phones)}")


def _vocabulary(paths: tuple[Path, ...], with_ids: bool) -> list[str]:
    from lexicon.word_sources import vocabulary_of

    if not paths:
        raise click.UsageError("Give at least one --vocabulary.")
    return vocabulary_of(paths, with_ids)


def _write(
    out_dir: Path,
    made: tuple[PhoneSet, Lexicon, list[str]],
    config: Any,
    inputs: Iterable[Path],
    reason: str,
    reasons: Mapping[str, str] | None = None,
) -> None:
    """Writes a dictionary folder and says how many words are in it and how many are not.

    Args:
      reason: why words have no pronunciation, unless `reasons` tells of a word.
    """
    from hybrid.base.config import config_to_dict
    from hybrid.base.errors import quote
    from hybrid.base.failures import failed_text
    from hybrid.base.log import get_logger
    from lexicon.dict_dir import write_dict_dir

    phones, lexicon, missing = made
    failed = (
        {"failed.txt": failed_text((word, (reasons or {}).get(word, reason)) for word in missing)} if missing else {}
    )
    named = {file.name: file for file in inputs}
    write_dict_dir(out_dir, phones, lexicon, config_to_dict(config), named, failed)
    log = get_logger("hybrid.lang")
    log.info("%s: %d words, %d pronunciations, %d phones", out_dir, len(lexicon.words), len(lexicon), len(phones))
    if missing:
        file = out_dir / "failed.txt"
        log.warning("%d words have no pronunciation (%s …), see %s", len(missing), quote(" ".join(missing[:5])), file)
