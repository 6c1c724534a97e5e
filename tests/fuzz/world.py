"""One small file of every format that a user can hand over, made by the package itself."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import shutil
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np

WORDS = {"AB": "a b", "BA": "b a", "A": "a", "B": "b", "<UNK>": "spn"}
RATE = 8000
NETWORK = "dim: 8, bottleneck_dim: 4, prefinal_dim: 4, time_strides: [1], first_context: 1"


GRAM = """#JSGF V1.0 UTF-8 en; // a comment
grammar x.say; import <named.word>;
public <s> = /3/ [a] <t>* {n=1} | /1/ "b c"+ <s> | /0.5/ (<NULL> | d {t\\}}) <named.word>;
/* more */ <t> = a | b <t> | <VOID>;
"""
GRXML = """<?xml version="1.0" encoding="UTF-8"?>
<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" root="s" xml:lang="en"><meta name="a" content="b"/>
<rule id="s" scope="public"><one-of><item weight="2"><ruleref uri="#t"/><tag>n=1</tag></item><item>b "c d"</item>
</one-of><item repeat="0-2" repeat-prob="0.3">e</item><ruleref special="GARBAGE"/></rule>
<rule id="t"><item repeat="1-"><token>a</token></item></rule></grammar>
"""


def hybrid(*arguments: object) -> str:
    """Runs `hybrid …` in this process and returns what it printed; its exceptions come through."""
    from hybrid.cli.main import command

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command.main([str(a) for a in arguments], prog_name="hybrid", standalone_mode=False)
    return printed.getvalue()


def build(root: Path) -> None:
    """Makes the files, in some seconds: a language of two phones, its audio, features, models, graphs and results."""
    random = np.random.RandomState(7)
    _texts(root)
    _audio(root, random)
    hybrid("data", "from-audio", root / "audio", "--out-dir", root / "data", "--rate", RATE)
    lines = gzip.decompress((root / "data/cuts.jsonl.gz").read_bytes())
    (root / "cuts.jsonl").write_bytes(lines)
    hybrid("feats", "extract", "--cuts", root / "data", "--config", root / "mfcc.yaml", "--out-dir", root / "feats")
    hybrid("lang", "prepare", "--dict-dir", root / "dict", "--oov", "<UNK>", "--out-dir", root / "lang")
    hybrid("gmm", "train-mono", "--feats", root / "feats", "--lang", root / "lang", "--out-dir", root / "mono",
           "--num-passes", 2, "--last-mix-up-pass", 1, "--total-gaussians", 20)  # fmt: skip
    hybrid("lm", "train", root / "text.txt", "--order", 2, "--out", root / "lm.arpa")
    (root / "lm.arpa.gz").write_bytes(gzip.compress((root / "lm.arpa").read_bytes(), mtime=0))
    hybrid("lm", "fst", root / "lm.arpa", "--lang", root / "lang", "--out", root / "G.fst")
    _neural(root)
    hybrid("lm", "g2p-train", root / "dict/lexicon.txt", "--order", 2, "--out", root / "g2p.arpa")
    hybrid("graph", "compile", "--model", root / "mono", "--lang", root / "lang", "--grammar", root / "G.fst",
           "--out-dir", root / "graph")  # fmt: skip
    hybrid("gmm", "align", "--model", root / "mono", "--feats", root / "feats", "--lang", root / "lang", "--ctm",
           "--out-dir", root / "ali", "--max-failed", 1)  # fmt: skip
    given = ["--model", root / "mono", "--ali", root / "ali"]
    hybrid("nnet", "chain-tree", *given, "--feats", root / "feats", "--lang", root / "lang", "--max-leaves", 8,
           "--out-dir", root / "ctree")  # fmt: skip
    hybrid("nnet", "chain-den", "--tree", root / "ctree", "--num-extra-lm-states", 5, "--out-dir", root / "den")
    hybrid("nnet", "chain-sup", "--tree", root / "ctree", *given, "--out-dir", root / "sup")
    hybrid("decode", "--model", root / "mono", "--graph", root / "graph", "--feats", root / "feats", "--out-dir",
           root / "decode", "--beam", 4)  # fmt: skip
    _networks(root, given)
    _archives(root, random)
    _models(root, random)
    _results(root)
    _kaldi_folders(root)
    shutil.copytree(root / "lang", root / "whole")
    _forget_hashes(root)


def _networks(root: Path, given: list) -> None:
    """Networks by cross-entropy and LF-MMI, and what the first is trained on further: its lattices."""
    train = ["nnet", "train", "--feats", root / "feats", "--config"]
    hybrid(*train, root / "xent.yaml", "--objective", "xent", *given, "--out-dir", root / "xent")
    hybrid(*train, root / "conf/chain.yaml", "--tree", root / "ctree", "--den", root / "den", "--sup", root / "sup",
           "--out-dir", root / "net")  # fmt: skip
    hybrid("decode", "--model", root / "xent", "--graph", root / "graph", "--feats", root / "feats", "--out-dir",
           root / "ndecode", "--beam", 4)  # fmt: skip


def _forget_hashes(root: Path) -> None:
    """Takes the hashes out of the records, so that readers meet the damage; only the folder `whole` keeps its own."""
    for file in root.rglob("*meta.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        if file.parent.name not in ("whole", "blocks"):
            record.pop("files", None)
            record.get("facts", {}).pop("hashes", None)
            file.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _texts(root: Path) -> None:
    texts = {
        "dict/lexicon.txt": "".join(f"{w} {p}\n" for w, p in WORDS.items()),
        "dict/silence_phones.txt": "sil\nspn\n",
        "dict/optional_silence.txt": "sil\n",
        "dict/nonsilence_phones.txt": "a\nb\n",
        "dict/extra_questions.txt": "a b\nsil spn\n",
        "dictp/lexiconp.txt": "".join(f"{w} 0.5 {p}\n" for w, p in WORDS.items()),
        "dictp/lexiconp_silprob.txt": "".join(f"{w} 0.5 0.4 1.2 0.8 {p}\n" for w, p in WORDS.items()),
        "dictp/silprob.txt": "<s> 0.6\n</s>_s 1.1\n</s>_n 0.9\noverall 0.3\n",
        "mfcc.yaml": f"sampling_rate: {RATE}\nnum_mel_bins: 10\nnum_ceps: 3\nlow_freq: 20\nhigh_freq: 3800\n",
        "voices.yaml": "bases: [en-us]\nrates: [150, 180]\nnoises: [white]\nsnr_db: [10, 20]\nseed: 3\n",
        "xent.yaml": f"network: {{{NETWORK}, subsampling_factor: 1, chain: false}}\n"
        "batches: {chunk_frames: [20], batch_frames: 80}\ntraining: {epochs: 1, heldout: 0, threads: 1}\n",
        "conf/chain.yaml": f"network: {{architecture: tdnnf, {NETWORK}}}\nfeatures: ../mfcc.yaml\ncmvn: {{kind: "
        "speaker}\nchain: {xent_weight: 0.1, l2: 0.0001}\naugment: {freq_masks: 1, freq_width: 2}\nbatches: "
        "{chunk_frames: [21], batch_frames: 84}\noptimiser: {learning_rate: 0.01, weight_decay: 0.01}\n"
        "training: {epochs: 1, evaluations: 2, heldout: 0, average: 2, threads: 1}\n",
        "text.txt": "A AB\nB A\nBA AB A\nB\n",
        "words.list": "A\nAB\nBA\n",
        "rules.tsv": "# mine\na ab\tA2\nb\tb\n",
        "own.txt": "A\nAB a b\nBA b a\nB\n",
        "contacts.txt": "A B\nAB\t2\nBA\t0.5\tb a\nB A\t1\tb | a\n",
        "slots.json": '{"names": ["$X"], "before": [0, 1], "first": [2, 3], "last": [1, 2], "after": [0, 2], '
        '"first_label": 9, "silence_phone": 1, "silence_prob": 0.5, "first_shares": [0.5, 0.5], '
        '"after_shares": [0.5, 0.5]}',
        "say.gram": GRAM,
        "say.grxml": GRXML,
        "named.gram": "#JSGF V1.0;\ngrammar named;\npublic <word> = w;\n",
        "bias.txt": "A AB\t1.5\nBA\t-0.5\tB\nab\n",
        "table.txt": "u1 A AB\nu2 B A\nu3 BA\n",
        "hyp.txt": "u1 A B\nu2 B A A\nu3 BA\n",
        "utt2spk": "u1 s1\nu2 s1\nu3 s2\n",
        "named.txt": "one A AB\ntwo B A\n",
        "questions.txt": "3 4\n1 2\n3\n",
        "cmudict": ";;; comment\nA  AH0\nA(2)  EY1\nAB  AE1 B IY0 # x\nB  B IY1\n",
        "vocab.txt": "<eps> 0\nA 1\nB 2\nAB 3\n",
        "table.md": "# x\n<!-- results -->\n<!-- end of results -->\n",
        "libri/LibriSpeech/dev-clean/1/2/1-2.trans.txt": "1-2-0000 A AB\n1-2-0001 B\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def _audio(root: Path, random: np.random.RandomState) -> None:
    import soundfile

    (root / "audio").mkdir()
    for number, text in enumerate(("A AB", "B A", "BA", "B A AB B")):
        samples = 0.1 * random.randn(2000 + 1500 * len(text.split()))
        soundfile.write(str(root / f"audio/u{number}.wav"), samples, RATE, subtype="PCM_16")
        (root / f"audio/u{number}.txt").write_text(text + "\n")
    for kind in ("flac", "ogg", "au", "aiff", "w64", "caf", "rf64"):
        soundfile.write(str(root / f"sound.{kind}"), samples, RATE)
    if find_spec("av"):
        _m4a(root / "sound.m4a", samples)
    for name in ("0000", "0001"):
        soundfile.write(str(root / f"libri/LibriSpeech/dev-clean/1/2/1-2-{name}.flac"), samples, RATE)


def _m4a(path: Path, samples: np.ndarray) -> None:
    import av

    with av.open(str(path), "w", format="ipod") as out:
        stream = out.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        pieces = av.AudioResampler(format="fltp", layout="mono", rate=RATE, frame_size=1024)
        for part in [*pieces.resample(frame), *pieces.resample(None), None]:
            out.mux(stream.encode(part))


def _kaldi_folders(root: Path) -> None:
    """A data folder and a model as Kaldi's scripts have them."""
    folder = root / "kdata"
    folder.mkdir()
    (folder / "wav.scp").write_text("".join(f"r{i} {root}/audio/u{i}.wav\n" for i in range(3)))
    (folder / "segments").write_text("u1 r0 0.0 0.25\nu2 r1 0.1 0.3\nu3 r2 0.0 -1\n")
    (folder / "utt2spk").write_text("u1 s1\nu2 s1\nu3 s2\n")
    (folder / "text").write_text("u1 A AB\nu2 B A\nu3 BA\n")
    hybrid("gmm", "to-kaldi", root / "mono", root / "kmodel")


def _archives(root: Path, random: np.random.RandomState) -> None:
    from hybrid.formats.kaldi_io import write_int_vectors, write_matrices, write_matrix
    from hybrid.formats.openfst import read_fst, write_fst
    from hybrid.lattice.archive import ArchiveForm, read_compact_folder, read_lattice_folder, write_lattices, write_slf
    from hybrid.lattice.prune import prune
    from hybrid.model.folder import load_model
    from lexicon.symbols import SymbolTable

    pdfs = load_model(root / "mono").tree.num_pdfs
    scores = {f"u{n}": random.randn(5, pdfs).astype(np.float32) for n in range(2)}
    write_matrices(root / "m.ark", scores, scp=root / "m.scp")
    (root / "m.scp").write_text((root / "m.scp").read_text().replace(f"{root}/", "") + "u9 m.ark:3[0:2]\n")
    write_matrices(root / "m.text.ark", scores, text=True)
    write_matrices(root / "m.ark.gz", scores)
    write_matrices(root / "v.ark", {"a": random.randn(6), "b": random.randn(3).astype(np.float32)})
    (root / "c.ark").write_bytes(_compressed(random))
    write_matrix(root / "one.mat", random.randn(3, 4))
    ids = {"u0": np.array([1, 2, 2, 3]), "u1": np.array([4, 4])}
    write_int_vectors(root / "i.ark", ids)
    write_int_vectors(root / "i.text.ark", ids, text=True)
    (root / "npy").mkdir()
    np.save(root / "npy/u0.npy", scores["u0"])
    lattices = [(u, prune(lattice, 2.0, 0.1)) for u, lattice in read_lattice_folder(root / "decode")][1:3]
    for name, compact, text in (("lat", 0, 0), ("lat.c", 1, 0), ("lat.t", 0, 1), ("lat.ct", 1, 1)):
        write_lattices(root / f"{name}.ark", lattices, bool(compact), bool(text))
    write_lattices(root / "lat.gz", lattices)
    write_lattices(root / "lat.jsonl", lattices, form=ArchiveForm(json_lines=True))
    write_lattices(root / "lat.s.ark", lattices, compact=True, scp=root / "lat.scp")
    (root / "lat.scp").write_text((root / "lat.scp").read_text().replace(f"{root}/", ""))
    write_slf(root / "lat.slf", read_compact_folder(root / "lat.gz"), SymbolTable.read(root / "graph/words.txt"), 0.01)
    write_fst(root / "L.const", read_fst(root / "lang/L.fst"), "const")
    data = (root / "G.fst").read_bytes()
    table = struct.pack("<ii1sqq", 2125658996, 1, b"w", 1, 1) + struct.pack("<i5sq", 5, b"<eps>", 0)
    at = 4 + 4 + 6 + 4 + 8
    (root / "G.symbols").write_bytes(data[: at + 4] + struct.pack("<i", 1) + data[at + 8 : at + 40] + table
                                     + data[at + 40 :])  # fmt: skip


def _compressed(random: np.random.RandomState) -> bytes:
    def value(kind: bytes, rows: int, cols: int, body: bytes) -> bytes:
        return kind[:1].lower() + kind[2:3] + b" \0B" + kind + b" " + struct.pack("<ffii", -1.0, 2.0, rows, cols) + body

    return (
        value(b"CM2", 3, 2, random.bytes(12))
        + value(b"CM3", 2, 3, random.bytes(6))
        + value(b"CM", 4, 2, np.sort(random.randint(0, 65536, (2, 4)), 1).astype("<u2").tobytes() + random.bytes(8))
    )


def _binary_tree(text: str) -> bytes:
    """Kaldi's binary form of a tree: its text, token by token."""
    out, inside = b"\0B", False
    numbers: list[int] = []
    for token in text.split():
        if token == "[":
            inside, numbers = True, []
        elif token == "]":
            out += b"\x04" + struct.pack(f"<i{len(numbers)}i", len(numbers), *numbers)
            inside = False
        elif re.fullmatch(r"-?\d+", token):
            numbers.append(int(token))
            out += b"" if inside else b"\x04" + struct.pack("<i", int(token))
        else:
            out += token.encode() + b" "
    return out


def _neural(root: Path) -> None:
    """A mapped n-gram model, and a neural one over pieces, without records, so that damage reaches the readers."""
    import torch

    from lexicon.pieces import PieceConfig, train_pieces
    from lm.arpa import read_arpa
    from lm.mapped_model import write_mapped
    from lm.neural.config import NeuralLmConfig
    from lm.neural.folder import NeuralLm, build, save_neural_lm
    from lm.neural.units import Units

    write_mapped(root / "lm.map", read_arpa(root / "lm.arpa"))
    train_pieces(["A AB BA B", "AB B A"] * 20, root / "neural.model", PieceConfig(vocab_size=12))
    units = Units.of_pieces(["\u2581A", "\u2581", "A", "B"], (root / "neural.model").read_bytes())
    torch.manual_seed(0)
    config = NeuralLmConfig(dim=4, cutoffs=(3,), dropout=0.0)
    (root / "neural").mkdir()
    save_neural_lm(root / "neural", NeuralLm(config, units, build(config, len(units))), {}, {}, {})
    (root / "neural/meta.json").unlink()
    (root / "weights.json").write_text('{"share": 0.5, "lm_weight": 1.0, "penalty": 0.0}\n')


def _models(root: Path, random: np.random.RandomState) -> None:
    from hybrid.align.corpus_alignments import CorpusAlignments
    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import read_int_vectors
    from hybrid.gmm.basis_fmllr import FmllrBasis
    from hybrid.gmm.speaker_transforms import save_basis, save_transforms
    from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
    from hybrid.model.folder import load_model
    from hybrid.train.gmm.em import EmState, PassRecord
    from hybrid.train.gmm.state import save_state
    from hybrid.tree.kaldi_tree import parse_tree
    from lexicon.lang_dir import LangDir
    from lexicon.pieces import PieceConfig, train_pieces

    model, lang, store = load_model(root / "mono"), LangDir.load(root / "lang"), FeatureStore.open(root / "feats")
    hybrid("gmm", "copy", root / "mono", root / "mono/final.mdl")
    deep = parse_tree(
        b"ContextDependency 3 1 ToPdf SE 0 [ 1 2 ]\n{ TE 1 4 ( NULL CE 0 SE 2 [ 1 3 ]\n{ CE 1 CE 2 } CE 3 ) "
        b"SE -1 [ 0 ]\n{ CE 4 CE 5 } } EndContextDependency "
    )
    (root / "tri.tree").write_text(deep.to_text())
    (root / "tri.tree.bin").write_bytes(_binary_tree(deep.to_text()))
    dim, hashed = model.pipeline.dim, model.hashes["tree"]
    transform = np.eye(dim, dim + 1, dtype=np.float32)
    save_transforms(root / "transforms.safetensors", {store.speakers()[0]: transform}, hashed)
    save_basis(root / "basis.safetensors", FmllrBasis(np.stack([transform] * 2), np.array([2.0, 1.0])), hashed)
    compiler = TrainingGraphCompiler(lang, model.transition_model)
    texts = [(u, lang.text_to_ids(store.text(u))) for u in store.ids[:2]]
    graphs, _ = compile_training_graphs(compiler, texts)
    graphs.save(root / "graphs.safetensors", model.transition_model)
    occupancy = np.ones(model.tree.num_pdfs)
    record = PassRecord(**dict.fromkeys(PassRecord.__dataclass_fields__, 1))
    alignments = CorpusAlignments.from_items(read_int_vectors(root / "ali/ali.gz"))
    fields = {"next_pass": 1, "gaussians": 20, "step": 1, "gmm": model.acoustic_model.gmm, "pipeline": model.pipeline,
              "transition_model": model.transition_model, "alignments": alignments, "occupancy": occupancy,
              "speaker_transforms": {}, "history": (record,)}  # fmt: skip
    save_state(root / "state.safetensors", EmState(**fields), "me")
    _network_state(root)
    train_pieces(["A AB BA B", "AB B A"] * 20, root / "pieces.model", PieceConfig(vocab_size=12))


def _network_state(root: Path) -> None:
    from hybrid.model.folder import load_model
    from hybrid.train.nnet.checkpoint import TrainState, save_state
    from hybrid.train.nnet.config import OptimiserConfig
    from hybrid.train.nnet.data import Position
    from hybrid.train.nnet.optimiser import Optimiser

    network = load_model(root / "net").acoustic_model.network
    optimiser = Optimiser(network, OptimiserConfig())
    for parameter in network.parameters():
        parameter.grad = parameter.detach() * 0.1 + 1
    optimiser.step(0.01, optimiser.gradient_norm())
    state = TrainState(Position(2, 5), 7, 900, 2, {"frames": 3.0}, [{"number": 1.0}], {"u": "why"})
    save_state(root / "net.state.safetensors", network, optimiser, state, "me")


def _results(root: Path) -> None:
    from hybrid.confidence.calibration import Calibration
    from hybrid.confidence.facts import FEATURES
    from hybrid.formats.praat import LabelledTime, TextGrid, Tier, write_textgrid
    from hybrid.score.results import Result, write_results

    hybrid("score", "wer", "--ref", root / "table.txt", "--hyp", root / "hyp.txt", "--replications", 100,
           "--out-dir", root / "score")  # fmt: skip
    write_results(root / "results.tsv", [Result("mono", "dev", "uni", 9.5, 8.0, 10.0, 1, 2, 3, 60, 4.0, 0.5)])
    (root / "sure.txt").write_text("u1 1 A 0.5\nu1 2 AB 0.75\nu2 1 B 1.0\n")
    size = len(FEATURES)
    Calibration(0.1, 1.0, FEATURES, (0.5,) * size, (2.0,) * size, (0.25,) * size, 1.5).save(root / "calibration.json")
    Calibration(0.1, knots=(0.1, 0.5, 1.0), levels=(0.25, 0.5, 0.75)).save(root / "isotonic.json")
    (root / "cost.json").write_text(json.dumps({"cpu_s": 3.5, "max_gb": 0.25}))
    labels = (LabelledTime("A", 0.0, 0.5), LabelledTime("", 0.5, 0.75), LabelledTime('"B"', 0.75, 1.0))
    grid = TextGrid(0.0, 1.0, (Tier("words", labels), Tier("phones", labels)))
    write_textgrid(root / "long.TextGrid", grid)
    write_textgrid(root / "short.TextGrid", grid, short=True)
    write_textgrid(root / "talk.TextGrid", TextGrid(0.0, 1.0, (Tier("ann", labels), Tier("bob", labels))))
