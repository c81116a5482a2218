"""A search writes down how it stands and what may change; what it began with stays as it was."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from distrecvae.data.synthetic import synthetic_split
from distrecvae.search.core.chain import Mark
from distrecvae.search.folder.description import describe
from distrecvae.search.folder.search import Search
from distrecvae.search.folder.search_json import INTERRUPTED, read_description
from distrecvae.search.planning.plan import make_plan
from distrecvae.search.planning.resources import Slots
from distrecvae.training.device import DeviceFacts
from tests.search.folder.test_description import CONFIG, SPACE


def test_it_writes_how_it_stands_and_keeps_the_rest(tmp_path: Path) -> None:
    split = synthetic_split(n_users=100, n_items=60, seed=2)
    plan = make_plan(CONFIG, SPACE, split, Slots(2, 1, 0.0), DeviceFacts("a CPU", "float32", 0))
    described = describe(
        CONFIG, SPACE, split, plan, folder=tmp_path, data="data/toy", command="typed", warm=None
    )
    # The seed cannot be newly given; whoever checks that sits above, and what was written first stands.
    anew = replace(CONFIG, trials=50, concurrent=7, seed=9)
    mark = Mark(3, "0123456789abcdef" * 2)
    Search(anew, SPACE, plan, tmp_path, described, "typed again").write(INTERRUPTED, 12.5, mark)
    again = read_description(tmp_path)
    changed = {"status": INTERRUPTED, "elapsed_s": 12.5, "ledger": asdict(mark)}
    settings = {**asdict(CONFIG), "trials": 50, "concurrent": 7}
    assert asdict(again) == {**asdict(described), **changed, "settings": settings}


def test_its_metric_is_the_key_that_reports_have() -> None:
    split = synthetic_split(n_users=100, n_items=60, seed=2)
    config, folder = replace(CONFIG, metric="recall_20"), Path("out")
    plan = make_plan(config, SPACE, split, Slots(2, 1, 0.0), DeviceFacts("a CPU", "float32", 0))
    described = describe(
        config, SPACE, split, plan, folder=folder, data="data/toy", command="typed", warm=None
    )
    assert Search(config, SPACE, plan, Path("out"), described, "typed").metric == "valid/recall_20"
