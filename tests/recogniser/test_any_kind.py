"""Networks through the same doors as a GMM: saved, loaded, aligned with, decoded with from features, files and chunks.

One is of a kind that no module of the package knows, a small convolutional network defined and registered here; the
others are a TDNN-F and a conformer that attends in chunks. All give a third of the frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hybrid.aligner.align_set import AlignSetConfig, align_set
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import read_int_vectors
from hybrid.gmm import GmmAcousticModel
from hybrid.model.folder import Model, load_model, save_model
from hybrid.model.kinds import register
from hybrid.model.protocol import AcousticModelBase
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.network import build_network
from hybrid.nnet.priors import measure_log_prior
from hybrid.recogniser import Recogniser
from lexicon.lang_dir import LangDir

FACTOR, REACH = 3, 5


@register("test-network")
class Network(AcousticModelBase):
    """log p(pdf | 11 frames) − log p(pdf), from one hidden layer."""

    subsampling_factor = FACTOR
    left_context = right_context = REACH
    acoustic_scale = 1.0

    def __init__(self, parameters: dict[str, torch.Tensor]) -> None:
        self.parameters = parameters
        self.num_pdfs, self.feature_dim = parameters["out"].shape[0], parameters["hidden"].shape[1]

    def to(self, device: str) -> "Network":
        return self

    def posteriors(self, features: torch.Tensor) -> torch.Tensor:
        """[N][T][D] → log-posteriors [N][ceil(T / 3)][P]."""
        padded = torch.nn.functional.pad(features.mT, (REACH, REACH))
        hidden = torch.nn.functional.conv1d(padded, self.parameters["hidden"], self.parameters["bias"], stride=FACTOR)
        out = torch.nn.functional.conv1d(hidden.tanh(), self.parameters["out"][:, :, None])
        return out.log_softmax(dim=1).mT

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inside = torch.arange(features.shape[1])[None] < lengths[:, None]
        with torch.no_grad():
            out = self.posteriors(torch.where(inside[:, :, None], features, torch.zeros(()))) - self.parameters["prior"]
        counts = torch.tensor([self.num_frames(int(n)) for n in lengths])
        inside = torch.arange(out.shape[1])[None] < counts[:, None]
        return torch.where(inside[:, :, None], out, torch.zeros(())), counts

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: value.detach().numpy() for name, value in self.parameters.items()}

    def settings(self) -> dict[str, float]:
        return {"acoustic_scale": self.acoustic_scale}

    @classmethod
    def from_arrays(cls, arrays, settings) -> "Network":  # type: ignore[no-untyped-def]
        return cls({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})


def train(model: Model, store: FeatureStore, alignments: dict[str, np.ndarray]) -> Network:
    """Cross-entropy on every third frame of the GMM's alignments."""
    generator = torch.Generator().manual_seed(0)
    pdfs, dim, width = model.tree.num_pdfs, model.pipeline.dim, 32
    hidden = 0.05 * torch.randn(width, dim, 2 * REACH + 1, generator=generator)
    parameters = {
        "hidden": hidden, "bias": torch.zeros(width), "out": 0.1 * torch.randn(pdfs, width, generator=generator),
    }  # fmt: skip
    data = []
    for utterance, ids in alignments.items():
        features = torch.from_numpy(model.pipeline.features(store, utterance))[None]
        data.append((features, torch.from_numpy(model.transition_model.pdf_ids[ids][::FACTOR].astype(np.int64))))
    counts = torch.bincount(torch.cat([targets for _, targets in data]), minlength=pdfs) + 1.0
    network = Network(
        {**{k: v.requires_grad_() for k, v in parameters.items()}, "prior": (counts / counts.sum()).log()}
    )
    optimiser = torch.optim.Adam([v for v in network.parameters.values() if v.requires_grad], lr=0.01)
    for _ in range(15):
        for features, targets in data:
            loss = torch.nn.functional.nll_loss(network.posteriors(features)[0], targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network


BUILT_IN = {
    "tdnnf": {"dim": 32, "bottleneck_dim": 12, "prefinal_dim": 12, "time_strides": (1, 0, 3), "chain": False},
    "conformer": {
        "dim": 16, "heads": 2, "layers": 2, "expansion": 2, "kernel": 5, "causal": True, "chunk": 4, "left_chunks": 2,
        "dropout": 0.2, "chain": False,
    },
}  # fmt: skip


def train_built_in(
    model: Model, store: FeatureStore, alignments: dict[str, np.ndarray], name: str
) -> NetworkAcousticModel:
    """The same for a network of the package."""
    torch.manual_seed(0)
    network = build_network(name, BUILT_IN[name], model.pipeline.dim, model.tree.num_pdfs)
    features = [torch.from_numpy(model.pipeline.features(store, utterance)) for utterance in alignments]
    lengths = torch.tensor([len(one) for one in features])
    batch = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
    targets = [
        torch.from_numpy(model.transition_model.pdf_ids[ids][::FACTOR].astype(np.int64)) for ids in alignments.values()
    ]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(40):
        output = network(batch, lengths)
        found = torch.cat([one[: len(target)] for one, target in zip(output.xent, targets)])
        optimiser.zero_grad()
        torch.nn.functional.nll_loss(found, torch.cat(targets)).backward()
        optimiser.step()
        network.constrain_()
    prior = measure_log_prior(network, [(batch, lengths)], 1e-3)
    return NetworkAcousticModel(network.eval(), "xent", prior, self_loop_scale=0.1)  # a GMM's topology


@pytest.fixture(scope="module", params=["test-network", *BUILT_IN])
def folder(request, tiny, tmp_path_factory):
    """A network's model folder."""
    path = tmp_path_factory.mktemp("network") / "model"
    model, store = load_model(tiny.model), FeatureStore.open(tiny.root / "feats_train")
    alignments = dict(read_int_vectors(tiny.model / "ali.gz"))
    if request.param == "test-network":
        network = train(model, store, alignments)
    else:
        network = train_built_in(model, store, alignments, request.param)
    save_model(path, replace(model, acoustic_model=network, path=None))
    return path


def transcripts(path) -> dict[str, str]:  # type: ignore[no-untyped-def]
    lines = (line.split(maxsplit=1) for line in path.read_text().splitlines())
    return {fields[0]: fields[1] if len(fields) > 1 else "" for fields in lines}


def test_saved_and_loaded(folder) -> None:
    model, config = load_model(folder), (folder / "config.yaml").read_text()
    assert not isinstance(model.acoustic_model, GmmAcousticModel) and model.frame_shift == pytest.approx(0.03)
    if isinstance(model.acoustic_model, NetworkAcousticModel):
        assert "kind: nnet" in config and f"architecture: {model.acoustic_model.network.architecture}" in config
    else:
        assert isinstance(model.acoustic_model, Network) and "kind: test-network" in config


def test_decoded_from_features_and_files(folder, tiny, hybrid, tmp_path) -> None:
    graph = tmp_path / "graph"
    made = hybrid("graph", "compile", "--model", folder, "--lang", tiny.root / "lang", "--grammar", tiny.root / "G.fst",
                  "--out-dir", graph)  # fmt: skip
    assert made.exit_code == 0, made.output
    out = hybrid("decode", "--model", folder, "--graph", graph, "--feats", tiny.feats, "--out-dir", tmp_path / "feats")
    assert out.exit_code == 0, out.output
    files = sorted((tiny.audio / "ann").glob("*.wav"))
    out = hybrid("decode", "--model", folder, "--graph", graph, "--audio", "--out-dir", tmp_path / "files", *files)
    assert out.exit_code == 0, out.output
    said = {file.stem: file.with_suffix(".txt").read_text().strip() for file in files}
    for name in ("feats", "files"):
        heard = transcripts(tmp_path / name / "transcript.txt")
        assert sum(text == said[utterance.removeprefix("ann-")] for utterance, text in heard.items()) >= len(said) - 1
        assert '"acoustic_scale": 1.0' in (tmp_path / name / "decode.json").read_text()


def test_decoded_in_chunks(folder, tiny, bursts, tmp_path, hybrid) -> None:
    graph = tmp_path / "graph"
    hybrid("graph", "compile", "--model", folder, "--lang", tiny.root / "lang", "--grammar", tiny.root / "G.fst",
           "--out-dir", graph)  # fmt: skip
    recogniser, samples, found = Recogniser.load(folder, graph), bursts(["LOW", "HIGH", "MID"], 77), []
    for frames in (1, 7, 160, 10**6):
        session, heard = recogniser.session(8000), []
        for begin in range(0, len(samples), 80 * frames):
            heard += session.advance(samples[begin : begin + 80 * frames])
        heard += session.finish()
        found.append(
            [(one.text, one.lattice.transition_ids.tolist(), one.lattice.next_states.tolist()) for one in heard]
        )
    assert found[0] == found[1] == found[2] == found[3]
    assert recogniser.recognise(samples, 8000).text == "LOW HIGH MID"


def test_aligned(folder, tiny, tmp_path, hybrid) -> None:
    model, store, lang = load_model(folder), FeatureStore.open(tiny.feats), LangDir.load(tiny.root / "lang")
    ours = align_set(model, store, lang, tmp_path / "ali", AlignSetConfig(ctm=True))
    theirs = align_set(load_model(tiny.model), store, lang, tmp_path / "gmm")
    assert not ours.failures and set(ours.ids) == set(theirs.ids)
    near = total = 0
    for utterance in ours.ids:
        phones = [m.transition_model.phones[a[utterance]] for m, a in ((model, ours), (load_model(tiny.model), theirs))]
        assert len(phones[0]) == -(-len(phones[1]) // FACTOR)
        near, total = near + int((phones[0] == phones[1][::FACTOR]).sum()), total + len(phones[0])
    assert near > 0.9 * total
    out = hybrid("align", "audio", "--model", folder, "--lang", tiny.root / "lang", "--out-dir", tmp_path / "words",
                 tiny.audio)  # fmt: skip
    assert out.exit_code == 0 and "10 aligned, 0 failed" in out.output, out.output
