"""docs/ship.md's service, as it stands there: real processes, asked over HTTP on the loopback."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import distrecvae
from tests import HANGS_AFTER_S, ROOT
from tests.sites import Site

MISSING = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: the extra `serve`"
)


def blocks() -> list[str]:
    """Return the Python of the page's section: the service, and what Ray Serve is given."""
    page = (ROOT / "docs" / "ship.md").read_text(encoding="utf-8")
    section = page.split("## An HTTP service\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", section, re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the page's app.py and the model that it loads."""
    folder = tmp_path_factory.mktemp("service")
    data = distrecvae.prepare(synthetic=True, users=200, items=80)
    distrecvae.train(data, model="ease", out=folder / "runs" / "ease", threads=1)
    (folder / "app.py").write_text(blocks()[0], encoding="utf-8")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(command: list[str], url: str, place: Path, site: Site) -> Iterator[str]:
    """Run a service until it answers, and end it."""
    log = place / "log.txt"
    with log.open("w", encoding="utf-8") as file:
        own = site.environment() | {"PYTHONWARNINGS": "always::UserWarning"}
        process = subprocess.Popen(command, cwd=place, env=own, stdout=file, stderr=file)
    try:
        ends = time.monotonic() + HANGS_AFTER_S
        while True:
            try:
                urllib.request.urlopen(f"{url}/openapi.json", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < ends, log.read_text(encoding="utf-8")
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="module")
def service(place: Path, site: Site) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(port)]
    with served(command, f"http://127.0.0.1:{port}", place, site) as url:
        yield url


def ask(url: str, **asked: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310  (the loopback)
        f"{url}/recommend", json.dumps(asked).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=HANGS_AFTER_S) as answer:  # noqa: S310
        return json.load(answer)


def expected(place: Path, **asked: Any) -> list[dict[Any, Any]]:
    model = distrecvae.load(place / "runs" / "ease")
    frame = model.recommend([asked.pop("items")], **asked, fallback="popularity")
    return [dict(row) for row in frame.drop(columns=["user_id", "rank"]).to_dict("records")]


def test_answers_are_the_models(service: str, place: Path) -> None:
    items = distrecvae.load(place / "runs" / "ease").item_ids.tolist()
    found = ask(service, items=items[:3], top=4, deny=[items[5]])
    assert found == expected(place, items=items[:3], top=4, deny=[items[5]])
    assert len(found) == 4
    assert {row["source"] for row in found} == {"model"}
    assert not {row["item_id"] for row in found} & {*items[:3], items[5]}


@pytest.mark.filterwarnings("ignore:.*item that the model knows:UserWarning")
@pytest.mark.parametrize("items", [[], ["never heard of"]], ids=["empty", "unknown"])
def test_a_history_that_says_nothing_gets_what_is_popular(
    service: str, place: Path, items: list[Any]
) -> None:
    found = ask(service, items=items, top=3)
    assert found == expected(place, items=items, top=3)
    assert [row["source"] for row in found] == ["popularity"] * 3
    assert sorted((row["score"] for row in found), reverse=True) == [row["score"] for row in found]


def test_many_at_once_get_what_each_gets_alone(service: str, place: Path) -> None:
    items = distrecvae.load(place / "runs" / "ease").item_ids.tolist()
    alone = [ask(service, items=items[n : n + 3]) for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: ask(service, items=items[n : n + 3]), range(20))) == alone


def test_what_cannot_be_answered_is_told_in_a_line(service: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(service, items=[1], top=0)
    assert refused.value.code == 422
    assert json.load(refused.value)["detail"] == "top is 0; it must be a whole number of at least 1"
    refused.value.close()


def test_items_alike(service: str, place: Path) -> None:
    model = distrecvae.load(place / "runs" / "ease")
    item = model.item_ids.tolist()[0]
    with urllib.request.urlopen(f"{service}/similar/{item}?top=3", timeout=HANGS_AFTER_S) as answer:  # noqa: S310
        assert json.load(answer) == model.similar(item, 3).to_dict("records")


def test_unknown_items_are_warned_of_once(service: str, place: Path) -> None:
    for _ in range(3):
        ask(service, items=["never heard of"])
    assert (place / "log.txt").read_text(encoding="utf-8").count("UserWarning") == 1


@pytest.mark.ray
def test_the_same_under_ray_serve(place: Path, site: Site) -> None:
    pytest.importorskip("ray.serve", reason="ray[serve] is not installed", exc_type=ImportError)
    port = free_port()
    (place / "serving.py").write_text(blocks()[1], encoding="utf-8")
    start = (
        f"import time, ray\nfrom ray import serve\nray.init(num_cpus=2, include_dashboard=False)\n"
        f"serve.start(http_options={{'port': {port}}})\nfrom serving import service\nserve.run(service)\n"
        "time.sleep(3600)\n"
    )
    (place / "start.py").write_text(start, encoding="utf-8")
    items = distrecvae.load(place / "runs" / "ease").item_ids.tolist()
    with served([sys.executable, "start.py"], f"http://127.0.0.1:{port}", place, site) as url:
        assert ask(url, items=items[:3], top=4) == expected(place, items=items[:3], top=4)


def test_what_cannot_be_answered_is_said_at_both_addresses(service: str) -> None:
    # /similar answered an unknown item, and any item of a blend, with a traceback and 500.
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{service}/similar/nobody-has-it", timeout=HANGS_AFTER_S)  # noqa: S310
    assert refused.value.code == 422
    assert "nobody-has-it" in json.load(refused.value)["detail"]
    refused.value.close()
