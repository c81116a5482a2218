"""What `ray up` brings to nodes and runs there: copied files, secrets, authentication, ports, Ray's start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distrecvae.packaged import PACKAGED_FOLDERS, PROJECT_FILES
from distrecvae.search.doctor.cluster.tree import lacking, listed, mapping, text, wrong
from distrecvae.search.doctor.cluster.versions import of_command, of_image
from distrecvae.search.doctor.finding import Finding

LISTS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
TOKEN = ".ray/auth_token"  # noqa: S105  (a file's name)
TOKEN_MODE = "RAY_AUTH_MODE=token"  # noqa: S105  (a setting)
PARTS = (*PROJECT_FILES, "distrecvae", *PACKAGED_FOLDERS)
"""What the package is built from on each node."""

_SECRET_FILES = re.compile(
    r"(?:^|/)(?:\.aws|\.ssh|\.kube|\.azure|\.gnupg|\.netrc|\.docker|\.env|\.config/gcloud|\.huggingface)(?:/|$)"
    r"|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519)$|\.pem$|\.key$|credentials(?:\.json)?$|service[-_]account\S*\.json$"
)
_SECRET_WORDS = re.compile(
    r"\b((?:\w*(?:SECRET|PASSWORD|API_KEY|ACCESS_KEY|_TOKEN)\w*)=(?!\$|\*)[^\s'\"]+|AKIA[0-9A-Z]{16})"
)
_WIDE = re.compile(r"--(?:dashboard-host|node-manager-host)[= ](?:0\.0\.0\.0|::|'')")


def commands_of(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each command with its place in the file."""
    for name in LISTS:
        for i, command in enumerate(listed(content, name)):
            if isinstance(command, str):
                yield f"{name}[{i}]", command
    for kind, node in mapping(content, "available_node_types").items():
        for i, command in enumerate(listed(node, "worker_setup_commands")):
            if isinstance(command, str):
                yield f"available_node_types.{kind}.worker_setup_commands[{i}]", command


def of_commands(content: dict[str, Any], folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with a launcher file's commands, images and copied files.

    Args:
        content: the file.
        folder: where it lies.
    """
    for where, command in commands_of(content):
        yield from of_command(where, command)
        for secret in _SECRET_WORDS.findall(command):
            name = secret.partition("=")[0]
            yield wrong(
                "secrets",
                where,
                f"{name}=...",
                "anyone who reads the file has a secret, and each node's log shows it",
                "give the head a role (AWS: IamInstanceProfile), or set it in the job's own environment",
            )
    for key in ("image", "head_image", "worker_image"):
        if image := text(content, "docker", key):
            yield from of_image(f"docker.{key}", image)
    for key in ("run_options", "head_run_options", "worker_run_options"):
        for option in listed(content, "docker", key):
            if isinstance(option, str) and re.match(r"-p\b|--publish\b|--privileged\b", option):
                yield wrong(
                    "ports",
                    f"docker.{key}",
                    option,
                    "it opens the container to others than the nodes",
                    "take it out: `ray dashboard` reaches the head through ssh",
                )
    yield from _of_starts(content)
    yield from _of_authentication(content)
    yield from _of_mounts(content, folder)


def _of_starts(content: dict[str, Any]) -> Iterator[Finding]:
    ports = {}
    for who in ("head", "worker"):
        name = f"{who}_start_ray_commands"
        commands = [c for c in listed(content, name) if isinstance(c, str)]
        starts = [c for c in commands if "ray start" in c]
        if not starts:
            yield wrong(
                "start",
                name,
                commands or None,
                "Ray is not started, or as Ray's defaults have it",
                "write `ray start` there, as cluster/cluster.yaml has it",
            )
            continue
        start = starts[-1]
        if not any("ray stop" in c for c in commands):
            yield wrong(
                "start",
                name,
                start,
                "a second `ray up` meets the Ray that still runs there",
                "put `ray stop` before it",
            )
        if "--block" in start:
            yield wrong(
                "start",
                name,
                start,
                "with --block the command never ends, and neither does `ray up`",
                "take --block out",
            )
        if _WIDE.search(start):
            yield wrong(
                "ports",
                name,
                _WIDE.findall(start)[0],
                "the dashboard and the job server then answer on all addresses",
                "write --dashboard-host=127.0.0.1, and reach it by `ray dashboard`",
            )
        wanted = "--head" if who == "head" else "--address=$RAY_HEAD_IP"
        if wanted not in start.replace("--address $", "--address=$"):
            yield wrong("start", name, start, f"a {who} is started with {wanted}", f"add {wanted}")
        if who == "head" and "--autoscaling-config" not in start:
            yield wrong(
                "start",
                name,
                start,
                "without the file of the cluster no worker is ever started",
                "add --autoscaling-config=~/ray_bootstrap_config.yaml",
            )
        found = re.search(r"--port[= ](\d+)" if who == "head" else r"RAY_HEAD_IP:(\d+)", start)
        ports[who] = found[1] if found else "6379"
    if len(set(ports.values())) > 1:
        yield wrong(
            "start",
            "worker_start_ray_commands",
            f"port {ports['worker']}",
            f"the head listens at {ports['head']}",
            "name one port in both",
        )


def _of_authentication(content: dict[str, Any]) -> Iterator[Finding]:
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        for command in listed(content, name):
            if (
                isinstance(command, str)
                and re.search(r"\bray (?:start|stop)\b", command)
                and TOKEN_MODE not in command
            ):
                yield wrong(
                    "authentication",
                    name,
                    command,
                    "anyone who reaches Ray's ports can run anything on the nodes",
                    f"write {TOKEN_MODE} before it",
                )
    if not any(remote.endswith(TOKEN) for remote in mapping(content, "file_mounts")):
        yield wrong(
            "authentication",
            f"file_mounts.~/{TOKEN}",
            None,
            "nodes know each other, and you, by its token",
            f"add ~/{TOKEN}: ~/{TOKEN} (`ray get-auth-token --generate` makes it)",
        )
    if not any(
        TOKEN_MODE in c and ".bashrc" in c for c in listed(content, "setup_commands") if isinstance(c, str)
    ):
        yield lacking(
            "authentication",
            "setup_commands",
            f"{TOKEN_MODE} in ~/.bashrc",
            "`ray exec` and jobs need it in their environment, too",
            "add it, as cluster/cluster.yaml has it",
        )


def _of_mounts(content: dict[str, Any], folder: Path) -> Iterator[Finding]:
    mounts = mapping(content, "file_mounts")
    for remote, local in mounts.items():
        where = f"file_mounts.{remote}"
        if not isinstance(local, str):
            yield wrong("files", where, local, "what is copied is a path here, as text", "write a path")
            continue
        if not remote.startswith(("~/", "/")):
            yield wrong("files", where, local, "a path on a node begins with ~/ or /", f"write ~/{remote}")
        if not local.endswith(TOKEN) and _SECRET_FILES.search(local):
            yield wrong(
                "secrets",
                where,
                local,
                "anyone who reaches a node has a key that lies on every node",
                "take it out: give the head a role (AWS: IamInstanceProfile), or credentials of its own",
            )
        elif local.rstrip("/") in ("", ".", "..", "~") or local.endswith(".git"):
            yield wrong(
                "files",
                where,
                local,
                "the whole folder goes to every node: .git, data, environments",
                f"name what is needed: {', '.join(PARTS)}",
            )
        elif not local.startswith("~") and not any(
            (base / local).exists() for base in (Path.cwd(), folder, folder.parent)
        ):
            yield wrong(
                "files",
                where,
                local,
                "it is not here",
                "correct the path; it is relative to where `ray up` is typed",
            )
    builds = any("~/distrecvae" in c or "$HOME/distrecvae[" in c for _, c in commands_of(content))
    for part in PARTS if builds and mounts else ():
        if not any(remote.rstrip("/").endswith(f"distrecvae/{part}") for remote in mounts):
            yield wrong(
                "files",
                f"file_mounts.~/distrecvae/{part}",
                None,
                "the package cannot be built on the nodes without it",
                f"add ~/distrecvae/{part}: {part}",
            )
    for key in ("aws_credentials", "gcp_credentials"):
        if held := mapping(content, "provider", key):
            yield wrong(
                "secrets",
                f"provider.{key}",
                list(held),
                "a key in this file goes to the head and into its logs",
                "take it out: `ray up` finds your own credentials, the head has a role",
            )
