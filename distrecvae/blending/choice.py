"""How a blend is chosen: rule and weights on validation users, within limits of size and latency, then thinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from distrecvae.blending.candidate import Candidate
from distrecvae.blending.costs import Cost, Limits, measured
from distrecvae.blending.greedy import Allowed, Chosen, Fold, Judge, best_single, choose, cross_fitted
from distrecvae.blending.mixtures import Told, evaluate_mixtures, part_of, scorable
from distrecvae.blending.pool import make_pool
from distrecvae.blending.thinning import KEEPS, thin_variants
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.errors import ConfigError
from distrecvae.evaluation import Evaluation, Recommender, Scoring, evaluate
from distrecvae.kernels.comparable import RULES
from distrecvae.metrics import METRICS, metric_of, require_metrics, selecting
from distrecvae.saved.blend import Blend

AUTO = "auto"
"""The rule is chosen, too."""
MAX_MEMBERS = 5
"""Members of a blend at most, unless told otherwise: beyond these little is gained, and each is served."""
_TRIES = 4
"""Choices made at most until a blend that was measured keeps within its limits."""

Stage = Callable[[str], Told]
"""Told what begins; returns what is told how far it is."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked of a blend.

    Attributes:
        metric: what is maximised on validation users; a value a user.
        rule: by which scores are made comparable, or `AUTO`.
        max_members: members at most.
        limits: of size and latency.

    Raises:
        ConfigError: a value breaks its rule.
    """

    metric: str = METRICS[0]
    rule: str = AUTO
    max_members: int = MAX_MEMBERS
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        name = selecting(self.metric)
        if metric_of(name).of_ranks is None:
            raise ConfigError(
                f"--metric {self.metric} is of lists, not of users; give one that is a value a user, such as ndcg@100"
            )
        object.__setattr__(self, "metric", name)
        if self.rule not in (AUTO, *RULES):
            raise ConfigError(f"--rule {self.rule} is not one of {', '.join((AUTO, *RULES))}")
        if self.max_members < 1:
            raise ConfigError(f"--max-members {self.max_members} must be at least 1")

    @property
    def scoring(self) -> Scoring:
        """What is computed of rankings: the metrics of the published protocol, and that by which is chosen."""
        return Scoring(tuple(metric_of(name) for name in dict.fromkeys((*METRICS, self.metric))))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A blend that was chosen on validation users; no test user was looked at.

    Attributes:
        wish: what was asked for.
        candidates: what it was chosen from, in the order given; thin variants of them last.
        costs: of each candidate.
        valid: of each candidate on the validation users.
        rule: by which scores are made comparable.
        members: the models, by falling weight.
        weights: of the members.
        cost: of the blend, measured.
        in_sample: the blend on the validation users that its weights were chosen on.
        cross_fitted: each validation user under the blend that was chosen without the user's fold; None where there are
            too few users for that.
        single_cross_fitted: the same of the best single candidate.
        single: the candidate that validation users choose alone.
        fold_weights: of each fold, the weight of each candidate.
        thin_losses: what each member's thinness loses of the metric on validation users; None where it is whole.
        refit_users: users that the members and `single` were trained again on, the validation users among them; None
            where they were not. Scores on validation users and costs are of the members before.
    """

    wish: Wish
    candidates: tuple[Candidate, ...]
    costs: tuple[Cost, ...]
    valid: tuple[Evaluation, ...]
    rule: str
    members: tuple[Candidate, ...]
    weights: tuple[float, ...]
    cost: Cost
    in_sample: Evaluation
    cross_fitted: Evaluation | None
    single_cross_fitted: Evaluation | None
    single: Candidate
    fold_weights: tuple[tuple[float, ...], ...]
    thin_losses: tuple[float | None, ...]
    refit_users: int | None = None

    @property
    def blend(self) -> Blend:
        """The model."""
        return _blend(self.rule, self.weights, self.members)


def choose_blend(
    candidates: Sequence[Candidate],
    users: HeldOutUsers,
    wish: Wish,
    stage: Stage = lambda _what: lambda _done, _all: None,
) -> Choice:
    """Return the blend that validation users choose.

    Args:
        candidates: models of the users' items, with names that differ.
        users: validation users.
        wish: what is asked for.
        stage: told of what is being done.

    Raises:
        ConfigError: no blend keeps within the limits.
    """
    require_metrics([wish.metric], users.n_items)
    listed = list(candidates)
    if wish.limits.max_bytes is not None:
        listed += [thin for each in candidates for thin in thin_variants(each)]
    models = [each.recommender for each in listed]
    told = stage("candidates")
    costs, valid = [], []
    for number, each in enumerate(listed, 1):
        costs.append(measured(each.recommender, each.size_bytes, users))
        valid.append(evaluate(each.recommender, users, wish.scoring))
        told(number, len(listed))
    rules = tuple(RULES) if wish.rule == AUTO else (wish.rule,)
    judges = {
        rule: Judge(make_pool(models, rule, users, stage(f"scores, {rule}")), wish.metric) for rule in rules
    }
    chosen, cost, allowed = _within_limits(listed, costs, judges, users, wish)
    everyone = np.ones(judges[chosen.rule].pool.n_users, dtype=np.bool_)
    alone = best_single(judges[chosen.rule], everyone, allowed)
    assert alone is not None, "a blend was allowed, so are its members"  # noqa: S101
    members, weights = _members(listed, chosen)
    whole = evaluate(_blend(chosen.rule, weights, members), users, wish.scoring)
    thin, in_sample, losses = _thinned(chosen.rule, weights, members, users, wish, whole)
    if any(loss is not None for loss in losses):
        thin_cost = _cost(chosen.rule, weights, thin, users)
        if wish.limits.allow([thin_cost]):
            members, cost = thin, thin_cost
        else:
            in_sample, losses = whole, [None] * len(members)
    folds = cross_fitted(judges, most_members=wish.max_members, allowed=allowed)
    ours, singles = _over_folds(models, folds, users, wish.scoring, stage("cross-fitting"))
    return Choice(
        wish=wish,
        candidates=tuple(listed),
        costs=tuple(costs),
        valid=tuple(valid),
        rule=chosen.rule,
        members=tuple(members),
        weights=tuple(weights),
        cost=cost,
        in_sample=in_sample,
        cross_fitted=ours,
        single_cross_fitted=singles,
        single=listed[alone.index(1)],
        fold_weights=tuple(fold.chosen.weights for fold in folds),
        thin_losses=tuple(losses),
    )


def _within_limits(
    listed: Sequence[Candidate],
    costs: Sequence[Cost],
    judges: Mapping[str, Judge],
    users: HeldOutUsers,
    wish: Wish,
) -> tuple[Chosen, Cost, Allowed]:
    """Return the best choice that keeps within the limits when it is measured, its cost, and what was allowed for it.

    Raises:
        ConfigError: there is none.
    """
    everyone = np.ones(next(iter(judges.values())).pool.n_users, dtype=np.bool_)
    limits = wish.limits
    for _ in range(_TRIES):

        def allowed(members: Sequence[int], limits: Limits = limits) -> bool:
            wholes = {listed[place].whole for place in members}
            once = len(wholes) == len(members)  # no model beside a thin variant of itself
            return once and limits.allow([costs[place] for place in members])

        chosen = choose(judges, everyone, most_members=wish.max_members, allowed=allowed)
        if chosen is None:
            break
        members, weights = _members(listed, chosen)
        cost = _cost(chosen.rule, weights, members, users)
        if wish.limits.allow([cost]):
            return chosen, cost, allowed
        limits = limits.tightened(cost.single_ms)
    smallest, fastest = min(cost.size_bytes for cost in costs), min(cost.single_ms for cost in costs)
    raise ConfigError(
        f"no blend keeps within {limits_text(wish.limits)}: the smallest candidate has {smallest:,} bytes, the fastest"
        f" takes {fastest:.3g} ms a user here; raise the limit or give smaller models"
    )


def limits_text(limits: Limits) -> str:
    """Return limits in words: 20,000,000 bytes and 2 ms a user."""
    parts = []
    if limits.max_bytes is not None:
        parts.append(f"{limits.max_bytes:,} bytes")
    if limits.max_latency_ms is not None:
        parts.append(f"{limits.max_latency_ms:g} ms a user")
    return " and ".join(parts)


def _members(listed: Sequence[Candidate], chosen: Chosen) -> tuple[list[Candidate], list[float]]:
    """Return the members of a choice and their weights, by falling weight."""
    places = [place for place, count in enumerate(chosen.counts) if count]
    places.sort(key=lambda place: (-chosen.weights[place], place))
    return [listed[place] for place in places], [chosen.weights[place] for place in places]


def _blend(rule: str, weights: Sequence[float], members: Sequence[Candidate]) -> Blend:
    return Blend(rule, weights, [each.recommender for each in members])


def _cost(rule: str, weights: Sequence[float], members: Sequence[Candidate], users: HeldOutUsers) -> Cost:
    return measured(_blend(rule, weights, members), sum(each.size_bytes for each in members), users)


def _thinned(
    rule: str,
    weights: Sequence[float],
    members: Sequence[Candidate],
    users: HeldOutUsers,
    wish: Wish,
    whole: Evaluation,
) -> tuple[list[Candidate], Evaluation, list[float | None]]:
    """Return the members as thin as the blend keeps its score, the blend's score then, and what each thinning loses."""
    kept, scored = list(members), whole
    losses: list[float | None] = [None] * len(members)
    for place, member in enumerate(members):
        for variant in thin_variants(member):
            thin = replace(variant, name=member.name)  # it is the same model
            tried = [thin if each == place else other for each, other in enumerate(kept)]
            found = evaluate(_blend(rule, weights, tried), users, wish.scoring)
            if whole.mean(wish.metric) - found.mean(wish.metric) <= KEEPS:
                losses[place] = scored.mean(wish.metric) - found.mean(wish.metric)
                kept, scored = tried, found
                break
    return kept, scored, losses


def _over_folds(
    models: Sequence[Recommender], folds: Sequence[Fold], users: HeldOutUsers, scoring: Scoring, told: Told
) -> tuple[Evaluation, Evaluation] | tuple[None, None]:
    """Return each user's metrics under what was chosen without the user's fold: the blend, the single candidate.

    Users that the pool left out had no part in any choice; they belong to folds in the same way.
    """
    if not folds:
        return None, None
    counted = scorable(users)
    fold_of = np.arange(counted.size) % len(folds)
    per_user = [{each.name: np.empty(counted.size) for each in scoring.metrics} for _ in range(2)]
    for number, fold in enumerate(folds):
        weightings = (fold.chosen.weights, fold.single)
        used = [place for place in range(len(models)) if any(weights[place] for weights in weightings)]
        scored = evaluate_mixtures(
            [models[place] for place in used],
            fold.chosen.rule,
            [[float(weights[place]) for place in used] for weights in weightings],
            part_of(users, counted[fold_of == number]),
            scoring,
        )
        for whole, part in zip(per_user, scored, strict=True):
            for name, values in part.per_user.items():
                whole[name][fold_of == number] = values
        told(number + 1, len(folds))
    ours, singles = (Evaluation(each, counted, users.n_users - counted.size) for each in per_user)
    return ours, singles
