"""The published default stays bit for bit: fingerprints of a table that never changes, and what they are of.

Whoever prepared a data set compares by its fingerprint what was trained on it years later. So the numbers below are
never rewritten; where one no longer comes out, the change that did it is wrong, or is another default with another
name. They are held by an oracle, too, which has the protocol and docs/protocol.md's words on the fingerprint and shares
no code with the package: numbers that were wrong from the beginning would not stand here.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import distrecvae as dr
from distrecvae.cli import main
from distrecvae.data.io import load_dataset


class Protocol(NamedTuple):
    """What was asked: a minimum that ratings exceed (None takes all), and held-out users, of `n_users` a tenth."""

    min_rating: float | None = None
    held_out_users: int | None = None
    min_item_interactions: int = 0


GOLDEN = {
    "default": (Protocol(), "dfac48863ad29abff9512f95bac03714"),
    "threshold": (Protocol(min_rating=3.5), "b892c7ac50910a2a2f960594c0472176"),
    "movielens": (Protocol(min_rating=3.5, held_out_users=20), "19003eb758b2e5f71d8b035f83a61622"),
    "songs": (Protocol(min_item_interactions=18, held_out_users=20), "6da6855d80ddf257a1b6c337443ea236"),
}
N_USERS, N_ITEMS = 200, 120
Row = tuple[int, int, float, int]


def rows() -> list[Row]:
    """Return user, item, rating and time by whole-number arithmetic alone, so that no library can change them: users of
    three to some sixty items, a few favourites, halves of stars, items that few have, pairs that are repeated."""
    state, found = 12_345, []

    def draw(n: int) -> int:
        nonlocal state
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (state >> 33) % n

    for user in range(N_USERS):
        for _ in range(3 + draw(6) * draw(12)):
            item = min(draw(N_ITEMS), draw(N_ITEMS))
            found.append((7 * user + 3, 11 * item + 5, (1 + draw(10)) / 2, 1_420_070_400 + draw(10**7)))
    return sorted(found, key=lambda row: (row[3] % 97, row[3]))


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "ratings.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("userId", "movieId", "rating", "timestamp"), *rows()]
        )
    return path


def test_the_table_is_the_one_that_the_fingerprints_are_of(ratings: Path) -> None:
    assert (
        hashlib.sha256(ratings.read_bytes()).hexdigest()
        == "889d2f337b779780d1f2fcad39f5c0a5fb9ed3c9d455590b796859756c140453"
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_the_published_protocol_gives_the_same_data_set_for_ever(
    name: str, ratings: Path, tmp_path: Path
) -> None:
    protocol, fingerprint = GOLDEN[name]
    given = {option: value for option, value in protocol._asdict().items() if value}
    words = [
        word for option, value in given.items() for word in (f"--{option.replace('_', '-')}", f"{value}")
    ]
    with pytest.raises(SystemExit) as ended:
        main(["prepare", str(ratings), "--out", str(tmp_path / "data"), *words])
    assert not ended.value.code
    assert load_dataset(tmp_path / "data").fingerprint == fingerprint
    assert dr.prepare(ratings, **given).fingerprint == fingerprint
    assert fingerprint_of(protocol) == fingerprint, "the package is as it was, the oracle is not"


def fingerprint_of(protocol: Protocol) -> str:
    """Return the fingerprint by the papers' pre-processing, steps 1 to 8 of docs/protocol.md, in plain Python."""
    pairs = list(
        dict.fromkeys(
            row[:2] for row in rows() if protocol.min_rating is None or row[2] > protocol.min_rating
        )
    )
    times = np.bincount([item for _, item in pairs])
    pairs = [pair for pair in pairs if times[pair[1]] >= protocol.min_item_interactions]
    counts = np.bincount([user for user, _ in pairs])
    users = np.flatnonzero(counts >= 5)
    users = users[np.random.RandomState(98_765).permutation(users.size)]
    n = protocol.held_out_users or users.size // 10
    train, valid, test = users[: -2 * n].tolist(), users[-2 * n : -n].tolist(), users[-n:].tolist()
    items = list(dict.fromkeys(item for user, item in pairs if user in train))
    place = {item: position for position, item in enumerate(items)}
    parts = [[sorted(place[item] for user, item in pairs if user == own) for own in train]]
    for group in (valid, test):
        random = np.random.RandomState(98_765)
        shown, hidden = {}, {}
        for own in sorted(group):
            known = [place[item] for user, item in pairs if user == own and item in place]
            chosen: list[int] = []
            if len(known) >= 5:
                chosen = random.choice(len(known), size=int(0.2 * len(known)), replace=False).tolist()
            hidden[own] = sorted(known[at] for at in chosen)
            shown[own] = sorted(set(known) - set(hidden[own]))
        parts += [[shown[own] for own in group], [hidden[own] for own in group]]
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{len(part)},{len(items)},{sum(map(len, part))};".encode())
        digest.update(little([0, *np.cumsum([len(own) for own in part])], "<i8"))
        digest.update(little([item for own in part for item in own], "<i4"))
    for ids in (users.tolist(), items):
        digest.update("\0".join(map(str, ids)).encode() + b"\1")
    return digest.hexdigest()


def little(values: npt.ArrayLike, kind: str) -> bytes:
    return np.asarray(values, dtype=kind).tobytes()
