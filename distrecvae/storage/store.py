"""One folder of an object store: its files listed, read, put whole and removed, and what went wrong in a line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import fs

from distrecvae.errors import StorageError
from distrecvae.storage.uri import SCHEMES
from distrecvae.words import one_line

ATTEMPTS = 3
"""Of S3's client, a request: with its own default a server that takes connections and says nothing holds a call for
100 s, and a mirror tries again anyway."""

CHUNK_BYTES = 8 << 20

_WHOLE_AT_ONCE = ("s3", "gcs", "abfs")
"""File systems in which an object is seen when all of it is there; in others a file can be seen while it grows."""

Entry = tuple[int, str]
"""Of a file: its bytes, and their digest."""


def digest_of(data: bytes) -> str:
    """Return the hex digest by which files are compared: BLAKE2b, 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def file_entry(file: BinaryIO, size: int | None = None) -> Entry:
    """Return the size and digest of an open file from its start, or of its first `size` bytes."""
    file.seek(0)
    state, done = hashlib.blake2b(digest_size=16), 0
    while data := file.read(CHUNK_BYTES if size is None else min(CHUNK_BYTES, size - done)):
        state.update(data)
        done += len(data)
    return done, state.hexdigest()


class Store:
    """The folder at a URI, with the credentials that each scheme has in its usual place; names are relative to it.

    Args:
        uri: of the folder; nothing need be there.

    Attributes:
        uri: as it was given, without a slash at its end.

    Raises:
        StorageError: the URI is of no known kind, or cannot be made out.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            found, self._path = fs.FileSystem.from_uri(self.uri)
            self._fs = _impatient(found)
        except (pa.ArrowException, OSError, ImportError, ValueError) as error:
            raise self._error("opened", error) from error

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file below the folder by its name; empty where there is no folder.

        Raises:
            StorageError: it cannot be read; a bucket that does not exist is an error, too.
        """
        try:
            found = self._fs.get_file_info(fs.FileSelector(self._path, recursive=True))
        except FileNotFoundError:
            return {}
        except (pa.ArrowException, OSError) as error:
            raise self._error("read", error) from error
        cut = len(self._path.rstrip("/")) + 1
        return {info.path[cut:]: info.size for info in found if info.is_file}

    def read(self, name: str) -> bytes | None:
        """Return a small file's bytes; None where there is none.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with self._fs.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError) as error:
            raise self._error("read", error) from error

    def get(self, name: str, path: Path) -> Entry:
        """Write a file's bytes to `path`; return how many there were, and their digest.

        Raises:
            StorageError: it cannot be read, or is not there.
            OSError: `path` cannot be written.
        """
        state, done = hashlib.blake2b(digest_size=16), 0
        with path.open("wb") as file:
            try:
                stream = self._fs.open_input_stream(self._at(name))
            except (pa.ArrowException, OSError) as error:
                raise self._error("read", error) from error
            with stream:
                while data := self._chunk(stream):
                    state.update(data)
                    file.write(data)
                    done += len(data)
        return done, state.hexdigest()

    def put(self, name: str, data: bytes) -> Entry:
        """Put a file of these bytes, whole, in the place of what is there; return its size and digest.

        Raises:
            StorageError: it cannot be written.
        """
        self._put(name, lambda stream: stream.write(data))
        return len(data), digest_of(data)

    def put_file(self, name: str, file: BinaryIO, size: int) -> Entry:
        """Put the first `size` bytes of an open file, whole, in the place of what is there; return size and digest.

        Raises:
            StorageError: it cannot be written.
            OSError: the file cannot be read, or is shorter.
        """
        state = hashlib.blake2b(digest_size=16)
        trouble: list[OSError] = []

        def write(stream: Any) -> None:
            file.seek(0)
            done = 0
            while done < size:
                try:
                    data = file.read(min(CHUNK_BYTES, size - done))
                    if not data:
                        raise OSError(f"{name} has become shorter while it was read")
                except OSError as error:
                    trouble.append(error)
                    return
                state.update(data)
                stream.write(data)
                done += len(data)

        self._put(name, write)
        if trouble:
            # PyArrow has no way to leave an upload undone: what was put is not what was meant.
            self.delete(name)
            raise trouble[0]
        return size, state.hexdigest()

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is no error.

        Raises:
            StorageError: it cannot be removed.
        """
        try:
            self._fs.delete_file(self._at(name))
        except FileNotFoundError:
            pass
        except (pa.ArrowException, OSError) as error:
            raise self._error("written", error) from error

    def _put(self, name: str, write: Callable[[Any], object]) -> None:
        path = self._at(name)
        try:
            if self._fs.type_name in _WHOLE_AT_ONCE:
                with self._fs.open_output_stream(path) as stream:
                    write(stream)
                return
            folder, _, last = path.rpartition("/")
            self._fs.create_dir(folder, recursive=True)
            with self._fs.open_output_stream(part := f"{folder}/.{last}.part") as stream:
                write(stream)
            self._fs.move(part, path)
        except (pa.ArrowException, OSError) as error:
            raise self._error("written", error) from error

    def _chunk(self, stream: Any) -> bytes:
        try:
            return bytes(stream.read(CHUNK_BYTES))
        except (pa.ArrowException, OSError) as error:
            raise self._error("read", error) from error

    def _at(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}"

    def _error(self, done: str, error: BaseException) -> StorageError:
        """Return what to raise: what was tried, why it did not work, what to do."""
        said = one_line(error)
        for pattern, what, remedy, passing in _REASONS:
            if re.search(pattern, str(error)):
                return StorageError(
                    f"{self.uri} cannot be {done}: {what} ({said}); {remedy}", passing=passing
                )
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        return StorageError(
            f"{self.uri} cannot be {done} ({said}); give a URI of {known} that these credentials can use",
            passing=False,
        )


_REASONS = (
    ("NO_SUCH_BUCKET", "there is no such bucket", "create it, or name another", False),
    (
        "ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE|UNRECOGNIZED_CLIENT|E(?:XPIRED|xpired)"
        "|HTTP status 40[13]|Permission denied",
        "the credentials are refused",
        "check them (AWS_ACCESS_KEY_ID, AWS_PROFILE, the machine's role) and what they allow",
        False,
    ),
    (
        "HTTP status 301|PermanentRedirect|AuthorizationHeaderMalformed",
        "the bucket is in another region",
        "name its region in AWS_DEFAULT_REGION, or as ?region=... at the URI's end",
        False,
    ),
    (
        "NETWORK_CONNECTION|curlCode|Could not (?:connect|resolve)",
        "nothing answers there",
        "check the network, the region and AWS_ENDPOINT_URL",
        True,
    ),
    (
        "SLOW_DOWN|THROTTLING|INTERNAL_FAILURE|SERVICE_UNAVAILABLE|REQUEST_TIMEOUT|HTTP status 5",
        "the server fails",
        "try again later",
        True,
    ),
)
"""Of an error's text: what it means, what to do, and whether it may pass by itself."""


def _impatient(found: Any) -> Any:
    """Return S3's file system with fewer attempts a request; any other as it is."""
    if found.type_name != "s3":
        return found
    # What pickle makes it of again: from_uri takes no strategy.
    make, (settings,) = found.__reduce__()
    return make({**settings, "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)})
