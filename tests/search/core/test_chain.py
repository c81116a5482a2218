"""No damage to the file goes unnoticed: each byte flipped, each line cut, dropped, doubled, swapped or zeroed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ResultsError
from distrecvae.search.core.chain import Chain, Content, Mark, read_chain, require_reaches

RECORDS: list[dict[str, Any]] = [
    {"kind": "begun", "format": 2},
    {"trial": 0, "rate": 1e-3},
    {"trial": 0, "why": 'a "}" in it'},
    {"n": 3},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    chain = Chain(path)
    for record in RECORDS:
        chain.append(record)
    return path


def accepted(path: Path, mark: Mark) -> Content | None:
    """Return what a damaged file is read as, None where it is refused."""
    refusal = ""
    try:
        content = read_chain(path)
        require_reaches(content, mark, path, Path("search.json"))
    except ResultsError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert not refusal or refusal.endswith("restore it from a backup, or start over in another folder")
    return None if refusal else content


def test_what_was_written_is_read(path: Path) -> None:
    content = read_chain(path)
    assert list(content.records) == RECORDS
    assert content.torn_bytes == 0
    assert content.whole_bytes == path.stat().st_size
    assert content.mark == Chain(path).mark == Mark(4, content.checks[-1])
    for line, record in zip(path.read_text(encoding="utf-8").splitlines(), RECORDS, strict=True):
        read = json.loads(line)
        assert len(read.pop("check")) == 32
        assert read == record, "anybody's JSON reader reads it"


def test_every_flip_of_a_bit_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    mark = read_chain(path).mark
    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            assert accepted(path, mark) is None, (position, bit)


def test_without_a_mark_a_flip_is_refused_or_cuts_a_torn_line_never_more(path: Path) -> None:
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert accepted(path, Mark()) is None, position


def test_a_newline_that_became_something_else_is_said_with_its_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(ResultsError, match="the end of line 4 is damaged"):
        read_chain(path)


def test_a_file_that_was_cut_off_is_a_prefix_and_says_so(path: Path) -> None:
    # As a kill leaves it: what stood before the last newline counts.
    whole = path.read_bytes()
    mark = read_chain(path).mark
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        content = accepted(path, Mark())
        assert content is not None
        lines = whole[:length].count(b"\n")
        assert list(content.records) == RECORDS[:lines]
        assert content.whole_bytes + content.torn_bytes == length
        assert accepted(path, mark) is None, "it was longer: that is no kill"


def test_lines_that_are_dropped_doubled_swapped_or_zeroed_are_refused(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    mark = read_chain(path).mark
    cases = []
    for i in range(len(lines)):
        cases.append([*lines[:i], *lines[i + 1 :]])
        cases.append([*lines[:i], lines[i], *lines[i:]])
        cases.append([*lines[:i], b"\0" * (len(lines[i]) - 1) + b"\n", *lines[i + 1 :]])
        cases.append([*lines[:i], b"\n", *lines[i + 1 :]])
        for j in range(i):
            swapped = list(lines)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            cases.append(swapped)
    for case in cases:
        path.write_bytes(b"".join(case))
        assert accepted(path, mark) is None, case


def test_a_line_that_was_edited_with_its_own_check_is_refused_by_the_next(path: Path) -> None:
    # Somebody writes a line again, with a check that fits: the lines behind it do not follow from it.
    lines = path.read_bytes().splitlines(keepends=True)
    edited = path.with_name("edited")
    chain = Chain(edited)
    chain.append(RECORDS[0])
    chain.append({"trial": 0, "rate": 1.0})
    better = edited.read_bytes().splitlines(keepends=True)[1]
    path.write_bytes(b"".join([lines[0], better, *lines[2:]]))
    with pytest.raises(
        ResultsError, match="line 3 is damaged, or one before it is missing, edited or doubled"
    ):
        read_chain(path)


def test_another_chain_of_the_same_length_is_refused_by_the_mark(path: Path) -> None:
    mark = read_chain(path).mark
    path.unlink()
    chain = Chain(path)
    for record in [*RECORDS[:-1], {"n": 4}]:
        chain.append(record)
    assert accepted(path, mark) is None
    assert accepted(path, chain.mark) is not None


def test_a_torn_line_is_cut_before_the_next_is_written(path: Path) -> None:
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"trial":1,"ra')
    chain = Chain(path)
    assert chain.found.torn_bytes == 14
    assert path.read_bytes() == whole, "the next line may be shorter, and would leave its end"
    chain.append({"n": 4})
    assert list(read_chain(path).records) == [*RECORDS, {"n": 4}]


def test_a_chain_that_nobody_holds_gives_its_file_back(path: Path) -> None:
    # Python's callers begin many searches in one process.
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        Chain(path)
    assert len(list(Path("/dev/fd").iterdir())) < before + 20


def test_what_was_rescued_is_written_and_closed_however_often(path: Path) -> None:
    """Whoever has the chain may ask again and again whether its file is in place."""
    chain = Chain(path)
    path.unlink()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(ResultsError, match="was removed by another program"):
            chain.require_in_place()
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_line_that_could_not_be_written_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, before = Chain(path), path.read_bytes()
    pwrite = os.pwrite

    def full(file: int, data: bytes, offset: int) -> int:
        if offset == len(before):
            return pwrite(file, data[:7], offset)  # some of it still fits
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            chain.append({"n": 4})
    assert path.read_bytes() == before
    chain.append({"n": 5})
    assert list(read_chain(path).records) == [*RECORDS, {"n": 5}]


def test_a_line_that_the_system_takes_in_pieces_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, data[:7], offset))
    Chain(path).append({"n": 4})
    assert list(read_chain(path).records) == [*RECORDS, {"n": 4}]


def test_a_line_counts_once_it_is_on_disk_and_all_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, before = Chain(path), path.read_bytes()
    synced = []

    def sync(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        if len(synced) == 2:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", sync)
    chain.append({"n": 4})
    after, mark = path.read_bytes(), chain.mark
    assert synced == [len(after)] != [len(before)]
    with pytest.raises(OSError, match="Input/output error"):
        chain.append({"n": 5})
    assert (path.read_bytes(), chain.mark) == (after, mark)


def test_what_was_cut_is_gone_from_the_disk_before_anything_is_written_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power loss mixes a torn line with the one that is written there; a planted bug that nights missed."""
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"torn')
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    Chain(path)
    assert synced == [len(whole)]


def test_the_error_that_is_told_is_the_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A storage that takes nothing does not let itself be tidied up, either.
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def gone(*_: object) -> None:
        raise OSError(5, "Input/output error")

    chain = Chain(path)
    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "ftruncate", gone)
    with pytest.raises(OSError, match="No space left"):
        chain.append({"n": 4})


def test_what_is_no_number_is_refused(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Out of range float"):
        Chain(path).append({"score": float("nan")})
    assert path.read_bytes() == before


def test_a_file_that_is_not_there_is_missing_to_a_reader_and_new_to_a_writer(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"ledger\.jsonl is missing; restore it"):
        read_chain(tmp_path / "ledger.jsonl")
    assert Chain(tmp_path / "ledger.jsonl").mark == Mark()


def test_a_file_that_cannot_be_read_is_said_with_the_systems_reason(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"cannot be read \(Is a directory\); restore it"):
        read_chain(tmp_path)


@pytest.mark.parametrize("how", ["removed", "replaced", "longer", "shorter"])
def test_a_file_that_is_changed_under_the_writer_is_noticed_and_what_was_written_kept(
    how: str, path: Path
) -> None:
    chain, whole = Chain(path), path.read_bytes()
    chain.require_in_place()
    if how == "removed":
        path.unlink()
    elif how == "replaced":
        path.with_name("copy").write_bytes(whole)
        path.with_name("copy").replace(path)
    else:
        path.write_bytes(whole + b"{}\n" if how == "longer" else whole[:-1])
    with pytest.raises(ResultsError, match="continue with --resume") as refused:
        chain.require_in_place()
    assert f"was {'removed' if how == 'removed' else 'changed'} by another program" in str(refused.value)
    rescued = path.with_name("ledger-rescued.jsonl").read_bytes()
    assert how in ("longer", "shorter") or rescued == whole


def test_nothing_is_appended_where_nobody_would_find_it(path: Path) -> None:
    """A night found it: another program cut the file, a request was taken up and answered, the power failed."""
    chain, whole = Chain(path), path.read_bytes()
    path.with_name("half").write_bytes(whole[: whole.find(b"\n") + 1])
    path.with_name("half").replace(path)
    with pytest.raises(ResultsError, match="was changed by another program"):
        chain.append({"n": 4})
    assert path.with_name("ledger-rescued.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    "form",
    [None, 3, {}, {"lines": 1}, {"lines": -1, "check": ""}, {"lines": True, "check": "0" * 32},
     {"lines": 1, "check": ""}, {"lines": 0, "check": "0" * 32}, {"lines": 1, "check": "0" * 31 + "g"},
     {"lines": -1, "check": "0" * 32}, {"lines": 1, "check": None}],
)  # fmt: skip
def test_what_is_no_mark_is_refused(form: object) -> None:
    with pytest.raises(ValueError, match="not a mark of a ledger"):
        Mark.from_dict(form)


def test_a_mark_comes_back(path: Path) -> None:
    for mark in (Mark(), read_chain(path).mark):
        assert Mark.from_dict(json.loads(json.dumps(mark.to_dict()))) == mark


def test_a_last_line_that_a_power_loss_left_with_zeros_in_it_is_cut(path: Path) -> None:
    """Sectors come to the disk in any order: the newline may be there and the middle not. It was never synced."""
    whole = path.read_bytes()
    begin = whole.rfind(b"\n", 0, -1) + 1
    for cut in range(begin, len(whole)):
        damaged = whole[:cut] + bytes(min(4, len(whole) - 1 - cut)) + whole[cut + 4 :]
        path.write_bytes(damaged if b"\0" in damaged else whole[:cut])
        assert read_chain(path).mark.lines == 3, cut
    path.write_bytes(whole[:begin] + bytes(8) + whole[begin + 8 :])
    with pytest.raises(ResultsError, match="has 3 lines, and had 4"):
        require_reaches(read_chain(path), Mark(4, "0" * 32), path, Path("search.json"))


def test_zeros_in_an_earlier_line_are_damage(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = bytes(4) + lines[2][4:]
    path.write_bytes(b"".join(lines))
    with pytest.raises(ResultsError, match="line 3 is damaged"):
        read_chain(path)


def test_what_is_rescued_is_what_was_written_and_nothing_that_another_program_added(path: Path) -> None:
    """The message says to move it in the ledger's place: with the other's line in it, it was refused there."""
    chain = Chain(path)
    chain.append({"n": 4})
    written = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"kind":"resumed"}\n')
    with pytest.raises(ResultsError, match="changed by another program"):
        chain.require_in_place()
    assert (path.parent / "ledger-rescued.jsonl").read_bytes() == written
