"""Files of tensors: what comes back is what went in, and damage is told, not trusted."""

from __future__ import annotations

import errno
import json
import os
import resource
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors.torch import save_file

from distrecvae.errors import CheckpointError
from distrecvae.saved.tensors import (
    FORMAT,
    load_state,
    read_json,
    read_metadata,
    save_state,
    state_from,
    state_pieces,
)

TENSORS = {"a/b": torch.arange(6.0).view(2, 3).T, "step": torch.tensor(3), "half": torch.ones(2).double()}


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    save_state(tmp_path / "state", TENSORS, {"passes": 4, "history": [{"x": 0.1}]})
    tensors, metadata = load_state(tmp_path / "state")
    assert metadata == {"passes": 4, "history": [{"x": 0.1}]}
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_state(path, TENSORS, {"passes": 1})
    with pytest.raises(ValueError, match="JSON"):
        save_state(path, TENSORS, {"passes": float("nan")})
    assert load_state(path)[1] == {"passes": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_state(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0, 7, 60, -20, -1])
def test_a_cut_file_is_damaged(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "state"
    save_state(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)


def test_foreign_and_newer_files_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="not written by distrecvae"):
        load_state(tmp_path / "foreign")
    header = {"distrecvae": json.dumps({"format": FORMAT + 1, "metadata": {}})}
    save_file({"a": torch.zeros(1)}, tmp_path / "newer", metadata=header)
    with pytest.raises(CheckpointError, match=f"has format {FORMAT + 1}; {FORMAT} is read"):
        load_state(tmp_path / "newer")


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([True, False]),
        torch.ones(3, dtype=torch.bfloat16),
        torch.zeros(0, 4),
        torch.tensor([float("nan"), float("inf"), -0.0]),
        torch.arange(5, dtype=torch.int32),
    ],
    ids=["bool", "bfloat16", "empty", "no numbers", "int32"],
)
def test_every_bit_of_every_type_comes_back(value: torch.Tensor, tmp_path: Path) -> None:
    save_state(tmp_path / "state", {"x": value}, {})
    found = load_state(tmp_path / "state")[0]["x"]
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert torch.equal(found.reshape(-1).view(torch.uint8), value.reshape(-1).view(torch.uint8))


def test_nothing_at_all_can_be_saved(tmp_path: Path) -> None:
    save_state(tmp_path / "state", {}, {})
    assert load_state(tmp_path / "state") == ({}, {})


def test_a_flipped_bit_anywhere_in_the_tensors_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_state(path, TENSORS, {})
    whole = path.read_bytes()
    n_bytes = sum(value.nbytes for value in TENSORS.values())
    for place in range(len(whole) - n_bytes, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(
            CheckpointError, match=r"is damaged \(its checksum is wrong\); restore it or train"
        ):
            load_state(path)


def header_of(document: Any) -> dict[str, str]:
    return {"distrecvae": document if isinstance(document, str) else json.dumps(document)}


def test_a_flipped_bit_in_the_metadata_is_damage_or_changes_nothing(tmp_path: Path) -> None:
    # A state's history and identity are metadata: a digit that flips would be another history, in silence.
    path = tmp_path / "state"
    wrote = {"identity": {"width": 41, "name": "é"}, "history": [{"x": 0.125, "y": -1e-7, "z": None}, True]}
    save_state(path, {"a": torch.ones(1)}, wrote)
    whole = path.read_bytes()
    refused = 0
    for at in range(8, whole.rindex(b"}") + 1):
        for bit in (0, 3, 6):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
            for read in (read_metadata, lambda path: load_state(path)[1]):
                try:
                    assert read(path) == wrote, f"bit {bit} of byte {at}"
                except CheckpointError:
                    refused += 1
    assert refused > 500


def test_tensors_under_other_names_are_damage(tmp_path: Path) -> None:
    # Every byte of the values is right, and in its place.
    save_state(tmp_path / "state", {"a": torch.zeros(2), "b": torch.ones(2)}, {})
    whole = (tmp_path / "state").read_bytes()
    assert whole.count(b'"b":{') == 1
    (tmp_path / "state").write_bytes(whole.replace(b'"b":{', b'"c":{'))
    with pytest.raises(CheckpointError, match="checksum is wrong"):
        load_state(tmp_path / "state")


def test_a_file_from_before_there_were_checksums_is_read(tmp_path: Path) -> None:
    # Its format is a number here: whoever raises FORMAT has to continue reading the files of before, or say so.
    save_file({"a": torch.ones(1)}, tmp_path / "old", metadata=header_of({"format": 1, "metadata": {"x": 1}}))
    tensors, metadata = load_state(tmp_path / "old")
    assert (tensors["a"].tolist(), metadata) == ([1.0], {"x": 1})


def test_checksums_are_of_names_and_bytes_as_they_were_before(tmp_path: Path) -> None:
    # Another way to reckon them would make damage of every file that was ever written.
    document = {
        "format": 1,
        "crc32": zlib.crc32(b"a" + struct.pack("<2f", 1.0, 1.0) + b"b" + struct.pack("<q", 3)),
        "metadata_crc32": zlib.crc32(b'{"x": 1}'),
        "metadata": {"x": 1},
    }
    tensors = {"b": torch.tensor(3), "a": torch.ones(2)}
    save_file(tensors, tmp_path / "before", metadata=header_of(document))
    assert load_state(tmp_path / "before")[1] == {"x": 1}


@pytest.mark.parametrize("document", ["{", "[]", "3", {"metadata": {}}, {"format": FORMAT}])
def test_a_header_that_is_not_ours_is_damage_in_one_line(document: Any, tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "state", metadata=header_of(document))
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        load_state(tmp_path / "state")
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is damaged"):
        load_state(tmp_path)


def test_storage_that_refuses_is_the_systems_own_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_state(path, TENSORS, {"passes": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)) as caught:
            save_state(path, {"wide": torch.zeros(4096)}, {"passes": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert load_state(path)[1] == {"passes": 1}
    assert list(tmp_path.iterdir()) == [path]


def content_of(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> bytearray:
    return bytearray(b"".join(piece.tobytes() for piece in state_pieces(tensors, metadata)))


EVERY_KIND = {
    **TENSORS,
    "flag": torch.tensor([True, False, True]),
    "brain": torch.arange(5).to(torch.bfloat16),
    "small": torch.tensor([-3], dtype=torch.int8),
    "nothing": torch.zeros(0, 4),
}


def test_what_travels_in_pieces_is_the_file_and_the_format_is_the_librarys(tmp_path: Path) -> None:
    content = content_of(EVERY_KIND, {"passes": 4})
    save_state(tmp_path / "state", EVERY_KIND, {"passes": 4})
    assert (tmp_path / "state").read_bytes() == content
    theirs = safetensors.torch.load(bytes(content))
    assert theirs.keys() == EVERY_KIND.keys()
    tensors, metadata = state_from(content, "trial 3's state")
    assert metadata == {"passes": 4}
    for name, value in EVERY_KIND.items():
        for found in (theirs[name], tensors[name]):
            assert (found.dtype, found.shape) == (value.dtype, value.shape)
            assert torch.equal(found, value)


def test_a_tensor_begins_where_a_pointer_to_it_may() -> None:
    # A flag before a float64 would put it at an odd address.
    for piece, value in zip(
        state_pieces(EVERY_KIND, {})[1:],
        sorted(EVERY_KIND.values(), key=lambda v: -v.element_size()),
        strict=True,
    ):
        assert piece.nbytes % value.element_size() == 0
    content = content_of(EVERY_KIND, {})
    header = json.loads(content[8 : (begins := 8 + int.from_bytes(content[:8], "little"))])
    for name, value in EVERY_KIND.items():
        assert (begins + header[name]["data_offsets"][0]) % value.element_size() == 0, name


def test_damage_on_the_way_is_told() -> None:
    whole = content_of(TENSORS, {"passes": 4})
    with pytest.raises(CheckpointError, match="trial 3's state was not written by distrecvae"):
        state_from(bytearray(safetensors.torch.save({"a": torch.ones(1)})), "trial 3's state")
    for content in (b"", whole[:7], whole[:60], whole[:-20], whole[:-1], b"\xff" * 8 + whole[8:]):
        with pytest.raises(CheckpointError, match="trial 3's state is damaged") as caught:
            state_from(bytearray(content), "trial 3's state")
        assert "\n" not in str(caught.value)
    for at in range(len(whole) - 40, len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        with pytest.raises(CheckpointError, match="checksum is wrong"):
            state_from(flipped, "trial 3's state")
    text = bytes(whole)
    for old, new in ((b'"F32"', b'"X32"'), (b"[3,2]", b"[3,9]"), (b"data_offsets", b"data_upsets_")):
        assert old in text
        with pytest.raises(CheckpointError, match="is damaged"):
            state_from(bytearray(text.replace(old, new)), "trial 3's state")


def test_a_json_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"name": "Jürgen"}', encoding="utf-8")
    assert read_json(tmp_path / "x.json") == {"name": "Jürgen"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "x.json does not exist; give a folder that `distrecvae train` or a search wrote"),
        (b"", r"x.json is damaged \(.*\); restore it or train again"),
        (b'{"a": 1', r"x.json is damaged \(.*\); restore it or train again"),
        (b"\xff\xfe{}", r"x.json is damaged \(.*\); restore it or train again"),
        (b"[1]", r"x.json is damaged \(not a JSON object\); restore it or train again"),
        (b"null", r"x.json is damaged \(not a JSON object\); restore it or train again"),
    ],
)
def test_what_is_no_json_object_is_told(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(caught.value)


def test_tensors_of_nothing_are_kept(tmp_path: Path) -> None:
    """SLIM with no weight left could not be saved: SciPy's empty arrays have strides of 0."""
    nothing = torch.as_strided(torch.zeros(1, dtype=torch.int32), (0,), (0,))
    save_state(tmp_path / "a", {"items": nothing, "offsets": torch.zeros(3)}, {})
    state, _ = load_state(tmp_path / "a")
    assert state["items"].shape == (0,)
    assert state["items"].dtype == torch.int32
