"""What holds for every test."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

from distrecvae.saved.lists import NOTES
from distrecvae.search.on_ray.session import ray_session
from distrecvae.search.planning.resources import Cluster
from tests.sites import Site, make_site, ray_folder
from tests.soft_cuda import SoftDevice, soft_cuda

# Hypothesis fails an example that takes 0.2 s, or a test that is slow to draw: on a busy machine all of them may.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


LONG = ("whole", "faults", "search")
"""Folders whose files take longest, the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the long files: a process runs a file alone, and the last one should not keep the other waiting.

    What is marked `nightly` waits for the night: it runs where `-m` or a test's own name asks for it.
    """
    if "nightly" not in config.option.markexpr and not any("::" in word for word in config.args):
        tonight = [item for item in items if item.get_closest_marker("nightly") is not None]
        config.hook.pytest_deselected(items=tonight)
        items[:] = [item for item in items if item.get_closest_marker("nightly") is None]

    def place(item: pytest.Item) -> int:
        return min((LONG.index(part) for part in item.path.parts if part in LONG), default=len(LONG))

    items.sort(key=place)


def pytest_configure() -> None:
    """Collect tests, not garbage: there is none in a thousand files that are imported, and looking took 8 of 22 s."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Compute in one thread, here and in child processes: these sizes gain nothing from more, and on a busy machine
    threads that wait for each other make a second of work last a minute."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def no_ray_folder_left() -> Iterator[None]:
    yield
    shutil.rmtree(ray_folder(), ignore_errors=True)


@pytest.fixture(autouse=True)
def a_warning_of_its_own() -> None:
    """Let each test hear the warning that `recommend` gives once a process."""
    NOTES.given = False


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A real Ray on this machine, started once for a file's tests; searches that this process runs use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(ray_folder()))
        with ray_session(None) as found:
            yield found


@pytest.fixture(autouse=True)
def cuda_device(request: pytest.FixtureRequest) -> Iterator[SoftDevice | None]:
    """Give a test marked `cuda` a device: the GPU where there is one, else the soft device, which it is then passed."""
    if request.node.get_closest_marker("cuda") is None or torch.cuda.is_available():
        yield None
        return
    with soft_cuda() as device:
        yield device


@pytest.fixture
def soft_device() -> Iterator[SoftDevice]:
    """The soft device, for what only it can tell: waits, calls, bags. A GPU in this machine makes no difference."""
    with soft_cuda() as device:
        yield device
