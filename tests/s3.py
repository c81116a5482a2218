"""An S3 server on loopback (moto's) that can fail, be slow, hang and be gone, and keeps what it holds meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

BUCKET = "bucket"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class S3:
    """The server.

    Attributes:
        asked: method and path of each request, in order.
        answer: what is answered in the place of the server's own answer: status and body; None lets it answer.
        delay_s: how long each answer takes.
        before: called with method and path before a request is answered.
    """

    asked: list[tuple[str, str]] = field(default_factory=list)
    answer: tuple[int, bytes] | None = None
    delay_s: float = 0.0
    before: Callable[[str, str], None] | None = None
    _port: int = 0
    _server: Any = None

    def __post_init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {**SETTINGS, "AWS_ENDPOINT_URL": self.url}

    def start(self) -> None:
        """Listen (again), at the same port."""
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: Any) -> None:
                """Nothing."""

        self._server = make_server(
            "127.0.0.1", self._port, self._answered, threaded=True, request_handler=Quiet
        )
        self._server.daemon_threads = True
        self._port = self._server.port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def stop(self) -> None:
        """Be gone: connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def objects(self, bucket: str = BUCKET) -> dict[str, bytes]:
        """Return what a bucket holds, by key; markers of folders are left out."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys
        return {name: bytes(key.value) for name, key in keys.items() if not name.endswith("/")}

    def make_bucket(self, name: str = BUCKET) -> None:
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(name, "us-east-1")

    def clear(self) -> None:
        """Be as new, with one empty bucket."""
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
        self.asked.clear()
        self.answer, self.delay_s, self.before = None, 0.0, None
        self.make_bucket()

    def _answered(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.asked.append((method, path))
        if self.before is not None:
            self.before(method, path)
        time.sleep(self.delay_s)
        if self.answer is not None:
            status, body = self.answer
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(f"{status} Answer", [("Content-Length", str(len(body)))])
            return [body if method != "HEAD" else b""]
        answered: Iterable[bytes] = self._app(environ, start_response)
        return answered


def error(code: str) -> bytes:
    """Return how S3 says an error."""
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'.encode()


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run a server with one empty bucket; skip where moto is not installed."""
    pytest.importorskip("moto.server", reason="needs moto (pip install '.[test]')")
    before = {name: os.environ.get(name) for name in (*SETTINGS, "AWS_ENDPOINT_URL", "AWS_PROFILE")}
    server = S3()
    server.clear()
    os.environ.update(server.environment)
    os.environ.pop("AWS_PROFILE", None)
    try:
        yield server
    finally:
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
