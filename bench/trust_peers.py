"""The same questions to several samplers: tails, zero probabilities, long rows, forks, bad input, batches, threads.

    python bench/trust_peers.py [--quick] [--output FILE]

Each library is used the way its documentation shows. Every answer is measured here and now, on the versions that the
table names; a dash marks what a library does not offer.
"""

from __future__ import annotations

import argparse
import math
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import environment
from trust_samplers import Sampler, installed

Array = Any
KNOWN_P = 2.0**-24


def tail(sampler: Sampler, quick: bool) -> str:
    """The largest Gumbel value of 2**28 (2**22) draws, and how many lie beyond the quantile 1 - 2**-24."""
    chunk, draws = 2**22, 2**22 if quick else 2**28
    # -log(-log1p(-p)): the value that is exceeded with probability p.
    threshold, largest, beyond = -math.log(-math.log1p(-KNOWN_P)), -math.inf, 0
    for i in range(draws // chunk):
        noise = sampler.gumbel(chunk, i)
        largest = max(largest, float(noise.max()))
        beyond += int((noise > threshold).sum())
    expected = draws * KNOWN_P
    return f"max {largest:.1f}; {beyond} beyond 2^-24, expected {expected:.4g} ± {math.sqrt(expected):.2g}"


def race(sampler: Sampler, quick: bool) -> str:
    """One category against 2**18 others, each exp(-18) as likely, 2**11 times: how often one of the others is drawn.

    The others win with noise of about 18 and more, which takes uniforms of more than 24 bits (vllm-project/vllm#43150).
    """
    others, rows = 2**18, 16 if quick else 2**11
    logits = np.full((16, others + 1), -18, np.float32)
    logits[:, 0] = 0
    hits = sum(int((sampler.categorical(logits, i) != 0).sum()) for i in range(rows // 16))
    p = others * math.exp(-18) / (1 + others * math.exp(-18))
    return f"{hits} drawn, expected {rows * p:.3g} ± {math.sqrt(rows * p):.2g}"


def impossible(sampler: Sampler, quick: bool) -> str:
    """Draws from rows where all but one of 64 categories have probability zero: how many are of those."""
    rows = 10**4 if quick else 10**6
    logits = np.full((10**4, 64), -np.inf, np.float32)
    logits[:, 17] = 0
    wrong = sum(int((sampler.categorical(logits, i) != 17).sum()) for i in range(rows // 10**4))
    return f"{wrong} of {rows:.0e}"


def long_row(sampler: Sampler, quick: bool) -> str:
    """A row of 2**24 + 3 categories of which only the last can be drawn."""
    columns = 2**18 + 3 if quick else 2**24 + 3
    logits = np.full((1, columns), -np.inf, np.float32)
    logits[0, -1] = 0
    drawn = int(sampler.categorical(logits, 0)[0])
    return "the right one" if drawn == columns - 1 else f"drew {drawn}"


def answer(sampler: Sampler, logits: Array) -> str:
    """The result of a call with such logits: an index, or the kind of error."""
    try:
        return f"index {int(sampler.categorical(logits, 0)[0])}"
    except Exception as error:
        return f"{type(error).__name__}"


def nan_logits(sampler: Sampler, quick: bool) -> str:
    """A row that holds a NaN."""
    return answer(sampler, np.array([[0.0, np.nan, 1.0, 2.0]], np.float32))


def empty_row(sampler: Sampler, quick: bool) -> str:
    """A row of -inf alone, from which nothing can be drawn."""
    return answer(sampler, np.full((1, 4), -np.inf, np.float32))


def row_alone(sampler: Sampler, quick: bool) -> str:
    """Row 5 of a batch of eight with its own seeds or offsets, drawn with the batch and alone."""
    if sampler.row is None:
        return "—"
    logits = np.random.default_rng(0).normal(size=(8, 5000)).astype(np.float32)
    same = [sampler.row(logits, seed)[5] == sampler.row(logits[5:6], seed, 5)[0] for seed in range(50)]
    return f"same index {sum(same)} of 50 times"


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import warnings
warnings.simplefilter("ignore")
from trust_samplers import LIBRARIES
sampler = next(s for s in LIBRARIES[{library!r}]() if s.name == {name!r})
{code}
"""
FORK = """
import os
sampler.fresh()
texts = []
for _ in range(2):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, repr(sampler.fresh()).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    texts.append(os.read(read, 1000))
    os.close(read)
print("two children draw " + ("the same" if texts[0] == texts[1] else "different values"))
"""
THREADS = """
import hashlib
import numpy as np
x = np.random.default_rng(0).normal(size=(200, 20_000)).astype(np.float32)
sampler.set_threads({threads})
print(hashlib.sha256(sampler.gumbel(10**6, 3).tobytes() + np.asarray(sampler.categorical(x, 3)).tobytes()).hexdigest())
"""


def program(sampler: Sampler, code: str) -> str:
    """The output of a fresh interpreter; a hang or a crash is an answer too."""
    text = PROGRAM.format(folder=str(Path(__file__).parent), library=sampler.library, name=sampler.name, code=code)
    try:
        done = subprocess.run(
            [sys.executable, "-c", text],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    return done.stdout.strip() if done.returncode == 0 else f"fails with {done.stderr.strip().splitlines()[-1]}"


def fork(sampler: Sampler, quick: bool) -> str:
    """Two forked children draw from the library's default stream, which the parent has used."""
    return program(sampler, FORK) if sampler.fresh else "no default stream"


def threads(sampler: Sampler, quick: bool) -> str:
    """Noise and draws of one seed on one thread and on two."""
    if sampler.set_threads is None:
        return "cannot be set"
    found = {program(sampler, THREADS.format(threads=count)) for count in (1, 2)}
    return "same bytes" if len(found) == 1 else "different bytes"


QUESTIONS: dict[str, Callable[[Sampler, bool], str]] = {
    "tail of float32 Gumbel noise": tail,
    "2^18 rare categories against one": race,
    "category of probability zero drawn": impossible,
    "2^24 + 3 categories, the last alone": long_row,
    "NaN among the logits": nan_logits,
    "a row of -inf alone": empty_row,
    "a row in a batch and alone": row_alone,
    "forked children": fork,
    "one thread and two": threads,
}


def ask(question: Callable[[Sampler, bool], str], sampler: Sampler, quick: bool) -> str:
    try:
        return question(sampler, quick)
    except Exception as error:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text[:70]}"


def main() -> None:
    """Ask everything, and write a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few draws: shows that everything runs")
    parser.add_argument("--output", type=Path, help="write the table here instead of to the screen")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    samplers = installed()
    names = [f"{sampler.name} {sampler.version}" for sampler in samplers]
    lines = [f"{date.today()}, {environment.processor()}, Python {platform.python_version()}", ""]
    lines += ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for title, question in QUESTIONS.items():
        found = [ask(question, sampler, arguments.quick) for sampler in samplers]
        lines.append(f"| {title} | " + " | ".join(found) + " |")
    text = "\n".join(lines) + "\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
