"""`hybrid nnet scores`: what one or several networks give to a set."""

from __future__ import annotations

from pathlib import Path

import click

from hybrid.cli.options import MODEL, Real, writes_either, writes_file, writes_folder

__all__ = ["scores"]

FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--model", "models", type=MODEL, multiple=True, required=True, help="Networks of one tree; once for each."
)
@click.option("--feats", type=FILE, multiple=True, required=True, help="Features of the set for each, in their order.")
@click.option(
    "--transforms", type=FILE, multiple=True, help="Transforms of the speakers for each; `none` where there are none."
)
@click.option("--weight", "weights", type=Real(0), multiple=True, help="Of each one's scores.  [default: equal, sum 1]")
@click.option("--out", type=FILE, required=True, help="Kaldi archive NAME.ark, or a folder of .npy files.")
@click.option("--text", is_flag=True, help="Archive in text form.")
@writes_either(
    lambda out: out.suffix in (".ark", ".gz"),
    writes_file("scores", "models", "feats", "transforms"),
    writes_folder("scores", "models", "feats", "transforms", argument="out"),
)
def scores(
    models: tuple[Path, ...], feats: tuple[Path, ...], transforms: tuple[Path, ...], weights: tuple[float, ...],
    out: Path, text: bool,
) -> None:  # fmt: skip
    """Write the scores of every pdf, summed over networks, which `hybrid decode --scores` reads.

    \b
    hybrid nnet scores --model exp/chain --feats exp/hires/test --model exp/chain_fmllr --feats exp/feats/test
      --transforms none --transforms exp/tri3b/decode_tg_test.transforms.2.safetensors --out exp/joint/test.ark
    """
    from hybrid.aligner.score_set import ScoredBy, write_joint_scores
    from hybrid.base.log import get_logger, log_totals
    from hybrid.feats.store import FeatureStore
    from hybrid.model.folder import load_model
    from hybrid.train.nnet.tasks import speaker_transforms

    for name, values in (("feats", feats), ("transforms", transforms), ("weight", weights)):
        if values and len(values) != len(models):
            raise click.UsageError(
                f"{len(models)} --model, but {len(values)} --{name}: wanted one for each, in their order"
            )
    parts = []
    for number, folder in enumerate(models):
        model = load_model(folder)
        adapted = transforms and str(transforms[number]) != "none"
        found = speaker_transforms(transforms[number], model.pipeline.dim) if adapted else {}
        weight = weights[number] if weights else 1.0 / len(models)
        parts.append(ScoredBy(model, FeatureStore.open(feats[number]), found, weight))
    done, failed = write_joint_scores(parts, out, text)
    log_totals(get_logger("hybrid.nnet"), done, failed)
