"""What lies behind a URI: a dataset folder on object storage, fetched to be read here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from distrecvae.errors import DataError
from distrecvae.storage.uri import SCHEMES
from distrecvae.words import one_line


def fetch(uri: str, names: Iterable[str], folder: Path) -> None:
    """Copy the named files of the folder at `uri` into `folder`; one that is missing there is missing here, too.

    Raises:
        DataError: the URI is of no known kind, nothing is there, or it cannot be reached.
    """
    try:
        remote, path = fs.FileSystem.from_uri(uri.rstrip("/"))
        found = {info.base_name for info in remote.get_file_info(fs.FileSelector(path)) if info.is_file}
        for name in names:
            if name in found:
                fs.copy_files(
                    f"{path}/{name}",
                    str(folder / name),
                    source_filesystem=remote,
                    destination_filesystem=fs.LocalFileSystem(),
                )
    except FileNotFoundError as error:
        raise DataError(f"{uri} is not a prepared dataset (no such folder); copy one there") from error
    except (pa.ArrowException, OSError, ImportError) as error:
        reason = one_line(error)
        raise DataError(
            f"{uri} cannot be read ({reason}); give a URI of {', '.join(SCHEMES)} that these credentials can read"
        ) from error
