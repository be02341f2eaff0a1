"""What the battery replaces in copies of the sources stands there, once: who changes it is told at once."""

import pytest
import test_flags
import test_mutants
import test_sweep

PASSAGES = [
    *((mutant.path, mutant.old) for mutant in test_mutants.MUTANTS.values()),
    *((path, sound) for path, sound, _, _ in test_flags.FAULTS.values()),
    *((path, sound) for path, sound, _ in test_sweep.FAULTS),
]


@pytest.mark.parametrize(("path", "passage"), PASSAGES)
def test_it_stands_once(path: str, passage: str) -> None:
    assert (test_mutants.ROOT / path).read_text(encoding="utf-8").count(passage) == 1
