"""Asks all questions, and reports the answers."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence

from .. import text
from .adapters import KNOWN
from .findings import Finding
from .questions import QUESTIONS, Question, by_title
from .sampler import OutOfConventionError, Sampler, as_sampler, load

FALSE_ALARM = 1e-6  # of a whole run
NOT_ASKED, REFUSED = "not asked", "refused"


def verdict(question: Question, sampler: Sampler, quick: bool = False) -> tuple[str, str, str]:
    """The answer to one question: the verdict, the bound of its p-value, and what was seen.

    A question fails below `FALSE_ALARM` divided by the number of all questions, asked or not.
    """
    if not question.put(sampler):
        return NOT_ASKED, "", f"the sampler has no {' or '.join(question.needs)}"
    if quick and question.slow:
        return NOT_ASKED, "", "left out by --quick"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = question.ask(sampler)
    except OutOfConventionError as error:
        found = Finding(str(error), fault=True)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
        if question.may_refuse:
            return REFUSED, "", said
        found = Finding(said, fault=True)
    failed = found.fault or found.p < FALSE_ALARM / len(QUESTIONS)
    return text.BAD if failed else text.GOOD, f"{found.p:.1g}" if found.p < 1 else "", found.seen


def judge(
    sampler: Sampler, quick: bool = False, questions: Sequence[Question] = QUESTIONS
) -> dict[str, tuple[str, str, str]]:
    """The verdicts on a sampler, by the titles of the questions."""
    return {q.title: verdict(q, sampler, quick) for q in text.track(questions, "judge")}


def main(sampler: str, quick: bool = False, only: str = "") -> int:
    """Judge and report.

    Parameters
    ----------
    sampler : str
        ``MODULE:FUNCTION``, or the name of a sampler that is known.
    quick : bool
        Leave out the slowest questions.
    only : str
        Only questions whose title contains this.

    Returns
    -------
    int
        0 if nothing failed, 1 if something did, 2 if there is no such sampler or question.
    """
    start = time.perf_counter()
    questions = by_title(only)
    if not questions:
        print(f"no question has {only!r} in its title", file=sys.stderr)
        return 2
    try:
        judged = as_sampler(KNOWN[sampler] if sampler in KNOWN else load(sampler))
    except (ValueError, ImportError) as error:
        print(f"no sampler: {error}", file=sys.stderr)
        return 2
    found = judge(judged, quick, questions)
    text.table(f"Questions to {sampler}", ["question", "verdict", "p < ", "seen"], [[t, *v] for t, v in found.items()])
    kinds = [kind for kind, *_ in found.values()]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in (text.GOOD, text.BAD, REFUSED, NOT_ASKED))
    print(f"{counts}; {time.perf_counter() - start:.0f} s")
    print(f"The probability that a correct sampler fails any of them is at most {FALSE_ALARM:g}.")
    return 1 if text.BAD in kinds else 0
