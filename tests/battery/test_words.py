"""The streams of words that batteries of tests read, and such batteries where they are installed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import words
from helpers import Record, u64

import gumbelfast as gf
from gumbelfast.reference import philox

SCRIPT = Path(__file__).parent / "words.py"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_streams_hold_the_words_of_the_law() -> None:
    element = np.arange(100, dtype=np.uint64)
    assert np.array_equal(next(words.elements())[:100], philox.element_word(words.KEY, philox.DOMAIN_WORD, element))
    raw = gf.Philox4x32(key=words.KEY).random_raw(4 * words.PIECE + 100)
    stream = words.sequential()
    assert np.array_equal(np.concatenate([next(stream), next(stream)]).ravel()[: raw.size], raw)
    pieces = words.keys()
    both = np.concatenate([next(pieces), next(pieces)])
    for row, place in [(0, 0), (7, 33), (words.KEYS - 1, 255)]:
        wanted = philox.element_word(philox.row_key(u64(row)), philox.DOMAIN_WORD, u64(place))
        assert both[place, row] == wanted[0]


@pytest.mark.parametrize("stream", words.STREAMS)
def test_the_script_stops_when_its_reader_does(stream: str) -> None:
    with subprocess.Popen([sys.executable, str(SCRIPT), stream], stdout=-1, stderr=-1, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = process.stdout.read(400)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert found == next(words.STREAMS[stream]()).tobytes()[:400]


# Tests that dieharder itself calls suspect (5, 6, 7) or faulty (14) are left out.
QUICK = [0, 1, 2, 3, 15, 100, 101, 102]
SLOW = [4, 8, 9, 10, 11, 12, 13, 16, 17, "200 -n 4", "201 -n 3", "202 -n 5", "203 -n 8", *range(204, 210)]


@pytest.mark.skipif(not shutil.which("dieharder"), reason="needs dieharder")
@pytest.mark.parametrize("stream", words.STREAMS)
@pytest.mark.parametrize(
    "test",
    [pytest.param(n, marks=pytest.mark.battery) for n in QUICK]
    + [pytest.param(n, marks=pytest.mark.release) for n in SLOW],
)
def test_dieharder(stream: str, test: int | str, record_property: Record) -> None:
    """FAILED is dieharder's word for a p-value within 1e-6 of 0 or 1; its seeds play no part in tests of raw words."""
    with subprocess.Popen([sys.executable, str(SCRIPT), stream], stdout=-1, env=ENVIRONMENT) as process:
        command = ["dieharder", "-g", "200", "-d", *str(test).split()]
        done = subprocess.run(command, stdin=process.stdout, capture_output=True, text=True, check=True)
        assert process.stdout is not None
        process.stdout.close()
    rows = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if line.count("|") == 5]
    record_property("p", " ".join(row[4] for row in rows[1:]))
    assert "PASSED" in done.stdout, done.stdout
    assert "FAILED" not in done.stdout, done.stdout


@pytest.fixture(scope="module")
def crush(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TestU01 on standard input."""
    program = tmp_path_factory.mktemp("crush") / "crush"
    libraries = ["-ltestu01", "-lprobdist", "-lmylib", "-lm"]
    command = ["gcc", "-O2", str(SCRIPT.with_name("crush.c")), *libraries, "-o", str(program)]
    if not shutil.which("gcc") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs TestU01")
    return program


def run_on(stream: str, command: list[str]) -> str:
    with subprocess.Popen([sys.executable, str(SCRIPT), stream], stdout=-1, env=ENVIRONMENT) as process:
        done = subprocess.run(command, stdin=process.stdout, capture_output=True, text=True, check=True)
        assert process.stdout is not None
        process.stdout.close()
    return done.stdout


@pytest.mark.parametrize("order", ["", "reversed"])
@pytest.mark.parametrize("stream", words.STREAMS)
@pytest.mark.parametrize(
    ("name", "count"),
    [pytest.param("small", 15, marks=pytest.mark.battery), pytest.param("crush", 144, marks=pytest.mark.release)],
)
def test_crush(crush: Path, name: str, count: int, stream: str, order: str, record_property: Record) -> None:
    """TestU01 lists the p-values beyond 0.001; below 1e-6 it writes them with an exponent, or as eps."""
    summary = run_on(stream, [str(crush), name, *order.split()]).split("Summary results")[-1]
    assert f"Number of statistics:  {count}" in summary
    listed = re.findall(r"^ +\d+  \S.*$", summary, re.MULTILINE)
    record_property("listed", "; ".join(" ".join(line.split()) for line in listed))
    assert not [line for line in listed if re.search(r"eps|e-0?([7-9]|[1-9][0-9])", line)], summary


@pytest.mark.skipif(not shutil.which("RNG_test"), reason="needs PractRand")
@pytest.mark.parametrize("stream", words.STREAMS)
@pytest.mark.parametrize(
    "size", [pytest.param("1GB", marks=pytest.mark.battery), pytest.param("32GB", marks=pytest.mark.release)]
)
def test_practrand(stream: str, size: str, record_property: Record) -> None:
    """It reports p-values beyond what chance explains, in words; FAIL is its last."""
    report = run_on(stream, ["RNG_test", "stdin32", "-tlmin", "1GB", "-tlmax", size])
    assert "length= " in report
    record_property("odd", " ".join(re.findall(r"^.*(?:unusual|suspicious).*$", report, re.MULTILINE)))
    assert "FAIL" not in report, report
