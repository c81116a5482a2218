"""Sends requests to a search at a URI: its object store carries the request and the answer."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from distrecvae.layout import REQUESTS_FOLDER
from distrecvae.search.core.requests import Request
from distrecvae.search.folder.mailbox import Answer, request_name
from distrecvae.storage.post import ANSWER
from distrecvae.storage.store import Store
from distrecvae.storage.uri import below
from distrecvae.typed import typed_json

LOOK_EVERY_S = 0.5


def send(uri: str, request: Request) -> str:
    """Leave a request at the URI of a search, and return its name.

    Raises:
        StorageError: the store refuses it.
    """
    name = request_name()
    Store(below(uri, REQUESTS_FOLDER)).put(f"{name}.json", json.dumps(asdict(request)).encode())
    return name


def wait(uri: str, name: str, timeout_s: float) -> Answer | None:
    """Return the answer once it is there, and remove it; None where there is none after so many seconds.

    Raises:
        StorageError: the store cannot be read.
    """
    store, until = Store(below(uri, REQUESTS_FOLDER)), time.monotonic() + timeout_s
    while True:
        if (found := store.read(f"{name}{ANSWER}")) is not None:
            store.delete(f"{name}{ANSWER}")
            return typed_json(found, Answer)
        if time.monotonic() >= until:
            return None
        time.sleep(LOOK_EVERY_S)
