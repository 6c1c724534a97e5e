#!/usr/bin/env python3
"""Measures a graph with a filled slot beside the graph with the same words compiled into it, on real speech.

    .venv/bin/python scripts/bench/slots.py --model exp/tri3b --transforms exp/tri3b/transforms.safetensors \\
        --lang data/lang --text data/lm_text/text.txt --feats exp/feats/dev-clean --ref data/dev-clean \\
        --work exp/slots --utterances 200

Takes the shortest utterances in which a rare word is said, one that is none of the `--common` most frequent of the
text. Rare words become $RARE in the text of a bigram model; the list has those of the utterances and others of the
text, up to `--entries`, with their counts. Both graphs are made in `--work`, where they are found again.

Prints the CPU seconds of filling; how many best paths have the same words, how far scores and words of the lattices'
oracles differ; the CPU seconds of both searches, which take turns, and their ratio; the share of rare words heard.
With `--add`, a graph with `--open` beside: what adding that many words takes, one after the other. With `--names`, what
filling with lists of so many names of two words takes, pronunciations by lexicon, and with `--sessions` what memory so
many lists of the first of these lengths take side by side.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from hybrid.adapt.sources import AdaptedFeatureFolder
from hybrid.data.utterance import Utterance
from hybrid.decode.sources import FeatureFolder
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.graph.config import GraphConfig
from hybrid.graph.decoding import compile_decoding_graph
from hybrid.graph.word_classes import Classes
from hybrid.lattice.oracle import oracle
from hybrid.lattice.paths import best_path
from hybrid.model.folder import load_model
from hybrid.recogniser import Recogniser
from hybrid.recogniser.slot_contents import SlotContents
from hybrid.score.transcripts import read_transcripts
from hybrid.search.config import SearchConfig
from lexicon.lang_dir import LangDir
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar_fst import ngram_to_fst
from lm.word_list import ListEntry, read_word_list

SLOT = "$RARE"


def parse_options() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "lang", "text", "feats", "ref", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--transforms", type=Path, help="of the speakers, for a model of adaptive training")
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--sentences", type=int, default=20000, help="of the text")
    parser.add_argument("--common", type=int, default=3000, help="words that are not rare")
    parser.add_argument("--entries", type=int, default=1000, help="of the list")
    parser.add_argument("--beam", type=float, default=SearchConfig().beam)
    parser.add_argument("--max-active", type=int, default=SearchConfig().max_active)
    parser.add_argument("--add", type=int, default=0, help="new words, one after the other")
    parser.add_argument("--names", type=int, nargs="*", default=[], help="names of lists that the slot is filled with")
    parser.add_argument("--sessions", type=int, default=0, help="lists side by side")
    return parser.parse_args()


def spent(work: Callable[[], object]) -> tuple[float, object]:
    """Returns the CPU seconds of a call, and what it gave."""
    before = time.process_time()
    value = work()
    return time.process_time() - before, value


def chosen(options: argparse.Namespace, lang: LangDir) -> tuple[list[Utterance], dict[str, list[str]], list[list[str]]]:
    """Returns utterances, what is said in them, and the sentences of the text, rare words tagged; writes the list."""
    with open(options.text, encoding="utf-8") as stream:
        sentences = [line.split() for line in islice(stream, options.sentences)]
    counts = Counter(word for words in sentences for word in words if word in lang.spelling)
    common = {word for word, _ in counts.most_common(options.common)}
    said = read_transcripts(options.ref).words
    usable = [u for u in source_of(options).utterances()[0] if set(said[u.id]) - common]
    speech = sorted(usable, key=lambda u: (u.duration, u.id))[: options.utterances]
    rare = dict.fromkeys(w for u in speech for w in said[u.id] if w not in common and w in lang.spelling)
    rare.update(dict.fromkeys(word for word, _ in counts.most_common()[options.common :]))
    entries = [ListEntry((word,), 1.0 + counts[word]) for word in list(rare)[: options.entries]]
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "rare.txt").write_text("".join(f"{entry.line()}\n" for entry in entries), encoding="utf-8")
    tagged = [[word if word in common else SLOT for word in words] for words in sentences]
    return speech, {u.id: list(said[u.id]) for u in speech}, tagged


def source_of(options: argparse.Namespace) -> FeatureFolder:
    """Where the features come from."""
    if options.transforms is None:
        return FeatureFolder(str(options.feats))
    return AdaptedFeatureFolder(str(options.feats), str(options.transforms))


def make_graphs(options: argparse.Namespace, lang: LangDir, sentences: list[list[str]]) -> None:
    """Compiles the graph with the list in it, the one with the slot, and, where asked for, one for new words too."""
    estimated, _ = estimate_from_sentences(sentences, EstimateConfig(order=2, prune=(0, 1)))
    table = lang.words.extended([SLOT])
    grammar, labels = ngram_to_fst(estimated, table), {SLOT: table[SLOT]}
    model = load_model(options.model)
    acoustic = model.acoustic_model
    config = GraphConfig().of_model(acoustic.transition_scale, acoustic.self_loop_scale)
    lists = {SLOT: read_word_list(options.work / "rare.txt")}
    kinds = {
        "static": Classes.of(labels, [], lists, lang.words, "G"),
        "slot": Classes(labels),
        **({"new": Classes(labels, takes_words=True)} if options.add else {}),
    }
    for name, classes in kinds.items():
        folder = options.work / name
        if not (folder / "meta.json").exists():
            graph = compile_decoding_graph(lang, grammar, model.transition_model, folder, config, options.model,
                                           classes=classes)  # fmt: skip
            print(f"{name}: {graph.meta['facts']['states']} states, {graph.report.cpu_seconds:.1f} CPU s", flush=True)


def add_words(recogniser: Recogniser, count: int) -> None:
    """Prints what it takes to add words one after the other."""
    known = iter(sorted(w for w in recogniser.system.graph.lexicon if w.isalpha()))
    seconds = []
    for number in range(count):
        pronunciation = recogniser.system.graph.lexicon[next(known)][0]
        seconds.append(spent(lambda n=number, p=pronunciation: recogniser.add_word(f"NEW{n}", [p]))[0])
    print(
        f"a new word: median {1e3 * np.median(seconds):.1f} ms, 95th percentile {1e3 * np.percentile(seconds, 95):.1f}"
    )


def names(recogniser: Recogniser, count: int, seed: int) -> list[str]:
    """Returns names of two words that the lexicon knows, drawn at random."""
    known = sorted(word for word in recogniser.system.graph.lexicon if word.isalpha())
    pairs = np.random.default_rng(seed).choice(len(known), (2 * count, 2))
    return list(dict.fromkeys(f"{known[a]} {known[b]}" for a, b in pairs.tolist()))[:count]


def tell_filling(recogniser: Recogniser, sizes: list[int], sessions: int) -> None:
    """Prints what filling takes, and what the lists of many sessions take in memory."""
    contents = SlotContents(recogniser.system)
    for size in sizes:
        seconds = [spent(lambda n=n, s=size: contents.fill({SLOT: names(recogniser, s, n)}))[0] for n in range(3)]
        drawing = spent(lambda s=size: names(recogniser, s, 0))[0]
        print(f"filling {size} names: {min(seconds) - drawing:.3f} CPU s")
    if sessions:
        before = resident()
        kept = [contents.fill({SLOT: names(recogniser, sizes[0], n)}) for n in range(sessions)]
        each = (resident() - before) / len(kept)
        print(f"{sessions} lists of {sizes[0]} names side by side: {each:.2f} MB each")


def resident() -> float:
    """Megabytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


class Comparison:
    """Sums what both graphs find in the same utterances."""

    def __init__(self, systems: tuple[System, System], listed: set[str]) -> None:
        self.systems, self._listed = systems, listed
        self.count = self.same = self.heard = self.rare = 0
        self.seconds, self.errors = np.zeros(2), np.zeros(2, int)
        self.worst: list[tuple[float, str, float, float]] = []

    def add(self, utterance: str, scores: np.ndarray, said: list[str]) -> None:
        """Searches one utterance in both, the filled one first every other time."""
        texts: list[list[str]] = [[], []]
        values = [0.0, 0.0]
        order = (0, 1) if self.count % 2 else (1, 0)
        for number in order:
            system = self.systems[number]
            seconds, (result,) = spent(lambda s=system: s.search([scores]))
            self.seconds[number] += seconds
            path = best_path(result.lattice, system.config.scale)
            if path is not None:
                texts[number] = [system.words.symbol(w) for w in path.word_ids.tolist()]
                values[number] = path.score(system.config.scale)
            ids = [system.words.get(word, -1) for word in said]  # -1: no word of the lattice
            self.errors[number] += oracle(result.lattice, ids).errors
        self.count += 1
        self.same += texts[0] == texts[1]
        if texts[0] == texts[1]:
            self.worst.append((abs(values[0] - values[1]) / max(1.0, abs(values[0])), utterance, *values))
        else:
            print(f"{utterance}: static {values[0]:.3f} {' '.join(texts[0])}")
            print(f"{utterance}: filled {values[1]:.3f} {' '.join(texts[1])}")
        wanted, got = Counter(w for w in said if w in self._listed), Counter(texts[1])
        self.rare += sum(wanted.values())
        self.heard += sum((wanted & got).values())

    def tell(self) -> None:
        """Prints the figures."""
        print(f"{self.same} of {self.count} best paths have the same words")
        differences = np.array([row[0] for row in self.worst])
        print(f"scores of these differ relatively by {differences.max():.1e} at most, {np.median(differences):.1e} "
              f"in the median, by more than 1e-4 in {(differences > 1e-4).sum()}")  # fmt: skip
        for difference, utterance, static, filled in sorted(self.worst, reverse=True)[:3]:
            print(f"  {utterance}: {difference:.1e}, static {static:.4f}, filled {filled:.4f}")
        print(f"errors of the oracles: static {self.errors[0]}, filled {self.errors[1]}")
        print(f"rare words heard: {self.heard} of {self.rare}")
        ratio = self.seconds[1] / max(self.seconds[0], 1e-9)
        print(f"search: static {self.seconds[0]:.2f} CPU s, filled {self.seconds[1]:.2f}, ratio {ratio:.3f}")


def scored(options: argparse.Namespace, system: System, speech: list[Utterance]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields utterances with their scores."""
    for item, scores in zip(speech, source_of(options).scores(system.model, speech)):
        yield item.id, np.asarray(scores, np.float32)


def main() -> None:
    """Makes the graphs, fills the slot, and searches the same scores in both."""
    options = parse_options()
    lang = LangDir.load(options.lang)
    speech, said, sentences = chosen(options, lang)
    print(f"{len(speech)} utterances, {sum(u.duration or 0 for u in speech):.0f} s; {len(sentences)} sentences")
    make_graphs(options, lang, sentences)
    search = SearchConfig(beam=options.beam, max_active=options.max_active)
    static, slot = (
        Recogniser(load_system(SystemSpec(str(options.model), str(options.work / name), search=search)))
        for name in ("static", "slot")
    )
    entries = read_word_list(options.work / "rare.txt")
    for time_ in ("first", "again"):
        print(f"filling {len(entries)} words, {time_}: {spent(lambda: slot.fill({SLOT: entries}))[0]:.3f} CPU s")
    tell_filling(slot, options.names, options.sessions)
    if not options.utterances:
        return
    found = Comparison((static.system, slot.system), {entry.text for entry in entries})
    warm = Comparison((static.system, slot.system), set())
    for number, (utterance, scores) in enumerate(scored(options, static.system, speech)):
        if not number:
            warm.add(utterance, scores, said[utterance])
        found.add(utterance, scores, said[utterance])
    found.tell()
    if options.add:
        spec = SystemSpec(str(options.model), str(options.work / "new"), search=search)
        add_words(Recogniser(load_system(spec)), options.add)


if __name__ == "__main__":
    main()
