"""What gappa proves of the noise: bounds that hold for all inputs, beside the errors that sweeps found."""

import shutil

import proofs
import pytest
from helpers import Record

pytestmark = [
    pytest.mark.battery,
    pytest.mark.skipif(shutil.which("gappa") is None, reason="gappa is not installed"),
]

TYPES = pytest.mark.parametrize("t", [proofs.FLOAT, proofs.DOUBLE], ids=lambda t: t.name)
# In ulp; each proof comes within 0.01 of its bound. X stands for minima as well.
EXCESS = {"float": 1.66, "double": 1.70}
EXPONENTIAL = {"float": 4.80, "double": 4.92}
GUMBEL = {"float": 4.63, "double": 4.90}


@TYPES
def test_excess(t: proofs.Type, record_property: Record) -> None:
    found = proofs.excess_ulps(t, 59)
    record_property("proved, ulp", f"{found:.4f}")
    assert EXCESS[t.name] - 0.01 < found <= EXCESS[t.name]


@TYPES
def test_noise(t: proofs.Type, record_property: Record) -> None:
    small, large = (proofs.worst(t, binades, pieces, EXCESS[t.name]) for binades, pieces in proofs.RANGES[t.name])
    found = tuple(max(pair) for pair in zip(small, large, strict=True))
    record_property("proved, ulp of E and of max(1, |g|)", f"{found[0]:.4f}, {found[1]:.4f}")
    for bounds, value in zip((EXPONENTIAL, GUMBEL), found, strict=True):
        assert bounds[t.name] - 0.01 < value <= bounds[t.name]


def test_a_wrong_coefficient_breaks_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs.Type, "ln2", lambda t: 0.693147)
    monkeypatch.setattr(proofs, "LN2_ERROR", {"float": 2e-7, "double": 2e-7})
    assert proofs.excess_ulps(proofs.FLOAT, 4) > 2 * EXCESS["float"]
