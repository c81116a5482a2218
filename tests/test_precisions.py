"""The names of precisions: what a command line may say, known without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import torch

from distrecvae.precisions import AUTO, PRECISION_CHOICES, PRECISION_HELP, PRECISIONS, Precision
from tests import ROOT


def test_the_names_are_those_of_the_type_and_of_pytorch() -> None:
    assert get_args(Precision) == PRECISIONS
    assert all(isinstance(getattr(torch, name), torch.dtype) for name in PRECISIONS)


def test_the_exact_one_comes_first() -> None:
    assert PRECISIONS[0] == "float32"


def test_the_choices_are_auto_and_each_precision_once() -> None:
    assert (AUTO, *PRECISIONS) == PRECISION_CHOICES
    assert AUTO not in PRECISIONS
    assert len(set(PRECISION_CHOICES)) == len(PRECISION_CHOICES)


def test_the_help_says_what_auto_is() -> None:
    assert AUTO in PRECISION_HELP
    assert "\n" not in PRECISION_HELP


def test_they_are_known_before_pytorch_is() -> None:
    # Its import takes a second or two, which `--help` and completion must not wait for.
    code = "import sys, distrecvae.precisions; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
