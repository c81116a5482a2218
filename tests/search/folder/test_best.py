"""The chosen trial's model on the test users: as it was at its best, beside the first trial's, with a paired gain."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from scipy import stats

from distrecvae import rng
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.synthetic import synthetic_split
from distrecvae.evaluation import Evaluation, evaluate
from distrecvae.layout import STATE_FILE, trial_folder
from distrecvae.runs.trial import TrialTask, run_trial
from distrecvae.saved.model import load_model
from distrecvae.saved.places import StateFile
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, by_score
from distrecvae.search.core.rules import Never
from distrecvae.search.core.states import TrialStates
from distrecvae.search.folder import best
from distrecvae.search.folder.best import gains, publish_best
from distrecvae.search.folder.best_scores import read_best_scores
from distrecvae.search.space.space import SearchSpace
from distrecvae.training import registry
from tests.search.described import begun
from tests.soft_cuda import soft_cuda

SPACE = SearchSpace.from_mapping(
    {
        "model": "recvae",
        "parameters": {"learning_rate": {"type": "float", "low": 1e-3, "high": 0.3, "log": True}},
        "fixed": {"hidden_dim": 8, "latent_dim": 3, "batch_size": 40, "encoder_passes": 1},
        "default": {"learning_rate": 1e-3},
    }
)


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=120, n_items=150, seed=2)


FOLDERS: WeakKeyDictionary[Conductor, Path] = WeakKeyDictionary()


def conductor_in(folder: Path, *, metric: str = "ndcg_100", trials: int = 3) -> Conductor:
    folder.mkdir()
    config = SearchConfig(trials=trials, max_passes=24, seed=5, metric=metric, sampler="random")
    ledger = Ledger(folder, f"valid/{metric}")
    conductor = Conductor(ledger=ledger, space=SPACE, config=config, rule=Never(), folder=folder)
    FOLDERS[conductor] = folder
    return conductor


def run_in(conductor: Conductor, task: TrialTask, split: Split) -> Iterator[dict[str, Any]]:
    """Run a trial that leaves its state in the conductor's search."""
    place = StateFile(TrialStates(FOLDERS[conductor]).path(task.number))
    return run_trial(task, place, split.train, split.valid)


def search(conductor: Conductor, split: Split) -> None:
    """Train every trial to its end, as one worker would."""
    while (task := conductor.next_task()) is not None:
        for report in run_in(conductor, task, split):
            conductor.heard(task.number, report)
        conductor.finished(task.number)


def publish(conductor: Conductor, split: Split, folder: Path, metric: str = "ndcg_100") -> Any:
    search = begun(SearchConfig(metric=metric), SPACE, folder, data="data/gone")
    return publish_best(search, conductor, split)


def written(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "best" / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def trained_again(
    conductor: Conductor, number: int, cycle: int, split: Split
) -> tuple[Evaluation, Evaluation]:
    """Return the scores of a trial after that many cycles, trained again: no state file is read."""
    config = conductor.ledger.records[number].config
    parsed = registry.config_from_dict("recvae", config)
    trainer = registry.make_trainer("recvae", parsed, split.train, seed=rng.trial_seed(5, config))
    for _ in range(cycle):
        trainer.step()
    model = registry.load_recommender("recvae", parsed, split.n_items, trainer.model_state())
    return evaluate(model, split.valid), evaluate(model, split.test)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, split: Split) -> tuple[Path, Conductor, Any]:
    folder = tmp_path_factory.mktemp("best") / "search"
    conductor = conductor_in(folder)
    search(conductor, split)
    return folder, conductor, publish(conductor, split, folder)


def test_the_published_scores_are_those_of_the_best_trial_at_its_best_cycle(
    finished: tuple[Path, Conductor, Any], split: Split
) -> None:
    folder, conductor, _ = finished
    metrics, records = written(folder), conductor.ledger.records
    scores = {n: [report["valid/ndcg_100"] for report in record.reports] for n, record in records.items()}
    best = max(scores, key=lambda n: max(scores[n]))
    cycle = int(np.argmax(scores[best])) + 1
    assert best != 0, "else nothing is compared here"
    assert cycle < len(scores[best]), "else the last model would do as well"
    assert (metrics["trial"], metrics["cycle"], metrics["selected_by"]) == (best, cycle, "valid/ndcg_100")
    assert metrics["passes"] == records[best].reports[cycle - 1]["passes"]
    valid, test = trained_again(conductor, best, cycle, split)
    assert metrics["valid"] == valid.summary()
    assert metrics["test"] == test.summary()
    assert metrics["valid"]["mean"]["ndcg_100"] == pytest.approx(max(scores[best]))


def test_the_published_model_gives_these_scores_and_says_what_it_was_made_of(
    finished: tuple[Path, Conductor, Any], split: Split
) -> None:
    folder, _, (best, _) = finished
    loaded = load_model(folder / "best")
    assert evaluate(loaded.recommender, split.test).summary() == written(folder)["test"]
    assert loaded.config == registry.config_from_dict("recvae", best.record.config)
    assert loaded.item_ids.tolist() == split.item_ids.tolist()
    assert loaded.data["fingerprint"] == split.fingerprint  # though the data's folder is gone


def test_the_first_trial_is_scored_beside_it_with_the_paired_gain(
    finished: tuple[Path, Conductor, Any], split: Split
) -> None:
    folder, conductor, (best, first) = finished
    other = written(folder)["first"]
    reports = conductor.ledger.records[0].reports
    cycle = max(range(len(reports)), key=lambda i: reports[i]["valid/ndcg_100"]) + 1
    valid, test = trained_again(conductor, 0, cycle, split)
    assert (other["trial"], first.record.number) == (0, 0)
    assert (other["valid"], other["test"]) == (valid.summary(), test.summary())
    for group, ours, theirs in (("valid", best.valid, valid), ("test", best.test, test)):
        for name, values in other[f"gain_{group}"].items():
            assert values["mean"] == pytest.approx(ours.mean(name) - theirs.mean(name))
            assert values["standard_error"] == pytest.approx(
                stats.sem(ours.per_user[name] - theirs.per_user[name])
            )


def test_the_metric_of_the_search_chooses_the_trial_and_the_cycle(tmp_path: Path, split: Split) -> None:
    conductor = conductor_in(tmp_path / "search", metric="recall_20")
    search(conductor, split)
    publish(conductor, split, tmp_path / "search", "recall_20")
    metrics = written(tmp_path / "search")
    recalls = [
        (report["valid/recall_20"], -number, -report["cycle"])  # the earliest of equals
        for number, record in conductor.ledger.records.items()
        for report in record.reports
    ]
    assert metrics["selected_by"] == "valid/recall_20"
    assert (metrics["valid"]["mean"]["recall_20"], -metrics["trial"], -metrics["cycle"]) == max(recalls)


def test_a_first_trial_that_is_the_best_is_not_compared_with_itself(tmp_path: Path, split: Split) -> None:
    conductor = conductor_in(tmp_path / "search", trials=1)
    search(conductor, split)
    scored, published = publish(conductor, split, tmp_path / "search")
    assert (scored.record.number, published) == (0, None)
    assert written(tmp_path / "search")["first"] is None


def reported(conductor: Conductor, split: Split, n_reports: int = 1) -> None:
    """Give out the next trial, and let it report so often."""
    task = conductor.next_task()
    assert task is not None
    for report in itertools.islice(run_in(conductor, task, split), n_reports):
        conductor.heard(task.number, report)


def test_a_first_trial_without_a_score_is_left_out(tmp_path: Path, split: Split) -> None:
    conductor = conductor_in(tmp_path / "search", trials=2)
    reported(conductor, split)
    conductor.failed(0, Status.FAILED, "its process died")  # with reports, and yet without a score
    search(conductor, split)
    scored, published = publish(conductor, split, tmp_path / "search")
    assert (scored.record.number, published) == (1, None)
    assert written(tmp_path / "search")["first"] is None


def test_a_first_trial_that_diverged_is_left_out(tmp_path: Path, split: Split) -> None:
    # Its score is 0: no model of it, however it did before, stands beside that.
    conductor = conductor_in(tmp_path / "search", trials=2)
    reported(conductor, split)
    conductor.failed(0, Status.DIVERGED, "loss is nan")
    search(conductor, split)
    scored, published = publish(conductor, split, tmp_path / "search")
    assert (scored.record.number, published) == (1, None)


@pytest.mark.parametrize("status", [Status.FAILED, Status.DIVERGED])
@pytest.mark.parametrize("n_reports", [0, 1])
def test_where_every_trial_went_wrong_nothing_is_published(
    tmp_path: Path, split: Split, status: Status, n_reports: int
) -> None:
    # A diverged trial's score is 0, whatever it reported before: the first one was published as the best of all.
    conductor = conductor_in(tmp_path / "search", trials=2)
    for number in range(2):
        reported(conductor, split, n_reports)
        conductor.failed(number, status, "loss is nan")
    assert publish(conductor, split, tmp_path / "search") is None
    assert not (tmp_path / "search" / "best").exists()


def test_test_users_that_cannot_be_scored_give_no_number_and_no_error(tmp_path: Path, split: Split) -> None:
    # The gain over no users is not a number, which JSON has no word for: a search died of it when all was done.
    n_users, fold_in = split.test.n_users, split.test.fold_in
    nobody = HeldOutUsers(
        fold_in, InteractionMatrix.from_pairs([], [], n_users=n_users, n_items=split.n_items)
    )
    conductor = conductor_in(tmp_path / "search")
    search(conductor, split)
    publish(conductor, replace(split, test=nobody), tmp_path / "search")
    metrics = written(tmp_path / "search")
    assert (metrics["test"]["n_evaluated"], metrics["test"]["n_skipped"]) == (0, n_users)
    assert metrics["test"]["mean"]["ndcg_100"] is None
    assert metrics["first"]["gain_test"]["ndcg_100"] == {"mean": None, "standard_error": None}
    assert metrics["first"]["gain_valid"]["ndcg_100"]["mean"] > 0
    assert "n/a" in (tmp_path / "search" / "best" / "README.md").read_text(encoding="utf-8")
    found = read_best_scores(tmp_path / "search")
    assert found is not None
    assert found.test.mean["ndcg_100"] is None


def test_the_drivers_machine_needs_no_gpu_of_the_trials(tmp_path: Path, split: Split) -> None:
    # A state that is gone means training again: here, on what there is, not on the device that the trials had.
    folder = tmp_path / "search"
    search(conductor_in(folder, trials=1), split)
    config = SearchConfig(trials=1, max_passes=24, seed=5, sampler="random")
    ledger = Ledger(folder, "valid/ndcg_100")
    elsewhere = Conductor(
        ledger=ledger, space=SPACE, config=config, rule=Never(), folder=folder, device="cuda:77"
    )
    (trial_folder(folder, 0) / STATE_FILE).unlink()
    scored, _ = publish(elsewhere, split, folder)
    assert scored.valid.mean("ndcg_100") == pytest.approx(ledger.records[0].score)


def evaluation(values: list[float]) -> Evaluation:
    per_user = {
        "ndcg_100": np.array(values),
        "recall_20": np.array(values) / 2,
        "recall_50": np.zeros(len(values)),
    }
    return Evaluation(per_user, np.arange(len(values)), 0)


def test_the_gain_is_the_first_less_the_second_with_the_error_of_a_sample() -> None:
    random = np.random.default_rng(0)
    one, other = random.random(7).tolist(), random.random(7).tolist()
    found = gains(evaluation(one), evaluation(other))
    differences = np.array(one) - np.array(other)
    assert found["ndcg_100"].mean == pytest.approx(sum(differences) / 7)
    assert found["ndcg_100"].standard_error == pytest.approx(stats.sem(differences, ddof=1))
    assert found["recall_20"].mean == pytest.approx(sum(differences) / 14)
    assert (found["recall_50"].mean, found["recall_50"].standard_error) == (0.0, 0.0)


def test_a_trial_is_repeated_on_its_own_kind_of_device_where_there_is_one() -> None:
    # On another kind it would be another model than the one that was scored.
    assert best._like("cuda") == "cpu"
    with soft_cuda():
        assert [best._like(device) for device in ("cpu", "cuda")] == ["cpu", "cuda"]


def test_before_test_users_are_looked_at_it_is_worked_out_what_to_expect(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = conductor_in(tmp_path / "search", trials=7)
    search(conductor, split)
    looked_at: list[HeldOutUsers] = []

    def watched(model: Any, users: HeldOutUsers, *rest: Any) -> Evaluation:
        looked_at.append(users)
        return evaluate(model, users, *rest)

    monkeypatch.setattr(best, "evaluate", watched)
    published = publish(conductor, split, tmp_path / "search")
    assert published is not None
    expected, scores = published[0].expected, read_best_scores(tmp_path / "search")
    assert expected is not None
    assert scores is not None
    assert scores.expected == expected, "it is written down"
    n_models = expected.models
    # The chosen one was scored twice on the validation users: for what to expect of it, and to be published.
    assert published[1] is not None, "the first trial is scored beside it"
    assert [users is split.valid for users in looked_at] == [True] * n_models + [False, True, False]
    assert (n_models, expected.chosen_from) == (3, 7)
    assert expected.mean < published[0].valid.mean("ndcg_100"), "the best of seven is flattered"


def test_what_to_expect_does_not_depend_on_how_far_a_stopped_trials_state_reaches(
    split: Split, tmp_path: Path
) -> None:
    """It did: a search that was interrupted and resumed expected something else than the undisturbed one."""
    conductor = conductor_in(tmp_path / "search", trials=7)
    search(conductor, split)
    stopped = by_score(conductor.ledger.records.values())[1]
    stopped.status = Status.STOPPED
    expected = publish(conductor, split, tmp_path / "search")[0].expected
    assert expected.models == 2
    TrialStates(tmp_path / "search").path(stopped.number).unlink()
    assert publish(conductor, split, tmp_path / "search")[0].expected == expected


def test_of_a_few_trials_nothing_is_expected(split: Split, tmp_path: Path) -> None:
    conductor = conductor_in(tmp_path / "search")
    search(conductor, split)
    published = publish(conductor, split, tmp_path / "search")
    assert published is not None
    assert published[0].expected is None
    assert written(tmp_path / "search")["expected"] is None
