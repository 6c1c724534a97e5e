"""Feeds damaged files to every reader: each must end in a value or in the package's own error, soon, in little memory.

    python tests/fuzz/fuzz.py --cases 100000 --seed 1                 all readers
    python tests/fuzz/fuzz.py --seconds 60 --readers lattice,fst      those whose names begin so
    python tests/fuzz/fuzz.py --cases 0                               only the inputs that were found before

A case is a small true file (world.py makes them), mutated, in the place of the true one, and read and used as a
command would (formats.py). A case of one reader, seed and number is always the same. Each reader runs in a process of
its own, whose memory and time per case are limited. What breaks the promise is written to `findings/READER-….bin`,
is a seed from then on, and is read again at each start. It stands under tests/ and not under scripts/ because those
findings are tests, and the gate runs it.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import hashlib
import json
import os
import random
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from formats import Reader

sys.path.insert(0, str(Path(__file__).parent))

FINDINGS = Path(__file__).parent / "findings"
CASE_SECONDS = 5.0  # of processor time
WAIT = 12  # a busy machine or disk takes longer: a case is stopped after so many times CASE_SECONDS
CASE_BYTES = 1 << 30  # that a reader may add to the process
LONGEST_MESSAGE = 1500
PACKAGES = tuple(str(Path(__file__).parents[2] / name) for name in ("hybrid", "lexicon", "lm"))
BIGGEST_FINDING = 1 << 16

# --- mutation ------------------------------------------------------------------------------------------------------

NUMBERS = """0 -1 1 2 255 65536 2147483647 2147483648 -2147483649 4294967296 9223372036854775807 9223372036854775808
1000000000000000000000000000000 1e308 -1e308 1e999 1e-400 nan -nan inf -inf
0.5 1.5 -0.0 0x10 1_0 ٣ +1 1.""".encode().split()
WORDS = rb"""null true [] {} "" "x" <eps> #0 <s> </s> \1-grams: \end\ .. /etc/passwd /dev/zero |cat <> [ ] { } ( : , _
&a *a !!python/object/apply:os.system \ud800""".split()
WORDS += [b"", b"\t", b"\n\n", b" ", b"\r\n", b"\x00", b"\x0b", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff", b"\xed\xa0\x80",
          b"\x1b[31m", b"x" * 300]  # fmt: skip
INTS = [0, 1, -1, 2, 255, 65536, 2**31 - 1, -(2**31), 2**30, 2**62, -(2**63), 2**63 - 1]
FLOATS = [0.0, -0.0, -1.0, 1e308, -1e308, 1e38, 1e-40, float("nan"), float("inf"), float("-inf")]
TOKEN = re.compile(rb"-?\d+\.?\d*(?:e[+-]?\d+)?|[A-Za-z_#<>/\-]+|[^\sA-Za-z0-9]")


def _place(draw: random.Random, data: bytes) -> int:
    """Somewhere in the file; the first bytes, where headers stand, more often."""
    return draw.randrange(min(len(data), 64) if draw.random() < 0.3 else len(data))


def _bits(draw: random.Random, data: bytes, _: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        out[_place(draw, data)] ^= 1 << draw.randrange(8)
    return bytes(out)


def _run(draw: random.Random, data: bytes, _: bytes) -> bytes:
    at, length = _place(draw, data), draw.choice((1, 2, 4, 8, 64))
    fill = draw.choice((b"\0", b"\xff", b" ", b"9", bytes([draw.randrange(256)])))
    return data[:at] + fill * length + data[at + (length if draw.random() < 0.7 else 0) :]


def _truncate(draw: random.Random, data: bytes, _: bytes) -> bytes:
    at = draw.choice((0, 1, _place(draw, data), len(data) - 1, len(data) - draw.randrange(1, 9)))
    return data[: max(at, 0)]


def _duplicate(draw: random.Random, data: bytes, _: bytes) -> bytes:
    a, b = sorted((_place(draw, data), _place(draw, data)))
    piece = (
        data[a:b] if draw.random() < 0.5 else (data.splitlines(True) or [b""])[draw.randrange(data.count(b"\n") or 1)]
    )
    at = _place(draw, data)
    return data[:at] + piece * draw.choice((1, 1, 2, 50)) + data[at:]


def _delete(draw: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(draw, data)
    return data[:at] + data[at + draw.choice((1, 2, 4, 8, 20, 100)) :]


def _tokens(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Swaps a number or word of the text for an extreme one, for one of its own, or for another file's."""
    head = data[: 1 << 16]
    found = list(TOKEN.finditer(head))
    if not found:
        return _bits(draw, data, other)
    out = head
    for match in sorted(draw.sample(found, min(len(found), draw.choice((1, 1, 1, 2, 4)))), key=lambda m: -m.start()):
        pool = NUMBERS if match[0][-1:].isdigit() and draw.random() < 0.7 else NUMBERS + WORDS
        new = draw.choice(pool) if draw.random() < 0.7 else draw.choice(found)[0]
        out = out[: match.start()] + new + out[match.end() :]
    return out + data[1 << 16 :]


def _lines(draw: random.Random, data: bytes, other: bytes) -> bytes:
    rows = data.splitlines(True)
    if not rows:
        return other
    a, b = draw.randrange(len(rows)), draw.randrange(len(rows))
    kind = draw.randrange(5)
    if kind == 0:
        rows[a], rows[b] = rows[b], rows[a]
    elif kind == 1:
        del rows[a]
    elif kind == 2:
        rows.insert(b, rows[a])
    elif kind == 3:
        rows.insert(a, draw.choice(other.splitlines(True) or [b"\n"]))
    else:
        fields = rows[a].split()
        draw.shuffle(fields)
        rows[a] = draw.choice((b" ", b"\t", b"")).join(fields) + b"\n"
    return b"".join(rows)


def _integer(draw: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(draw, data)
    form = draw.choice(("<i", "<q", ">i", "<f", "<d", "<h"))
    value = draw.choice(FLOATS) if form[1] in "fd" else draw.choice(INTS)
    if form == "<f":
        packed = struct.pack(form, max(min(value, 3e38), -3e38) if abs(value) < float("inf") else value)
    else:
        bits = 8 * struct.calcsize(form)
        packed = struct.pack(form, value if form[1] in "fd" else (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1))
    return data[:at] + packed + data[at + len(packed) :]


def _splice(draw: random.Random, data: bytes, other: bytes) -> bytes:
    a, b = _place(draw, data), draw.randrange(max(len(other), 1))
    return data[:a] + other[b : b + draw.choice((8, 100, 1 << 20))] + (data[a:] if draw.random() < 0.5 else b"")


def _encoding(draw: random.Random, data: bytes, _: bytes) -> bytes:
    text = data.decode("latin-1")
    kind = draw.randrange(6)
    if kind == 0:
        return b"\xef\xbb\xbf" + data
    if kind == 1:
        return text.encode("utf-16")
    if kind == 2:
        return data.replace(b"\n", b"\r\n")
    if kind == 3:
        return data.replace(b"A", "Ä".encode("latin-1"))
    if kind == 4:
        return data.replace(b" ", draw.choice((b"\t", b"\xc2\xa0", b"\x00", b"\x0c", b"\xe2\x80\x83")))
    return data.rstrip() if draw.random() < 0.5 else data.upper()


def _bulk(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Deep nesting, long lines, many lines, bombs."""
    at = _place(draw, data)
    piece = draw.choice((b"[", b"{", b'{"a":', b"- ", b"SE 0 [ 1 ]\n{ ", b"x", b"1 ", b"9", b"\n", b" ", b"a\n"))
    if draw.random() < 0.1:
        return gzip.compress(b"\0" * (70 << 20), 9, mtime=0) if draw.random() < 0.1 else other * 3
    return data[:at] + piece * draw.choice((50, 1000, 20_000)) + data[at:]


def _zip(draw: random.Random, data: bytes, _: bytes) -> bytes:
    packed = gzip.compress(data, 1, mtime=0)
    return packed if draw.random() < 0.5 else packed[: draw.randrange(1, len(packed))]


MUTATORS = (_bits, _bits, _run, _truncate, _duplicate, _delete, *[_tokens] * 4, _lines, _lines, _integer, _integer,
            _splice, _encoding, _bulk, _zip)  # fmt: skip


def mutate(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Returns a damaged copy of `data`; packed files are mostly damaged inside."""
    packed = data[:2] == b"\x1f\x8b" and draw.random() < 0.8
    if packed:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            packed = False
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        data = draw.choice(MUTATORS)(draw, data, other) if data else other
    return gzip.compress(data, 1, mtime=0) if packed else data


# --- running -------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What one reader did."""

    cases: int = 0
    refused: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    growth: int = 0


class Fuzzer:
    """Runs cases in the world at `root`; the reader's true file is put back after each."""

    def __init__(self, root: Path, readers: Mapping[str, Reader], seed: int, save: Path | None = None) -> None:
        self.root, self.readers, self.seed, self.save = root, readers, seed, save
        self.sample = ""  # of the last finding's message
        self.truth = {name: (root / reader.file).read_bytes() for name, reader in readers.items()}

    def seeds(self, name: str) -> list[bytes]:
        """The true file, and what was found before."""
        return [self.truth[name], *(f.read_bytes() for f in sorted(FINDINGS.glob(f"{name}-*.bin")))]

    def case(self, name: str, number: int, seeds: list[bytes]) -> bytes:
        """Returns the bytes of a case."""
        draw = random.Random(f"{self.seed} {name} {number}")
        other = self.truth[draw.choice(sorted(self.truth))] if draw.random() < 0.3 else draw.choice(seeds)
        return mutate(draw, draw.choice(seeds) if draw.random() < 0.3 else seeds[0], other)

    def read(self, name: str, data: bytes) -> str:
        """Reads one input: "" for a value, "refused" for the package's error, else what broke the promise."""
        import click

        from hybrid.base.errors import HybridError

        reader = self.readers[name]
        path = self.root / reader.file
        path.write_bytes(data)
        try:
            reader.use(path, self.root)
        except (HybridError, click.ClickException) as error:
            text = str(error)
            if len(text) > LONGEST_MESSAGE or "\n" in text or not text.strip():
                self.sample = text[:100]
                return "a message that is longer than a screen, empty, or of several lines"
            return "refused"
        except BaseException as error:  # whatever a reader lets out, MemoryError and SystemExit too
            frames = traceback.extract_tb(error.__traceback__)
            place = next((f for f in reversed(frames) if f.filename.startswith(PACKAGES)), frames[-1])
            self.sample = str(error)[:100]
            return f"{type(error).__name__} at {'/'.join(Path(place.filename).parts[-2:])}:{place.lineno} {place.name}"
        finally:
            self._restore(name)
        return ""

    def _restore(self, name: str) -> None:
        (self.root / self.readers[name].file).write_bytes(self.truth[name])
        shutil.rmtree(self.root / "out", ignore_errors=True)

    def keep(self, name: str, data: bytes) -> None:
        if self.save is not None and len(data) <= BIGGEST_FINDING:
            self.save.mkdir(parents=True, exist_ok=True)
            (self.save / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}.bin").write_bytes(data)

    def run(self, name: str, cases: int, deadline: float, begin: int = 0) -> Tally:
        """Runs cases of a reader in processes of its own: one that dies is a finding, and the next goes on."""
        tally, seeds = Tally(), self.seeds(name)
        while begin < cases and time.monotonic() < deadline:
            part, died = self._in_child(name, range(begin, cases), seeds, deadline)
            tally.cases += part["cases"]
            tally.refused += part["refused"]
            tally.slowest = max(tally.slowest, part["slowest"])
            tally.growth = max(tally.growth, part["growth"])
            for what, (count, number, sample) in part["findings"].items():
                self.keep(name, self.case(name, number, seeds))
                tally.findings[f"{what}, e.g. {sample!r}"] = count
            if died:
                number = part["at"]
                self.keep(name, self.case(name, number, seeds))
                tally.findings[died] = tally.findings.get(died, 0) + 1
                tally.cases += 1
                begin = number + 1
                continue
            break
        return tally

    def _in_child(self, name: str, numbers: range, seeds: list[bytes], deadline: float) -> tuple[dict, str]:
        """Runs cases in a forked process; returns its counts and, where it died, why."""
        report, log = self.root / "child.json", self.root / "child.log"
        report.write_text(json.dumps({"cases": 0, "refused": 0, "slowest": 0, "growth": 0, "findings": {}, "at": 0}))
        child = os.fork()
        if child == 0:
            try:
                self._child(name, numbers, seeds, deadline, report, log)
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        part = json.loads(report.read_text())
        if status == 0:
            return part, ""
        self._restore(name)
        at = self.root / "child.at"
        part["at"] = int(at.read_text() or numbers[0])
        lines = [line for line in log.read_text(errors="replace").splitlines() if "File" in line]
        ours = next((line for line in lines if "site-packages" not in line and "/lib/python" not in line), "")
        signal = f"signal {status & 127}" if status & 127 else "no progress" if lines else f"status {status >> 8}"
        return part, f"process ended ({signal}) {' '.join(ours.split())[-100:]}"

    def _child(self, name: str, numbers: range, seeds: list[bytes], deadline: float, report: Path, log: Path) -> None:
        quiet, stream = os.open(os.devnull, os.O_RDWR), open(log, "w")  # noqa: SIM115 - until the process ends
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + CASE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (CASE_BYTES, CASE_BYTES))
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        counts: dict = {"cases": 0, "refused": 0, "slowest": 0.0, "growth": 0, "findings": {}, "at": 0}
        place = os.open(self.root / "child.at", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for number in numbers:
            if time.monotonic() > deadline:
                break
            data = self.case(name, number, seeds)
            os.pwrite(place, f"{number:9d}".encode(), 0)
            faulthandler.dump_traceback_later(WAIT * CASE_SECONDS, exit=True, file=stream)
            begin = time.process_time()
            what = self.read(name, data)
            spent = time.process_time() - begin
            faulthandler.cancel_dump_traceback_later()
            if spent > CASE_SECONDS:
                what = f"took {spent:.1f} s"
            counts["cases"] += 1
            counts["refused"] += what == "refused"
            counts["slowest"] = max(counts["slowest"], spent)
            if what not in ("", "refused"):
                count, first, sample = counts["findings"].get(what, (0, number, self.sample))
                counts["findings"][what] = (count + 1, first, sample)
            if counts["cases"] % 50 == 0 or what not in ("", "refused"):
                counts["growth"] = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
                report.write_text(json.dumps(counts))
        counts["growth"] = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
        report.write_text(json.dumps(counts))
        os._exit(0)


# --- the command ---------------------------------------------------------------------------------------------------


def prepare(root: Path) -> None:
    """Builds the world, and reads each true file once: what is not read without an error is no seed."""
    import torch
    import world
    from formats import READERS

    from hybrid.base.log import get_logger

    torch.set_num_threads(1)
    world.build(root)
    get_logger("hybrid").setLevel("CRITICAL")
    refused = {}
    for name, reader in READERS.items():
        try:
            reader.use(root / reader.file, root)
        except Exception as error:  # a table that is wrong, or a reader that refuses what is right
            refused[name] = f"{type(error).__name__}: {error}"
        shutil.rmtree(root / "out", ignore_errors=True)
    assert not refused, f"true files are refused: {refused}"


def replay(fuzzer: Fuzzer) -> dict[str, str]:
    """Reads every finding again; returns those that still break the promise."""
    broken = {}
    for file in sorted(FINDINGS.glob("*.bin")):
        name = file.stem.rpartition("-")[0]
        what = fuzzer.read(name, file.read_bytes()) if name in fuzzer.readers else "no such reader"
        if what not in ("", "refused"):
            broken[file.name] = what
    return broken


def chosen(names: list[str], wanted: str) -> list[str]:
    """Returns the readers whose names begin with one of `wanted`."""
    found = [n for n in names if any(n.startswith(w) for w in wanted.split(","))]
    if not found:
        sys.exit(f"no reader begins with '{wanted}'; there are: {', '.join(names)}")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="of all readers together")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so many; each reader gets its share")
    parser.add_argument("--readers", default="", help="beginnings of names, with commas; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, default=FINDINGS, help="folder of findings")
    parser.add_argument("--no-save", action="store_true", help="write no findings")
    options = parser.parse_args(arguments)
    from formats import READERS

    home = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        root = Path(folder).resolve()
        prepare(root)
        os.chdir(root)
        try:
            fuzzer = Fuzzer(root, READERS, options.seed, None if options.no_save else Path(home) / options.save)
            broken = replay(fuzzer)
            for name, what in broken.items():
                say(f"found before: {name}: {what}")
            wanted = chosen(list(READERS), options.readers)
            return max(_run_all(fuzzer, wanted, options.cases, options.seconds), len(broken) > 0)
        finally:
            os.chdir(home)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _row(name: str, tally: Tally, found: int) -> str:
    return f"{name:32}{tally.cases:8}{tally.refused:9}{found:9}{tally.slowest:10.2f}{tally.growth / 1e6:10.0f}"


def _run_all(fuzzer: Fuzzer, names: list[str], cases: int, seconds: float) -> int:
    say(f"{'reader':32}{'cases':>8}{'refused':>9}{'findings':>9}{'slowest s':>10}{'growth MB':>10}")
    total, started = Tally(), time.monotonic()
    end = started + seconds
    for place, name in enumerate(names):
        now = time.monotonic()
        share = (end - now) / (len(names) - place)
        tally = fuzzer.run(name, -(-(cases - total.cases) // (len(names) - place)), now + max(share, 0.0))
        bad = sum(tally.findings.values())
        say(_row(name, tally, bad))
        for what, count in sorted(tally.findings.items(), key=lambda item: -item[1]):
            say(f"    {count} x {what}")
        total.cases += tally.cases
        total.refused += tally.refused
        total.slowest = max(total.slowest, tally.slowest)
        total.growth = max(total.growth, tally.growth)
        total.findings[name] = bad
    found = sum(total.findings.values())
    say(_row(f"{len(names)} readers", total, found))
    say(f"seed {fuzzer.seed}, {time.monotonic() - started:.0f} s")
    return found > 0


if __name__ == "__main__":
    sys.exit(main())
