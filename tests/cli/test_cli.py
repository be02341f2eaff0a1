"""The command line: info, verify with mutants that it must catch, and demo."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, DTYPES, run_python
from scipy import stats

import gumbelfast as gf
from gumbelfast import _core
from gumbelfast.__main__ import main
from gumbelfast._cli import text, turns
from gumbelfast._cli.demo import fast
from gumbelfast._cli.verify import judges, run
from gumbelfast._cli.verify.cases import Case, cases


@pytest.fixture(params=["rich", "plain"])
def style(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With rich and as if it were not installed."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "rich", None)
    return str(request.param)


@pytest.mark.usefixtures("style")
def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    for fact in (gf.__version__, gf.backend(), ", ".join(gf.backends()), np.__version__, "bfloat16 arrays"):
        assert fact in shown
    assert f"gumbelfast.jax, {'compiled' if _core.xla_handlers() else 'through callbacks'}" in shown


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["demo", "--seed", "-1"], ["demo", "--draws", "1"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: gumbelfast" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("info", "verify", "demo", "GUMBELFAST_BACKEND"))


def test_verify_quick_as_a_program() -> None:
    found = run_python("from gumbelfast.__main__ import main; raise SystemExit(main(['verify', '--quick']))")
    assert found.returncode == 0, found.stdout + found.stderr
    assert " 0 failed" in found.stdout
    assert all(name in found.stdout for name in [*COMPILED, *DTYPES, *judges.BOUNDS])


@pytest.mark.usefixtures("style")
def test_verify_one_case(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["verify", "--only", "gumbel_top_k 3x17 k=5"]) == 0
    assert "gumbel_top_k" in capsys.readouterr().out
    assert main(["verify", "--only", "no such case"]) == 2
    assert "no such case" in capsys.readouterr().err


def test_cases_are_told_apart_by_name() -> None:
    names = [str(case) for case in cases()]
    assert len(set(names)) == len(names)
    assert {case.kernel for case in cases(quick=True)} == set(judges.BOUNDS)


class Mutant:
    """A backend with one kernel that spoils its result: ``spoil(arguments, returned) -> returned``."""

    def __init__(self, backend: Any, kernel: str, spoil: Callable[[tuple[Any, ...], Any], Any]) -> None:
        self.name, self._backend, self._kernel, self._spoil = backend.name, backend, kernel, spoil

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(self._backend, name)
        return (lambda *args: self._spoil(args, kernel(*args))) if name == self._kernel else kernel


def spoil(place: int, change: Callable[[Any], Any]) -> Callable[[tuple[Any, ...], Any], Any]:
    """Changes the last element of the argument at `place`, where the call got that far."""

    def spoiled(args: tuple[Any, ...], returned: Any) -> Any:
        out = args[place]
        if returned != -1 and out is not None and out.size:
            out.flat[-1] = change(out.flat[-1])
        return returned

    return spoiled


def off(x: Any) -> Any:
    """By a factor that is far outside of rounding, also in half precision."""
    return x + x.dtype.type(64) * np.finfo(x.dtype).eps if x.dtype.kind == "f" else x


def swap(args: tuple[Any, ...], returned: Any) -> Any:
    index, perturbed = args[1], args[2]
    if returned != -1 and index.shape[-1] > 1:
        index[..., :2], perturbed[..., :2] = index[..., 1::-1].copy(), perturbed[..., 1::-1].copy()
    return returned


def tie(args: tuple[Any, ...], returned: Any) -> Any:
    index, z = args[2], args[3]
    if returned != -1 and index is not None and z.shape[-1] > 1:
        z[..., 0] = z.max(axis=-1)
    return returned


MUTANTS = {
    "philox": spoil(-1, lambda word: word ^ 1),
    "gumbel": spoil(0, lambda g: g + 5 * np.spacing(np.maximum(abs(g), g.dtype.type(1)))),
    "gumbel_max": spoil(1, lambda index: index - 1),
    "gumbel_max value": spoil(2, off),
    "gumbel_max refusal": lambda args, returned: 0,
    "gumbel_max lack": lambda args, returned: 0 if returned == -2 else returned,
    "gumbel_top_k": spoil(1, lambda index: index - 1),
    "gumbel_top_k order": swap,
    "gumbel_softmax": spoil(1, off),
    "gumbel_softmax hard": spoil(2, lambda y: 1 - y),
    "conditional_gumbel": spoil(3, lambda z: z - z.dtype.type(32) * np.spacing(np.maximum(abs(z), z.dtype.type(1)))),
    "conditional_gumbel tie": tie,
    "softmax": spoil(-2, off),
    "softmax half": spoil(-2, lambda y: np.nextafter(y, y.dtype.type(2)) if y.dtype == np.float16 else y),
    "log_softmax": spoil(-2, lambda y: y + 64 * off(y) * np.finfo(y.dtype).eps if y.dtype.kind == "f" else y),
    "logsumexp": spoil(-2, lambda y: off(y) + abs(y) * y.dtype.type(0.01)),
    "softmax_backward": spoil(-2, off),
    "log_softmax_backward": spoil(-2, off),
    "sample_tokens": spoil(2, lambda index: index - 1),
    "draw_alias": spoil(1, lambda index: index ^ 1),
    "draw_inverse": spoil(2, lambda index: index ^ 1),
    "draw_integers": spoil(1, lambda index: index ^ 1),
    "draw_weights": spoil(1, lambda index: index ^ 1),
    "viterbi": spoil(3, lambda label: label ^ 1),
    "viterbi score": spoil(4, lambda score: np.nextafter(score, score.dtype.type(np.inf))),
    "viterbi lack": lambda args, returned: 0,
    "relaxed_top_k": spoil(-2, lambda y: y + y.dtype.type(0.01)),
    "relaxed_top_k_backward": spoil(-2, lambda g: g + g.dtype.type(0.01)),
    "sinkhorn": spoil(-2, lambda y: y + y.dtype.type(0.01)),
    "sinkhorn_backward": spoil(-2, lambda g: g + g.dtype.type(0.01)),
    "subset_marginals": spoil(-3, lambda p: p + p.dtype.type(0.01)),
    "subset_marginals log_sum": spoil(-2, lambda s: s + s.dtype.type(0.01)),
    "subset_marginals_backward": spoil(-2, lambda g: g + g.dtype.type(0.01)),
}


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.parametrize("everywhere", [False, True], ids=["one backend", "all backends"])
def test_mutants_are_caught(
    name: str, everywhere: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = name.split()[0]
    first, *rest = _core.backends()
    others = [Mutant(b, kernel, MUTANTS[name]) for b in rest] if everywhere else rest
    monkeypatch.setattr(_core, "backends", lambda: [Mutant(first, kernel, MUTANTS[name]), *others])
    assert main(["verify", "--quick", "--only", f"{kernel} "]) == 1
    shown = capsys.readouterr().out
    assert f"FAILED on {first.name}: {kernel} " in shown
    assert f'--only "{kernel} ' in shown
    if not everywhere:
        assert all(f"FAILED on {backend.name}" not in shown for backend in rest[-1:])


def test_threads_that_matter_are_caught(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unless_alone(args: tuple[Any, ...], returned: Any) -> Any:
        return spoil(-2, off)(args, returned) if args[-1] > 1 else returned

    mutant = Mutant(_core.backends()[0], "softmax", unless_alone)
    monkeypatch.setattr(_core, "backends", lambda: [mutant])
    assert main(["verify", "--quick", "--only", "softmax 3x15 float32"]) == 1
    assert "threads (1, 3) give different bytes" in capsys.readouterr().out


def test_a_reference_that_is_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = judges.exact_gumbel
    judges._exact.cache_clear()
    monkeypatch.setattr(judges, "exact_gumbel", lambda *args: exact(*args) + np.float32(1e-5))
    assert main(["verify", "--quick", "--only", "gumbel 3x33 float32"]) == 1
    judges._exact.cache_clear()


def test_near_ties() -> None:
    least, most = np.array([1.0, 2.0, 3.0, 0.0]), np.array([1.5, 3.1, 3.2, 0.5])
    assert judges.is_order(np.array([2, 1]), least, most)
    assert judges.is_order(np.array([1, 2, 0]), least, most)  # 3.1 may be more than 3.0
    assert not judges.is_order(np.array([0, 2, 1]), least, most)
    assert not judges.is_order(np.array([2, 0]), least, most)  # 1 is left out
    assert not judges.is_order(np.array([2, 2]), least, most)
    equal = np.ones(3)  # without any doubt about the values: the lower index first
    assert judges.is_order(np.array([0, 1]), equal, equal)
    assert not judges.is_order(np.array([1, 0]), equal, equal)
    assert not judges.is_order(np.array([1]), equal, equal)
    verdict = judges._picks(np.array([[1, 2, 0]]), np.array([[2, 1, 0]]), least[None], most[None])
    assert (verdict.near_ties, verdict.fault) == (2, "")
    assert run.Cell(near_ties=2).show("gumbel_top_k") == "ok (2 near-ties)"


def test_ties_are_not_near_ties() -> None:
    case = Case("gumbel_max", 1, 31, logits="equal", temperature=1e-25)

    def second(args: tuple[Any, ...], returned: Any) -> Any:
        args[1][...] = 1
        return returned

    backend = _core.backends()[0]
    for spoiled, fault in ((Mutant(backend, "gumbel_max", second), True), (backend, False)):
        (verdict,) = run.check(case, np.dtype(np.float64), [spoiled])
        assert bool(verdict.fault) is fault


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 1e-4)
    monkeypatch.setattr(fast, "ROUNDS", 1)


@pytest.mark.usefixtures("style", "short_turns")
def test_demo_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    assert main(["demo", "--draws", "20000", "--seed", "5", "--output", str(tmp_path / "x.png")]) == 0
    shown = capsys.readouterr().out
    assert 'pip install "gumbelfast[plot]"' in shown
    assert "Wilson-Hilferty" in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("short_turns")
def test_demo_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "picture.png"
    assert main(["demo", "--draws", "20000", "--output", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in " ".join(capsys.readouterr().out.split())


def test_demo_as_a_program(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "gumbelfast", "demo", "--draws", "5000"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "gumbelfast-demo.png").exists() == bool(text.optional("matplotlib"))


def test_demo_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--output", str(tmp_path / "nowhere" / "x.png")]) == 2
    assert "nowhere" in capsys.readouterr().err
    with gf.use_backend("reference"):
        assert main(["demo", "--output", str(tmp_path / "x.png")]) == 2
    assert "compiled backend" in capsys.readouterr().err


def test_chi_square() -> None:
    expected = np.array([5000.0, 3000.0, 1990.0, 4.0, 3.0, 3.0])
    drawn = np.random.default_rng(0).multinomial(10_000, expected / expected.sum())
    statistic, freedom, p_value, _ = fast.chi_square(drawn, expected)
    pooled = [np.append(a[:3], a[3:].sum()) for a in (drawn, expected)]
    assert (freedom, statistic) == (3, pytest.approx(stats.chisquare(*pooled).statistic))
    assert 1e-3 < p_value <= 1
    assert fast.chi_square(drawn + np.array([200, -200, 0, 0, 0, 0]), expected)[2] < 1e-3
    # Too few in the pool: they join the last of the others.
    assert fast.chi_square(np.array([60, 38, 2]), np.array([60.0, 37.0, 3.0]))[1] == 1
    for k, x in [(5, 3.0), (100, 120.0), (3000, 2900.0), (3000, 3300.0)]:
        assert fast.wilson_hilferty(x, k) == pytest.approx(stats.chi2.sf(x, k), abs=5e-3)
