"""The S3 server that the tests of this room share; each begins with an empty bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.s3 import S3, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    server.clear()
    yield server
    server.answer, server.delay_s, server.before = None, 0.0, None
