"""The words of `why`, on cases that a search does not give every day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.rules import Judgement
from distrecvae.search.living.explanation import MOST_RIVALS, PROPOSED, STARTUP, Origin, Why, why_text
from distrecvae.search.space.likely import Likely
from tests.search.described import described
from tests.search.living.conftest import RECVAE
from tests.search.test_summary import record


def told(
    *judgements: Judgement,
    trial: TrialRecord | None = None,
    origin: Origin | None = None,
    revived: dict[int, str] | None = None,
    sampler: str = "tpe",
    likely: bool = False,
) -> str:
    own = record(7, 0.1, 0.3, status=Status.STOPPED, reason="asha at 8 passes") if trial is None else trial
    leader = record(2, 0.2, 0.4, 0.5)
    space = replace(RECVAE, likely={"dropout": Likely(((0, 0.6),))} if likely else {})
    found = Why(
        folder=Path("runs/mine"), described=described(SearchConfig(trials=9, sampler=sampler), space), record=own,
        rank=3, n_ranked=9,
        origin=origin or Origin(PROPOSED, (), 6, 1, (2, 0.5), True), judgements=judgements, revived=revived or {},
        leader=leader,
        records={7: own, 2: leader},
    )  # fmt: skip
    return " ".join(why_text(found).split())


def test_a_rank_counts_the_trial_itself_where_the_rule_does_not() -> None:
    median = told(Judgement(8, 0.3, {1: 0.4, 2: 0.2, 3: 0.5, 4: 0.35}, 0.375))
    assert "At 8 passes it had 0.3000, rank 4 of 5: to continue it needed 0.3750. It was stopped." in median
    asha = told(Judgement(8, 0.3, {1: 0.4, 2: 0.2, 7: 0.3}, 0.4))
    assert "rank 2 of 3: to continue it needed 0.4000 (trial 1). It was stopped." in asha
    assert "Rivals there, the best first: 1 (0.4000), 2 (0.2000)." in asha


def test_rivals_are_named_up_to_a_number() -> None:
    many = {n: 0.5 + n / 100 for n in range(MOST_RIVALS + 3) if n != 7}
    assert " and 2 more." in told(Judgement(8, 0.3, many, 0.5))


def test_the_best_one_is_compared_after_as_many_passes() -> None:
    assert "The best is trial 2 with 0.5000 at 12 passes; this one has 0.3000." in told()
    assert "After as many passes (8) that one had 0.4000." in told()
    assert "The best is" not in told(trial=record(2, 0.2, 0.4, 0.5)), "it is the best itself"


def test_what_was_known_is_counted() -> None:
    assert "By then 6 trials had ended, 1 ran, the best was trial 2 with 0.5000." in told()
    first = told(origin=Origin(PROPOSED, (), 0, 0, None, True))
    assert "By then 0 trials had ended. Asked again" in first


def test_how_a_first_trial_was_drawn_is_said() -> None:
    def drawn(number: int, sampler: str, *, likely: bool = True) -> str:
        origin = Origin(STARTUP, ("dropout",), 1, 0, None, True)
        return told(trial=record(number, 0.1, 0.3), origin=origin, sampler=sampler, likely=likely)

    believed = (
        "It is the best of 50 draws by what the space says is likely, as every second of the first trials of"
    )
    anywhere = (
        "It was drawn from the whole space, as guided does at first, with dropout kept as the space starts."
    )
    assert believed in drawn(1, "guided")
    assert anywhere in drawn(3, "guided", likely=False)
    assert anywhere in drawn(4, "guided")
    assert "drawn from the whole space, as tpe does" in drawn(1, "tpe")


def test_what_spoke_for_a_value_stands_beside_it() -> None:
    origin = Origin(PROPOSED, (), 20, 0, (2, 0.5), True, (1, 2), (3, 4, 5), {"dropout": 2.53})
    said = told(origin=origin)
    assert (
        "tpe counted trials 1, 2 as good, and drew what is likelier among these than among the other 3."
        in said
    )
    assert "likelier among the good" in said
    assert "2.5 times" in said


def test_a_trial_that_was_stopped_and_continued_says_why_at_the_rung_where_it_was() -> None:
    rungs = [Judgement(passes, 0.1, {7: 0.1, 2: 0.3}, 0.3) for passes in (4, 12, 36)]
    said = told(*rungs, revived={12: "worth more than a new trial 9"})
    first, second, third = (said.index(f"At {passes} passes") for passes in (4, 12, 36))
    assert (
        first < second < said.index("Later the search continued it: worth more than a new trial 9.") < third
    )
    assert said.count("Later the search") == 1
    assert "Later the search" not in told(*rungs)
