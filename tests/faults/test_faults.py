"""A search through faults ends as the one without: nothing lost, nothing twice, nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.chain import Chain, read_chain
from distrecvae.storage.store import Store
from distrecvae.storage.working_copy import settle
from tests.faults.harness import SETTINGS, Fault, Storm, assert_no_orphans, assert_nothing_lost
from tests.faults.promises import assert_kept_its_promises, hold
from tests.s3 import s3_server
from tests.sites import Site, make_site, ray_folder

pytestmark = [pytest.mark.ray, pytest.mark.slow]
TRIALS = ("--trials", "14")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(ray_folder()))
        done = site.search_here(*SETTINGS, *TRIALS, "--out", "undisturbed")
    assert done.returncode == 0, done.stdout + done.stderr
    return site.folder / "undisturbed"


def lost_nothing(storm: Storm, faults: list[Fault], undisturbed: Path) -> None:
    """Run a search through all of its faults; it ends as the undisturbed one."""
    storm.run(faults)
    assert storm.injected == faults, "the search was over before all faults came"
    assert_nothing_lost(storm.folder, undisturbed)


def lost_nothing_where_it_is_mirrored(
    storm: Storm, faults: list[Fault], undisturbed: Path, fetched: Path
) -> None:
    """Do the same where the search is mirrored in an object store that fails twice; fetched from it, it is whole."""
    with s3_server() as storm.s3:
        lost_nothing(storm, faults, undisturbed)
        # And whoever has the mirror alone has all of it.
        settle(fetched, Store(storm.uri), lambda _: None)
        assert_nothing_lost(fetched, undisturbed)
    said = storm.output.read_text()
    assert said.count("Mirrored again at") == said.count("Not mirrored for now") == 2, "each is said once"
    assert_no_orphans()


def test_nothing_is_lost_in_one_storm_of_all_kinds(site: Site, undisturbed: Path, tmp_path: Path) -> None:
    # Each stop of the driver costs a start of Ray: one search gets them all; benchmarks/chaos.py has many more.
    faults = [
        Fault("two-at-once", 2),
        Fault("store-gone", 4),
        Fault("garbled", 6, 0.05),
        Fault("ray", 9, 0.01),
        Fault("memory", 12),
        Fault("store-fails", 16),
        Fault("head-gone", 20),
    ]
    lost_nothing_where_it_is_mirrored(Storm(site, "mixed", TRIALS), faults, undisturbed, tmp_path / "fetched")


@pytest.mark.nightly(
    "test_nothing_is_lost_in_one_storm_of_all_kinds has these kinds but SIGTERM to the driver's group, which is in"
    " tests/search/on_ray/test_ray_internals.py::test_rays_processes_do_not_get_the_signals_of_the_drivers_group and"
    " tests/whole/test_search.py::test_killed_and_interrupted_again_and_again_it_ends_as_the_undisturbed_one"
)
def test_nothing_is_lost(site: Site, undisturbed: Path) -> None:
    faults = [
        Fault("checkpointing", 2),
        Fault("two-at-once", 4),
        Fault("garbled", 6, 0.05),
        Fault("sigterm-all", 10, 0.02),
        Fault("memory", 12),
        Fault("ray", 15, 0.01),
    ]
    lost_nothing(Storm(site, "storm", TRIALS), faults, undisturbed)
    assert_no_orphans()


@pytest.mark.nightly(
    "test_nothing_is_lost_in_one_storm_of_all_kinds: the same, with faults of workers among them"
)
def test_nothing_is_lost_where_the_head_goes_with_its_disk_and_the_store_fails(
    site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    faults = [
        Fault("store-gone", 4),
        Fault("head-gone", 12),
        Fault("store-fails", 16),
        Fault("head-gone", 20),
    ]
    lost_nothing_where_it_is_mirrored(
        Storm(site, "mirrored", TRIALS), faults, undisturbed, tmp_path / "fetched"
    )


@pytest.mark.nightly(
    "test_nothing_is_lost_in_one_storm_of_all_kinds has these faults, test_a_broken_promise_is_seen what is held here"
)
def test_a_guided_search_that_widens_keeps_its_promises(site: Site, undisturbed: Path) -> None:
    faults = [Fault("two-at-once", 2), Fault("driver", 6), Fault("garbled", 9, 0.05), Fault("worker", 16)]
    storm = Storm(site, "guided", (*TRIALS, "--sampler", "guided", "--widen"))
    storm.run(faults)
    assert storm.injected == faults, "the search was over before all faults came"
    assert_kept_its_promises(storm, undisturbed)
    assert_no_orphans()


def half_written(folder: Path) -> None:
    (folder / "trials" / "00003" / ".state.safetensors.1.part").touch()


def kept_too_much(folder: Path) -> None:
    has = {int(path.parent.name) for path in folder.glob("trials/*/state.safetensors")}
    (folder / "trials" / f"{min(set(range(14)) - has):05d}" / "state.safetensors").touch()


def twice_in_the_history(folder: Path) -> None:
    table = pd.read_parquet(folder / "history.parquet")
    pd.concat([table, table.tail(1)]).to_parquet(folder / "history.parquet")


def written_again(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / LEDGER_FILE
    lines = [dict(line) for line in read_chain(path).records]
    path.unlink()
    chain = Chain(path)
    for line in lines:
        change(line)
        chain.append(line)


def proposed_otherwise(folder: Path) -> None:
    written_again(
        folder,
        lambda line: line.get("trial") == 13 and "config" in line and line["config"].update(latent_dim=7),
    )


def ended_otherwise(folder: Path) -> None:
    written_again(
        folder,
        lambda line: line["kind"] == "ended" and line.update(status="stopped", reason="asha at 4 passes"),
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (half_written, "half-written, superfluous"),
        (kept_too_much, "were kept"),
        (twice_in_the_history, "the history is not what was reported"),
        (proposed_otherwise, "the sampler proposes something else"),
        (ended_otherwise, "and the rule says"),
    ],
)
def test_a_broken_promise_is_seen(
    site: Site, undisturbed: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    shutil.copytree(undisturbed, tmp_path / "broken")
    damage(tmp_path / "broken")
    with pytest.raises(AssertionError, match=words):
        hold(tmp_path / "broken", site.folder / "data", undisturbed)
