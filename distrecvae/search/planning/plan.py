"""The plan: what a search is about to do, worked out before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from distrecvae.data.dataset import Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.shared import dataset_bytes
from distrecvae.errors import ResourceError
from distrecvae.precisions import Precision
from distrecvae.search.core.ahead.widening import WIDENED
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import REVIVABLE
from distrecvae.search.core.rules import Never, StoppingRule, make_rule
from distrecvae.search.planning.cost import AS_IF_FIRST_JUDGED_AT, Timing, estimate_text, expected_share
from distrecvae.search.planning.remedies import remedies
from distrecvae.search.planning.resources import PIECE_BYTES, Cluster, Slots, fitting, require_store
from distrecvae.search.space.space import SearchSpace
from distrecvae.training import registry
from distrecvae.training.device import DeviceFacts, require_room
from distrecvae.words import counted, mib


@dataclass(frozen=True)
class Plan:
    """A search's resolved settings.

    Attributes:
        config: the settings.
        space: what is searched.
        slots: how trials are laid on the cluster.
        rule: decides which trials stop early.
        facts: what the trials' device offers.
        precision: of the trials' matrix products.
        sizes: users, items and interactions, in words.
        shared_bytes: memory of the data set and of what trials have in common where it is lent, once a node.
        common_bytes: of what the trials have in common; 0 where it is nothing.
        lent: whether that is shared; else each trial computes it.
        trial_bytes: memory of one trial with the first configuration (estimate).
        travelling_bytes: of trials' states on their way to the driver through the object store, at most.
        state_bytes: a checkpoint's room, at most (estimate).
        storage_bytes: room that the search takes at most: checkpoints, kept models, reports (estimate).
    """

    config: SearchConfig
    space: SearchSpace
    slots: Slots
    rule: StoppingRule
    facts: DeviceFacts
    precision: Precision
    sizes: str
    shared_bytes: int
    common_bytes: int
    lent: bool
    trial_bytes: int
    travelling_bytes: int
    state_bytes: int
    storage_bytes: int

    @property
    def trial_passes(self) -> int:
        """Data passes that a trial gets at most."""
        return 1 if registry.solved_at_once(self.config.model) else self.config.most_passes

    def headline(self) -> str:
        """Return one line for the start of a search."""
        gpus = f" and {self.slots.gpus:g} GPU" if self.slots.gpus else ""
        trials = counted(self.config.trials, "trial", "trials")
        passes = counted(self.trial_passes, "pass", "passes")
        return (
            f"Searching {self.config.model} on {self.sizes}: {trials} of at most {passes},"
            f" {self.slots.concurrent} at once, each on {self.slots.cpus} CPU{gpus}."
        )

    def remark(self) -> str:
        """Return what a person would want to know before the search starts, in a line; nothing where all is well."""
        first = registry.config_from_dict(self.config.model, self.space.default_config())
        before = getattr(first, "pretraining_passes", 0)
        if before < self.trial_passes:
            return ""
        return (
            f"The first trial's pre-training takes {before} passes and a trial gets {self.trial_passes}: its last phase"
            f" is never reached. Raise --max-passes well above {before}, or give a --space with shorter phases."
        )

    def expected(self, pass_s: float, source: str) -> Timing:
        """Return how long the plan's passes take, if one takes `pass_s`, and how many a trial gets by its rule."""
        factor, passes, rule = self.config.reduction_factor, self.trial_passes, self.rule
        if self.config.revives and rule.rungs(0):
            first = max(self.config.first_rung, int(AS_IF_FIRST_JUDGED_AT * passes))
            rule = _rule(replace(self.config, min_passes=first))
        shares = [expected_share(rule.rungs(n), passes, factor) for n in range(self.config.trials)]
        return Timing(pass_s, fmean(shares), source)

    def text(self, timing: Timing | None = None, more: Sequence[tuple[str, str]] = ()) -> str:
        """Return the whole plan for `--dry-run`.

        Args:
            timing: how long its passes take, where that is known.
            more: what else comes of the search, a name and a text each, told beside its budget.
        """
        rungs = ", ".join(map(str, self.rule.rungs(0))) or "none"
        scheduler = f"{self.config.scheduler}, rungs at passes {rungs}"
        if registry.solved_at_once(self.config.model):
            scheduler = "none: one pass solves it, nothing is left to stop early"
        rows = [
            ("model", self.config.model),
            ("data", self.sizes),
            ("trials", f"{self.config.trials}, {self.slots.concurrent} at once"),
            (
                "each on",
                f"{self.slots.cpus} CPU, {self.slots.gpus:g} GPU ({self.facts.name}){self._idle()}",
            ),
            ("precision", self.precision),
            ("sampler", f"{self.config.proposer}, seed {self.config.seed}"),
            ("scheduler", scheduler),
            *([("ranges", WIDENED)] if self.config.widen else []),
            (
                "budget",
                f"at most {self.config.trials * self.trial_passes} passes in all, {self.trial_passes} a trial",
            ),
            *more,
            ("time budget", f"{self.config.time_budget_s:g} s" if self.config.time_budget_s else "none"),
            ("chosen by", f"valid/{self.config.metric}"),
            (
                "memory",
                f"{self._shared()}, about {mib(self.trial_bytes)} a trial, at most {mib(self.travelling_bytes)} of"
                " checkpoints on their way",
            ),
            ("checkpoints", self._checkpoints()),
            ("storage", f"at most about {mib(self.storage_bytes)}"),
        ]
        if timing is not None:
            price = self.config.price_per_hour
            rows += estimate_text(self.config.trials, self.trial_passes, self.slots, timing, price)
        rows += [("expected", words)] if (words := self._expected()) else []
        rows += [("note", remark)] if (remark := self.remark()) else []
        lines = [f"{name:<12}{value}" for name, value in rows]
        described = [("parameter", "range", "first trial"), *self.space.describe()]
        names, ranges = (max(len(row[i]) for row in described) + 2 for i in (0, 1))
        lines += ["", *(f"{name:<{names}}{text:<{ranges}}{first}" for name, text, first in described)]
        return "\n".join(lines)

    def _idle(self) -> str:
        """Return what would put idle cores to work: it is not done unasked, for the threads decide the last bits."""
        share = self.slots.share
        return f"; cores are idle, --cpus-per-trial {share} uses them" if share > self.slots.cpus else ""

    def _expected(self) -> str:
        """Return where a sampler that asks expects the best values, in words; empty where none does."""
        if self.config.sampler != "guided":
            return ""
        expected = self.space.expected().items()
        return ", ".join(f"{place.split('/')[-1]} {value:.3g}" for place, (value, _) in expected)

    def _checkpoints(self) -> str:
        n_kept = self.config.n_kept
        whose = (
            "all trials"
            if n_kept is None
            else f"the {counted(n_kept, 'best trial', 'best trials')} and the first one"
        )
        if self.config.revives and n_kept is not None:
            n_until_over = max(n_kept, REVIVABLE)
            first = "all trials" if n_until_over >= self.config.trials else f"the {n_until_over} best trials"
            whose = f"{first} until the search is over, then of {whose}"
        return f"of {whose}, at most {mib(self.state_bytes)} each, and of those that run (--keep-checkpoints)"

    def _shared(self) -> str:
        common = mib(self.common_bytes)
        if self.lent:
            return f"{mib(self.shared_bytes)} shared a node ({common} of it computed once for all trials)"
        if self.common_bytes:
            return (
                f"{mib(self.shared_bytes)} of data shared a node; {common} more that trials have in common do not fit"
                " Ray's object store, so that each computes its own"
            )
        return f"{mib(self.shared_bytes)} of data shared a node"


def make_plan(
    config: SearchConfig,
    space: SearchSpace,
    split: Split,
    slots: Slots,
    facts: DeviceFacts,
    *,
    lent: bool = False,
) -> Plan:
    """Return the plan of a search; `lent` says that the object store takes what the model's trials have in common.

    Raises:
        ConfigError: the stopping rule's settings contradict each other.
    """
    first = registry.config_from_dict(config.model, space.default_config())
    precision = registry.precision_for(config.model, config.precision, facts.precision)
    trial_bytes, file_bytes = registry.memory_bytes(
        config.model, first, split.train, device=slots.device, precision=precision, lent=lent
    )
    state_bytes = _state_bytes(config, space, split, file_bytes)
    common = registry.common_of(config.model)
    common_bytes = 0 if common is None else common.size(split.train)
    sizes = (
        f"{split.train.n_users:,} training users x {split.n_items:,} items, {split.train.n_interactions:,} interactions"
        f" ({split.valid.n_users:,} validation and {split.test.n_users:,} test users)"
    )
    return Plan(
        config=config,
        space=space,
        slots=slots,
        rule=Never() if registry.solved_at_once(config.model) else _rule(config),
        facts=facts,
        precision=precision,
        sizes=sizes,
        shared_bytes=dataset_bytes(split) + (common_bytes if lent else 0),
        common_bytes=common_bytes,
        lent=lent,
        trial_bytes=trial_bytes,
        travelling_bytes=min(PIECE_BYTES, state_bytes) * slots.concurrent,
        state_bytes=state_bytes,
        storage_bytes=_storage_bytes(config, slots, state_bytes),
    )


REPORT_BYTES = 4096
"""What a report takes in the history, the tables and the event file, by measurement, rounded up."""


def _state_bytes(config: SearchConfig, space: SearchSpace, split: Split, file_bytes: int) -> int:
    """Return what the largest state of a trial takes, `file_bytes` being the first configuration's."""
    default = space.default_config()
    for parameter in space.parameters.values():
        for values in parameter.extremes():
            largest = registry.config_from_dict(config.model, {**default, **values})
            file_bytes = max(file_bytes, registry.memory_bytes(config.model, largest, split.train)[1])
    return file_bytes


def _storage_bytes(config: SearchConfig, slots: Slots, state_bytes: int) -> int:
    """Return the room that a search takes at most.

    State files are kept of the running trials, of the best ones and of the first; each running one's may lie there
    twice, while it is replaced. `best/` is smaller than one.
    """
    passes = 1 if registry.solved_at_once(config.model) else config.most_passes
    most = config.trials if config.n_kept is None else config.n_kept
    kept = min(config.trials, max(most, REVIVABLE) if config.revives else most)
    return state_bytes * (2 * slots.concurrent + kept + 2) + REPORT_BYTES * config.trials * (passes + 1)


def _rule(config: SearchConfig) -> StoppingRule:
    return make_rule(config.scheduler, config.first_rung, config.most_passes, config.reduction_factor)


def check_memory(plan: Plan, cluster: Cluster, train: InteractionMatrix | None = None) -> None:
    """Refuse trials that together cannot fit into the memory of the cluster's nodes, or one that its GPU cannot hold.

    Args:
        plan: the plan.
        cluster: where it is carried out.
        train: the training users, to say what helps where a single trial does not fit; None says less.

    Raises:
        ResourceError: the data set and the trials need more than there is.
    """
    require_room(plan.trial_bytes, plan.facts, plan.slots.gpus)
    require_store(plan.shared_bytes, cluster)
    # An elastic search may have slots that no node has room for yet.
    at_once = min(plan.slots.concurrent, max(1, fitting(cluster, plan.slots.cpus, plan.slots.gpus)))
    needed = plan.shared_bytes * len(cluster.nodes) + plan.trial_bytes * at_once
    if not plan.slots.gpus and needed > cluster.memory_bytes:
        raise ResourceError(
            f"{counted(at_once, 'trial', 'trials')} of about {mib(plan.trial_bytes)} and {mib(plan.shared_bytes)} of"
            f" data need {mib(needed)}, Ray has {mib(cluster.memory_bytes)}; {_remedy(plan, cluster, train)}"
        )


def _remedy(plan: Plan, cluster: Cluster, train: InteractionMatrix | None) -> str:
    """Return what lets trials on CPUs fit: fewer at once, or where not even one does, a smaller one."""
    room = cluster.memory_bytes - plan.shared_bytes * len(cluster.nodes)
    if room >= plan.trial_bytes:
        return f"lower --concurrent to {room // plan.trial_bytes}, or the model's sizes"
    alone = (
        "not even one trial fits: lower the model's sizes, give the machine more memory, or have fewer items"
        " (`distrecvae prepare --min-item-interactions`)"
    )
    if train is None:
        return alone
    first = registry.config_from_dict(plan.config.model, plan.space.default_config())
    # A smaller data set, or another model, shares less, too: the first term of what is there is the whole.
    found = remedies(plan.config.model, first, train, cluster.memory_bytes)
    return f"not even one trial fits: {found}" if found else alone
