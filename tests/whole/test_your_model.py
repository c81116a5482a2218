"""docs/your-model.md as it stands: its package is installed with pip, and its model takes part in everything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from distrecvae import testing
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.training import registry
from tests import HANGS_AFTER_S, ROOT
from tests.soft_cuda import soft_cuda

PAGE = (ROOT / "docs" / "your-model.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    """Return one of the page's blocks in a language, counted from 0."""
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[number])


ENDED = "-- it ended well --"
TYPED = f"""
    from distrecvae.cli import main
    try:
        main(words)
    except SystemExit as ended:
        assert ended.code == 0, words
    print({ENDED!r}, flush=True)
"""


class Somebody:
    """A person in a folder of their own, with a Python that has the package below `installed`."""

    def __init__(self, home: Path) -> None:
        self.home, self.installed = home, home / "installed"

    def run(
        self, *words: str, path: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        found = os.pathsep.join(map(str, (path or self.installed, ROOT)))
        return subprocess.run(
            [sys.executable, "-W", "ignore", *words],
            cwd=self.home,
            env={**os.environ, "PYTHONPATH": found, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS_AFTER_S,
        )

    def distrecvae(self, *words: str, path: Path | None = None, **environment: str) -> str:
        done = self.run("-m", "distrecvae", *words, path=path, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def one_after_the_other(self, *commands: Sequence[str]) -> list[str]:
        """Run commands in one process, which imports once; return what each printed."""
        done = self.run("-c", f"for words in {[list(words) for words in commands]!r}:{TYPED}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split(ENDED)[:-1]


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Somebody:
    home = tmp_path_factory.mktemp("somebody")
    package = home / "knnrec"
    package.mkdir()
    (package / "pyproject.toml").write_text(block("toml"))
    (package / "knnrec.py").write_text(block("python"))
    installed = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*installed, "--target", str(home / "installed"), str(package)],
        capture_output=True, text=True, check=False, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"pip cannot build the package here: {done.stderr.strip().splitlines()[-1]}")
    save_dataset(synthetic_split(n_users=160, n_items=60, seed=3), home / "data", {})
    return Somebody(home)


def test_the_model_on_the_page_scores_on_a_gpu_and_copies_no_rows() -> None:
    # It made scores on the CPU, whatever the device, of a copy of all rows:
    # 141 MiB for 200 users of 60 of 3,000 items, where it takes 6.
    page: dict[str, Any] = {"__name__": "knnrec"}
    code = compile(block("python"), "knnrec.py", "exec", dont_inherit=True)
    exec(code, page)  # noqa: S102  (the page's code is what is tested)
    train = synthetic_split(n_users=600, n_items=400, seed=3).train
    scores = []
    for device in ("cpu", "cuda"):
        with soft_cuda() as soft:
            state = page["solve"](page["KNNConfig"](), train, torch.device(device))
            model = page["load"](page["KNNConfig"](), train.n_items, state, device)
            before = soft.peak_bytes
            scores.append(model.score(train))
            assert scores[-1].device.type == device
            assert soft.peak_bytes - before < 4 * scores[-1].numel() * scores[-1].element_size()
            scores[-1] = scores[-1].cpu()
    torch.testing.assert_close(*scores)


def test_the_network_on_the_page_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pages_network.py").write_text(block("python", 1))
    monkeypatch.syspath_prepend(tmp_path)
    assert testing.main(["pages_network:entry", "--set", "hidden_dim=8"]) == 0
    assert "12 of 12 promises are kept" in capsys.readouterr().out
    train = synthetic_split(n_users=60, n_items=50, seed=3).train
    config = registry.config_from_dict("pages_network:entry", {"hidden_dim": 8, "batch_size": 20})
    with soft_cuda() as soft:
        trainer = registry.make_trainer("pages_network:entry", config, train, seed=1, device="cuda")
        while trainer.passes < 8:
            trainer.step()
        assert soft.captures
        before, waited = trainer.passes, soft.n_waits
        trainer.step()
        assert soft.n_waits - waited <= trainer.passes - before, "its steps wait for the device"
    here: Any = registry.make_trainer("pages_network:entry", config, train, seed=1).model
    dense = torch.from_numpy(train.to_scipy().toarray()).float()
    scores = here.score(train)
    assert not scores.requires_grad
    torch.testing.assert_close(here.dense_scores(dense).detach(), scores)
    assert here.likeness(3).argmax() == 3


@pytest.mark.slow
@pytest.mark.ray
def test_the_model_on_the_page_takes_part_in_everything(somebody: Somebody) -> None:
    told = somebody.run("-m", "distrecvae.testing", "knn")
    assert "12 of 12 promises are kept" in told.stdout, told.stdout + told.stderr

    words = (
        "--data",
        "data",
        "--models",
        "knn,popularity",
        "--trials",
        "3",
        "--metrics",
        "mrr@10",
        "--out",
        "both",
    )
    best = somebody.home / "both" / "knn" / "best"
    item = load_dataset(somebody.home / "data").item_ids[0]
    (somebody.home / "histories.csv").write_text(f"user_id,item_id\nme,{item}\n")
    compared, evaluated, _, _ = somebody.one_after_the_other(
        ("compare", *words),
        ("evaluate", "--model", str(best), "--data", "data"),
        ("recommend", "--model", str(best), "--histories", "histories.csv", "--top", "5", "--out", "top.csv"),
        ("export", "--model", str(best), "--out", "knn.pt2"),
    )
    assert "knn" in compared
    table = pd.read_csv(somebody.home / "both" / "comparison.csv")
    scores = dict(zip(table["name"], table["valid_ndcg_100"], strict=True))
    assert scores["knn"] > scores["popularity"]
    trials = pd.read_csv(somebody.home / "both" / "knn" / "trials.csv")
    assert trials["status"].tolist() == ["finished"] * 3
    assert trials["shrinkage"].nunique() == 3
    assert "NDCG@100" in evaluated
    assert len(pd.read_csv(somebody.home / "top.csv")) == 5
    assert (somebody.home / "knn.pt2").stat().st_size > 0
    alike = somebody.run(
        "-c", f"import distrecvae as dr; print(len(dr.load({str(best)!r}).similar({item}, top=3)))"
    )
    assert alike.stdout == "3\n", alike.stderr


@pytest.mark.slow
@pytest.mark.ray
def test_a_dotted_name_is_code_that_only_a_person_calls(somebody: Somebody) -> None:
    beside = somebody.home / "knnrec"  # knnrec.py lies there, installed or not
    words = ("--data", "data", "--trials", "2", "--out", "dotted")
    somebody.distrecvae("search", "--model", "knnrec:entry", *words, path=beside)
    best = somebody.home / "dotted" / "best"
    assert json.loads((best / "config.json").read_text())["model"] == "knnrec:entry"
    evaluate = ("evaluate", "--model", str(best), "--data", "data")
    refused = somebody.run("-m", "distrecvae", *evaluate, path=beside)
    assert refused.returncode == 2
    assert "is code that a file names" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "NDCG@100" in somebody.distrecvae(*evaluate, path=beside, DISTRECVAE_TRUST="knnrec:entry")
