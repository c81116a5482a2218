"""What has changed between two runs of a search is said in a line, with what it can do to the results."""

from __future__ import annotations

from distrecvae import __version__
from distrecvae.search.folder.environment import changes, environment_of, touching_numbers, versions
from distrecvae.training.device import DeviceFacts
from tests.search.planning.test_plan import plan

BEFORE = {
    "distrecvae": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "ray": "2.60.0", "optuna": "5.0.0",
    "device": "the CPU", "precision": "float32", "numpy": "2.4", "scipy": "1.17", "processor": "A chip (AVX2)",
    "threads": "1",
}  # fmt: skip


def test_nothing_is_said_where_nothing_changed() -> None:
    assert changes(BEFORE, BEFORE) == ""
    assert changes({}, BEFORE) == "", "a record that does not know is not held against anyone"


def test_another_torch_or_device_touches_scores_and_another_optuna_proposals() -> None:
    assert changes(BEFORE, {**BEFORE, "torch": "2.14.1"}) == (
        "Resumed with torch 2.14.1 (was 2.13.0): a trial's scores may differ from what the search would have had"
        " without a break."
    )
    assert "a trial's scores may differ" in changes(BEFORE, {**BEFORE, "device": "NVIDIA H100"})
    assert ": proposals may differ" in changes(BEFORE, {**BEFORE, "optuna": "4.1"})
    assert ": a trial's scores and proposals may differ" in changes(BEFORE, {**BEFORE, "distrecvae": "0.2"})


def test_another_ray_or_python_is_said_and_harms_nothing() -> None:
    said = changes(BEFORE, {**BEFORE, "ray": "2.61", "python": "3.12.1"})
    assert said == "Resumed with python 3.12.1 (was 3.11.7), ray 2.61 (was 2.60.0): results are not affected."


def test_the_environment_is_this_ones() -> None:
    found = environment_of(plan(DeviceFacts("a CPU", "float32", 0), 0))
    assert found.keys() == BEFORE.keys()
    assert found["distrecvae"] == __version__
    assert (found["device"], found["precision"]) == ("a CPU", "float32")
    assert found["threads"] == "1"
    assert versions().items() < found.items()


def test_what_touches_a_trials_numbers_is_named() -> None:
    assert touching_numbers(BEFORE, BEFORE) == []
    now = {**BEFORE, "torch": "2.14", "threads": "4", "optuna": "6", "ray": "3", "python": "3.13"}
    assert touching_numbers(BEFORE, now) == ["torch 2.14 (was 2.13.0)", "threads 4 (was 1)"]
    assert touching_numbers({"torch": "1"}, {"processor": "new"}) == [], (
        "a record that does not know is not held"
    )
    assert ": a trial's scores may differ" in changes(BEFORE, {**BEFORE, "processor": "Another (AVX512)"})
