"""A long search stays flat: what Tune keeps of a trial that has ended; no Ray is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial

from distrecvae.search.core.conductor import Conductor
from distrecvae.search.on_ray.callbacks import ConductorCallback, number_of
from tests.search.simulated import METRIC, open_conductor, toy_search_config


def ended_trial(conductor: Conductor) -> Any:
    """A trial of Tune's own with what it gathers while it runs."""
    task = conductor.next_task()
    assert task is not None
    config = {"task": task.to_dict()}
    resources = PlacementGroupFactory([{"CPU": 1.0}])
    trial = Trial(
        "train", stub=True, config=config, evaluated_params=config, placement_group_factory=resources
    )
    trial.create_placement_group_factory()
    trial.set_status(Trial.RUNNING)
    conductor.heard(task.number, {"passes": 4, "cycle": 1, METRIC: 0.1})
    trial.update_last_result({"passes": 4, METRIC: 0.1, "training_iteration": 1})
    trial.set_status(Trial.TERMINATED)
    return trial


def test_tune_keeps_little_of_a_trial_that_has_ended(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, toy_search_config(scheduler="none"))
    callback = ConductorCallback(conductor, lambda: None, lambda _: None)
    ended = [ended_trial(conductor) for _ in range(2)]
    for trial in ended:
        callback.on_trial_complete(0, ended, trial)
        assert trial.last_result[METRIC] == 0.1, "the rest of Tune still looks at it"
    callback.on_step_end(0, ended)
    for number, trial in enumerate(ended):
        assert number_of(trial) == number
        assert trial.is_finished()
        assert trial.config == trial._Trial__unresolved_config == {"task": {"number": number}}
        assert not trial.evaluated_params
        assert not trial.run_metadata.last_result
        assert not trial.run_metadata.metric_analysis
    assert ended[0].placement_group_factory is ended[1].placement_group_factory
    assert callback._ended == []
