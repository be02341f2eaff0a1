"""The command line: ``python -m gumbelfast info | verify | demo | bench | judge``, also installed as ``gumbelfast``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__

EPILOG = """\
exit codes: 0 success, 1 verify found a mismatch or judge a fault, 2 wrong usage

environment:
  GUMBELFAST_BACKEND      backend to use instead of the best one, see `info`
  GUMBELFAST_NUM_THREADS  threads to use instead of one per CPU
"""


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least:,}, got {text}")
        return int(text)

    return integer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gumbelfast",
        description="Fast, exact and reproducible sampling of discrete latent variables on CPUs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gumbelfast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)

    def command(name: str, short: str, long: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=short, description=long)
        made.set_defaults(module=name if name == "info" else f"{name}.run")
        return made

    command(
        "info",
        "show versions, backends, threads and processor",
        "Show what this installation is made of and which backends this CPU can run.",
    )
    verify = command(
        "verify",
        "check every kernel of every backend against the reference",
        "Compare every kernel of every usable backend with the pure-Python reference, over dtypes, shapes and options, "
        "and the backends with each other byte by byte. Exit with 1 if anything differs.",
    )
    verify.add_argument("--quick", action="store_true", help="small cases only: a few seconds")
    verify.add_argument(
        "--only", metavar="TEXT", default="", help="only cases whose name contains TEXT, as printed beside a failure"
    )
    demo = command(
        "demo",
        "a short tour on real data that ends with a picture",
        "Draw words as often as Python's own documentation uses them, compare with what was expected, time it against "
        "NumPy, and save a picture.",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("gumbelfast-demo.png"),
        metavar="PATH",
        help="where to save the picture (default: %(default)s)",
    )
    demo.add_argument(
        "--seed", type=_at_least(0), default=0, metavar="N", help="seed of all draws (default: %(default)s)"
    )
    demo.add_argument(
        "--draws",
        type=_at_least(1000),
        default=1_000_000,
        metavar="N",
        help="how many words to draw (default: %(default)s)",
    )
    bench = command(
        "bench",
        "how many times as long others take, on this CPU",
        "Do the same work with this package, NumPy and, where it is installed, torch, all taking turns on one thread "
        "each, and print how many times as long they take. One minute.",
    )
    bench.add_argument("--quick", action="store_true", help="small works: only shows that everything runs")
    judge = command(
        "judge",
        "ask any sampler of categories what a right one must answer",
        "Ask a sampler for draws in the tails, with weights of zero, shifted logits, 2^24 categories, seeds, ties and "
        "NaN, and say what holds. One that is right fails with a probability of at most 1e-6. docs/judge.md has the "
        "questions and how a function is called: f(logits, seed) -> indices.",
    )
    judge.add_argument(
        "sampler",
        metavar="MODULE:FUNCTION",
        help="what to judge, or one of gumbelfast, tokens, numpy, torch, jax, which are known",
    )
    judge.add_argument("--quick", action="store_true", help="without the questions that take most of the time")
    judge.add_argument("--only", metavar="TEXT", default="", help="only questions whose title contains TEXT")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        The exit code.
    """
    arguments = vars(_parser().parse_args(argv))
    del arguments["command"]
    run = importlib.import_module(f"._cli.{arguments.pop('module')}", __package__).main
    try:
        code: int = run(**arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever was reading has gone; what is left in the buffer must not be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
