"""Entry point of `hybrid`. Groups are imported only when used, so that `--help` answers at once."""

from __future__ import annotations

import sys

try:
    import contextlib
    import importlib
    import io
    import os
    import signal
    import threading
    import traceback
    from collections.abc import Iterator

    import click
except KeyboardInterrupt:  # before there is a command that could say so
    sys.exit(130)

# group → (module of this package, one line of help). Keep the order of the work.
GROUPS = {
    "doctor": ("doctor", "Say what is installed, what fits together, and how to mend the rest."),
    "data": ("data", "Make, check and download corpora (lhotse manifests)."),
    "feats": ("feats", "Extract features and CMVN statistics."),
    "lang": ("language.lang", "Lexicons and lang folders (L.fst, phones, words)."),
    "lm": ("language.lm", "Train, prune, mix and test n-gram language models; make G.fst."),
    "grammar": ("language.grammar", "Check, draw and measure grammars (JSGF, SRGS) of what may be said."),
    "gmm": ("gmm", "Train and inspect GMM-HMM models; align."),
    "nnet": ("nnet", "Train and inspect neural models; trees, denominators and supervision of LF-MMI."),
    "align": ("align", "Align audio with text: words and phones with times; clean corpora."),
    "graph": ("graph", "Compile and inspect decoding graphs (HCLG)."),
    "decode": ("decoding.decode", "Search audio, features or scores for lattices and transcripts."),
    "lattice": ("lattice", "Look at, prune, determinise and convert lattices; words, confidences, times."),
    "rescore": ("rescore", "Second passes over lattices: other language models."),
    "combine": ("results.combine", "Join several systems: lattices, confusion networks, votes (ROVER)."),
    "confidence": ("results.confidence", "Say how sure words and utterances are, calibrated on known speech."),
    "score": ("score", "WER and CER with confidence intervals, sweeps and confusions."),
    "report": ("results.report", "A decoding, or two side by side, as one HTML page."),
    "synth": ("synth", "Synthesise a speech corpus with espeak-ng."),
}


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module when that subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in GROUPS:
            return None
        module = importlib.import_module(f"hybrid.cli.{GROUPS[name][0]}")
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in GROUPS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("-v", "--verbose", is_flag=True, help="Log debugging detail.")
@click.version_option(package_name="hybrid-asr", prog_name="hybrid")
def command(verbose: bool) -> None:
    """A classic hybrid speech recogniser: acoustic model, lexicon and language model in one decoding graph."""
    from hybrid.base.log import setup_logging

    setup_logging(verbose)


@contextlib.contextmanager
def ending_well() -> Iterator[None]:
    """Lets SIGTERM end the work as an exception does: workers end, temporary files go; the status is 143 as ever."""

    def end(number: int, _: object) -> None:
        """Raises SystemExit where the main thread stands."""
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # the only one that may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> None:
    """Runs the command line, and ends the process: an interruption at any moment is one line, or none, and status 130.

    That is 128 and the signal's number, as a shell has it; it may come while modules are imported or an error is told.
    """
    try:
        _run()
    except KeyboardInterrupt:
        click.echo("hybrid: interrupted", err=True)
        sys.exit(130)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # at exit Python would show a traceback


def _run() -> None:
    """Runs the command line; a user's mistake, or what the file system refuses, ends in one line and status 1."""
    from hybrid.base.errors import HybridError, one_line, shortened

    try:
        with ending_well():
            status = command.main(standalone_mode=False)  # what Exit was raised with: click returns it
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written is told here, not at exit
        if isinstance(status, int) and status:
            sys.exit(status)
    except click.exceptions.Abort as error:
        if isinstance(error.__cause__, EOFError):  # click calls any end of any file an interruption
            raise error.__cause__ from None
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show(shown := io.StringIO())
        click.echo("\n".join(shortened(one_line(line)) for line in shown.getvalue().splitlines()), err=True)
        sys.exit(error.exit_code)
    except HybridError as error:
        sys.exit(f"hybrid: {error}")
    except BrokenPipeError:
        _discard_stdout()
        sys.exit(1)
    except OSError as error:
        sys.exit(f"hybrid: {_refused(error)}")


def _refused(error: OSError) -> str:
    """Returns one line for an error of the file system that no command told better."""
    from hybrid.base.disk import disk_error
    from hybrid.base.errors import HybridError

    place = "a file"
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    if error.filename is None and frames and frames[-1] in (click.utils.__file__, __file__):
        place = "standard output"
        _discard_stdout()
    if found := disk_error(error, place):
        return str(found)
    reason = f"{type(error).__name__}: {error}"
    return str(HybridError(f"{place}: cannot be used ({reason}). Look at it, and run the same command again."))


def _discard_stdout() -> None:
    """Sends what is still to be written to nowhere, so that the interpreter does not stumble over it at exit."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):  # a stdout without a file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
