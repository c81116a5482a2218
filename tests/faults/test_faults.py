"""A search through faults ends as the one without: nothing lost, nothing twice, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.storage.store import Store
from distrecvae.storage.working_copy import settle
from tests.faults.harness import Fault, Storm, assert_no_orphans, assert_nothing_lost
from tests.s3 import s3_server
from tests.sites import Site, make_site

pytestmark = [pytest.mark.ray, pytest.mark.slow]
TRIALS = ("--trials", "14")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> Path:
    storm = Storm(site, "undisturbed", TRIALS)
    storm.run([])
    return storm.folder


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
    with s3_server() as s3:
        storm = Storm(site, "mixed", TRIALS, s3=s3)
        storm.run(faults)
        assert storm.injected == faults, "the search was over before all faults came"
        assert_nothing_lost(storm.folder, undisturbed)
        # And whoever has the mirror alone has all of it.
        settle(tmp_path / "fetched", Store(storm.uri), lambda _: None)
        assert_nothing_lost(tmp_path / "fetched", undisturbed)
    said = storm.output.read_text()
    assert said.count("Mirrored again at") == said.count("Not mirrored for now") == 2, "each is said once"
    assert_no_orphans()


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
    storm = Storm(site, "storm", TRIALS)
    storm.run(faults)
    assert storm.injected == faults, "the search was over before all faults came"
    assert_nothing_lost(storm.folder, undisturbed)
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
    with s3_server() as s3:
        storm = Storm(site, "mirrored", TRIALS, s3=s3)
        storm.run(faults)
        assert storm.injected == faults, "the search was over before all faults came"
        assert_nothing_lost(storm.folder, undisturbed)
        # And whoever has the mirror alone has all of it.
        settle(tmp_path / "fetched", Store(storm.uri), lambda _: None)
        assert_nothing_lost(tmp_path / "fetched", undisturbed)
    said = storm.output.read_text()
    assert said.count("Mirrored again at") == said.count("Not mirrored for now") == 2, "each is said once"
    assert_no_orphans()
