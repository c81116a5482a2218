"""An AWS on this machine, for the tests that ask one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster.policies import REGION


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An AWS without anything in it but what each account has; no credentials of this machine are seen."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        "HOME": str(tmp_path),  # a key pair of Ray's own goes to ~/.ssh
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".ssh").mkdir()
