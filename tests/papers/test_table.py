"""Ours beside theirs: differences only of the same data, and plain words where the data are others."""

from __future__ import annotations

import csv
import io

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.metrics import METRICS
from distrecvae.papers.numbers import ROWS, SETS
from distrecvae.papers.table import Ours, csv_of, heading, lines_of, markdown_of, text_of

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
MEAN = dict(zip(METRICS, (0.5, 0.25, 0.75), strict=True))
RECVAE = Ours(ROWS["recvae"], MEAN, dict.fromkeys(METRICS, 0.01), 10, "recvae-msd; 400 passes")
EASE = Ours(ROWS["ease"], {}, {}, 0, "ease-msd; 1 pass", "not run: it takes 27 GiB")


def test_of_the_same_data_the_difference_is_shown() -> None:
    head, recvae, ease = lines_of([RECVAE, EASE], "msd", same=True)
    assert head == ["model", "NDCG@100", "published", "difference", "Recall@20", "published", "difference",
                    "Recall@50", "published", "difference", "settings"]  # fmt: skip
    assert recvae == ["recvae", "0.5000 ± 0.0100", "0.326", "+0.1740", "0.2500 ± 0.0100", "-", "-",
                      "0.7500 ± 0.0100", "-", "-", "recvae-msd; 400 passes"]  # fmt: skip
    assert ease[1:4] == ["-", "0.389", "-"]
    assert ease[-1] == "not run: it takes 27 GiB"


def test_of_other_data_there_is_none_and_it_is_said_first() -> None:
    _, recvae, _ = lines_of([RECVAE, EASE], "msd", same=False)
    assert recvae[1:4] == ["0.5000 ± 0.0100", "0.326", "-"]
    said = heading(SETS["msd"], SPLIT, "data/mine", same=False)
    assert said.startswith("NOT THE PUBLISHED DATA. Ours on data/mine: 100 users x")
    assert "on Million Song Dataset (571,355 users x 41,140 items)" in said
    assert markdown_of([RECVAE], "msd", said, {"torch": "2"}, same=False).startswith(said)
    same = heading(SETS["msd"], SPLIT, "data/msd", same=True, shortened="At most 4 passes each.")
    assert "NOT" not in same
    assert same.endswith("At most 4 passes each.")


def test_files_have_every_number_and_with_what_it_was_made() -> None:
    lines = list(csv.DictReader(io.StringIO(csv_of([RECVAE, EASE], SETS["msd"], SPLIT, same=False))))
    assert [(line["model"], line["metric"]) for line in lines[:3]] == [("recvae", name) for name in METRICS]
    assert float(lines[0]["ours"]) == 0.5
    assert (lines[0]["published"], lines[0]["published_on"], lines[0]["same_data"]) == (
        "0.326",
        "msd",
        "False",
    )
    assert (lines[1]["published"], lines[3]["ours"]) == ("", "")
    assert {line["fingerprint"] for line in lines} == {SPLIT.fingerprint}
    written = markdown_of([RECVAE, EASE], "msd", "said", {"torch": "2.8"}, same=True)
    assert "Made with torch 2.8." in written
    assert "- `recvae`: Shenbin et al. (WSDM 2020)." in written
    assert "over 10 test users" in written


@pytest.mark.parametrize("same", [True, False])
def test_a_terminal_has_the_first_metric(same: bool) -> None:
    text = text_of([RECVAE, EASE], "msd", same=same).splitlines()
    assert text[0].split() == ["model", "NDCG@100", "published", "difference", "settings"]
    assert ("+0.1740" in text[1]) is same
