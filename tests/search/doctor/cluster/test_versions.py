"""Versions in commands and images: pinned to what is installed here, or constrained."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from distrecvae.search.doctor.cluster.versions import installed, of_command, of_image

RAY, TORCH = version("ray"), version("torch").partition("+")[0]


@pytest.mark.parametrize(
    "command",
    [
        "sudo apt-get install -y ray-dashboard",
        f"pip install 'ray[default]=={RAY}'",
        f"pip install torch=={TORCH}",
        "pip install -c constraints.txt ray torch",
        "uv pip install --constraint=constraints.txt 'distrecvae[cluster]'",
        "pip install rayon torchvision awscli",
        "cd x && pip install -c constraints.txt . ; ls ray",
        "pip install 'unbalanced",
        "uv venv --python 3.11 venv",
        "python3.9 --version",
    ],
)
def test_commands_that_are_right(command: str) -> None:
    assert list(of_command("c", command)) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("pip install ray", "ray is not pinned"),
        ("pip3 install -U 'ray[default]>=2.9'", "ray is not pinned"),
        ("pip install ray==2.9.0", f"ray {RAY}"),
        ("ls; uv pip install --python x torch==2.1.0+cu118", f"torch {TORCH}"),
        ("pip install -c constraints.txt torch==2.1.0", f"torch {TORCH}"),
        ("pip install .[cluster]", "without constraints"),
        ("pip install -e ~/distrecvae", "without constraints"),
        ("pip install -c c.txt torch --extra-index-url=https://example.com/whl/cu121", "another CUDA"),
        ("pip install -c c.txt torch -i https://example.com/whl/nightly/cpu", "another CUDA"),
        ("conda install pytorch-cuda=12.1", "its own CUDA"),
        ("conda create -n a python=3.8", "distrecvae asks for"),
        ("pip install https://example.com/ray-3.0.0.dev0-cp311-cp311-linux.whl", "nightly"),
    ],
)
def test_commands_that_install_something_else(command: str, said: str) -> None:
    (finding,) = of_command("c", command)
    assert said in finding.text
    assert finding.remedy


def test_what_is_not_installed_has_no_version() -> None:
    assert installed("ray") == RAY
    assert installed("no-such-package") is None


@pytest.mark.parametrize(
    "image", [f"rayproject/ray:{RAY}-py311-gpu", "me/it:1", "ghcr.io/me/it@sha256:abc", "localhost:5000/it:2"]
)
def test_images_that_are_right(image: str) -> None:
    assert list(of_image("i", image)) == []


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("rayproject/ray", "changes"),
        ("me/it:latest", "changes"),
        ("localhost:5000/it", "changes"),
        ("rayproject/ray-ml:nightly-gpu", "nightly"),
        ("rayproject/ray:2.9.0-gpu", f"must be {RAY}"),
        (f"docker.io/rayproject/ray:{RAY}-py39", "Python 3.9"),
    ],
)
def test_images_that_are_not(image: str, said: str) -> None:
    (finding,) = of_image("i", image)
    assert said in finding.text


def test_an_image_is_of_the_ray_that_its_cluster_is_told_of() -> None:
    assert list(of_image("i", "rayproject/ray:2.9.0", "2.9.0")) == []
