"""`distrecvae.published` runs a paper's rows on small data, continues where it stopped, says what is not comparable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import distrecvae
from distrecvae.api.published import PublishedResult, published
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.papers import numbers
from distrecvae.papers.numbers import PublishedSet

DATA = prepare_data(None, users=150, items=60)


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(**more: object) -> PublishedResult:
    return published("recvae", DATA, models="ease,wmf", max_passes=2, threads=1, **more)  # type: ignore[arg-type]


def test_other_data_are_said_to_be_others_and_show_no_difference() -> None:
    done = run(settings="netflix")
    assert done.complete
    assert done.folder == Path("runs/published-recvae-synthetic")
    assert "NOT THE PUBLISHED DATA" in str(done)
    table = done.table.set_index(["model", "metric"])
    assert table.loc[("ease", "ndcg_100"), "published"] == 0.393
    assert table.loc[("ease", "ndcg_100"), "published_on"] == "netflix"
    assert not table["same_data"].any()
    own = distrecvae.evaluate(done.folder / "ease", DATA)
    assert table.loc[("ease", "ndcg_100"), "ours"] == pytest.approx(own.mean("ndcg_100"))
    config = json.loads((done.folder / "ease/best/config.json").read_text())["config"]
    assert config == {"regularization": 1000.0, "dropout": 0.0, "xi": 0.0}, "Netflix' own lambda"


def test_data_of_the_published_sizes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    split = DATA.split
    n_users = split.train.n_users + split.valid.n_users + split.test.n_users
    small = PublishedSet("ml-20m", "Small", n_users, split.n_items, split.test.n_users)
    monkeypatch.setattr(numbers, "SETS", {"ml-20m": small})
    done = run(out="out")
    assert "NOT" not in done.text
    line = next(line for line in done.text.splitlines() if line.startswith("ease"))
    ours = distrecvae.evaluate(done.folder / "ease", DATA).mean("ndcg_100")
    assert f"{ours - 0.420:+.4f}" in line


def test_it_goes_on_where_it_stopped_and_only_with_the_same_data() -> None:
    first = run(settings="ml-20m", out="out")
    before = (first.folder / "ease/best/metrics.json").stat().st_mtime_ns
    with pytest.raises(ResultsError, match="is not empty"):
        run(settings="ml-20m", out="out")
    again = run(settings="ml-20m", out="out", resume=True)
    assert again.table.equals(first.table)
    assert (first.folder / "ease/best/metrics.json").stat().st_mtime_ns == before, "not trained again"
    with pytest.raises(ConfigError, match="another configuration"):
        published("recvae", DATA, models="ease", settings="msd", out="out", max_passes=1, resume=True)
    other = prepare_data(None, users=151, items=60)
    with pytest.raises(ResultsError, match="is not the data that out/ease began with"):
        published("recvae", other, models="ease", settings="ml-20m", out="out", resume=True)


def test_what_is_wrong_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="not one of the published data sets"):
        run()
    with pytest.raises(ConfigError, match="is not one of recvae, ract, ease, multvae"):
        published("svd", DATA)
    assert list(Path().iterdir()) == []
