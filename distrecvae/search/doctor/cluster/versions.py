"""Versions in commands and images: a driver and workers of different Rays or PyTorches cannot work together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from distrecvae.search.doctor.cluster.tree import wrong
from distrecvae.search.doctor.finding import Finding

PACKAGES = ("ray", "torch")
CONSTRAINED = "-c constraints.txt"
_CONSTRAINT_OPTIONS = ("-c", "--constraint", "--constraints")
_INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--index")
_INSTALL = re.compile(r"\b(?:pip3?|conda|mamba)\s+install\b")
_CONDA_CUDA = re.compile(r"\b(?:cudatoolkit|pytorch-cuda)\b\S*")
_PYTHON = re.compile(r"(?:--python[= ]|\bpython=)(\d+\.\d+)")
_RAY_TAG = re.compile(r"^(?:docker\.io/)?(?:rayproject|anyscale)/[\w-]+(?::(?P<tag>\S+))?$")


def installed(package: str) -> str | None:
    """Return the version that is installed here, without what names a build; None where there is none."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return None


def of_command(where: str, command: str) -> Iterator[Finding]:
    """Yield what is wrong with the versions that a command installs."""
    for found in _INSTALL.finditer(command):
        words = _words(re.split(r"[;&|]", command[found.end() :])[0])
        constrained = any(word in _CONSTRAINT_OPTIONS or word.startswith("--constraint") for word in words)
        options = [word for i, word in enumerate(words) if i and words[i - 1] in _INDEX_OPTIONS]
        options += [
            word.partition("=")[2] for word in words if word.startswith(_INDEX_OPTIONS) and "=" in word
        ]
        for word in words:
            yield from _of_requirement(where, word, constrained)
        for index in options:
            if re.search(r"/whl/(?:cu|rocm|nightly)", index):
                yield wrong(
                    "versions",
                    where,
                    index,
                    "its PyTorch is built for another CUDA than the package's",
                    "take the index out: constraints.txt has the version",
                )
        for conda in _CONDA_CUDA.findall(found.group() + " " + " ".join(words)):
            yield wrong(
                "versions",
                where,
                conda,
                "PyTorch brings its own CUDA libraries",
                "take it out, and install with pip -c constraints.txt",
            )
    for named in _PYTHON.findall(command):
        yield from _of_python(where, named)


def _of_requirement(where: str, word: str, constrained: bool) -> Iterator[Finding]:
    if re.search(r"ray-[\w.]+-cp\d+|ray-wheels", word):
        yield wrong(
            "versions",
            where,
            word,
            "a nightly Ray is another one every day",
            f"install ray=={installed('ray')}",
        )
        return
    if word.rstrip("/").split("[")[0].endswith("distrecvae") or re.fullmatch(r"\.(?:\[[\w,-]+\])?", word):
        if not constrained:
            yield wrong(
                "versions",
                where,
                word,
                "without constraints its Ray and PyTorch are whatever is newest that day",
                f"add {CONSTRAINED}",
            )
        return
    try:
        requirement = Requirement(word)
    except InvalidRequirement:
        return
    if requirement.name not in PACKAGES:
        return
    here = installed(requirement.name)
    pins = [spec.version for spec in requirement.specifier if spec.operator in ("==", "===")]
    if not pins and not constrained:
        yield wrong(
            "versions",
            where,
            word,
            f"{requirement.name} is not pinned, and must be the driver's on every node",
            f"write {requirement.name}=={here}, or add {CONSTRAINED}",
        )
    elif pins and here is not None and not SpecifierSet(f"=={pins[0].partition('+')[0]}").contains(here):
        yield wrong(
            "versions",
            where,
            word,
            f"the package was tested with, and has here, {requirement.name} {here}",
            f"write {requirement.name}=={here}, or take it out and add {CONSTRAINED}",
        )


def of_image(where: str, image: str, ray_version: str | None = None) -> Iterator[Finding]:
    """Yield what is wrong with an image's version; `ray_version` is the Ray that its cluster is told of."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    if tag in ("", "latest") and "@sha256:" not in image:
        yield wrong(
            "versions",
            where,
            image,
            "what it stands for changes, and nodes that start later get another Ray",
            f"name a version: {name}:VERSION",
        )
        return
    rays = _RAY_TAG.match(image)
    if rays is None:
        return
    wanted = ray_version or installed("ray")
    has = re.match(r"\d+\.\d+\.\d+", tag)
    if has is None:
        yield wrong(
            "versions",
            where,
            image,
            "a nightly Ray is another one every day",
            f"take the image of Ray {wanted}",
        )
    elif wanted is not None and has.group() != wanted:
        yield wrong(
            "versions",
            where,
            image,
            f"its Ray must be {wanted}, the driver's",
            f"take the image of Ray {wanted}",
        )
    if (python := re.search(r"-py(\d)(\d+)", tag)) is not None:
        yield from _of_python(where, f"{python[1]}.{python[2]}")


def _of_python(where: str, named: str) -> Iterator[Finding]:
    try:
        asked = str(metadata("distrecvae")["Requires-Python"])
    except PackageNotFoundError:
        return
    if not SpecifierSet(asked).contains(f"{named}.0"):
        yield wrong(
            "versions",
            where,
            f"Python {named}",
            f"distrecvae asks for {asked}",
            "take such a Python, the same on every node",
        )


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
