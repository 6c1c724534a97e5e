"""`hybrid decode`: the same files for any number of jobs, after a kill, and from any source."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hybrid.adapt.sources import AdaptedFeatureFolder
from hybrid.adapt.two_pass import AdaptedSource
from hybrid.agreement import Part
from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError, InputError, MismatchError
from hybrid.decode import decode_set as corpus
from hybrid.decode import outputs
from hybrid.decode.decode_set import DecodeOptions, decode_corpus
from hybrid.decode.sources import AudioFiles, FeatureFolder, ScoreFolder
from hybrid.decode.system import SystemSpec, load_system
from hybrid.feats.store import FeatureStore
from hybrid.gmm import GmmAcousticModel
from hybrid.gmm.speaker_transforms import save_transforms
from hybrid.lattice.archive import read_lattice_folder
from hybrid.lattice.paths import best_path
from hybrid.model.folder import load_model, save_model

SAME = ("decode.json", "transcript.txt", "words.ctm", "utterances.tsv", "failed.txt", "nbest.txt", "phones.ctm")


@pytest.fixture(scope="module")
def spec(tiny) -> SystemSpec:
    return SystemSpec(str(tiny.model), str(tiny.graph))


OPTIONS = DecodeOptions(nbest=3, phones=True, block=4)


@pytest.fixture(scope="module")
def decoded(tiny, spec, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("decoded") / "out"
    totals = decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    assert (totals.done, totals.failed) == (10, 0)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SAME} | {
        p.name: p.read_bytes() for p in sorted(folder.glob("lat.*.gz"))
    }


@pytest.mark.parametrize("frames", [1, 10**6])
def test_no_result_depends_on_what_is_scored_together(tiny, spec, decoded, tmp_path, frames) -> None:
    options = dataclasses.replace(OPTIONS, batch_frames=frames)
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "out", options)
    assert files(tmp_path / "out") == files(decoded)


def test_a_device_that_is_not_there_is_told(tiny, spec, tmp_path) -> None:
    other = dataclasses.replace(spec, device="cuda:99")
    with pytest.raises(InputError, match=r"device: is 'cuda:99', but \d+ GPUs can be used here. Choose cpu."):
        decode_corpus(other, FeatureFolder(str(tiny.feats)), tmp_path / "out", OPTIONS)


def test_features_of_other_settings_are_refused_once_for_all(tiny, spec, hybrid, tmp_path) -> None:
    made = hybrid("feats", "extract", "--cuts", tiny.root / "test", "--config", tiny.root / "mfcc.yaml", "--set",
                  "num_ceps=12", "--out-dir", tmp_path / "feats")  # fmt: skip
    assert made.exit_code == 0
    other, model = FeatureFolder(str(tmp_path / "feats")), load_model(tiny.model)
    wanted = r"/feats: features have num_ceps 12, the model wants 13\. Extract them with the settings of this model\."
    with pytest.raises(InputError, match=wanted):
        decode_corpus(spec, other, tmp_path / "out", OPTIONS)
    save_transforms(tmp_path / "transforms.safetensors", {}, model.tree.content_hash())
    adapted = AdaptedFeatureFolder(other.path, str(tmp_path / "transforms.safetensors"))
    for source in (other, adapted, AdaptedSource(other)):
        with pytest.raises(InputError, match=wanted):
            next(source.scores(model, source.utterances()[0]))
    assert (
        next(AdaptedSource(FeatureFolder(str(tiny.feats))).scores(model, other.utterances()[0])).shape[1]
        == model.tree.num_pdfs
    )


def test_what_is_written(tiny, spec, decoded: Path) -> None:
    said = {p.stem: p.with_suffix(".txt").read_text().strip() for p in tiny.audio.rglob("*.wav")}
    heard = dict(line.split(" ", 1) for line in (decoded / "transcript.txt").read_text().splitlines())
    assert sorted(said.values()) == sorted(heard.values())
    assert sorted(p.name for p in decoded.glob("lat.*")) == ["lat.1.gz", "lat.2.gz", "lat.3.gz"]
    words = load_system(spec).words
    for utterance, lattice in read_lattice_folder(decoded):
        path = best_path(lattice, 0.1)
        assert path is not None and " ".join(words.symbol(w) for w in path.word_ids) == heard[utterance]
    facts = json.loads((decoded / "decode.json").read_text())
    assert facts["done"] == 10 and facts["partial"] == 0
    assert not [name for name in facts if "rtf" in name or name.endswith(("search_seconds", "score_seconds", "gb"))]
    assert read_meta(decoded)["facts"]["search_rtf"] > 0
    assert not (decoded / ".parts").exists() and (decoded / "meta.json").exists()
    first = (decoded / "nbest.txt").read_text().splitlines()[0].split()
    assert first[1] == "1" and " ".join(first[4:]) == heard[first[0]]
    assert (decoded / "failed.txt").read_text() == ""


def test_jobs_do_not_change_a_byte(tiny, spec, decoded: Path, tmp_path: Path) -> None:
    from hybrid.base.jobs import pool

    with pool(2) as executor:
        decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "out", OPTIONS, executor)
    assert files(tmp_path / "out") == files(decoded)


def test_threads_do_not_change_a_byte(tiny, spec, decoded: Path, tmp_path: Path) -> None:
    from hybrid.base.jobs import pool

    with pool(1, threads=3) as executor:
        decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "out", OPTIONS, executor)
    assert files(tmp_path / "out") == files(decoded)
    with pytest.raises(HybridError, match="2 processes of 3 threads: give --jobs or --threads, not both"), pool(2, 3):
        pass


def test_a_killed_run_keeps_its_finished_blocks(tiny, spec, decoded: Path, tmp_path: Path, monkeypatch) -> None:
    import hybrid.decode.decode_set as corpus

    out, whole = tmp_path / "out", corpus.decode_block
    seen: list[int] = []

    def dies(shared, item):  # type: ignore[no-untyped-def]
        if item[0] == 3 and len(seen) < 3:
            raise KeyboardInterrupt
        seen.append(item[0])
        return whole(shared, item)

    monkeypatch.setattr(corpus, "decode_block", dies)
    with pytest.raises(KeyboardInterrupt):
        decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    stamp = (out / ".parts" / "lat.1.gz").stat().st_mtime_ns
    assert not (out / "transcript.txt").exists()
    seen += [0]
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    assert (out / "lat.1.gz").stat().st_mtime_ns == stamp
    assert files(out) == files(decoded)


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"utterances": []}', b"\xff\xfe"])
def test_damaged_records_of_an_unfinished_run_are_made_again(
    tiny, spec, decoded: Path, tmp_path: Path, monkeypatch, damage: bytes
) -> None:
    out, whole = tmp_path / "out", corpus.decode_block

    def dies(shared, item):  # type: ignore[no-untyped-def]
        if item[0] == 3:
            raise KeyboardInterrupt
        return whole(shared, item)

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "decode_block", dies)
        with pytest.raises(KeyboardInterrupt):
            decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    for name in ("1.json", "attempt.0001.json"):
        (out / ".parts" / name).write_bytes(damage)
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    assert files(out) == files(decoded)


def test_costs_are_summed_over_attempts(tiny, spec, decoded: Path, tmp_path: Path, monkeypatch) -> None:
    out, whole = tmp_path / "out", corpus.decode_block

    def dies(shared, item):  # type: ignore[no-untyped-def]
        if item[0] == 3:
            raise KeyboardInterrupt
        return whole(shared, item)

    monkeypatch.setattr(corpus, "decode_block", dies)
    monkeypatch.setattr(corpus, "cpu_seconds", lambda: 100.0)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    monkeypatch.setattr(corpus, "decode_block", whole)
    monkeypatch.setattr(corpus, "cpu_seconds", lambda: 7.0)
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    facts = json.loads((out / "meta.json").read_text())["facts"]
    assert facts["attempts"] == 3 and facts["cpu_seconds"] == 207.0
    assert json.loads((decoded / "meta.json").read_text())["facts"]["attempts"] == 1


def test_older_results_stand_until_the_new_ones_are_whole(
    tiny, spec, decoded: Path, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(decoded, out)

    def dies(*arguments):  # type: ignore[no-untyped-def]
        raise KeyboardInterrupt

    for where in ("merge", "decode_block"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(corpus, where, dies)
            decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, DecodeOptions(block=32))
        assert files(out) == files(decoded) and (out / "meta.json").exists()


def test_what_failed_is_tried_again_once_it_is_mended(tiny, spec, decoded: Path, tmp_path: Path, monkeypatch) -> None:
    inner = FeatureStore.load

    def damaged(self, utterance):
        raise InputError("damaged")

    monkeypatch.setattr(FeatureStore, "load", damaged)
    with pytest.raises(HybridError, match="could not be decoded"):
        decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "out", OPTIONS)
    monkeypatch.setattr(FeatureStore, "load", inner)
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "out", OPTIONS)
    assert files(tmp_path / "out") == files(decoded)
    monkeypatch.setattr(FeatureStore, "load", damaged)
    with pytest.raises(HybridError, match=r"out/failed.new.txt: 10 of 10 .* the earlier results stand. The reasons"):
        decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "out", DecodeOptions(block=32))
    assert (tmp_path / "out" / "failed.new.txt").read_text().count("damaged") == 10
    (tmp_path / "out" / "failed.new.txt").unlink()
    assert files(tmp_path / "out") == files(decoded) and (tmp_path / "out" / "meta.json").exists()


def test_killed_while_results_are_put_in_place(tiny, spec, decoded: Path, tmp_path: Path, monkeypatch) -> None:
    out, write = tmp_path / "out", corpus.write_lines
    for count in range(5):

        def dies(path, lines, left=[count]):  # type: ignore[no-untyped-def]  # noqa: B006
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            write(path, lines)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(outputs, "write_lines", dies)
            patch.setattr(corpus, "write_lines", dies)
            decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, OPTIONS)
    assert files(out) == files(decoded)


def test_other_settings_start_afresh(tiny, spec, decoded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(decoded, out)
    decode_corpus(spec, FeatureFolder(str(tiny.feats)), out, DecodeOptions(block=32))
    assert [p.name for p in out.glob("lat.*")] == ["lat.1.gz"] and not (out / "nbest.txt").exists()
    assert (out / "transcript.txt").read_bytes() == (decoded / "transcript.txt").read_bytes()


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_scores_give_what_features_give(tiny, spec, decoded: Path, tmp_path: Path, kind: str) -> None:
    from hybrid.feats.store import FeatureStore
    from hybrid.formats.kaldi_io import write_matrices

    model, store = load_system(spec).model, FeatureStore.open(tiny.feats)
    scores = {u: model.scores(model.pipeline.features(store, u)) for u in store.ids}
    scores["bad"] = np.full((3, model.acoustic_model.num_pdfs), np.nan, np.float32)
    scores["wide"] = np.zeros((3, 99), np.float32)
    scores["none"] = np.zeros((0, model.acoustic_model.num_pdfs), np.float32)
    path = tmp_path / "scores"
    if kind == "folder":
        path.mkdir()
        for name, matrix in scores.items():
            np.save(path / f"{name}.npy", matrix)
    else:
        write_matrices(path, dict(reversed(scores.items())))
    totals = decode_corpus(spec, ScoreFolder(str(path)), tmp_path / "out", DecodeOptions(block=4))
    assert (totals.done, totals.failed) == (10, 3)
    assert (tmp_path / "out" / "transcript.txt").read_bytes() == (decoded / "transcript.txt").read_bytes()
    failed = (tmp_path / "out" / "failed.txt").read_text().splitlines()
    assert failed[0].startswith("bad score nan at frame 0, pdf 0. Look")
    assert failed[1] == "none has no frames. Leave it out, or look at its audio."
    assert failed[2].startswith("wide scores have shape (3, 99), wanted [frames][")


def test_audio_with_times_in_the_recording(tiny, spec, hybrid, bursts, save_wav, tmp_path: Path) -> None:
    said = ["LOW", "HIGH", "MID", "LOW"]
    save_wav(tmp_path / "long.wav", np.concatenate([bursts([w], 90 + i, pause=0.6) for i, w in enumerate(said)]))
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    result = hybrid(
        "decode", "--model", tiny.model, "--graph", tiny.graph, "--out-dir", tmp_path / "out", "--max-length", 3,
        "--audio", tmp_path / "long.wav", tmp_path / "broken.wav", sorted(tiny.audio.rglob("*.wav"))[0],
    )  # fmt: skip
    assert result.exit_code == 0, result.exception
    lines = [line.split() for line in (tmp_path / "out" / "words.ctm").read_text().splitlines()[1:]]
    long = [line for line in lines if line[0] == "long"]
    assert [line[4] for line in long] == said
    assert [float(line[2]) for line in long] == sorted(float(line[2]) for line in long)
    assert (tmp_path / "out" / "failed.txt").read_text().startswith("broken ")
    assert (tmp_path / "out" / "transcript.txt").read_text().startswith("ann_00 ")


def test_cuts(tiny, hybrid, decoded: Path, tmp_path: Path) -> None:
    cuts = next((tiny.root / "test").glob("cuts.jsonl*"))
    result = hybrid(
        "decode", "--model", tiny.model, "--graph", tiny.graph, "--out-dir", tmp_path / "out", "--cuts", cuts
    )
    assert result.exit_code == 0, result.exception
    ours, wanted = (Path(d) / "transcript.txt" for d in (tmp_path / "out", decoded))
    assert ours.read_text() == wanted.read_text()


def test_one_line_errors(tiny, spec, hybrid, tmp_path: Path) -> None:
    with pytest.raises(HybridError, match="2 of 2 utterances could not be decoded"):
        (tmp_path / "scores").mkdir()
        np.save(tmp_path / "scores" / "a.npy", np.full((2, 3), np.nan))
        np.save(tmp_path / "scores" / "b.npy", np.zeros((2, 3)))
        decode_corpus(spec, ScoreFolder(str(tmp_path / "scores")), tmp_path / "out")
    with pytest.raises(InputError, match="no such scores"):
        decode_corpus(spec, ScoreFolder(str(tmp_path / "nothing")), tmp_path / "out2")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("text")
    with pytest.raises(InputError, match="is a folder that this toolkit did not make"):
        decode_corpus(spec, FeatureFolder(str(tiny.feats)), tmp_path / "mine")
    result = hybrid("decode", "--model", tiny.model, "--graph", tiny.graph, "--out-dir", tmp_path / "x", "--audio")
    assert result.exit_code == 2 and "give one of --feats STORE" in result.output
    names = AudioFiles(("a/x.wav", "b/x.wav", "c/y.wav"), None).names()  # type: ignore[arg-type]
    assert list(names) == ["a-x", "b-x", "y"]


def test_names_of_ten_thousand_files() -> None:
    """Counting each name anew took minutes, beyond the time that a test has; the last thousand are one file."""
    files = (*(f"speaker{i % 100}/take {i}.wav" for i in range(9000)), *["a/x.wav"] * 1000)
    names = AudioFiles(files, None).names()  # type: ignore[arg-type]
    assert len(names) == len(files) and tuple(names.values()) == files
    assert list(names)[0] == "take_0" and list(names)[9000:9003] == ["a-x", "a-x-2", "a-x-3"]


def test_a_graph_of_another_model_is_refused(tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.graph, tmp_path / "graph")
    meta = json.loads((tmp_path / "graph" / "meta.json").read_text())
    meta["inputs"]["tree"] = "0" * 64
    (tmp_path / "graph" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(MismatchError, match="different versions of the tree"):
        load_system(SystemSpec(str(tiny.model), str(tmp_path / "graph")))


def test_a_model_trained_again_in_the_same_process_answers(tiny, spec, tmp_path: Path) -> None:
    """The last system is kept, but not when a file of its folders was replaced."""
    shutil.copytree(tiny.model, tmp_path / "mono")
    mine = SystemSpec(str(tmp_path / "mono"), str(tiny.graph))
    before = load_system(mine)
    assert load_system(mine) is before
    model = load_model(tmp_path / "mono")
    gmm = model.acoustic_model.gmm
    gmm = dataclasses.replace(gmm, means_invvars=gmm.means_invvars + 1)
    save_model(tmp_path / "mono", dataclasses.replace(model, acoustic_model=GmmAcousticModel(gmm)))
    after = load_system(mine).model.acoustic_model.gmm
    assert not np.array_equal(after.means_invvars, before.model.acoustic_model.gmm.means_invvars)


def test_features_extracted_again_in_the_same_process_are_read(tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.feats, tmp_path / "feats")
    source = FeatureFolder(str(tmp_path / "feats"))
    before = source.fingerprint()
    meta = json.loads((tmp_path / "feats" / "meta.json").read_text())
    meta["facts"]["digest"] = "0" * 64
    (tmp_path / "feats" / "meta.json").write_text(json.dumps(meta))
    assert source.fingerprint() != before


def test_a_lang_folder_of_other_words_is_refused(tiny, tmp_path: Path, forget_files) -> None:
    shutil.copytree(tiny.root / "lang", tmp_path / "lang")
    forget_files(tmp_path / "lang")
    with open(tmp_path / "lang" / "words.txt", "a") as stream:
        stream.write("MORE 77\n")
    with pytest.raises(
        MismatchError, match=r"graph and .*lang were made from different versions of words\.txt .* Give"
    ):
        load_system(SystemSpec(str(tiny.model), str(tiny.graph), str(tmp_path / "lang")))


def test_scores_of_another_model_are_refused(tiny, hybrid, spec, tmp_path: Path) -> None:
    result = hybrid("gmm", "scores", "--model", tiny.model, "--feats", tiny.feats, "--out", tmp_path / "s.ark")
    assert result.exit_code == 0, result.output
    meta = json.loads((tmp_path / "s.ark.meta.json").read_text())
    meta["inputs"]["tree"] = "0" * 64
    (tmp_path / "s.ark.meta.json").write_text(json.dumps(meta))
    with pytest.raises(
        MismatchError, match=r"s\.ark and .*mono were made from different versions of the tree .* Write"
    ):
        decode_corpus(spec, ScoreFolder(str(tmp_path / "s.ark")), tmp_path / "out")


def test_lattice_commands(tiny, hybrid, decoded: Path, tmp_path: Path) -> None:
    words = tiny.graph / "words.txt"
    best = hybrid("lattice", "best-path", decoded, "--words", words)
    assert best.output == (decoded / "transcript.txt").read_text()
    three = hybrid("lattice", "nbest", decoded, "--words", words, "-n", 3)
    assert three.output == (decoded / "nbest.txt").read_text()
    assert "10 lattices" in hybrid("lattice", "prune", decoded, tmp_path / "p.gz", "--beam", 1).output
    hybrid("lattice", "copy", tmp_path / "p.gz", tmp_path / "p.txt", "--text", "--compact")
    assert hybrid("lattice", "best-path", tmp_path / "p.txt", "--words", words).output == best.output
    info = hybrid("lattice", "info", tmp_path / "p.txt", "--each").output.splitlines()
    assert len(info) == 11 and info[-1].startswith("10 lattices: ")
    wrong = tmp_path / "words.txt"
    wrong.write_text("<eps> 0\n")
    result = hybrid("lattice", "best-path", decoded, "--words", wrong)
    assert isinstance(result.exception, MismatchError)
    assert str(decoded) in str(result.exception) and str(wrong) in str(result.exception)
    for archive in (tmp_path / "p.txt", decoded / "lat.1.gz"):  # it knows its words after prune and copy, too
        result = hybrid("lattice", "best-path", archive, "--words", wrong)
        assert isinstance(result.exception, MismatchError) and "different versions of words.txt" in str(
            result.exception
        )
    (tmp_path / "p.gz.meta.json").unlink()  # as an archive of Kaldi's
    result = hybrid("lattice", "best-path", tmp_path / "p.gz", "--words", wrong)
    assert isinstance(result.exception, InputError) and "which its symbol table lacks" in str(result.exception)


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00v\x00{'descr': (", b"\x93NUMPY\x01\x00\x04\x00)(: \n"])
def test_a_damaged_npy_is_a_reason_not_an_end(tmp_path, data):
    (tmp_path / "a.npy").write_bytes(data)
    source = ScoreFolder(str(tmp_path))
    (found,) = source.scores(SimpleNamespace(part=Part("model", "m")), source.utterances()[0])
    assert isinstance(found, str) and "a.npy: " in found


def test_the_output_folder_is_a_set_of_lattices(tiny, decoded: Path) -> None:
    from hybrid.lattice.lattice_set import LatticeSet

    found = LatticeSet.load(decoded, tiny.graph / "words.txt")
    transcripts = [line.split()[0] for line in (decoded / "transcript.txt").read_text().splitlines()]
    assert sorted(found) == sorted(transcripts) and found.words is not None
    shared = found.shared
    assert (
        shared.frame_shift == 0.01 and shared.subsampling_factor == 1 and shared.acoustic_scale == pytest.approx(1 / 12)
    )
    assert shared.boundaries.startswith("middle between windows")
    assert set(shared.identities) == {"words", "tree", "topo", "model", "graph"}
