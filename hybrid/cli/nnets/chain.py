"""`hybrid nnet chain-tree`, `chain-den`, `chain-sup`: what lattice-free MMI is trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hybrid.chain.config import PhoneLmConfig, SupervisionConfig
from hybrid.cli.echo import echo
from hybrid.cli.options import JOBS, MODEL, SCALE, config_options, make_config, writes_folder
from hybrid.train.chain.config import ChainContextConfig, ChainTreeShifts, FlatConfig
from hybrid.tree.config import TreeConfig

__all__ = ["COMMANDS"]

FILE = click.Path(path_type=Path)


@click.command("chain-tree")
@click.option("--model", "model_dir", type=MODEL, required=True, help="Model folder whose features are used.")
@click.option("--ali", type=FILE, required=True, help="Its alignments of the set (hybrid gmm align, align-fmllr).")
@click.option("--feats", type=FILE, required=True, help="Folder of features (hybrid feats extract).")
@click.option("--lang", type=FILE, required=True, help="Lang folder (hybrid lang prepare).")
@click.option("--out-dir", type=FILE, required=True, help="Folder of tree, topology, transitions and alignments.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
@config_options(TreeConfig)
@config_options(ChainContextConfig)
@config_options(ChainTreeShifts)
@writes_folder("chain-tree", "model_dir", "ali", "feats", "lang", whole=True)
def chain_tree(model_dir: Path, ali: Path, feats: Path, lang: Path, out_dir: Path, jobs: int, **options: Any) -> None:
    """Build the tree of a chain model: left biphones of one state each, at a third of the frame rate.

    Example: hybrid nnet chain-tree --model exp/tri3b --ali exp/tri3b_ali --feats exp/feats/train --lang data/lang
    --max-leaves 1200 --out-dir exp/chain/tree
    """
    from hybrid.base.jobs import pool
    from hybrid.cli.gmm_ladder import start_of, transforms_beside
    from hybrid.train.chain.chain_tree import train_chain_tree
    from hybrid.train.chain.config import ChainTreeConfig

    config = ChainTreeConfig(
        tree=make_config(TreeConfig, options),
        context=make_config(ChainContextConfig, options),
        frames=make_config(ChainTreeShifts, options),
    )
    start = start_of(feats, lang, model_dir, ali)
    with pool(jobs) as executor:
        _, report = train_chain_tree(start, out_dir, config, executor, transforms_beside(ali, start.model))
    echo(f"{out_dir}: {report}")


@click.command("chain-den")
@click.option("--tree", "tree_dir", type=FILE, required=True, help="Folder of the chain model's tree (chain-tree).")
@click.option("--out-dir", type=FILE, required=True, help="Folder of the denominator.")
@config_options(PhoneLmConfig)
@writes_folder("denominator", "tree_dir", whole=True)
def chain_den(tree_dir: Path, out_dir: Path, **options: Any) -> None:
    """Make the denominator of lattice-free MMI: a phone LM of the training data, as a graph of the tree's pdfs.

    Example: hybrid nnet chain-den --tree exp/chain/tree --num-extra-lm-states 500 --out-dir exp/chain/den
    """
    from hybrid.base.config import config_to_dict
    from hybrid.chain.denominator import compile_denominator
    from hybrid.chain.folder import load_chain_model, phone_sequences, save_denominator
    from hybrid.chain.phone_lm import estimate_phone_lm

    config = make_config(PhoneLmConfig, options)
    model, part = load_chain_model(tree_dir)
    phone_lm = estimate_phone_lm(phone_sequences(tree_dir, model).values(), config)
    denominator = compile_denominator(phone_lm.fst, model)
    save_denominator(out_dir, denominator, phone_lm, part, config_to_dict(config))
    echo(
        f"{out_dir}: {denominator.num_states} states, {denominator.num_arcs} arcs; phone LM {phone_lm.fst.num_states} "
        f"states, {phone_lm.fst.num_arcs} arcs, perplexity {phone_lm.perplexity:.3f} of {phone_lm.num_phones} phones"
    )


@click.command("chain-flat")
@click.option("--feats", type=FILE, required=True, help="Folder of features, with transcripts (hybrid feats extract).")
@click.option("--lang", type=FILE, required=True, help="Lang folder: phones, or letters (hybrid lang grapheme).")
@click.option("--out-dir", type=FILE, required=True, help="Folder of tree, topology, transitions and phone sequences.")
@config_options(FlatConfig)
@writes_folder("chain-tree", "feats", "lang", whole=True)
def chain_flat(feats: Path, lang: Path, out_dir: Path, **options: Any) -> None:
    """Make the tree of a chain model that begins without any alignment: pdfs for every left biphone.

    Example: hybrid nnet chain-flat --feats exp/feats/train --lang data/lang --out-dir exp/flat/tree
    """
    from hybrid.feats.store import FeatureStore
    from hybrid.train.chain.flat_start import make_flat_tree
    from lexicon.lang_dir import LangDir

    model, failed = make_flat_tree(
        FeatureStore.open(feats), LangDir.load(lang), out_dir, make_config(FlatConfig, options)
    )
    echo(f"{out_dir}: {model.num_pdfs} pdfs, {len(failed)} utterances failed")


@click.command("chain-sup")
@click.option("--tree", "tree_dir", type=FILE, required=True, help="Folder of the chain model's tree.")
@click.option("--ali", type=FILE, help="Alignments of the set, by any model of these phones; needs --model.")
@click.option("--model", "model_dir", type=MODEL, help="The model of the alignments.")
@click.option(
    "--feats", type=FILE, help="Features of the set, with transcripts, for a flat start or for ways to speak."
)
@click.option("--lang", type=FILE, help="Lang folder; goes with --feats.")
@click.option(
    "--ways-beam",
    type=SCALE,
    help="Take all ways to speak the text that are worse than the best by at most so much, e.g. 20.",
)
@click.option("--out-dir", type=FILE, required=True, help="Folder of the supervision; a killed run goes on in it.")
@click.option("--jobs", type=JOBS, default=1, help="Processes; no result depends on it.")
@config_options(SupervisionConfig)
@writes_folder("supervision", "tree_dir", "ali", "model_dir", "feats", "lang")
def chain_sup(
    tree_dir: Path,
    ali: Path | None,
    model_dir: Path | None,
    feats: Path | None,
    lang: Path | None,
    ways_beam: float | None,
    out_dir: Path,
    jobs: int,
    **options: Any,
) -> None:
    """Make the supervision of lattice-free MMI, at the pdfs of the tree: what was said when, from alignments.

    With --ways-beam, --feats and --lang: how it may have been spoken and when. With --feats and --lang only, for a flat
    start: what was said.

    Example: hybrid nnet chain-sup --tree exp/chain/tree --ali exp/tri3b_ali --model exp/tri3b --out-dir exp/chain/sup
    """
    from hybrid.base.jobs import pool
    from hybrid.chain.folder import load_chain_model
    from hybrid.train.chain.supervise import NumeratorSource, supervise

    config = make_config(SupervisionConfig, options)
    model, part = load_chain_model(tree_dir)
    source: NumeratorSource
    if ali and model_dir and feats and lang and ways_beam:
        from hybrid.cli.gmm_ladder import start_of, transforms_beside
        from hybrid.train.chain.lattice_source import LatticeSource

        start = start_of(feats, lang, model_dir, ali)
        transforms = transforms_beside(ali, start.model)
        source = LatticeSource.of_set(start.model, start.store, start.lang, model, ways_beam, transforms)
    elif ali and model_dir and not feats and not lang and not ways_beam:
        from hybrid.model.folder import load_model
        from hybrid.train.chain.supervise import AlignedSource
        from hybrid.train.gmm.ladder import load_feature_alignments

        aligner = load_model(model_dir)
        source = AlignedSource(load_feature_alignments(ali, aligner), aligner.transition_model, model)
    elif feats and lang and not ali and not model_dir and not ways_beam:
        from hybrid.feats.store import FeatureStore
        from hybrid.train.chain.flat_start import TextSource
        from lexicon.lang_dir import LangDir

        source = TextSource.of_set(FeatureStore.open(feats), LangDir.load(lang), model)
    else:
        raise click.UsageError(
            "give --ali and --model; these, --feats, --lang and --ways-beam; or for a flat start --feats and --lang"
        )
    with pool(jobs) as executor:
        made, failed = supervise(source, out_dir, config, part, executor)
    echo(f"{out_dir}: {len(made)} utterances, {len(failed)} failed")


COMMANDS = (chain_tree, chain_flat, chain_den, chain_sup)
