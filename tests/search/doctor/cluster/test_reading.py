"""A cluster's file is read as text and no more; what is none is told in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.doctor.cluster.reading import LARGEST_BYTES, Kind, read_cluster_file

LAUNCHER = "cluster_name: a\nprovider: {type: aws}\n"
JOB = "kind: RayJob\n"
POLICY = '{"Version": "2012-10-17", "Statement": []}'


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (LAUNCHER, Kind.LAUNCHER),
        (JOB, Kind.KUBERAY),
        ("kind: RayCluster", Kind.KUBERAY),
        (POLICY, Kind.POLICY),
        (f"kind: Secret\n---\n{JOB}", Kind.KUBERAY),
        (f"---\n{LAUNCHER}", Kind.LAUNCHER),
    ],
)
def test_what_a_file_is_of(written: str, kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(written, encoding="utf-8")
    file = read_cluster_file(tmp_path / "file")
    assert (file.kind, file.written, file.path) == (kind, written, tmp_path / "file")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b"", "makes no cluster"),
        (b"- a\n- b\n", "makes no cluster"),
        (b"a: b\n", "makes no cluster"),
        (b"a: [\n", "is not YAML"),
        (b"a: !!python/object/apply:os.system ['false']\n", "is not YAML"),
        (b"a: 2026-02-30\n", "is not YAML"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"a" * (LARGEST_BYTES + 1), "cannot be read"),
    ],
)
def test_what_is_no_clusters_file_is_refused_in_a_line(written: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(written)
    with pytest.raises(ConfigError, match=words) as raised:
        read_cluster_file(tmp_path / "file")
    assert "\n" not in str(raised.value)
    assert "; " in str(raised.value), "there is a remedy"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_cluster_file(path)
