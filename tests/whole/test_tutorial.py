"""docs/tutorial.md, typed as it stands: every command and every Python block, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.synthetic import synthetic_table
from tests import ROOT
from tests.sites import typed_here

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def write_ratings(path: Path) -> pd.DataFrame:
    """Write a file laid out as MovieLens latest-small; the ids that the page names are its most popular items."""
    table = synthetic_table(n_users=300, n_items=150, seed=2)
    n_items = len(table.item_ids)
    popular = np.argsort(-np.bincount(table.items, minlength=n_items), kind="stable")
    named = [int(number) for number in re.findall(r"\d+", re.findall(r"histories = \{(.*?)\}", PAGE)[0])]
    ids = np.empty(n_items, dtype=np.int64)
    ids[popular] = [*named, *(number for number in range(10_000, 10_000 + n_items - len(named)))]
    random = np.random.default_rng(0)
    liked = pd.DataFrame({"userId": table.users + 1, "movieId": ids[table.items]})
    liked["rating"] = random.choice([4.0, 4.5, 5.0], size=len(liked))
    others = liked.sample(frac=0.3, random_state=0).assign(rating=2.5)
    others["movieId"] = random.permutation(others["movieId"].to_numpy())
    ratings = pd.concat([liked, others]).drop_duplicates(["userId", "movieId"])
    ratings["timestamp"] = 964982703 + np.arange(len(ratings))
    ratings.to_csv(path, index=False)
    return ratings


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Return an environment with this package's `distrecvae`, and a short path for Ray's sockets."""
    folder = tempfile.mkdtemp(prefix="drt")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": folder, "PYTHONWARNINGS": "ignore"}
    yield {**os.environ, **own}
    shutil.rmtree(folder, ignore_errors=True)


SMALLER = {
    "--trials 8": "--trials 2 --concurrent 1",
    "--trials 12": "--trials 3",
    "--max-passes 40": "--max-passes 8",
}


def show_what_the_page_says(said: list[str], folder: Path, ratings: pd.DataFrame, *trials: int) -> None:
    for words in (*(f"{number} of {number} trials" for number in trials), "published", "bob"):
        assert any(words in text for text in said), words
    assert "<html" in (folder / "runs/first/report.html").read_text(encoding="utf-8")[:1000].lower()
    recommended = pd.read_parquet(folder / "recommendations.parquet")
    assert list(recommended) == ["user_id", "rank", "item_id", "score"]
    assert set(recommended["user_id"]) == set(ratings.loc[ratings["rating"] > 3.5, "userId"])
    assert (
        recommended.groupby("user_id")["rank"].apply(list).map(lambda ranks: ranks == [*range(1, 11)]).all()
    )
    rated = set(zip(ratings["userId"], ratings["movieId"], strict=True))
    assert not rated & set(zip(recommended["user_id"], recommended["item_id"], strict=True))
    assert (folder / "recvae.pt2").stat().st_size > 0


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_the_tutorial_ends_with_recommendations_after_fewer_trials_too(tmp_path: Path) -> None:
    # Each command and each block, in this process and on a Ray that runs: most of the time goes into starts.
    ratings = write_ratings(tmp_path / "ratings.csv")
    said = []
    for language, code in BLOCKS:
        for written, smaller in SMALLER.items():
            code = code.replace(written, smaller)
        if language == "bash":
            for line in code.replace("\\\n", " ").splitlines():
                program, *words = shlex.split(line, comments=True)
                assert program == "distrecvae", line
                done = typed_here(tmp_path, *words)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                said.append(done.stdout)
        else:
            out = StringIO()
            with chdir(tmp_path), redirect_stdout(out):
                exec(code, {})  # noqa: S102
            said.append(out.getvalue())
    show_what_the_page_says(said, tmp_path, ratings, 2, 3)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.nightly(
    "test_the_tutorial_ends_with_recommendations_after_fewer_trials_too: each of its commands"
)
def test_the_tutorial_ends_with_recommendations(tmp_path: Path, environment: dict[str, str]) -> None:
    ratings = write_ratings(tmp_path / "ratings.csv")
    said = []
    for language, code in BLOCKS:
        program = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
        done = subprocess.run(
            [*program, code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    show_what_the_page_says(said, tmp_path, ratings, 8, 12)


def test_the_page_has_commands_and_its_links_lead_somewhere() -> None:
    assert [language for language, _ in BLOCKS].count("bash") >= 6
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
