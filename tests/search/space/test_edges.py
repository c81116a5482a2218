"""A value at the end of its range is said with its direction, unless the model itself ends there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.space.distributions import Float, Int
from distrecvae.search.space.edges import Edge, edge_share, edges
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class Limited:
    """A model of which one setting has a limit on either side, and the others only where numbers make no sense."""

    share: float = 0.5
    rate: float = 1e-3
    width: int = 5
    batch: int = 500
    kind: str = "a"
    weights: tuple[float, float] = (0.5, 0.5)
    gamma: float | None = 0.005
    beta: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ConfigError("share must be in [0, 1)")
        if self.width < 1 or self.width > 12 or self.batch < 1 or self.rate <= 0:
            raise ConfigError("must be positive")


PARAMETERS: dict[str, Any] = {
    "share": {"type": "float", "low": 0.0, "high": 0.8},
    "rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "width": {"type": "int", "low": 1, "high": 9, "step": 2},
    "batch": {"type": "categorical", "choices": [1000, 250, 500]},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "weights": {"type": "simplex", "components": ["x", "y"]},
    "kl": {
        "type": "one_of",
        "branches": {
            "gamma": {"gamma": {"type": "float", "low": 1e-3, "high": 1e-2, "log": True}},
            "beta": {"beta": {"type": "float", "low": 0.1, "high": 1.0}},
        },
    },
}
SPACE = SearchSpace.from_mapping({"model": "net", "parameters": PARAMETERS}, config_class=Limited)


def found(**values: Any) -> list[tuple[str, str]]:
    config = {**SPACE.base, **values}
    return [(edge.name, edge.direction) for edge in edges(SPACE.parameters, config, Limited)]


def test_in_the_middle_there_is_no_edge() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rate": 1.24e-4}, [("rate", "smaller")]),  # the outermost twentieth of two decades ends at 1.259e-4
        ({"rate": 1.27e-4}, []),
        ({"rate": 1e-2}, [("rate", "larger")]),
        ({"share": 0.77}, [("share", "larger")]),
        ({"share": 0.75}, []),
        ({"share": 0.0}, []),  # below 0 the model takes nothing
        ({"width": 9}, [("width", "larger")]),
        ({"width": 7}, []),
        ({"width": 1}, []),
        (
            {"batch": 250},
            [("batch", "smaller")],
        ),  # choices of numbers have an order, whatever theirs in the list
        ({"batch": 1000}, [("batch", "larger")]),
        ({"kind": "b"}, []),
        ({"weights": [1.0, 0.0]}, []),
        ({"gamma": 1e-2}, [("gamma", "larger")]),
        ({"gamma": None, "beta": 0.1}, [("beta", "smaller")]),  # of the branch that counts
        (
            {"batch": 250, "rate": 1e-2, "gamma": 1e-3},
            [("rate", "larger"), ("batch", "smaller"), ("gamma", "smaller")],
        ),
    ],
)
def test_the_end_of_a_range_is_an_edge_with_a_direction(
    values: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert found(**values) == expected


@pytest.mark.parametrize(
    ("raw", "start", "value", "expected"),
    [
        (
            {"type": "int", "low": 16, "high": 1000, "log": True},
            500,
            18,
            ["smaller"],
        ),  # fine: 16 is hardly drawn
        ({"type": "int", "low": 16, "high": 1000, "log": True}, 500, 21, []),
        ({"type": "int", "low": 100, "high": 1000, "step": 100}, 500, 200, []),
        ({"type": "int", "low": 100, "high": 1000, "step": 100}, 500, 100, ["smaller"]),
        ({"type": "int", "low": 500, "high": 500}, 500, 500, []),  # one value is no range
        ({"type": "categorical", "choices": [500]}, 500, 500, []),
        ({"type": "int", "low": 1, "high": 500}, 500, 1, []),  # a batch of none is none
        ({"type": "int", "low": 1, "high": 500}, 500, 499, ["larger"]),
    ],
)
def test_a_range_of_many_whole_numbers_has_a_margin(
    raw: dict[str, Any], start: int, value: int, expected: list[str]
) -> None:
    space = SearchSpace.from_mapping({"model": "net", "parameters": {"batch": raw}}, config_class=Limited)
    assert space.base["batch"] == start
    assert [
        e.direction for e in space.edges({**space.base, "batch": value}, config_class=Limited)
    ] == expected


def test_an_edge_says_itself() -> None:
    edge = Edge("batch_size", 250, "250 | 500 | 1000", "smaller")
    assert (
        edge.text() == "batch_size 250 is at the edge of its range (250 | 500 | 1000): smaller may be better"
    )


def test_the_models_own_limits_are_asked_of_the_registry() -> None:
    space = SearchSpace.load("recvae").resolved(Sizes(116_677, 20_108, 8_500_000))
    config = {**space.base, "encoder_passes": 5, "decoder_passes": 1, "dropout": 0.7}
    assert [(edge.name, edge.direction) for edge in space.edges(config)] == [
        ("encoder_passes", "larger"),
        ("dropout", "larger"),
    ]


@pytest.mark.parametrize(
    ("distribution", "share"),
    [
        (Float(0.0, 1.0), 0.05),
        (Float(1e-4, 1.0, log=True), 0.05),
        (Float(0.0, 1.0, step=0.25), 0.2),
        (Int(1, 5), 0.2),
        (Int(50, 400, step=50), 0.125),
        (Int(32, 500, log=True), 0.05),
        (Int(1, 2), 0.5),
    ],
)
def test_an_edge_holds_a_twentieth_or_the_last_of_few_values(distribution: Int | Float, share: float) -> None:
    assert edge_share(distribution) == pytest.approx(share)
