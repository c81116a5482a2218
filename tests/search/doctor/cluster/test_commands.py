"""What `ray up` brings to nodes: places of commands, and what a file without anything in it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.search.doctor.cluster.commands import commands_of, of_commands

SAFE = {
    "file_mounts": {"~/.ray/auth_token": "~/.ray/auth_token"},
    "setup_commands": ["echo 'export RAY_AUTH_MODE=token' >> ~/.bashrc"],
    "head_start_ray_commands": [
        "RAY_AUTH_MODE=token ray stop",
        "RAY_AUTH_MODE=token ray start --head --autoscaling-config=~/ray_bootstrap_config.yaml",
    ],
    "worker_start_ray_commands": [
        "RAY_AUTH_MODE=token ray stop",
        "RAY_AUTH_MODE=token ray start --address $RAY_HEAD_IP:6379",
    ],
}


def test_commands_of_nodes_are_commands() -> None:
    content = {
        "setup_commands": ["a", 3],
        "available_node_types": {"k": {"worker_setup_commands": ["b"]}},
    }
    assert list(commands_of(content)) == [
        ("setup_commands[0]", "a"),
        ("available_node_types.k.worker_setup_commands[0]", "b"),
    ]


def test_the_least_that_is_right(tmp_path: Path) -> None:
    assert list(of_commands(SAFE, tmp_path)) == [], "port 6379 is Ray's own"


def test_an_empty_file_lacks_a_start_and_a_token(tmp_path: Path) -> None:
    assert {finding.subject for finding in of_commands({}, tmp_path)} == {"start", "authentication"}


@pytest.mark.parametrize(
    "local", ["~/.config/gcloud", "~/.netrc", "keys/tls.key", "gcp-service_account-1.json"]
)
def test_secrets_are_known_by_their_names(local: str, tmp_path: Path) -> None:
    content = {**SAFE, "file_mounts": {**SAFE["file_mounts"], "~/x": local}}  # type: ignore[dict-item]
    (finding,) = of_commands(content, tmp_path)
    assert finding.subject == "secrets"


@pytest.mark.parametrize(
    "command", ["export WANDB_API_KEY=$WANDB_API_KEY", "chmod 600 ~/.ray/auth_token", "PATH=/a"]
)
def test_what_only_names_a_secret_is_none(command: str, tmp_path: Path) -> None:
    assert list(of_commands({**SAFE, "initialization_commands": [command]}, tmp_path)) == []


def test_a_secret_is_not_repeated(tmp_path: Path) -> None:
    command = "export AWS_SECRET_ACCESS_KEY=abc0123"
    (finding,) = of_commands({**SAFE, "initialization_commands": [command]}, tmp_path)
    assert "abc0123" not in finding.text


def test_paths_count_from_where_it_is_typed_and_from_where_the_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "data").touch()
    content = {**SAFE, "file_mounts": {**SAFE["file_mounts"], "~/data": "data"}}  # type: ignore[dict-item]
    monkeypatch.chdir(tmp_path.parent)
    assert list(of_commands(content, tmp_path / "cluster")) == []
    (finding,) = of_commands(content, tmp_path / "elsewhere" / "cluster")
    assert "it is not here" in finding.text
