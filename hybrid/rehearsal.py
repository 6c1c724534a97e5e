"""A rehearsal of the whole toolkit on made-up speech, for its side effect: every kernel that it calls is compiled.

`scripts/setup.sh` runs it, so that neither the first run nor its workers compile.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from pathlib import Path

import click
import numpy as np

__all__ = ["rehearse"]

RATE = 8000
BANDS = {"LOW": (300, 600), "MID": (1200, 1700), "HIGH": (2600, 3400)}
# {} is the folder; a step a line. Steps use the commands that users use: other doors would compile other signatures.
STEPS = """
data from-audio {}/audio --out-dir {}/train --rate 8000
data check --cuts {}/train --out-dir {}/checked
feats extract --cuts {}/train --config {}/mfcc.yaml --out-dir {}/feats
lang prepare --dict-dir {}/dict --oov <UNK> --out-dir {}/lang
lm train {}/text --order 3 --out {}/lm.arpa.gz
lm prune {}/lm.arpa.gz --threshold 1e-9 --out {}/small.arpa.gz
lm interpolate {}/lm.arpa.gz {}/small.arpa.gz --tune-on {}/text --out {}/both.arpa.gz
lm perplexity {}/lm.arpa.gz {}/text
lm fst {}/lm.arpa.gz --lang {}/lang --out {}/G.fst
lm g2p-train {}/dict/lexicon.txt --out {}/g2p.arpa
lm g2p-apply {}/g2p.arpa {}/words --out {}/guessed.txt
gmm train-mono --feats {}/feats --lang {}/lang --total-gaussians 40 --num-passes 8 --last-mix-up-pass 5 --out-dir {}/mono
gmm align --model {}/mono --feats {}/feats --lang {}/lang --out-dir {}/mono_ali --ctm
nnet chain-tree --model {}/mono --ali {}/mono_ali --feats {}/feats --lang {}/lang --max-leaves 20 --out-dir {}/chain_tree
nnet chain-den --tree {}/chain_tree --num-extra-lm-states 20 --out-dir {}/den
nnet chain-sup --tree {}/chain_tree --model {}/mono --ali {}/mono_ali --out-dir {}/sup
nnet train --config {}/network.yaml --feats {}/feats --tree {}/chain_tree --den {}/den --sup {}/sup --out-dir {}/chain
gmm train-deltas --model {}/mono --ali {}/mono_ali --feats {}/feats --lang {}/lang --max-leaves 20 --total-gaussians 40 --out-dir {}/tri1
gmm align --model {}/tri1 --feats {}/feats --lang {}/lang --out-dir {}/tri1_ali
gmm train-lda-mllt --model {}/tri1 --ali {}/tri1_ali --feats {}/feats --lang {}/lang --max-leaves 20 --total-gaussians 40 --out-dir {}/tri2b
gmm align --model {}/tri2b --feats {}/feats --lang {}/lang --out-dir {}/tri2b_ali
gmm train-sat --model {}/tri2b --ali {}/tri2b_ali --feats {}/feats --lang {}/lang --max-leaves 20 --total-gaussians 40 --out-dir {}/tri3b
graph compile --model {}/tri2b --lang {}/lang --grammar {}/G.fst --out-dir {}/graph
graph compile --model {}/tri3b --lang {}/lang --grammar {}/G.fst --out-dir {}/graph_sat
decode --model {}/tri2b --graph {}/graph --feats {}/feats --out-dir {}/decoded --phones --nbest 3
graph compile --model {}/tri2b --lang {}/lang --lookahead --out-dir {}/hcl
decode --model {}/tri2b --graph {}/hcl --lm {}/lm.arpa.gz --exact-backoff --feats {}/feats --out-dir {}/decoded_ahead
graph build --model {}/tri2b --lang {}/lang --sentences {}/calls --slot WHO --out-dir {}/slots
decode --model {}/tri2b --graph {}/slots --fill WHO={}/names --feats {}/feats --out-dir {}/decoded_slots
decode --model {}/tri2b --graph {}/graph --bias {}/names --bias-nearest 1 --feats {}/feats --out-dir {}/decoded_near
nnet train --config {}/network.yaml --objective xent --set subsampling_factor=1 --feats {}/feats --like {}/tri2b --model {}/tri2b --ali {}/tri2b_ali --out-dir {}/xent
decode --model {}/xent --graph {}/graph --feats {}/feats --raw --out-dir {}/decoded_xent
nnet train --config {}/network.yaml --objective smbr --feats {}/feats --model {}/xent --lattices {}/decoded_xent --ali {}/tri2b_ali --chunk-frames 0 --out-dir {}/smbr
decode --model {}/tri2b --graph {}/graph --audio --out-dir {}/heard {}/audio/a/a_0.wav
gmm decode-fmllr --model {}/tri3b --lang {}/lang --graph {}/graph_sat --feats {}/feats --out-dir {}/decoded_sat
lattice prune --beam 2 {}/decoded {}/pruned.gz
lattice copy --compact {}/pruned.gz {}/copy.gz
lattice nbest {}/copy.gz
lattice determinize {}/decoded {}/best.gz
rescore ngram {}/best.gz {}/swapped.gz --old-lm {}/lm.arpa.gz --new-lm {}/small.arpa.gz --words {}/graph/words.txt
rescore heard {}/best.gz {}/again.gz --old-lm {}/lm.arpa.gz --words {}/graph/words.txt
lm train-neural {}/text --dim 8 --epochs 1 --out-dir {}/lstm
rescore neural {}/best.gz {}/neural.gz --lm {}/lstm --old-lm {}/lm.arpa.gz --words {}/graph/words.txt
rescore neural {}/best.gz {}/composed.gz --method compose --lm {}/lstm --old-lm {}/lm.arpa.gz --words {}/graph/words.txt
lattice push {}/best.gz {}/pushed.gz
score sweep --ref {}/train --lattices {}/decoded --words {}/graph/words.txt --out-dir {}/score
align audio {}/audio --model {}/tri2b --lang {}/lang --out-dir {}/aligned
align clean --cuts {}/train/cuts.jsonl.gz --model {}/tri2b --lang {}/lang --out-dir {}/clean
"""  # noqa: E501


def _make(folder: Path) -> None:
    """Writes twenty recordings of two speakers, whose words are bands of noise, with texts, dictionary and settings."""
    import soundfile

    rng = np.random.default_rng(1)
    sentences = [[str(w) for w in rng.choice(list(BANDS), size=int(rng.integers(1, 4)))] for _ in range(20)]
    for i, words in enumerate(sentences):
        speaker = "ab"[i % 2]
        (folder / "audio" / speaker).mkdir(parents=True, exist_ok=True)
        name = folder / "audio" / speaker / f"{speaker}_{i}"
        soundfile.write(f"{name}.wav", _speech(words, rng), RATE, subtype="PCM_16")
        name.with_suffix(".txt").write_text(" ".join(words) + "\n")
    (folder / "text").write_text("".join(" ".join(words) + "\n" for words in sentences))
    (folder / "words").write_text("HILOW\n")
    (folder / "calls").write_text("LOW $WHO\n$WHO MID\n")
    (folder / "names").write_text("HIGH\nMID LOW\n")
    (folder / "mfcc.yaml").write_text("sampling_rate: 8000\nnum_mel_bins: 23\nlow_freq: 20\nhigh_freq: 3800\n")
    network = "network: {dim: 8, bottleneck_dim: 4, prefinal_dim: 4}\nbatches: {chunk_frames: [30]}\n"
    (folder / "network.yaml").write_text(network + "training: {epochs: 1}\n")
    (folder / "dict").mkdir()
    lexicon, silence = "!SIL SIL\n<UNK> SPN\nHIGH H A\nLOW L A\nMID M A\n", "SIL\nSPN\n"
    texts = {"lexicon": lexicon, "nonsilence_phones": "H\nL\nM\nA\n", "silence_phones": silence,
             "optional_silence": "SIL\n", "extra_questions": ""}  # fmt: skip
    for file, text in texts.items():
        (folder / "dict" / f"{file}.txt").write_text(text)


def _speech(words: list[str], rng: np.random.Generator) -> np.ndarray:
    parts = [np.zeros(RATE // 5)]
    for word in words:
        size = int(RATE * rng.uniform(0.3, 0.4))
        spectrum, frequency = np.fft.rfft(rng.normal(size=size)), np.fft.rfftfreq(size, 1 / RATE)
        spectrum[(frequency < BANDS[word][0]) | (frequency > BANDS[word][1])] = 0
        burst = np.fft.irfft(spectrum, size)
        parts += [0.2 * burst / np.abs(burst).max(), np.zeros(RATE // 5)]
    samples = np.concatenate(parts)
    return samples + 0.002 * rng.normal(size=len(samples))


def rehearse(command: click.Command) -> tuple[int, int]:
    """Runs every step in a temporary folder.

    Args:
      command: `hybrid` with all its groups.

    Returns:
      How many kernels were compiled for some signature, and how many signatures were not in the cache before.
    """
    from hybrid.base.compiled import KERNELS

    with tempfile.TemporaryDirectory(prefix="hybrid-") as folder, contextlib.redirect_stdout(io.StringIO()):
        logging.disable(logging.WARNING)
        try:
            _make(Path(folder))
            for step in STEPS.strip().splitlines():
                command.main([word.replace("{}", folder) for word in step.split()], standalone_mode=False)
        finally:
            logging.disable(logging.NOTSET)
    used = [kernel for kernel in KERNELS if kernel.signatures]
    return len(used), sum(sum(kernel.stats.cache_misses.values()) for kernel in used)
