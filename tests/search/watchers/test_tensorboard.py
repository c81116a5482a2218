"""What TensorBoard makes of the event files, asked of its own backend; whole searches are in test_search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from distrecvae.layout import trial_folder
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.changing import with_range
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.tensorboard import EventFiles

SPACE = SearchSpace.load("recvae-demo")
STATUSES = (api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE)


def record(number: int, *ndcg: float, **config: Any) -> TrialRecord:
    """A trial that reported these values of NDCG@100; its recall is half of each."""
    trial = TrialRecord(number, {**SPACE.default_config(), **config})
    for position, value in enumerate(ndcg, start=1):
        scores = {"valid/ndcg_100": value, "valid/recall_20": value / 2, "valid/recall_50": value / 2}
        trial.reports.append(
            {"cycle": position, "passes": 4 * position, "train_s": 1.0, "evaluate_s": 0.5, **scores}
        )
        trial.best.append(max(ndcg[:position]))
    return trial


def end(trial: TrialRecord, status: Status) -> TrialRecord:
    trial.status = status
    return trial


def write(folder: Path, *trials: TrialRecord, metric: str = "ndcg_100") -> None:
    events = EventFiles(folder, SPACE, metric)
    for trial in trials:
        events.started(trial)
        if trial.status is not Status.RUNNING:
            events.ended(trial)
    events.close()


def shown(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return the HPARAMS tab's experiment and its rows by name."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider, multiplexer=multiplexer))
    asked = context.RequestContext()
    experiment = backend.experiment_from_metadata(asked, "", True, backend.hparams_metadata(asked, ""), None)
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, include_metrics=True)
    request.allowed_statuses.extend(STATUSES)
    groups = list_session_groups.Handler(asked, backend, "", request).run().session_groups
    return experiment, {group.name: group for group in groups}


def metrics(group: Any) -> dict[str, float]:
    return {value.name.tag: value.value for value in group.metric_values}


def test_scores_are_those_of_the_best_report_and_costs_those_of_the_last(tmp_path: Path) -> None:
    write(tmp_path, end(record(0, 0.2, 0.4, 0.3), Status.FINISHED))
    group = shown(tmp_path)[1]["trials/00000"]
    assert metrics(group) == pytest.approx(
        {
            "best/ndcg_100": 0.4,
            "best/recall_20": 0.2,
            "best/recall_50": 0.2,
            "cost/passes": 12,
            "cost/duration_s": 4.5,
        }
    )


def test_a_diverged_trial_has_score_0_however_well_it_began(tmp_path: Path) -> None:
    write(
        tmp_path, end(record(0, 0.3), Status.FINISHED), end(record(1, 0.4), Status.DIVERGED), record(2, 0.1)
    )
    groups = shown(tmp_path)[1]
    assert metrics(groups["trials/00000"])["best/ndcg_100"] == pytest.approx(0.3)
    assert metrics(groups["trials/00001"])["best/ndcg_100"] == 0.0
    assert [groups[name].sessions[0].status for name in sorted(groups)] == [
        api_pb2.STATUS_SUCCESS,
        api_pb2.STATUS_FAILURE,
        api_pb2.STATUS_UNKNOWN,
    ]


def test_two_searches_side_by_side_keep_their_trials_apart(tmp_path: Path) -> None:
    # `tensorboard --logdir runs`: by the same name, trials would be one row with the mean of their scores.
    write(tmp_path / "one", end(record(0, 0.2, latent_dim=16), Status.FINISHED))
    write(tmp_path / "two", end(record(0, 0.4, latent_dim=64), Status.FINISHED))
    groups = shown(tmp_path)[1]
    assert {name: group.hparams["latent_dim"].number_value for name, group in groups.items()} == {
        "one/trials/00000": 16,
        "two/trials/00000": 64,
    }


def test_the_metric_that_trials_are_chosen_by_comes_first(tmp_path: Path) -> None:
    write(tmp_path, record(0, 0.2), metric="recall_50")
    experiment, _ = shown(tmp_path)
    assert experiment.metric_infos[0].name.tag == "best/recall_50"


def test_columns_that_only_some_trials_have_are_not_among_those_shown_at_first(tmp_path: Path) -> None:
    # Of gamma and beta a trial has one; the tab's plots leave out every trial that lacks a column that is shown.
    write(tmp_path, record(0, 0.2))
    differs = {info.name: info.differs for info in shown(tmp_path)[0].hparam_infos}
    conditional = {
        field
        for parameter in SPACE.parameters.values()
        for branch in parameter.to_dict().get("branches", {}).values()
        for field in branch
    }
    assert conditional == {"gamma", "beta"}
    assert differs == {name: name not in conditional for name in SPACE.names()}


def test_a_file_written_anew_after_an_interruption_still_describes_the_columns(tmp_path: Path) -> None:
    write(tmp_path, record(0, 0.2))
    write(tmp_path, end(record(0, 0.2, 0.3), Status.FINISHED))
    experiment, groups = shown(tmp_path)
    assert {info.name for info in experiment.hparam_infos} == set(SPACE.names())
    assert metrics(groups["trials/00000"])["best/ndcg_100"] == pytest.approx(0.3)


def test_reports_written_again_keep_their_distance_in_time(tmp_path: Path) -> None:
    write(tmp_path, record(0, 0.2, 0.3, 0.4))
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    times = [event.wall_time for event in multiplexer.Tensors("trials/00000", "valid/ndcg_100")]
    assert [later - times[0] for later in times] == pytest.approx([0.0, 1.5, 3.0], abs=0.5)


def events_of(folder: Path, tag: str, run: str = "trials/00000") -> list[Any]:
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    found: list[Any] = multiplexer.Tensors(run, tag)
    return found


def test_a_diverged_trials_zero_comes_after_all_that_it_reported(tmp_path: Path) -> None:
    # A step has one value: one at an earlier step would be taken for a score that was bettered since.
    write(tmp_path, end(record(0, 0.3, 0.4), Status.DIVERGED))
    steps = [event.step for event in events_of(tmp_path, "best/ndcg_100")]
    assert steps == [4, 8, 9]


def test_a_columns_domain_is_the_range_that_is_searched(tmp_path: Path) -> None:
    # Its slider in the tab has these ends.
    write(tmp_path, record(0, 0.2))
    found = {info.name: info.domain_interval for info in shown(tmp_path)[0].hparam_infos}
    searched = SPACE.parameters["learning_rate"].to_dict()
    assert found["learning_rate"].min_value == pytest.approx(searched["low"])
    assert found["learning_rate"].max_value == pytest.approx(searched["high"])


def test_what_a_running_trial_reported_can_be_seen_at_once(tmp_path: Path) -> None:
    # Also what it reported before an interruption; somebody is looking while the search runs.
    events, trial = EventFiles(tmp_path, SPACE, "ndcg_100"), record(0, 0.2)
    events.started(trial)
    assert [event.step for event in events_of(tmp_path, "best/ndcg_100")] == [4]
    again = record(0, 0.2, 0.3)
    events.reported(again)
    assert [event.step for event in events_of(tmp_path, "best/ndcg_100")] == [4, 8]
    events.close()


def test_a_trial_has_one_file_however_often_it_goes_on(tmp_path: Path) -> None:
    # A second file of the same run would show each report twice.
    folder = trial_folder(tmp_path, 0)
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.0000000001.elsewhere.1").write_bytes(b"of an earlier process")
    events = EventFiles(tmp_path, SPACE, "ndcg_100")
    for _ in range(2):  # lost with its process, and given out again
        events.started(record(0, 0.2))
    events.close()
    assert len(list(folder.iterdir())) == 1
    held = psutil.Process().open_files()
    assert not [file.path for file in held if Path(file.path).is_relative_to(tmp_path)], "none stays open"


def test_an_end_after_the_files_were_closed_is_not_written(tmp_path: Path) -> None:
    # A search that is interrupted closes them; a last word of Ray's may come later.
    events, trial = EventFiles(tmp_path, SPACE, "ndcg_100"), record(0, 0.2)
    events.started(trial)
    events.close()
    events.ended(end(trial, Status.FINISHED))
    assert shown(tmp_path)[1]["trials/00000"].sessions[0].status == api_pb2.STATUS_UNKNOWN


def test_columns_reach_as_far_as_the_search_was_steered_and_a_trial_that_trains_on_has_all_of_its_curve(
    tmp_path: Path,
) -> None:
    # The tab's filters begin at the ends of its columns: trials from a range that was widened were not to be seen.
    first, later = (
        end(record(0, 0.2), Status.FINISHED),
        end(record(1, 0.3, learning_rate=0.5), Status.STOPPED),
    )
    events = EventFiles(tmp_path, SPACE, "ndcg_100")
    for trial in (first, later):
        events.started(trial)
        events.ended(trial)
    low, high = domain(tmp_path, "learning_rate")
    wide = with_range(SPACE, "learning_rate", [low / 10, 0.9], wider=True)
    events.widened(wide, first)
    assert domain(tmp_path, "learning_rate") == (low / 10, 0.9)
    assert domain(tmp_path, "learning_rate")[1] > high
    # The first one trains on by hand, after its end.
    first.reopen(8)
    events.started(first)
    first.reports.append({**first.reports[0], "cycle": 2, "passes": 8, "valid/ndcg_100": 0.4})
    first.best.append(0.4)
    events.reported(first)
    events.ended(end(first, Status.FINISHED))
    events.close()
    assert domain(tmp_path, "learning_rate") == (low / 10, 0.9)
    assert [event.step for event in events_of(tmp_path, "valid/ndcg_100")] == [4, 8]
    rows = shown(tmp_path)[1]
    assert metrics(rows["trials/00000"])["best/ndcg_100"] == pytest.approx(0.4)
    assert len(rows) == 2
    # A blend that was made in the folder is not a trial.
    (tmp_path / "blend").mkdir()
    (tmp_path / "blend" / "blend.json").write_text("{}", encoding="utf-8")
    assert len(shown(tmp_path)[1]) == 2


def domain(folder: Path, column: str) -> tuple[float, float]:
    (found,) = [info.domain_interval for info in shown(folder)[0].hparam_infos if info.name == column]
    return found.min_value, found.max_value
