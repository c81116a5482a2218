"""The choice of a blend: on validation users alone, within its limits, and honestly scored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from distrecvae.blending import choice as choosing
from distrecvae.blending.choice import Choice, Wish, choose_blend, limits_text
from distrecvae.blending.costs import Cost, Limits
from distrecvae.blending.mixtures import scorable
from distrecvae.blending.thinning import KEEPS
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.errors import ConfigError
from distrecvae.evaluation import Recommender, evaluate
from distrecvae.saved.blend import Blend
from tests.blending.models import split, trained

METRIC = "ndcg_100"
NAMES = ("popularity", "ease", "recvae", "ease-loose")


@cache
def chosen(*names: str, rule: str = "standardized", **wish: int) -> Choice:
    return choose_blend([trained(name) for name in names], split().valid, Wish(rule=rule, **wish))  # type: ignore[arg-type]


def test_a_blend_is_chosen_and_described() -> None:
    made = chosen(*NAMES)
    assert [each.name for each in made.candidates] == list(NAMES)
    assert list(made.weights) == sorted(made.weights, reverse=True)
    assert sum(made.weights) == pytest.approx(1)
    assert all(weight > 0 for weight in made.weights)
    assert made.in_sample.mean(METRIC) == evaluate(made.blend, split().valid).mean(METRIC)
    for each, valid in zip(made.candidates, made.valid, strict=True):
        assert valid.mean(METRIC) == evaluate(each.recommender, split().valid).mean(METRIC)
    best = max(zip(made.valid, NAMES, strict=True), key=lambda pair: pair[0].mean(METRIC))[1]
    assert made.single.name == best
    assert made.in_sample.mean(METRIC) > max(valid.mean(METRIC) for valid in made.valid)
    assert made.cost.size_bytes == sum(each.size_bytes for each in made.members)


def test_the_honest_score_is_that_of_users_who_had_no_part_in_the_choice() -> None:
    made = chosen("ease", "recvae", "popularity")
    assert made.cross_fitted is not None
    assert made.single_cross_fitted is not None
    counted = scorable(split().valid)
    models = [trained(name).recommender for name in ("ease", "recvae", "popularity")]
    for fold, weights in enumerate(made.fold_weights):
        kept = [(weight, model) for weight, model in zip(weights, models, strict=True) if weight]
        blend = Blend("standardized", [weight for weight, _ in kept], [model for _, model in kept])
        mine = np.flatnonzero(np.arange(counted.size) % 5 == fold)
        truth = evaluate(blend, split().valid).per_user[METRIC]
        np.testing.assert_array_equal(made.cross_fitted.per_user[METRIC][mine], truth[mine])
    assert made.cross_fitted.users.tolist() == counted.tolist()


def test_a_single_candidate_is_a_blend_of_one() -> None:
    made = chosen("ease")
    assert (made.weights, made.single.name) == ((1.0,), "ease")
    assert made.in_sample.mean(METRIC) >= made.valid[0].mean(METRIC) - KEEPS  # its weights may be thin


def test_its_members_are_as_few_as_asked_for() -> None:
    assert len(chosen(*NAMES, max_members=1).members) == 1
    assert len(chosen(*NAMES, max_members=2).members) <= 2


def test_too_few_users_are_not_cross_fitted() -> None:
    few = HeldOutUsers(split().valid.fold_in.slice(0, 9), split().valid.held_out.slice(0, 9))
    made = choose_blend([trained("ease"), trained("popularity")], few, Wish(rule="ranks"))
    assert (made.cross_fitted, made.single_cross_fitted, made.fold_weights) == (None, None, ())


class TestLimits:
    def test_a_blend_keeps_within_its_bytes_by_thin_weights(self) -> None:
        whole = trained("ease").size_bytes
        wish = Wish(rule="standardized", limits=Limits(max_bytes=whole // 2))
        made = choose_blend([trained("ease"), trained("popularity")], split().valid, wish)
        assert made.cost.size_bytes <= whole // 2
        assert any(each.thin_of == "ease" for each in made.members)
        names = [each.whole for each in made.members]
        assert len(set(names)) == len(names)  # not beside itself
        assert len(made.candidates) == 6
        assert made.single.size_bytes <= whole // 2  # what would be shipped alone keeps the limit, too

    def test_no_blend_within_the_bytes_is_said(self) -> None:
        wish = Wish(limits=Limits(max_bytes=100))
        with pytest.raises(
            ConfigError, match=r"no blend keeps within 100 bytes: the smallest candidate has 480 bytes"
        ):
            choose_blend([trained("popularity")], split().valid, wish)

    def test_a_slow_member_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def told(model: Recommender, size_bytes: int, users: HeldOutUsers) -> Cost:
            members: Sequence[Recommender] = getattr(model, "members", (model,))
            slow = any(each is trained("recvae").recommender for each in members)
            return Cost(size_bytes, 50.0 if slow else 0.5 * len(members), 0.1)

        monkeypatch.setattr(choosing, "measured", told)
        candidates = [trained(name) for name in NAMES]
        made = choose_blend(candidates, split().valid, Wish(rule="standardized", limits=Limits(None, 1.0)))
        assert "recvae" not in [each.name for each in made.members]
        assert made.cost.single_ms <= 1.0

    def test_a_blend_that_is_slower_than_its_parts_is_chosen_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def told(model: Recommender, size_bytes: int, users: HeldOutUsers) -> Cost:
            members = getattr(model, "members", None)
            return Cost(size_bytes, 0.4 if members is None else 0.9 * len(members), 0.1)

        monkeypatch.setattr(choosing, "measured", told)
        made = choose_blend(
            [trained(name) for name in NAMES],
            split().valid,
            Wish(rule="standardized", limits=Limits(None, 1.0)),
        )
        assert (len(made.members), made.cost.single_ms) == (1, 0.9)

    def test_limits_in_words(self) -> None:
        assert limits_text(Limits(20_000_000, 2.0)) == "20,000,000 bytes and 2 ms a user"


def test_weights_are_thin_where_the_blend_keeps_its_score(monkeypatch: pytest.MonkeyPatch) -> None:
    wish = Wish(rule="standardized")
    monkeypatch.setattr(choosing, "KEEPS", 1.0)  # anything will do
    thin = choose_blend([trained("ease"), trained("recvae")], split().valid, wish)
    ease = next(each for each in thin.members if each.model == "ease")
    assert (ease.name, ease.thin_of) == ("ease", "ease")
    assert ease.size_bytes < trained("ease").size_bytes / 4
    loss = thin.thin_losses[[each.model for each in thin.members].index("ease")]
    monkeypatch.setattr(choosing, "KEEPS", -1.0)  # nothing will
    whole = choose_blend([trained("ease"), trained("recvae")], split().valid, wish)
    assert whole.thin_losses == (None,) * len(whole.members)
    assert loss == pytest.approx(whole.in_sample.mean(METRIC) - thin.in_sample.mean(METRIC), abs=1e-12)
    assert thin.cost.size_bytes < whole.cost.size_bytes


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"metric": "auc"}, "metric='auc' is not one of ndcg"),
        ({"metric": "coverage@20"}, "--metric coverage@20 is of lists, not of users"),
        ({"rule": "sum"}, "--rule sum is not one of auto, standardized, log-softmax, ranks"),
        ({"max_members": 0}, "--max-members 0 must be at least 1"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(wish: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Wish(**wish)  # type: ignore[arg-type]
