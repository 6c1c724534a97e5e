"""Makes a ready model of a trained one: what decoding needs, a lexicon beside it, and where it is from.

python egs/librispeech/local/ready_model.py exp/chain data/dict egs/librispeech/pretrained/en-small
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from hybrid.base.artifact import read_meta, write_meta
from hybrid.model.folder import MODEL_FILES, load_model
from hybrid.model.ready import LEXICON

KEPT = ("parameters", "hours", "utterances", "averaged", "objective", "heldout_objective", "hashes")


def main() -> None:
    """Copies the model and writes its record anew: the inputs of the training do not come with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dict_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    options = parser.parse_args()
    load_model(options.model)
    options.out_dir.mkdir(parents=True, exist_ok=True)
    for name in (*MODEL_FILES, "passes.tsv"):
        shutil.copyfile(options.model / name, options.out_dir / name)
    shutil.copyfile(options.dict_dir / "lexicon.txt", options.out_dir / LEXICON)
    made = read_meta(options.model)
    inputs = {name: value for name, value in made["inputs"].items() if name != "tree"}
    facts = {name: made["facts"][name] for name in KEPT}
    files = [path.name for path in options.out_dir.iterdir() if path.name not in ("meta.json", "README.md")]
    write_meta(options.out_dir, "nnet", made["settings"], inputs, facts, files)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
