"""Bad input and bad luck, as typed: one clear line, exit status 2, nothing half-written.

Beside the tables of test_search.py, test_train.py and test_prepare.py, which hold each command's own cases.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from distrecvae import files
from distrecvae.cli import main
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import LOST, UNEXPECTED, ResourceError
from distrecvae.files import exclusive
from distrecvae.job import DONE
from distrecvae.saved import tensors
from distrecvae.search import launch
from distrecvae.search.comparison import comparison, planned
from distrecvae.search.on_ray import session, tuning
from distrecvae.search.planning.resources import Cluster

Given = Callable[[Path, pytest.MonkeyPatch], object]
SMALL = ["--set", "hidden_dim=8", "--set", "latent_dim=4", "--threads", "1"]
SPACE = "model: recvae\nfixed: {hidden_dim: 8, latent_dim: 4}\nparameters:\n"
RATE = SPACE + "  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}\n"
GIB = 1 << 30


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets, a trained run and a search that was begun: made once, copied into each case."""
    folder = tmp_path_factory.mktemp("place")
    for name, seed in (("data", 1), ("other", 2)):
        save_dataset(synthetic_split(n_users=100, n_items=60, seed=seed), folder / name, {})
    split = synthetic_split(n_users=100, n_items=60, seed=1)
    empty = InteractionMatrix.from_pairs([], [], n_users=split.valid.n_users, n_items=split.n_items)
    nobody = replace(split, valid=HeldOutUsers(split.valid.fold_in, empty))
    save_dataset(nobody, folder / "nobody", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        without_ray(patch)
        (folder / "space.yaml").write_text(RATE)
        train = ["train", "--data", "data", "--out", "run", "--max-passes", "8", *SMALL]
        for arguments in (train, search("--out", "begun")):
            with pytest.raises(SystemExit):
                main(arguments)
    assert (folder / "run/best/model.safetensors").exists()
    assert (folder / "begun/search.json").exists()
    return folder


def without_ray(patch: pytest.MonkeyPatch, cluster: Cluster | None = None) -> None:
    """Let searches get as far as their first trial on this cluster, with no Ray behind it."""

    @contextmanager
    def no_ray(address: str | None, *, verbose: bool = False) -> Iterator[Cluster]:
        yield cluster or Cluster(((2.0, 0.0),), GIB, 8 * GIB)

    for module in (launch, comparison, planned):
        patch.setattr(module, "ray_session", no_ray)
    patch.setattr(session, "lend", lambda *_: None)
    patch.setattr(session.Session, "common", lambda *_: None)
    patch.setattr(launch, "require_package", lambda: None)
    patch.setattr(tuning, "run_trials", lambda *_, stop, **__: stop._ask("no trial is run", 60))


def search(*options: str) -> list[str]:
    return ["search", "--data", "data", "--space", "./space.yaml", "--trials", "4", *options]


def resume(*options: str) -> list[str]:
    return search("--out", "begun", "--resume", *options)


def nothing(folder: Path, patch: pytest.MonkeyPatch) -> None:
    pass


def written(name: str, content: str | bytes) -> Given:
    def write(folder: Path, patch: pytest.MonkeyPatch) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def space(text: str) -> Given:
    return written("space.yaml", SPACE + text)


def changed(name: str, change: Callable[[bytes], bytes]) -> Given:
    return lambda folder, _: (folder / name).write_bytes(change((folder / name).read_bytes()))


def json_with(name: str, **changes: object) -> Given:
    return changed(name, lambda content: json.dumps(json.loads(content) | changes).encode())


def json_without(name: str, key: str) -> Given:
    def change(content: bytes) -> bytes:
        document = json.loads(content)
        del document[key]
        return json.dumps(document).encode()

    return changed(name, change)


def pipe(name: str) -> Given:
    def make(folder: Path, patch: pytest.MonkeyPatch) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def linked(name: str, target: str) -> Given:
    def link(folder: Path, patch: pytest.MonkeyPatch) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return link


def parquet(name: str, **columns: npt.NDArray[Any]) -> Given:
    return lambda folder, _: pq.write_table(pa.table(columns), folder / name)


def gone(name: str) -> Given:
    def remove(folder: Path, patch: pytest.MonkeyPatch) -> None:
        path = folder / name
        path.rename(folder.parent / f"gone-{os.urandom(4).hex()}")

    return remove


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def cluster(
    nodes: tuple[tuple[float, float], ...] = ((2.0, 0.0),), store: int = GIB, memory: int = 8 * GIB
) -> Given:
    return lambda _, patch: without_ray(patch, Cluster(nodes, store, memory))


def storage(number: int) -> Given:
    """Let the storage refuse every file that is to last."""

    def refuse(file: int) -> None:
        raise OSError(number, os.strerror(number))

    return lambda _, patch: patch.setattr(os, "fsync", refuse)


def no_memory(error: BaseException) -> Given:
    def raising(*_: object, **__: object) -> None:
        raise error

    return lambda _, patch: patch.setattr(
        "distrecvae.training.schemes.alternating.AlternatingTrainer.step", raising
    )


def fails(where: Any, name: str, number: int) -> Given:
    def raising(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "out")

    return lambda _, patch: patch.setattr(where, name, raising)


TRAIN = ["train", "--data", "data", "--out", "out", "--max-passes", "4", *SMALL]
EVALUATE = ["evaluate", "--model", "run/best", "--data", "data", "--threads", "1"]
COMPARE = ["compare", "--data", "data", "--trials", "2", "--out", "out"]
MODEL = "run/best/model.safetensors"
OUT = ["--out", "out"]
NOBODY = "no validation user who can be scored"
EXTEND = ["search", "--extend", "begun"]

# what is typed; what lies there; what the line says
CASES: dict[str, tuple[list[str], Given, list[str]]] = {
    # data
    "a matrix is missing": ([*TRAIN], gone("data/train.parquet"), ["train.parquet is missing", "prepare"]),
    "a matrix is cut": (TRAIN, changed("data/train.parquet", half), ["train.parquet is damaged", "prepare"]),
    "a matrix is another file": (TRAIN, written("data/train.parquet", "rows"), ["train.parquet is damaged"]),
    "another split's matrix": (
        TRAIN,
        lambda f, _: (f / "data/valid_held_out.parquet").write_bytes(
            (f / "other/valid_held_out.parquet").read_bytes()
        ),
        ["data", "prepare"],
    ),
    "nobody to choose by, for train": ([*TRAIN, "--data", "nobody"], nothing, [NOBODY]),
    "nobody to choose by, for a search": (search("--data", "nobody", *OUT), nothing, [NOBODY]),
    "nobody to choose by, for a plan": (search("--data", "nobody", "--dry-run"), nothing, [NOBODY]),
    "nobody to choose by, for compare": (
        [*COMPARE, "--data", "nobody", "--models", "ease"],
        nothing,
        [NOBODY],
    ),
    "nobody to choose by, for prepare": (
        ["prepare", "threes.csv", "--out", "out", "--min-user-interactions", "1"],
        written("threes.csv", "user,item\n" + "".join(f"{n // 3},{n % 3}\n" for n in range(180))),
        [NOBODY],
    ),
    "fewer passes than a cycle": (
        [*TRAIN, "--max-passes", "1"],
        nothing,
        ["--max-passes is 1", "a cycle of recvae takes 4"],
    ),
    "fewer passes than a cycle, for a search": (
        search("--max-passes", "1", *OUT),
        nothing,
        ["--max-passes is 1", "a cycle of recvae takes 4"],
    ),
    "fewer passes than the longest cycle of a space": (
        ["search", "--data", "data", "--trials", "4", "--max-passes", "6", *OUT],
        nothing,
        ["--max-passes is 6", "a cycle of recvae takes up to 7 in its space", "give 7 or more"],
    ),
    "validation users of a refit": (
        [*EVALUATE, "--group", "valid"],
        json_with("run/best/metrics.json", refit=True),
        ["was trained on the validation users", "score the test users"],
    ),
    "dataset.json that is nested without end": (
        TRAIN,
        written("data/dataset.json", "[" * 100_000),
        ["dataset.json cannot be read"],
    ),
    "dataset.json that is a pipe": (TRAIN, pipe("data/dataset.json"), ["dataset.json", "pipe"]),
    "ids that are more than declared": (
        TRAIN,
        parquet("data/items.parquet", item_id=np.arange(300_000)),
        ["items.parquet has 300,000 rows, and 59 are said to be there"],
    ),
    "a model's settings that are a pipe": (EVALUATE, pipe("run/best/config.json"), ["config.json", "pipe"]),
    "a model's settings without end": (
        EVALUATE,
        linked("run/best/config.json", "/dev/zero"),
        ["config.json", "device"],
    ),
    "a model's settings nested without end": (
        EVALUATE,
        written("run/best/config.json", "[" * 100_000),
        ["config.json is damaged"],
    ),
    "weights that are a pipe": (EVALUATE, pipe(MODEL), ["model.safetensors", "pipe"]),
    "weights without end": (EVALUATE, linked(MODEL, "/dev/zero"), ["model.safetensors", "device"]),
    "items that are a pipe": (EVALUATE, pipe("run/best/items.parquet"), ["items.parquet", "pipe"]),
    "items that no weight has": (
        EVALUATE,
        parquet("run/best/items.parquet", item_id=np.arange(3_000_000)),
        ["items.parquet has 3,000,000 items, and no weight"],
    ),
    "items that are one": (
        EVALUATE,
        parquet("run/best/items.parquet", item_id=np.zeros(59, dtype=np.int64)),
        ["58 ids that are there twice"],
    ),
    "items that are halves": (
        EVALUATE,
        parquet("run/best/items.parquet", item_id=np.arange(59) + 0.5),
        ["ids of type double"],
    ),
    "a model's width that is none": (
        EVALUATE,
        changed(
            "run/best/config.json", lambda c: c.replace(b'"latent_dim": 4', b'"latent_dim": 123456789012')
        ),
        ["latent_dim is 123456789012, and no weight"],
    ),
    "a width beyond numbers": (
        [*TRAIN, "--set", "latent_dim=1000000000000000000"],
        nothing,
        ["latent_dim is a whole number beyond"],
    ),
    "a width beyond the memory": (
        [*TRAIN, "--set", "latent_dim=100000000000"],
        nothing,
        ["GiB of memory, and this machine has", "lower the model's sizes"],
    ),
    "a setting of thousands of digits": (
        [*TRAIN, "--set", f"latent_dim={'9' * 5000}"],
        nothing,
        ["cannot be read"],
    ),
    "settings with a day that is none": (
        search("--config", "s.yaml", *OUT),
        written("s.yaml", "model: 2026-13-45\n"),
        ["s.yaml", "month must be in 1..12"],
    ),
    "a configuration nested without end": (
        [*TRAIN, "--config", "c.json"],
        written("c.json", "[" * 100_000),
        ["c.json cannot be read", "nested too deeply"],
    ),
    "a space whose model is a day that is none": (
        search(*OUT),
        written("space.yaml", "model: 2026-13-45\nparameters: {}\n"),
        ["space.yaml", "month must be in 1..12"],
    ),
    "a range beyond numbers": (
        search(*OUT),
        space("  batch_size: {type: int, low: 8, high: 9223372036854775807000}\n"),
        ["batch_size: high is 9223372036854775807000"],
    ),
    "steps beyond counting": (
        search(*OUT),
        space("  dropout: {type: float, low: 0.1, high: 0.5, step: 1.0e-300}\n"),
        ["dropout: step 1e-300 divides", "leave it out"],
    ),
    "a space that is a pipe": (search(*OUT), pipe("space.yaml"), ["space.yaml"]),
    "a source that is a pipe": (["prepare", "a.csv", *OUT], pipe("a.csv"), ["a.csv", "pipe"]),
    "ids are missing": (search(*OUT), gone("data/items.parquet"), ["items.parquet is missing"]),
    "dataset.json is cut": (
        search(*OUT),
        changed("data/dataset.json", half),
        ["dataset.json cannot be read"],
    ),
    "dataset.json lacks sizes": (search(*OUT), json_without("data/dataset.json", "n_users"), ["n_users"]),
    "dataset.json of a later version": (search(*OUT), json_with("data/dataset.json", format=99), ["99"]),
    "a fingerprint that is another's": (
        search(*OUT),
        json_with("data/dataset.json", fingerprint="0" * 64),
        ["fingerprint 0"[:11], "prepare"],
    ),
    "data is a file": (search("--data", "space.yaml", *OUT), nothing, ["space.yaml", "prepare"]),
    "data is empty text": (search("--data", "", *OUT), nothing, ["data=''"]),
    # settings
    "a setting that is text": (
        search("--config", "s.yaml", *OUT),
        written("s.yaml", "max_passes: many\n"),
        ["max_passes='many'", "whole number"],
    ),
    "a setting that is a list": (
        ["search", "--config", "s.yaml", *OUT],
        written("s.yaml", "data: [a, b]\n"),
        ["data=['a', 'b']", "as text"],
    ),
    "a model that is null": (
        ["search", "--config", "s.yaml", "--data", "data", *OUT],
        written("s.yaml", "model:\n"),
        ["model=None"],
    ),
    "settings that are a list": (
        search("--config", "s.yaml", *OUT),
        written("s.yaml", "- trials\n"),
        ["holds list", "setting: value"],
    ),
    "settings that are binary": (
        search("--config", "s.yaml", *OUT),
        written("s.yaml", b"\xff\xfe\x00"),
        ["s.yaml", "is not YAML"],
    ),
    "no trial at once": (search("--concurrent", "0", *OUT), nothing, ["concurrent=0", "at least 1"]),
    "no core a trial": (search("--cpus-per-trial", "0", *OUT), nothing, ["cpus_per_trial=0"]),
    "no first rung": (search("--min-passes", "0", *OUT), nothing, ["min_passes=0", "at least 1"]),
    "a negative price": (
        search("--price-per-hour", "-1", *OUT),
        nothing,
        ["price_per_hour=-1.0", "at least 0"],
    ),
    "a checkpoint never": (search("--checkpoint-every", "0", *OUT), nothing, ["checkpoint_every_s=0.0"]),
    "a checkpoint every nan": (
        search("--checkpoint-every", "nan", *OUT),
        nothing,
        ["checkpoint_every_s=nan"],
    ),
    "an endless time budget": (search("--time-budget", "inf", *OUT), nothing, ["time_budget_s=inf"]),
    "a precision there is not": (search("--precision", "float8", *OUT), nothing, ["float8", "float32"]),
    "two places at once": (search(*OUT, "--name", "n"), nothing, ["--out out", "--name n"]),
    "a storage there is not": (
        search(*OUT, "--storage", "study.db"),
        nothing,
        ["storage='study.db'", "journal:"],
    ),
    "a storage without a folder": (
        search(*OUT, "--storage", "sqlite:///absent/study.db"),
        nothing,
        ["there is no folder absent"],
    ),
    # spaces
    "a range upside down": (
        search(*OUT),
        space("  dropout: {type: float, low: 0.5, high: 0.1}\n"),
        ["dropout", "low 0.5 is greater than high 0.1"],
    ),
    "a logarithm of zero": (
        search(*OUT),
        space("  learning_rate: {type: float, low: 0, high: 0.1, log: true}\n"),
        ["learning_rate", "greater than 0"],
    ),
    "a range that the model refuses": (
        search(*OUT),
        space("  dropout: {type: float, low: 0.1, high: 1.5}\n"),
        ["dropout", "1.5"],
    ),
    "a start outside of its range": (
        search(*OUT),
        space("  dropout: {type: float, low: 0.6, high: 0.9}\n"),
        ["default: dropout: 0.5 is not in the range", "widen"],
    ),
    "fixed and searched": (
        search(*OUT),
        space("  hidden_dim: {type: int, low: 8, high: 16}\n"),
        ["hidden_dim: is both fixed and searched"],
    ),
    "an unknown kind": (
        search(*OUT),
        space("  dropout: {type: flaot, low: 0.1, high: 0.5}\n"),
        ["unknown type 'flaot'", "float"],
    ),
    "a parameter given twice": (
        search(*OUT),
        space("  dropout: {type: float, low: 0.1, high: 0.5}\n" * 2),
        ["'dropout' is given twice"],
    ),
    "a simplex of another size": (
        search(*OUT),
        space("  mixture_weights: {type: simplex, components: [a, b]}\n"),
        ["2 components", "3 weights"],
    ),
    "a space that is a folder": (search("--space", "./data", *OUT), nothing, ["./data: no such file"]),
    # resources
    "a GPU where there is none": (
        search("--gpus-per-trial", "1", *OUT),
        nothing,
        ["1 GPU, and no node has both", "--gpus-per-trial"],
    ),
    "a GPU on one node, the cores on another": (
        search("--gpus-per-trial", "1", "--cpus-per-trial", "4", *OUT),
        cluster(nodes=((8.0, 0.0), (2.0, 1.0))),
        ["4 CPU and 1 GPU, and no node has both"],
    ),
    "no node at all": (search(*OUT), cluster(nodes=()), ["at most 0 CPUs"]),
    "data larger than the object store": (
        search(*OUT),
        cluster(store=100),
        ["Ray's object store has 0 MiB", "--shm-size"],
    ),
    "trials larger than the memory": (
        search(*OUT),
        cluster(memory=1 << 20),
        ["Ray has 1 MiB", "lower --concurrent"],
    ),
    "a CUDA device for train": ([*TRAIN, "--device", "cuda:7"], nothing, ["'cuda:7' cannot be used", "cpu"]),
    "a CUDA device for evaluate": ([*EVALUATE, "--device", "cuda:7"], nothing, ["'cuda:7' cannot be used"]),
    "train runs out of memory": (
        [*TRAIN],
        no_memory(MemoryError("Unable to allocate 9.9 TiB")),
        ["out of memory (Unable to allocate 9.9 TiB)", "lower batch_size"],
    ),
    "train runs out of a GPU's memory": (
        [*TRAIN],
        no_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nGPU 0 ...")),
        ["out of memory (CUDA out of memory. Tried to allocate 9 GiB.)"],
    ),
    # train and evaluate
    "no passes": ([*TRAIN, "--max-passes", "0"], nothing, ["--max-passes", "0"]),
    "no threads": ([*TRAIN, "--threads", "0"], nothing, ["--threads", "0"]),
    "a setting without a value": ([*TRAIN, "--set", "dropout"], nothing, ["'dropout' is not a setting"]),
    "a setting of another type": ([*TRAIN, "--set", "latent_dim=wide"], nothing, ["latent_dim", "wide"]),
    "a setting out of bounds": ([*TRAIN, "--set", "dropout=1.5"], nothing, ["dropout", "1.5"]),
    "two models": (
        [*TRAIN, "--model", "ease", "--config", "run/best/config.json"],
        nothing,
        ["configures recvae, but --model is ease"],
    ),
    "a configuration that is cut": (
        [*TRAIN, "--config", "run/best/config.json"],
        changed("run/best/config.json", half),
        ["config.json cannot be read"],
    ),
    "train's folder is a file": ([*TRAIN, "--out", "space.yaml"], nothing, ["space.yaml"]),
    "a checkpoint cut short": (
        ["train", "--out", "run", "--resume", "--max-passes", "12", "--threads", "1"],
        changed("run/state.safetensors", half),
        ["state.safetensors is damaged", "train again"],
    ),
    "a checkpoint with one bit wrong": (
        ["train", "--out", "run", "--resume", "--max-passes", "12", "--threads", "1"],
        changed("run/state.safetensors", flipped),
        ["its checksum is wrong", "train again"],
    ),
    "a run of another version": (
        ["train", "--out", "run", "--resume"],
        json_with("run/run.json", format=99),
        ["format 99", "start over"],
    ),
    "a run whose data went away": (
        ["train", "--out", "run", "--resume"],
        gone("data"),
        ["data is not a prepared dataset (no such folder)"],
    ),
    "a model that is not there": (
        ["evaluate", "--model", "absent", "--data", "data"],
        nothing,
        ["absent does not exist"],
    ),
    "a model cut short": (EVALUATE, changed(MODEL, half), ["model.safetensors is damaged"]),
    "a model with one bit wrong": (EVALUATE, changed(MODEL, flipped), ["its checksum is wrong"]),
    "a model of a later version": (EVALUATE, json_with("run/best/config.json", format=99), ["format 99"]),
    "a model whose items are gone": (EVALUATE, gone("run/best/items.parquet"), ["items.parquet is missing"]),
    "a model with another's settings": (
        EVALUATE,
        json_with("run/best/config.json", model="ease"),
        ["run/best is damaged"],
    ),
    "a group there is not": ([*EVALUATE, "--group", "train"], nothing, ["'train' is not one of"]),
    # results folders
    "results are a file": (search("--out", "space.yaml"), nothing, ["space.yaml", "not a folder"]),
    "results below a file": (search("--out", "space.yaml/x"), nothing, ["space.yaml"]),
    "results with too long a name": (search("--out", "x" * 300), nothing, ["too long"]),
    "search.json lacks its plan": (
        resume(),
        json_without("begun/search.json", "plan"),
        ["begun/search.json", "plan: field required", "restore it, or start over"],
    ),
    "search.json with a status that is none": (
        resume(),
        json_with("begun/search.json", status="banana"),
        ["status is 'banana'", "'finished'"],
    ),
    "search.json with text for seconds": (
        resume(),
        json_with("begun/search.json", elapsed_s="abc"),
        ["elapsed_s is 'abc'", "number"],
    ),
    "search.json of seconds below none": (
        resume(),
        json_with("begun/search.json", elapsed_s=-3),
        ["elapsed_s is -3", "at least 0"],
    ),
    "search.json without a start": (
        resume(),
        json_without("begun/search.json", "started"),
        ["started: field"],
    ),
    "search.json with an empty plan": (
        resume(),
        json_with("begun/search.json", plan={}),
        ["plan.concurrent"],
    ),
    "search.json with a space that is none": (
        resume(),
        json_with("begun/search.json", space={"model": "recvae"}),
        ["not a stored search space"],
    ),
    "search.json with a setting that breaks its rule": (
        resume(),
        changed("begun/search.json", lambda content: content.replace(b'"seed": 0', b'"seed": -1')),
        ["seed=-1 must be a whole number"],
    ),
    "search.json with a setting that nobody knows": (
        resume(),
        changed("begun/search.json", lambda content: content.replace(b'"seed": 0', b'"sead": 0')),
        ["settings.sead: unexpected"],
    ),
    "search.json that is nested without end": (
        resume(),
        written("begun/search.json", "[" * 100_000),
        ["begun/search.json cannot be read", "restore it"],
    ),
    "search.json that is a list": (resume(), written("begun/search.json", "[]"), ["cannot be read"]),
    "search.json that is binary": (resume(), written("begun/search.json", b"\xff\xfe"), ["cannot be read"]),
    "another seed": (resume("--seed", "9"), nothing, ["seed=0, now it is 9", "start over"]),
    "another metric": (resume("--metric", "recall_20"), nothing, ["metric='ndcg_100'", "'recall_20'"]),
    "another space": (
        resume(),
        written("space.yaml", RATE.replace("1.0e-2", "1.0e-1")),
        ["another search space"],
    ),
    "other data": (resume("--data", "other"), nothing, ["fingerprint", "resume with the same data"]),
    "fewer trials": (resume("--trials", "3"), nothing, ["--trials 3 is below the 4"]),
    "a damaged ledger": (
        resume(),
        changed("begun/ledger.jsonl", lambda content: b"{\n" + content),
        ["begun/ledger.jsonl: line 1 is damaged", "restore it from a backup"],
    ),
    "an edited ledger": (
        resume(),
        changed("begun/ledger.jsonl", lambda content: content.replace(b"begun", b"begum")),
        ["begun/ledger.jsonl: line 1 is damaged"],
    ),
    "a ledger that is binary": (
        resume(),
        written("begun/ledger.jsonl", b"\xff\xfe\n"),
        ["begun/ledger.jsonl: line 1 is damaged"],
    ),
    "a ledger that was emptied": (
        resume(),
        written("begun/ledger.jsonl", ""),
        ["begun/ledger.jsonl has 0 lines, and had 1 when begun/search.json was written"],
    ),
    "a ledger that is gone": (resume(), gone("begun/ledger.jsonl"), ["begun/ledger.jsonl is missing"]),
    "a search of the older format": (
        resume(),
        json_with("begun/search.json", format=1),
        ["has format 1, this version reads 2"],
    ),
    "a mark that is none": (
        resume(),
        json_with("begun/search.json", ledger={"lines": 1, "check": "0"}),
        ["begun/search.json", "not a mark of a ledger"],
    ),
    "an extension of nothing": (
        ["search", "--extend", "absent", "--trials", "50"],
        nothing,
        ["absent holds no search", "give --extend the results folder"],
    ),
    "an extension to fewer trials": ([*EXTEND, "--trials", "3"], nothing, ["--trials 3 is below the 4"]),
    "an extension by another rule": (
        [*EXTEND, "--max-passes", "9"],
        nothing,
        ["max_passes=200, now it is 9", "start over"],
    ),
    "an extension in another space": (
        [*EXTEND, "--space", "recvae"],
        nothing,
        ["begun was started with space='./space.yaml', now it is 'recvae'"],
    ),
    "an extension on other data": ([*EXTEND, "--data", "other"], nothing, ["fingerprint"]),
    "an extension with a place": ([*EXTEND, *OUT], nothing, ["--extend begun", "leave --out out"]),
    "an extension with a name": ([*EXTEND, "--name", "n"], nothing, ["leave --name out"]),
    "an extension with a file": ([*EXTEND, "--config", "s.yaml"], nothing, ["leave --config out"]),
    "an extension that resumes": ([*EXTEND, "--resume"], nothing, ["leave --resume out"]),
    "an extension that may start": ([*EXTEND, "--resume-or-start"], nothing, ["leave --resume-or-start out"]),
    "an extension without time": (
        [*EXTEND, "--trials", "5", "--time-budget", "1"],
        json_with("begun/search.json", status="finished", elapsed_s=2.0),
        ["begun has used up its time budget of 1 s", "give a longer --time-budget"],
    ),
    # storage
    "a full disk at a search's start": (search(*OUT), storage(errno.ENOSPC), ["the disk is full"]),
    "a quota at a search's start": (search(*OUT), storage(errno.EDQUOT), ["quota is used up"]),
    "a read-only file system": (search(*OUT), fails(files, "write_text", errno.EROFS), ["out", "read-only"]),
    "storage that does not work": (search(*OUT), storage(errno.EIO), ["input/output error"]),
    "storage that went away": (search(*OUT), storage(errno.ESTALE), ["mount it again"]),
    "a full disk at train's start": (TRAIN, storage(errno.ENOSPC), ["the disk is full"]),
    "a full disk at a checkpoint": (
        ["train", "--out", "run", "--resume", "--max-passes", "12", "--threads", "1"],
        fails(tensors, "state_pieces", errno.ENOSPC),
        ["cannot be written (No space left on device)", "continue with: distrecvae train --out run --resume"],
    ),
    # compare
    "models that are not": (
        [*COMPARE, "--models", "recvae,eaze"],
        nothing,
        ["'eaze' is not a model", "'ease'"],
    ),
    "no comparison to resume": (
        [*COMPARE, "--models", "ease", "--resume"],
        nothing,
        ["out", "leave out --resume"],
    ),
    "a comparison in a search's folder": (
        ["compare", "--data", "data", "--models", "ease", "--out", "begun"],
        nothing,
        ["begun is not empty"],
    ),
}

# These are let begin: the fault comes later, so their own files may stand, whole, for --resume.
BEGUN = {
    "train runs out of memory",
    "train runs out of a GPU's memory",
    "a full disk at a checkpoint",
}


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(
    case: str,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, given, words = CASES[case]
    folder = tmp_path / "here"
    _copied(place, folder)
    monkeypatch.chdir(folder)
    without_ray(monkeypatch)
    given(folder, monkeypatch)
    before = _content(folder)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2, out + err
    line = err.rstrip().splitlines()[-1]
    assert line.lower().startswith("error: ")
    assert sum(said.lower().startswith("error: ") for said in err.splitlines()) == 1
    assert "Traceback" not in out + err
    for word in words:
        assert word in line
    after = _content(folder)
    if case not in BEGUN:
        assert after == before
    assert not [name for name in after if name.endswith(".part")], "half-written"


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def test_a_folder_in_use_is_left_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _copied(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    without_ray(monkeypatch)
    with exclusive(Path("begun")), pytest.raises(SystemExit) as stopped:
        main(resume())
    assert stopped.value.code == 2
    assert f"begun is in use by another run (process {os.getpid()})" in capsys.readouterr().err


def _copied(place: Path, folder: Path) -> None:
    for path in sorted(place.rglob("*")):
        target = folder / path.relative_to(place)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())


def _content(folder: Path) -> dict[str, bytes]:
    """Return every file's content. An empty folder is nothing: the same command may be typed again."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_command_that_is_terminated_ends_as_by_ctrl_c(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _copied(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    before = _content(tmp_path / "here")
    without_ray(monkeypatch)
    monkeypatch.setattr(launch, "survey", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a test that called ray.init itself leaves Ray's
    with pytest.raises(SystemExit) as stopped:
        main(search(*OUT))
    assert stopped.value.code == 130
    assert capsys.readouterr().err.endswith("interrupted\n")
    assert _content(tmp_path / "here") == before
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        # Python's own is 1: a job took it for "done, without a score", and a night ended there.
        (RuntimeError("nobody foresaw this"), UNEXPECTED, "RuntimeError: nobody foresaw this\n"),
        (ResourceError("Ray is late", passing=True), LOST, "error: Ray is late\n"),
    ],
    ids=["nobody foresaw it", "Ray did not start in time"],
)
def test_an_error_that_a_job_must_tell_apart_has_a_status_of_its_own(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: Exception, status: int, said: str,
) -> None:  # fmt: skip
    def raised(*_: object) -> None:
        raise error

    _copied(place, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    without_ray(monkeypatch)
    monkeypatch.setattr(launch, "survey", raised)
    with pytest.raises(SystemExit) as stopped:
        main(search(*OUT))
    assert stopped.value.code == status
    assert status not in DONE
    assert capsys.readouterr().err.endswith(said)
