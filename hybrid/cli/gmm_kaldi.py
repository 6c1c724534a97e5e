"""`hybrid gmm to-kaldi` and `from-kaldi`: models as Kaldi's scripts keep them."""

from __future__ import annotations

from pathlib import Path

import click

from hybrid.cli.echo import echo
from hybrid.cli.options import writes_folder

FILE = click.Path(path_type=Path)
TRANSFORMS = "trans.1"


@click.command("to-kaldi")
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--transforms", type=FILE, help="fMLLR transforms of speakers (of gmm decode-fmllr, …): trans.1.")
@writes_folder("kaldi-model", "source", "transforms", argument="target")
def to_kaldi(source: Path, target: Path, transforms: Path | None) -> None:
    """Write a GMM for Kaldi's programs: final.mdl, final.alimdl, final.mat, tree and options into a folder.

    \b
    hybrid gmm to-kaldi exp/tri3b kaldi/exp/tri3b
    hybrid gmm to-kaldi exp/tri3b kaldi/exp/tri3b --transforms exp/tri3b/decode_test.transforms.2.safetensors
    """
    from hybrid.base.artifact import write_meta
    from hybrid.base.doors import output_folder
    from hybrid.formats.kaldi_io import write_matrices
    from hybrid.gmm.kaldi_folder import kaldi_files, write_kaldi_folder
    from hybrid.gmm.speaker_transforms import load_transforms
    from hybrid.model.folder import load_model

    model = load_model(source)
    given = {} if transforms is None else load_transforms(transforms, model.pipeline.dim, model.hashes["tree"])
    files = [*kaldi_files(model), *([TRANSFORMS] if given else [])]
    with output_folder(target, "kaldi-model", [source], "TARGET"):
        write_kaldi_folder(target, model)
        if given:
            write_matrices(target / TRANSFORMS, sorted(given.items()))
        write_meta(target, "kaldi-model", {}, {"model": source / "final.safetensors"}, {}, files)
    echo(f"{target}: {' '.join(files)}")
    if model.pipeline.cmvn.kind == "utterance":
        echo("normalised by utterance: compute-cmvn-stats and apply-cmvn want no --spk2utt and --utt2spk")


@click.command("from-kaldi")
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@click.option("--feats", type=FILE, required=True, help="Static features such as the model was trained on.")
@click.option("--phones", type=FILE, help="phones.txt (default: the one beside the model).")
@writes_folder("gmm", "source", "feats", argument="target")
def from_kaldi(source: Path, target: Path, feats: Path, phones: Path | None) -> None:
    """Read a GMM that Kaldi's scripts trained: final.mdl in text form, tree, and final.alimdl and final.mat if there.

    Kaldi's binary models become text with its `gmm-copy --binary=false`.

    Example: hybrid gmm from-kaldi kaldi/exp/tri3b exp/tri3b --feats exp/feats/train
    """
    from hybrid.base.doors import output_folder
    from hybrid.feats.store import FeatureStore
    from hybrid.gmm.kaldi_folder import read_kaldi_folder
    from hybrid.model.folder import save_model

    model = read_kaldi_folder(source, FeatureStore.open(feats), phones)
    with output_folder(target, "gmm", [source, feats], "TARGET"):
        save_model(target, model, inputs={"kaldi model": source / "final.mdl"})
    echo(f"{target}: {model.acoustic_model.num_pdfs} pdfs of {model.pipeline.dim} values per frame")


COMMANDS = (to_kaldi, from_kaldi)
