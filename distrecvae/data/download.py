"""Fetching MovieLens from GroupLens' file server: resumed where it broke off, checked before it is used.

GroupLens' licence permits research use and forbids redistribution, so nothing of it is in this package: the
file comes from the publisher every time, and the licence is named when it does.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrecvae.errors import DataError

SERVER = "https://files.grouplens.org/datasets/movielens"

LICENCE = (
    "MovieLens is by GroupLens, University of Minnesota: research use with acknowledgement, no redistribution, no "
    "commercial use without permission; the README inside the archive is the licence"
)

_CHUNK_BYTES = 1 << 18
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Download:
    """A published archive.

    Attributes:
        file: its name on the server.
        size_bytes, md5: as published; None where the publisher replaces the file from time to time: then the
            size the server states and the checksum file beside the archive (`FILE.md5`) count.
    """

    file: str
    size_bytes: int | None = None
    md5: str | None = None


DOWNLOADS = {
    "ml-20m": Download(file="ml-20m.zip", size_bytes=198_702_078, md5="cd245b17a1ae2cc31bb14903e1204af3"),
    "ml-1m": Download(file="ml-1m.zip", md5="c4d9eecfca2ab87c1945afe126590906"),
    "ml-latest-small": Download(file="ml-latest-small.zip"),
}


def default_folder() -> Path:
    """Return where downloads are kept: `$XDG_CACHE_HOME/distrecvae`, by default `~/.cache/distrecvae`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "distrecvae"


def download(
    name: str,
    folder: Path,
    *,
    server: str = SERVER,
    known: dict[str, Download] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
    timeout_s: float = 60,
) -> Path:
    """Return the path of the archive `name` in `folder`, fetched if it is not there yet.

    What has arrived lies in `FILE.part`; a further call continues from there. The archive gets its name only
    when its size and MD5 are right, so one that has its name is whole.

    Args:
        name: a key of DOWNLOADS.
        folder: made if missing.
        server: base address.
        known: the archives; DOWNLOADS if None.
        say: called with lines for the person.
        progress: called with bytes done and in all (None: unknown).
        timeout_s: seconds of silence after which the connection counts as broken.

    Raises:
        DataError: the server cannot be reached or refuses, or size or checksum are not as published.
    """
    archive = (DOWNLOADS if known is None else known)[name]
    target, address = folder / archive.file, f"{server}/{archive.file}"
    say(LICENCE)
    if target.exists():
        say(f"found {target}, not fetched again")
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make {folder}: {error.strerror}; choose another with --download-to"
        ) from error
    say(f"fetching {address}")
    part = target.with_name(target.name + ".part")
    _fetch(address, part, archive.size_bytes, progress, timeout_s)
    expected = archive.md5 or _published_md5(f"{address}.md5", timeout_s)
    found = _md5(part)
    if found != expected:
        part.unlink()
        raise DataError(
            f"{address} arrived with MD5 {found} and the published one is {expected}; removed it: try again"
        )
    part.replace(target)
    say(f"checked {target}: MD5 {found}")
    return target


def _fetch(
    address: str, part: Path, size: int | None, progress: Callable[[int, int | None], None], timeout_s: float
) -> None:
    """Bring `part` to its full length, continuing from what is there, over several connections if need be."""
    trouble = ""
    for _ in range(_ATTEMPTS):
        try:
            total = _continue(address, part, size, progress, timeout_s)
        except urllib.error.HTTPError as error:
            error.close()  # it is the open answer as well
            if error.code == 416:  # what lies here is not a beginning of what lies there
                part.unlink(missing_ok=True)
                trouble = "the part on disk does not fit"
                continue
            raise DataError(f"{address} answered {error.code} {error.reason}; it may have moved") from error
        except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
            trouble = str(getattr(error, "reason", error)) or type(error).__name__
            continue
        have = part.stat().st_size
        if total is None or have == total:
            return
        if have > total:
            part.unlink()
            raise DataError(f"{address} sent {have} bytes and {total} are published; removed them: try again")
        trouble = f"the connection ended after {have} of {total} bytes"
    raise DataError(
        f"{address} could not be fetched ({trouble}); the same command continues from where it stopped"
    )


def _continue(
    address: str, part: Path, size: int | None, progress: Callable[[int, int | None], None], timeout_s: float
) -> int | None:
    """Append to `part` what one connection gives; return the length it should come to, if known."""
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have >= size:
        return size
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  (http and https only: our address)
        total = _total(answer, have)
        if have and answer.status != 206:  # a server without ranges sends all of it again
            have = 0
        if size is not None and total is not None and total != size:
            raise DataError(f"{address} is {total} bytes and {size} are published; it may have been replaced")
        with part.open("ab" if have else "wb") as file:
            progress(have, total)
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    return total if total is not None else size


def _total(answer: Any, have: int) -> int | None:
    if answer.status == 206 and (
        match := re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers["Content-Range"] or "")
    ):
        if int(match[1]) != have:
            raise http.client.HTTPException(f"asked for byte {have} on and got byte {match[1]} on")
        return int(match[2])
    length = answer.headers["Content-Length"]
    return int(length) if length is not None and answer.status == 200 else None


def _published_md5(address: str, timeout_s: float) -> str:
    """Return the checksum published beside an archive: `MD5 (NAME) = HEX`, or the bare digits."""
    try:
        with urllib.request.urlopen(address, timeout=timeout_s) as answer:  # noqa: S310
            text = answer.read(4096).decode("ascii", "replace")
    except (http.client.HTTPException, OSError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(
            f"{address} could not be fetched ({error}); without it the archive cannot be checked"
        ) from error
    match = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if match is None:
        raise DataError(f"{address} holds no MD5 ({text[:60]!r}); the archive cannot be checked")
    return match[0].lower()


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
