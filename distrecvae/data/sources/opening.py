"""Opens a source's bytes: plain, gzip, a member of a zip, or several parts read as one."""

from __future__ import annotations

import difflib
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from distrecvae.data.sources.kinds import refuse_other_archives
from distrecvae.errors import DataError, nearest

# What an archive or a folder with several files is known for, in order of preference.
KNOWN_NAMES = (
    "ratings.csv",
    "ratings.dat",
    "u.data",
    "train_triplets.txt",
    "interactions.csv",
    "interactions.parquet",
)

# Reading damaged files raises any of these.
DAMAGE = (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile)

_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Part:
    """One stretch of bytes: a file, or a member of a zip; unpacked as it is read.

    Attributes:
        path: the file.
        member: a name inside the zip `path`, or None.
    """

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The name that tells the format: the member's or file's base name without `.gz`."""
        name = PurePosixPath(self.member).name if self.member else self.path.name
        return name.removesuffix(".gz")

    @property
    def is_plain(self) -> bool:
        """Whether the bytes on disk are the content."""
        return self.member is None and not _is_gzip(self.path)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Yield the unpacked bytes.

        Raises:
            DataError: the file is missing, unreadable or damaged; also while it is being read inside the
                context.
        """
        try:
            if self.member is not None:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                    if cast(io.BufferedReader, file).peek(2)[:2] == b"\x1f\x8b":
                        with gzip.open(file) as inner:
                            yield cast(BinaryIO, inner)
                    else:
                        yield cast(BinaryIO, file)
            elif _is_gzip(self.path):
                with gzip.open(self.path) as file:
                    yield cast(BinaryIO, file)
            else:
                with self.path.open("rb") as plain:
                    yield plain
        except DAMAGE as error:
            raise DataError(f"{self} is damaged or cut short ({_brief(error)}); fetch it again") from error
        except (NotImplementedError, RuntimeError) as error:  # an encrypted zip, or an unknown compression
            raise DataError(f"{self} cannot be unpacked ({_brief(error)}); unpack it first") from error
        except OSError as error:
            raise DataError(f"{self} cannot be read ({error.strerror or error})") from error

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the content, as the file system or the zip declares; None for gzip, which does not."""
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive:
                return archive.getinfo(self.member).file_size
        return self.path.stat().st_size if self.is_plain else None

    def head(self) -> bytes:
        """Return the first 64 KiB."""
        with self.open() as file:
            return file.read(_HEAD_BYTES)

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)


def parts_of(path: Path, member: str | None = None) -> list[Part]:
    """Return what to read of `path`: itself, the interactions inside a zip or folder, or the parts of the
    Netflix Prize.

    Raises:
        DataError: no such file, an archive that is not one, or several candidates and no `member` to choose.
    """
    if not path.exists():
        close = difflib.get_close_matches(path.name, _siblings(path), n=1, cutoff=0.8)
        hint = f"; did you mean {str(path.with_name(close[0]))!r}?" if close else ""
        raise DataError(f"{path}: no such file or folder{hint}")
    if not path.is_dir() and not path.is_file():
        raise DataError(
            f"{path} is neither a file nor a folder (a pipe or a device); write it to a file first"
        )
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        names = [p.relative_to(path).as_posix() for p in files]
        return [Part(path / name) for name in _pick(names, member, path)]
    if zipfile.is_zipfile(path) and path.suffix.casefold() not in (".parquet", ".pq"):
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/") and "__MACOSX" not in n]
        refuse_other_archives(path, names)
        return [Part(path, name) for name in _pick(names, member, path)]
    if member is not None:
        raise DataError(f"--member {member}: {path} is neither a zip nor a folder; leave it out")
    if path.suffix.casefold() == ".zip":
        raise DataError(f"{path} is not a zip archive or is cut short; fetch it again")
    if path.suffixes[-2:] == [".tar", ".gz"] or path.suffix.casefold() in (
        ".tgz",
        ".tar",
        ".7z",
        ".bz2",
        ".xz",
    ):
        raise DataError(f"{path}: only gzip and zip are read as they are; unpack it first")
    return [Part(path)]


class Chain(io.RawIOBase):
    """Parts read one after the other as one file; a part that does not end its last line gets a line end."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._chunks = _chunks(parts)
        self._left = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` and return how many bytes it got; 0 at the end."""
        view = memoryview(cast(bytearray, buffer)).cast("B")
        if not self._left:
            self._left = next(self._chunks, b"")
        n = min(len(view), len(self._left))
        view[:n] = self._left[:n]
        self._left = self._left[n:]
        return n


class Replacing(io.RawIOBase):
    """A file in which every `old` reads as `new`, also where a chunk's border cuts an `old` in two.

    Attributes:
        n_replaced: how many there were so far.
    """

    def __init__(self, file: BinaryIO | io.RawIOBase, old: bytes, new: bytes, size: int = 4 << 20) -> None:
        self._file, self._old, self._new, self._size = file, old, new, size
        self._held = b""  # the start of an `old` that may continue in the next chunk
        self._left = memoryview(b"")
        self.n_replaced = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` and return how many bytes it got; 0 at the end."""
        view = memoryview(cast(bytearray, buffer)).cast("B")
        while not self._left:
            chunk = self._file.read(self._size)
            if not chunk:
                self._left, self._held = memoryview(self._held), b""
                break
            text = self._held + chunk
            self.n_replaced += text.count(self._old)
            text = text.replace(self._old, self._new)
            n_held = next((n for n in range(len(self._old) - 1, 0, -1) if text.endswith(self._old[:n])), 0)
            self._held = text[len(text) - n_held :]
            self._left = memoryview(text)[: len(text) - n_held]
        n = min(len(view), len(self._left))
        view[:n] = self._left[:n]
        self._left = self._left[n:]
        return n


def _chunks(parts: Sequence[Part], size: int = 1 << 20) -> Iterator[bytes]:
    for part in parts:
        last = b"\n"
        with part.open() as file:
            while chunk := file.read(size):
                yield chunk
                last = chunk[-1:]
        if last != b"\n":
            yield b"\n"


def _pick(names: Sequence[str], member: str | None, path: Path) -> list[str]:
    if member is not None:
        chosen = [n for n in names if n == member] or [n for n in names if PurePosixPath(n).name == member]
        if len(chosen) != 1:
            raise DataError(
                f"{path} has no {member!r} (--member); it has {_listed(names)}{nearest(member, names)}"
            )
        return chosen
    for prefix in ("combined_data_", "mv_"):
        netflix = [n for n in names if (base := PurePosixPath(n).name).startswith(prefix) and ".txt" in base]
        if netflix:
            return sorted(netflix)
    if len(names) == 1:
        return list(names)
    for known in KNOWN_NAMES:
        chosen = [n for n in names if PurePosixPath(n).name.removesuffix(".gz") == known]
        if len(chosen) == 1:
            return chosen
    for suffix in (".inter", ".parquet", ".csv", ".tsv"):
        chosen = [n for n in names if n.removesuffix(".gz").endswith(suffix)]
        if len(chosen) == 1:
            return chosen
    if not names:
        raise DataError(f"{path} has no files in it; name the file that holds the interactions")
    raise DataError(
        f"{path} has several files ({_listed(names)}) and none is known; choose one with --member NAME"
    )


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _siblings(path: Path) -> list[str]:
    folder = path.parent
    return [p.name for p in folder.iterdir() if p.suffix == path.suffix] if folder.is_dir() else []


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f", ... {len(names)} in all" if len(names) > most else "")


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120] or type(error).__name__
