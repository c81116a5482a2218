"""`distrecvae train` and `evaluate`, as a user and a power cut would."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from click import Option

from distrecvae.cli import main, train
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.files import exclusive
from distrecvae.runs.configuration import DEFAULT_MODEL
from distrecvae.runs.training_run import RunSettings
from distrecvae.saved.model import load_model
from distrecvae.saved.tensors import load_state
from distrecvae.search.on_ray.side_by_side import train_seeds
from tests import HANGS_AFTER_S, ROOT

SMALL = ("--set", "hidden_dim=16", "--set", "latent_dim=4", "--set", "batch_size=100", "--threads", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "small"
    save_dataset(synthetic_split(n_users=400, n_items=120, seed=0), folder, {})
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


Run = Callable[..., tuple[int, str, str]]


def history(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not name.endswith("_s")} for row in rows]


def result(out: Path) -> tuple[list[dict[str, str]], dict[str, Any], dict[str, torch.Tensor]]:
    """Return all that a run leaves, but for times."""
    metrics = json.loads((out / "best" / "metrics.json").read_text())
    return history(out), metrics, load_state(out / "best" / "model.safetensors")[0]


def assert_same_result(a: Path, b: Path) -> None:
    (rows_a, metrics_a, state_a), (rows_b, metrics_b, state_b) = result(a), result(b)
    assert rows_a == rows_b
    assert metrics_a == metrics_b
    assert all(torch.equal(state_a[name], state_b[name]) for name in state_a)


def test_a_packaged_configuration_is_taken_by_name(data: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    named = ("--config", "recvae-joint", *SMALL)
    assert run("train", "--data", data, "--out", out, "--max-passes", 2, *named)[0] == 0
    config = json.loads((out / "best" / "config.json").read_text())
    assert config["config"]["alternating"] is False
    assert config["config"]["latent_dim"] == 4
    code, text, _ = run("train", "--out", out, "--max-passes", 3, "--resume", *named)
    assert code == 0
    assert "continuing after 2 passes" in text
    code, _, error = run("train", "--data", data, "--out", tmp_path / "no", "--config", "recvae-jiont")
    assert code == 2
    assert "did you mean 'recvae-joint'" in error
    assert error.count("\n") == 1


def test_a_run_ends_in_a_scored_model(data: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    code, text, _ = run("train", "--data", data, "--out", out, "--max-passes", 21, *SMALL)
    assert code == 0
    assert "20 of 21 passes are done" in text
    assert f"distrecvae evaluate --model {out}/best --data {data}" in text
    assert [row["passes"] for row in history(out)] == ["4", "8", "12", "16", "20"]
    metrics = json.loads((out / "best" / "metrics.json").read_text())
    best = max(history(out), key=lambda row: float(row["valid/ndcg_100"]))
    assert metrics["valid"]["mean"]["ndcg_100"] == pytest.approx(float(best["valid/ndcg_100"]))
    assert metrics["passes"] == int(best["passes"])
    loaded = load_model(out)  # the results folder will do
    assert loaded.data["fingerprint"] == load_dataset(data).fingerprint
    card = (out / "best" / "README.md").read_text()
    assert (
        f"{metrics['test']['mean']['ndcg_100']:.4f} ± {metrics['test']['standard_error']['ndcg_100']:.4f}"
        in card
    )
    assert 0 < metrics["test"]["mean"]["ndcg_100"] < 1
    assert load_model(out / "best").config.latent_dim == 4

    code, text, _ = run(
        "evaluate", "--model", out / "best", "--data", data, "--group", "valid", "--threads", 1
    )
    assert code == 0
    assert f"NDCG@100 {metrics['valid']['mean']['ndcg_100']:.4f}" in text


def test_patience_ends_a_run_that_no_longer_improves(data: Path, tmp_path: Path, run: Run) -> None:
    # With steps this small no score changes after the first cycle.
    options = ("--set", "learning_rate=1e-30", "--patience", 12, *SMALL)
    _, text, _ = run("train", "--data", data, "--out", tmp_path / "out", *options)
    assert "no better NDCG@100 for 12 passes; best after 4 passes (cycle 1)" in text
    assert len(history(tmp_path / "out")) == 4


def test_precision_is_recorded_and_kept(data: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "run"
    arguments = ("train", "--data", data, "--out", out, "--max-passes", 8, *SMALL)
    code, said, _ = run(*arguments, "--precision", "bfloat16")
    assert code == 0
    assert "at most 8 passes, bfloat16" in said
    assert json.loads((out / "run.json").read_text())["precision"] == "bfloat16"
    code, _, error = run("train", "--out", out, "--resume", "--precision", "float32")
    assert code == 2
    assert error == f"error: {out} was started in bfloat16; leave --precision out, or start over\n"
    again = ("train", "--out", out, "--resume", "--max-passes", 12, "--threads", 1)
    code, said, _ = run(*again, "--precision", "auto")  # whatever that would be on this machine
    assert code == 0
    assert "at most 12 passes, bfloat16" in said


def test_a_model_without_rounded_products_says_so(data: Path, tmp_path: Path, run: Run) -> None:
    arguments = ("train", "--data", data, "--model", "ease", "--threads", 1)
    code, said, _ = run(*arguments, "--out", tmp_path / "run")
    assert code == 0
    assert "passes, float32" in said
    code, _, error = run(*arguments, "--out", tmp_path / "other", "--precision", "bfloat16")
    assert code == 2
    assert error == "error: ease is not trained in bfloat16; leave --precision out\n"
    assert not (tmp_path / "other").exists()


def test_a_model_that_is_solved_takes_one_pass(data: Path, tmp_path: Path, run: Run) -> None:
    code, text, _ = run("train", "--data", data, "--out", tmp_path / "out", "--model", "popularity")
    assert code == 0
    assert "solved, there is nothing to train further; best after 1 passes" in text
    assert len(history(tmp_path / "out")) == 1


def test_a_run_goes_through_phases_whose_losses_differ(data: Path, tmp_path: Path, run: Run) -> None:
    out, phases = tmp_path / "run", ("--set", "actor_passes=1", "--set", "critic_passes=1")
    start = ("train", "--data", data, "--model", "ract", *SMALL, *phases, "--out", out)
    assert run(*start, "--max-passes", 2)[0] == 0
    assert run("train", "--out", out, "--resume", "--max-passes", 4)[0] == 0
    rows = history(out)
    has = [[bool(row[f"train/{name}"]) for name in ("loss", "critic_loss", "actor_loss")] for row in rows]
    assert has == [[True, False, False], [False, True, False], [False, True, True], [False, True, True]]


def test_a_finished_run_can_be_given_more_passes(data: Path, tmp_path: Path, run: Run) -> None:
    for name, budgets in (("whole", [16]), ("parts", [8, 16])):
        for number, budget in enumerate(budgets):
            more = ("--resume",) if number else ("--data", data, *SMALL)
            assert run("train", "--out", tmp_path / name, "--max-passes", budget, *more)[0] == 0
    assert_same_result(tmp_path / "whole", tmp_path / "parts")


def test_warm_weights_bring_their_settings_and_are_kept(data: Path, tmp_path: Path, run: Run) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    assert run("train", "--data", data, "--out", old, "--max-passes", 8, *SMALL)[0] == 0
    warm = ("train", "--data", data, "--out", new, "--warm-weights", old)
    code, out, _ = run(*warm, "--max-passes", 4, "--threads", 1)
    assert code == 0
    assert (
        f"begins with the weights of {old.resolve()}: 120 items taken over, 0 new; Adam's moments from" in out
    )
    assert "note:" not in out, "the data is the earlier model's own"
    assert load_model(new).config == load_model(old).config
    assert json.loads((new / "run.json").read_text())["warm_weights"] == str(old.resolve())
    assert float(history(new)[0]["train/loss"]) < float(history(old)[0]["train/loss"])
    code, out, _ = run("train", "--out", new, "--resume", "--max-passes", 8, "--threads", 1)
    assert code == 0
    assert "begins with" not in out
    other = run("train", "--out", new, "--resume", "--warm-weights", data)
    assert other[0] == 2
    assert f"{new} was started with the weights of {old.resolve()}; leave --warm-weights out" in other[2]
    changed = run(*warm[:3], "--out", tmp_path / "rate", "--warm-weights", old, "--set", "learning_rate=1e-4",
                  "--max-passes", 4)  # fmt: skip
    assert changed[0] == 0
    assert load_model(tmp_path / "rate").config.learning_rate == 1e-4
    assert load_model(tmp_path / "rate").config.hidden_dim == 16


def test_a_model_that_is_solved_takes_no_warm_weights(data: Path, tmp_path: Path, run: Run) -> None:
    assert run("train", "--data", data, "--out", tmp_path / "a", "--model", "popularity")[0] == 0
    code, _, err = run("train", "--data", data, "--out", tmp_path / "b", "--warm-weights", tmp_path / "a")
    assert code == 2
    said = "popularity is solved at once from the data, and earlier weights save nothing; leave --warm-weights out"
    assert err == f"error: {said}\n"
    assert not (tmp_path / "b").exists()


def test_help_says_the_settings_defaults() -> None:
    # They are written there a second time, so that --help starts without PyTorch.
    shown = {option.name: option.help or "" for option in train.command.params if isinstance(option, Option)}
    for each in fields(RunSettings):
        if each.name in ("max_passes", "patience", "seed"):
            assert shown[each.name].endswith(f"  [default: {each.default}]")
    assert shown["model"].endswith(f"  [default: {DEFAULT_MODEL}]")


def process(*arguments: object, first: str = "pass") -> subprocess.Popen[str]:
    code = f"from distrecvae.api.train import loop as train_loop; from distrecvae.cli import main; {first}; main()"
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(running: subprocess.Popen[str], word: str) -> None:
    assert running.stdout is not None
    for line in running.stdout:
        if word in line:
            return
    pytest.fail(f"the run ended without {word!r}: {running.communicate()[1]}")


@pytest.mark.slow
def test_killed_or_stopped_it_goes_on_to_the_same_result(data: Path, tmp_path: Path, run: Run) -> None:
    options = ("--data", data, "--max-passes", 120, "--patience", 0, "--checkpoint-every", 0, *SMALL)
    assert run("train", "--out", tmp_path / "whole", *options)[0] == 0

    killed = process("train", "--out", tmp_path / "out", *options)
    read_until(killed, "passes   20")
    killed.kill()
    killed.communicate()

    stopped = process("train", "--out", tmp_path / "out", "--resume", "--threads", 1)
    read_until(stopped, "passes   40")
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate(timeout=HANGS_AFTER_S)
    assert stopped.returncode == 130, err
    assert f"continue with:\n  distrecvae train --out {tmp_path / 'out'} --resume" in out
    assert "Traceback" not in err

    code, text, _ = run("train", "--out", tmp_path / "out", "--resume", "--threads", 1)
    assert code == 0
    assert "continuing after" in text
    assert_same_result(tmp_path / "whole", tmp_path / "out")


def test_a_cycle_that_takes_minutes_is_left_at_the_next_batch(data: Path, tmp_path: Path) -> None:
    # It went on for minutes after SIGTERM, and said `interrupted` at last and nothing else.
    options = ("--data", data, *SMALL, "--set", "encoder_passes=1000000", "--max-passes", 1000001)
    running = process("train", "--out", tmp_path / "out", *options, first="train_loop.CYCLE_EVERY_S = 0.1")
    read_until(running, "passes    0  and 0% of a cycle")
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=HANGS_AFTER_S)
    assert running.returncode == 130, err
    assert (
        f"stopped after 0 passes; continue with:\n  distrecvae train --out {tmp_path / 'out'} --resume" in out
    )
    assert err == "\nstopping; a second signal stops at once and keeps the last checkpoint\n"


def test_a_second_signal_says_how_to_go_on_too(
    data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("distrecvae.api.train.folder.train_to_end", interrupted)
    code, _, err = run("train", "--data", data, "--out", tmp_path / "out", *SMALL)
    assert code == 130
    assert (
        f"to resume after the last checkpoint:\n  distrecvae train --out {tmp_path / 'out'} --resume" in err
    )


def test_a_folder_in_use_is_refused(data: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    with exclusive(out):
        code, _, err = run("train", "--data", data, "--out", out, *SMALL)
    assert code == 2
    assert f"in use by another run (process {os.getpid()})" in err
    assert not (out / "run.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "beta=0.2"], "exactly one of gamma and beta"),
        (["--set", "latent_dm=3"], "did you mean 'latent_dim'"),
        (["--model", "recva"], "did you mean 'recvae'"),
        (["--device", "nonsense"], "'nonsense' cannot be used"),
        (["--config", "missing.yaml"], "missing.yaml cannot be read"),
        (["--refit"], "--refit needs --config FOLDER/config.json of a finished model, or --max-passes"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    data: Path, tmp_path: Path, run: Run, options: list[str], message: str
) -> None:
    code, _, err = run("train", "--data", data, "--out", tmp_path / "out", *options)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_resumed_is_refused(data: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert "holds no training run" in run("train", "--out", out, "--resume")[2]
    assert "--data is missing" in run("train", "--out", out)[2]
    run("train", "--data", data, "--out", out, "--max-passes", 4, *SMALL)
    assert "is not empty; --resume resumes" in run("train", "--data", data, "--out", out, *SMALL)[2]
    assert "another configuration" in run("train", "--out", out, "--resume", "--set", "latent_dim=5")[2]
    assert "started with seed 0" in run("train", "--out", out, "--resume", "--seed", 4)[2]
    other = tmp_path / "other"
    save_dataset(synthetic_split(n_users=400, n_items=120, seed=1), other, {})
    assert "is not the data that" in run("train", "--out", out, "--resume", "--data", other)[2]


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_seeds_give_a_mean_with_its_standard_error_and_can_grow(data: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    code, text, _ = run("train", "--data", data, "--out", out, "--max-passes", 8, "--seeds", 3, *SMALL)
    assert code == 0
    runs = [json.loads((out / f"seed-{seed}" / "best" / "metrics.json").read_text()) for seed in range(3)]
    summary = json.loads((out / "metrics.json").read_text())
    for group in ("valid", "test"):
        scores = [each[group]["mean"]["ndcg_100"] for each in runs]
        assert len(set(scores)) == 3, "seeds differ"
        assert summary[group]["per_seed"]["ndcg_100"] == scores
        assert summary[group]["mean"]["ndcg_100"] == pytest.approx(statistics.mean(scores))
        error = statistics.stdev(scores) / 3**0.5
        assert summary[group]["standard_error"]["ndcg_100"] == pytest.approx(error)
        assert f"{statistics.mean(scores):.4f} ± {error:.4f}" in text
    best = max(range(3), key=lambda seed: runs[seed]["valid"]["mean"]["ndcg_100"])
    assert f"{out}/seed-{best}/best (the best seed on validation users)" in text

    code, _, err = run("train", "--out", out, "--resume", "--seeds", 2)
    assert code == 2
    assert "was started with 3 seed(s), --seeds is 2; runs of several seeds may only grow" in err
    assert run("train", "--out", out, "--resume", "--seeds", 4, "--threads", 1)[0] == 0
    grown = json.loads((out / "metrics.json").read_text())
    assert grown["seeds"] == [0, 1, 2, 3]
    assert grown["test"]["per_seed"]["ndcg_100"][:3] == summary["test"]["per_seed"]["ndcg_100"]

    # A seed of several is the run that it would be alone.
    assert (
        run("train", "--data", data, "--out", tmp_path / "one", "--max-passes", 8, "--seed", 3, *SMALL)[0]
        == 0
    )
    assert_same_result(tmp_path / "one", out / "seed-3")


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_seeds_stopped_in_the_middle_go_on_to_the_same_summary(
    data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough to be heard in: a worker asks between two batches, every 0.05 s here.
    alone = ("--data", data, "--max-passes", 400, "--patience", 0, *SMALL)
    options, out = ("--seeds", 2, "--seed", 5, *alone), tmp_path / "out"
    undisturbed = [tmp_path / f"alone-{seed}" for seed in (5, 6)]
    for folder, seed in zip(
        undisturbed, (5, 6), strict=True
    ):  # here: a seed of several is the run that it would be alone
        assert run("train", "--out", folder, "--seed", seed, *alone)[0] == 0

    killed: list[bool] = []

    def interrupted(*arguments: Any, **named: Any) -> bool:
        look = named.pop("look")

        def kill_once() -> bool:
            if (out / "seed-5" / "history.csv").exists() and not killed:
                killed.append(True)
                os.kill(os.getpid(), signal.SIGINT)
            return bool(look())

        return train_seeds(*arguments, look=kill_once, **named)

    with monkeypatch.context() as patch:
        patch.setattr("distrecvae.search.on_ray.side_by_side.LOOK_EVERY_S", 0.05)
        patch.setattr("distrecvae.search.on_ray.side_by_side.train_seeds", interrupted)
        code, text, err = run("train", "--out", out, *options)
    assert code == 130
    assert "stopping; a second signal stops at once" in err
    assert f"continue with:\n  distrecvae train --out {out} --resume" in text
    assert not (out / "metrics.json").exists()
    assert 0 < len(history(out / "seed-5")) < len(history(undisturbed[0]))
    assert run("train", "--out", out, "--resume", "--threads", 1)[0] == 0
    for seed, folder in zip((5, 6), undisturbed, strict=True):
        assert_same_result(out / f"seed-{seed}", folder)
    summary = json.loads((out / "metrics.json").read_text())
    assert summary["seeds"] == [5, 6]
    assert summary["test"]["per_seed"]["ndcg_100"] == [
        result(folder)[1]["test"]["mean"]["ndcg_100"] for folder in undisturbed
    ]
    assert "started with seed 5" in run("train", "--out", out, "--resume", "--seed", 6)[2]


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_seed_that_diverges_is_named_when_the_others_have_ended(
    data: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    options = ("--max-passes", 8, "--seeds", 2, "--set", "learning_rate=1e30", *SMALL)
    code, _, err = run("train", "--data", data, "--out", out, *options)
    assert code == 2
    assert err.startswith("error: seed ")
    assert "Traceback" not in err
    code, _, err = run("train", "--data", data, "--out", tmp_path / "one", "--address", "auto", *SMALL)
    assert code == 2
    assert "--address auto without --seeds" in err


def test_a_refit_trains_on_validation_users_too_for_the_passes_that_were_best(
    data: Path, tmp_path: Path, run: Run
) -> None:
    chosen, out = tmp_path / "chosen", tmp_path / "out"
    assert run("train", "--data", data, "--out", chosen, "--max-passes", 20, *SMALL)[0] == 0
    passes = json.loads((chosen / "best" / "metrics.json").read_text())["passes"]
    config = chosen / "best" / "config.json"
    code, text, _ = run("train", "--data", data, "--out", out, "--config", config, "--refit", "--threads", 1)
    assert code == 0
    assert f"{passes} of {passes} passes are done" in text
    assert "training and validation users" in text
    # It is what comes after the search: to search again was advised.
    next_steps = [shlex.split(line) for line in text.partition("next:\n")[2].splitlines()]
    assert [step[:4] for step in next_steps] == [
        ["distrecvae", command, "--model", str(out / "best")] for command in ("evaluate", "recommend")
    ]
    metrics = json.loads((out / "best" / "metrics.json").read_text())
    assert metrics["refit"] is True
    assert metrics["passes"] == passes
    code, text, _ = run("evaluate", "--model", out / "best", "--data", data, "--threads", 1)
    assert f"NDCG@100 {metrics['test']['mean']['ndcg_100']:.4f}" in text
    assert run("train", "--out", out, "--resume", "--threads", 1)[0] == 0
    assert "started without --refit" in run("train", "--out", chosen, "--resume", "--refit")[2]
