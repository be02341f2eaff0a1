"""The tests that NumPy ships for its own bit generators, run on Philox4x32."""

from typing import Any

import numpy as np
import pytest
from helpers import Array

import gumbelfast as gf
from gumbelfast import Philox4x32
from gumbelfast.reference.philox import block_words

MISSING = "this NumPy comes without its tests"
smoke = pytest.importorskip("numpy.random.tests.test_smoke", reason=MISSING)
direct = pytest.importorskip("numpy.random.tests.test_direct", reason=MISSING)


if hasattr(smoke, "dtype"):
    dtype = smoke.dtype  # a fixture, in NumPy before 2.4
NUMPY_2 = int(np.__version__.split(".")[0]) >= 2


class TestSmoke(smoke.RNG):  # type: ignore[misc, name-defined]
    # NumPy 2.4 asks for the data of each test, its predecessors for attributes of the class.
    @classmethod
    def _create_rng(cls) -> Any:
        return smoke.RNGData(Philox4x32, 2**63 + 1, [12345], np.random.Generator(Philox4x32(12345)), 32)

    @classmethod
    def setup_class(cls) -> None:
        if hasattr(smoke.RNG, "setup_class"):
            cls.bit_generator, cls.advance, cls.seed, cls.seed_vector_bits = Philox4x32, 2**63 + 1, [12345], 32
            cls.rg = np.random.Generator(Philox4x32(12345))
            cls.initial_state = cls.rg.bit_generator.state
            cls._extra_setup()

    if not NUMPY_2:
        test_pickle = None  # NumPy 1.26 finds the bit generator of a pickled Generator by name, among its own


def pairs(seed: int) -> dict[str, Any]:
    """The first thousand numbers of 64 bits, two words each."""
    words = np.stack(block_words(gf.default_rng(seed).key, 15, np.arange(500, dtype=np.uint64)), axis=1).ravel()
    return {"seed": [seed], "data": words[::2] | words[1::2] << np.uint64(32)}


class TestDirect(direct.Base):  # type: ignore[misc, name-defined]
    @classmethod
    def setup_class(cls) -> None:
        cls.bit_generator, cls.bits, cls.dtype, cls.seed_error_type = Philox4x32, 64, np.uint64, TypeError
        cls.data1, cls.data2 = pairs(12), pairs(0xDEADBEAF)
        cls.invalid_init_types = [(3.2,), ([None],), (None, 1.5), (None, None, "1")]
        cls.invalid_init_values = [(1, None, 1), (-1,), (None, None, 2**64), (None, 2**128)]

    def test_raw(self) -> None:
        # Raw numbers are single words here.
        for data in (self.data1, self.data2):
            raw: Array = self.bit_generator(*data["seed"]).random_raw(2000)
            np.testing.assert_array_equal(raw[::2] | raw[1::2] << np.uint64(32), data["data"])

    if not NUMPY_2:
        test_getstate = None  # ours keeps the seed sequence with every NumPy

    test_set_key = direct.TestPhilox.test_set_key
