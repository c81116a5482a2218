"""Writes a cluster's file from the package, so that no checkout is needed to start one."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from distrecvae.errors import ResultsError
from distrecvae.files import write_text
from distrecvae.packaged import PACKAGED_FOLDERS, PROJECT_FILES, built_from
from distrecvae.search.doctor.cluster.commands import PARTS

CLUSTERS = {
    "aws": ("cluster.yaml", "iam-launcher.json", "iam-head.json"),
    "gcp": ("gcp.yaml",),
    "on-prem": ("on-prem.yaml",),
    "kubernetes": ("kuberay-rayjob.yaml", "Dockerfile"),
}
"""Of each kind of cluster its file in `cluster/`, and those that it needs beside it."""

CHANGE = "CHANGE"
"""Marks, in a comment or as a value, what only the owner of a cluster's file knows."""


class Made(NamedTuple):
    """What was written.

    Attributes:
        files: the cluster's file, then those beside it.
        changes: (number, text) of each line of the cluster's file to fill in or look at; 1 is the first.
        commands: what to type next, in their order.
    """

    files: tuple[Path, ...]
    changes: tuple[tuple[int, str], ...]
    commands: tuple[str, ...]


def make_cluster_file(kind: str, out: Path | None = None) -> Made:
    """Write the cluster's file of a kind and what it needs beside it.

    The files are those in `cluster/`, with two differences: comments name the files where they were written, and what
    goes to the nodes is named by its full path here, so that `ray up` and `docker build` can be typed anywhere.

    Args:
        kind: a key of `CLUSTERS`.
        out: the cluster's file; None for its usual name, in the working directory.

    Raises:
        ResultsError: one of the files is there already; none is written then.
    """
    names = CLUSTERS[kind]
    first = Path(names[0]) if out is None else out
    paths = (first, *(first.parent / name for name in names[1:]))
    for path in paths:
        if path.exists() or path.is_symlink():
            raise ResultsError(f"{path} is there already, and not written over; remove it, or give --out")
    texts = [_named(_text(name), dict(zip(names, paths, strict=True))) for name in names]
    first.parent.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    lines = enumerate(texts[0].splitlines(), start=1)
    changes = [
        (number, line.strip()) for number, line in lines if CHANGE in line and line.lstrip()[:1] != "#"
    ]
    return Made(paths, tuple(changes), _next(kind, paths, texts[0]))


def _text(name: str) -> str:
    text = (built_from("cluster") / name).read_text(encoding="utf-8")
    if name == "Dockerfile":
        return _copied_from(text)
    mounted = "|".join(map(re.escape, PARTS))
    # JSON's strings are YAML's: a path may have spaces and colons.
    return re.sub(
        rf"^(  ~/distrecvae/({mounted}): )\2$",
        lambda found: found[1] + json.dumps(str(built_from(found[2])), ensure_ascii=False),
        text,
        flags=re.MULTILINE,
    )


def _copied_from(text: str) -> str:
    """Let a Dockerfile copy from where this package's parts lie, seen from the folder that `_context` returns."""
    context = _context()
    parts = {part: str(built_from(part).relative_to(context)) for part in PARTS}
    files = " ".join(parts[name] for name in PROJECT_FILES)
    text = text.replace(f"COPY {' '.join(PROJECT_FILES)} ./", f"COPY {files} ./")
    for name in ("distrecvae", *PACKAGED_FOLDERS):
        text = text.replace(f"COPY {name} {name}", f"COPY {parts[name]} {name}")
    return re.sub(r"(docker build .*?) \. +\(from the root of the repository\)", rf"\1 {context}", text)


def _context() -> Path:
    """Return the smallest folder that has all that the package is built from."""
    package = built_from("distrecvae")
    return package if package in built_from("cluster").parents else package.parent


def _named(text: str, written: dict[str, Path]) -> str:
    for name, path in written.items():
        text = re.sub(rf"\bcluster/{re.escape(name)}", lambda _, path=path: str(path), text)  # type: ignore[misc]
    return text


def _next(kind: str, paths: tuple[Path, ...], text: str) -> tuple[str, ...]:
    file, *beside = (shlex.quote(str(path)) for path in paths)
    doctor = f"distrecvae doctor --cluster {file}"
    if kind != "kubernetes":
        return "ray get-auth-token --generate > /dev/null", doctor, f"ray up {file}"
    (image,) = re.findall(r"image: &image (\S+)", text)
    build = f"docker build -f {beside[0]} -t {image} {shlex.quote(str(_context()))}"
    return build, f"docker push {image}", doctor, f"kubectl apply -f {file}"
