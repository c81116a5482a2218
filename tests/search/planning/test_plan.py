"""The plan: which precision a search has, and what is refused because it cannot fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distrecvae.data.shared import dataset_bytes
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError
from distrecvae.precisions import Precision
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.launch import load_space
from distrecvae.search.planning.plan import Plan, check_memory, make_plan
from distrecvae.search.planning.resources import PIECE_BYTES, Cluster, Slots
from distrecvae.search.space.space import SearchSpace
from distrecvae.training import registry
from distrecvae.training.device import DeviceFacts
from distrecvae.words import mib

SPLIT = synthetic_split(n_users=300, n_items=100, seed=1)
CLUSTER = Cluster(nodes=((8.0, 1.0),), object_store_bytes=10**9, memory_bytes=32 << 30)


def plan(facts: DeviceFacts, gpus: float, **settings: Any) -> Plan:
    config = SearchConfig(data="data", **settings)
    return make_plan(config, load_space(config), SPLIT, Slots(4, 1, gpus), facts)


@pytest.mark.parametrize(
    ("asked", "offered", "expected"),
    [
        ("auto", "bfloat16", "bfloat16"),
        ("auto", "float32", "float32"),
        ("float32", "bfloat16", "float32"),
        ("bfloat16", "float32", "bfloat16"),
    ],
)
def test_precision_is_what_was_asked_for_or_what_the_device_offers(
    asked: str, offered: Precision, expected: str
) -> None:
    made = plan(DeviceFacts("a CPU", offered, 0), 0, precision=asked)
    assert made.precision == expected
    assert f"precision   {expected}" in made.text()


def test_a_trial_that_its_share_of_a_gpu_cannot_hold_is_refused_before_it_starts() -> None:
    small = DeviceFacts("a small GPU", "bfloat16", 2 << 30)
    check_memory(plan(small, 1), CLUSTER)
    with pytest.raises(ResourceError, match=r"its share of a small GPU \(0.25\) has 512 MiB; raise"):
        check_memory(plan(small, 0.25), CLUSTER)


def test_trials_that_together_exceed_the_memory_are_refused() -> None:
    little = Cluster(nodes=((8.0, 0.0),), object_store_bytes=10**9, memory_bytes=50 << 20)
    made = plan(DeviceFacts("a CPU", "float32", 0), 0)
    one = replace(little, memory_bytes=made.shared_bytes + int(2.5 * made.trial_bytes))
    with pytest.raises(
        ResourceError, match=r"4 trials of about .*; lower --concurrent to 2, or the model's sizes"
    ):
        check_memory(made, one)
    # One at once is not to be lowered: it was advised all the same.
    with pytest.raises(ResourceError, match=r"not even one trial fits: .*--min-item-interactions") as refused:
        check_memory(made, replace(little, memory_bytes=made.shared_bytes + made.trial_bytes - 1))
    assert "--concurrent" not in str(refused.value)


def test_every_node_holds_the_data_and_each_trial_its_own_beside_it() -> None:
    made = plan(DeviceFacts("a CPU", "float32", 0), 0)  # four at once
    for nodes in (1, 2, 3):
        needed = nodes * made.shared_bytes + 4 * made.trial_bytes
        cluster = Cluster(((8.0, 0.0),) * nodes, object_store_bytes=10**9, memory_bytes=needed)
        check_memory(made, cluster)
        with pytest.raises(ResourceError, match=r"4 trials of about"):
            check_memory(made, replace(cluster, memory_bytes=needed - 1))


def test_trials_that_nodes_have_no_room_for_yet_need_no_memory_yet() -> None:
    # An elastic search has more slots than the nodes that are there: those that come bring their memory.
    made = plan(DeviceFacts("a CPU", "float32", 0), 0)
    for cores, at_once in ((3.0, 3), (1.0, 1), (0.0, 1)):
        needed = made.shared_bytes + at_once * made.trial_bytes
        cluster = Cluster(((cores, 0.0),), object_store_bytes=10**9, memory_bytes=needed)
        check_memory(made, cluster)
        with pytest.raises(ResourceError, match=rf"{at_once} trials? of about"):
            check_memory(made, replace(cluster, memory_bytes=needed - 1))


def test_data_that_the_object_store_does_not_take_is_refused() -> None:
    made = plan(DeviceFacts("a CPU", "float32", 0), 0)
    check_memory(made, replace(CLUSTER, object_store_bytes=made.shared_bytes))
    with pytest.raises(ResourceError, match="Ray's object store has"):
        check_memory(made, replace(CLUSTER, object_store_bytes=made.shared_bytes - 1))


def test_a_gpus_trials_are_measured_by_its_memory_and_not_by_the_nodes() -> None:
    made = plan(DeviceFacts("a GPU", "bfloat16", 80 << 30), 1)
    check_memory(made, replace(CLUSTER, memory_bytes=1))


@pytest.mark.parametrize(("model", "passes"), [("recvae", 30), ("ease", 1)])
def test_a_search_may_keep_two_files_a_running_trial_and_three_more(model: str, passes: int) -> None:
    # A running trial's lies there twice while it is replaced; the best's and the first's stay; `best/` has the model.
    # And a report takes at most 4 KiB: trials give one a pass and a row for their end.
    config = SearchConfig(data="data", model=model, trials=7, max_passes=30)
    facts = DeviceFacts("a CPU", "float32", 0)
    space = load_space(config)
    one, two, nine = (
        make_plan(config, space, SPLIT, Slots(at_once, 1, 0), facts).storage_bytes for at_once in (1, 2, 9)
    )
    file_bytes = (two - one) // 2
    reports = 4096 * 7 * (passes + 1)
    # A running one's twice, the three best, the first, and `best/`.
    assert one - reports == 7 * file_bytes
    assert nine - reports == 23 * file_bytes
    first = registry.config_from_dict(model, space.default_config())
    assert file_bytes >= registry.memory_bytes(model, first, SPLIT.train)[1] > 0


def test_the_plan_says_whose_checkpoints_are_kept_and_what_they_take() -> None:
    facts = DeviceFacts("a CPU", "float32", 0)

    def of(keep: int | str, trials: int = 40, sampler: str = "tpe") -> Plan:
        config = SearchConfig(data="data", trials=trials, keep_checkpoints=keep, sampler=sampler)
        return make_plan(config, load_space(config), SPLIT, Slots(2, 1, 0), facts)

    three, ten, whole, every = of(3), of(10), of(1000), of("all")
    size = three.state_bytes
    assert rows(three)["checkpoints"].startswith(
        f"of the 3 best trials and the first one, at most {mib(size)} each"
    )
    assert rows(every)["checkpoints"].startswith(f"of all trials, at most {mib(size)} each")
    assert ten.storage_bytes - three.storage_bytes == 7 * size
    assert every.storage_bytes - three.storage_bytes == 37 * size
    assert whole.storage_bytes == every.storage_bytes, "there are no more than trials"
    # What a guided search has stopped may continue.
    guided, night = of(3, sampler="guided"), of(3, 400, "guided")
    afterwards = "until the search is over, then of the 3 best trials and the first one, at most"
    assert rows(guided)["checkpoints"].startswith(f"of all trials {afterwards}")
    assert rows(night)["checkpoints"].startswith(f"of the 50 best trials {afterwards}")
    assert guided.storage_bytes == every.storage_bytes
    assert night.storage_bytes - of(3, 400).storage_bytes == 47 * size
    assert rows(of("all", 400, "guided"))["checkpoints"].startswith("of all trials, at most")


def test_states_travel_in_pieces_and_the_plan_counts_them() -> None:
    # Each trial may be sending one: all of a small state, or a piece of a large one.
    config, facts = SearchConfig(data="data"), DeviceFacts("a CPU", "float32", 0)

    def of(width: int) -> SearchSpace:
        return SearchSpace.from_mapping({"model": "recvae", "parameters": {}, "fixed": {"hidden_dim": width}})

    one, two, nine = (make_plan(config, of(16), SPLIT, Slots(at_once, 1, 0), facts) for at_once in (1, 2, 9))
    state_bytes = (two.storage_bytes - one.storage_bytes) // 2
    assert 0 < state_bytes < PIECE_BYTES
    assert [made.travelling_bytes for made in (one, two, nine)] == [
        state_bytes,
        2 * state_bytes,
        9 * state_bytes,
    ]
    assert rows(nine)["memory"].endswith(f", at most {mib(9 * state_bytes)} of checkpoints on their way")
    assert make_plan(config, of(4000), SPLIT, Slots(3, 1, 0), facts).travelling_bytes == 3 * PIECE_BYTES


def test_room_is_kept_for_the_largest_model_of_the_space() -> None:
    def storage(space: dict[str, Any]) -> int:
        config = SearchConfig(data="data", trials=4)
        read = SearchSpace.from_mapping({"model": "recvae", **space})
        facts = DeviceFacts("a CPU", "float32", 0)
        return make_plan(config, read, SPLIT, Slots(2, 1, 0), facts).storage_bytes

    width = {"hidden_dim": {"type": "int", "low": 16, "high": 512}}
    searched = storage({"parameters": width, "default": {"hidden_dim": 16}})
    assert searched == storage({"parameters": {}, "fixed": {"hidden_dim": 512}})
    assert searched > storage({"parameters": {}, "fixed": {"hidden_dim": 16}})


def test_a_model_that_one_pass_solves_has_no_rungs() -> None:
    facts = DeviceFacts("a CPU", "float32", 0)
    solved, iterated = plan(facts, 0, model="ease", trials=5), plan(facts, 0, model="wmf", trials=5)
    assert solved.rule.rungs(0) == ()
    assert iterated.rule.rungs(0) == (40, 120)
    assert "scheduler   none" in solved.text()
    assert "at most 5 passes" in solved.text()
    assert "5 trials of at most 1 pass," in solved.headline()


def test_pre_training_that_leaves_nothing_of_the_budget_is_said() -> None:
    # In a comparison of 120 passes RaCT's published 100 + 50 had never come to its joint training, silently.
    facts = DeviceFacts("a CPU", "float32", 0)
    short = plan(facts, 0, model="ract", max_passes=150)
    assert "pre-training takes 150 passes and a trial gets 150" in short.remark()
    assert short.remark() in short.text()
    for enough in (plan(facts, 0, model="ract", max_passes=151), plan(facts, 0, model="multvae")):
        assert enough.remark() == ""
        assert "note" not in enough.text()


CPU = DeviceFacts("a CPU", "float32", 0)


def test_the_headline_says_what_is_trained_how_often_and_on_what() -> None:
    assert plan(CPU, 0, trials=1, max_passes=40).headline() == (
        "Searching recvae on 240 training users x 100 items, 2,181 interactions (30 validation and 30 test users):"
        " 1 trial of at most 40 passes, 4 at once, each on 1 CPU."
    )
    assert plan(DeviceFacts("a GPU", "float32", 1 << 40), 0.5).headline().endswith("1 CPU and 0.5 GPU.")


def rows(made: Plan) -> dict[str, str]:
    """Return the first part of a plan's text: each row's name and what it says."""
    return {line[:12].rstrip(): line[12:] for line in made.text().split("\n\n")[0].splitlines()}


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("asha", "asha, rungs at passes 40, 120"),
        # Trials of a later bracket have others; those are the first one's.
        ("hyperband", "hyperband, rungs at passes 40, 120"),
        ("median", "median, rungs at passes none"),
    ],
)
def test_the_rungs_are_the_first_trials(scheduler: str, said: str) -> None:
    made = plan(CPU, 0, scheduler=scheduler)
    assert rows(made)["scheduler"] == said
    if scheduler == "hyperband":
        assert any(made.rule.rungs(number) != made.rule.rungs(0) for number in range(9))


def test_a_plan_says_that_ranges_may_widen() -> None:
    said = "may widen, by half at an end where 3 or 4 of the best 4 trials lie (--widen)"
    assert rows(plan(CPU, 0, widen=True))["ranges"] == said
    assert "ranges" not in rows(plan(CPU, 0))


def test_the_budget_counts_the_passes_of_all_trials_and_the_time() -> None:
    timed = rows(plan(CPU, 0, trials=5, max_passes=40, time_budget_s=90.0))
    assert (timed["budget"], timed["time budget"]) == ("at most 200 passes in all, 40 a trial", "90 s")
    assert rows(plan(CPU, 0))["time budget"] == "none"


def test_every_parameter_is_listed_in_columns_beside_its_range_and_the_first_trials_value() -> None:
    made = plan(CPU, 0)
    head, *listed = made.text().split("\n\n")[1].splitlines()
    described = made.space.describe()
    at = [head.index(title) for title in ("parameter", "range", "first trial")]
    for line, row in zip(listed, described, strict=True):
        cells = [line[start:end].rstrip() for start, end in zip(at, [*at[1:], None], strict=True)]
        assert cells == list(row)
    # Two blanks, and no more, are between a column's longest cell and the next column.
    longest = [
        max(map(len, column))
        for column in zip(("parameter", "range"), *(r[:2] for r in described), strict=True)
    ]
    assert at == [0, longest[0] + 2, longest[0] + longest[1] + 4]


@pytest.mark.parametrize(
    ("model", "lent", "said"),
    [
        ("wmf", False, "{data} of data shared a node, about"),
        ("ease", True, "{all} shared a node ({common} of it computed once for all trials), about"),
        ("ease", False, "{data} of data shared a node; {common} more that trials have in common do not fit"),
    ],
)
def test_what_trials_have_in_common_lies_once_on_a_node_where_it_is_lent(
    model: str, lent: bool, said: str
) -> None:
    split = synthetic_split(n_users=300, n_items=1000, seed=1)
    config = SearchConfig(data="data", model=model)
    made = make_plan(config, load_space(config), split, Slots(4, 1, 0), CPU, lent=lent)
    # EASE's Gram matrix: float32, items by items.
    common = split.n_items**2 * 4 if model == "ease" else 0
    assert made.common_bytes == common
    assert made.shared_bytes == dataset_bytes(split) + common * lent
    sizes = {"all": dataset_bytes(split) + common, "data": dataset_bytes(split), "common": common}
    assert rows(made)["memory"].startswith(said.format(**{name: mib(size) for name, size in sizes.items()}))


def test_a_trials_memory_is_that_on_its_device_in_its_precision_with_what_it_is_lent() -> None:
    def trial_bytes(model: str, gpus: float = 0, *, lent: bool = False, **settings: Any) -> int:
        config = SearchConfig(data="data", model=model, **settings)
        return make_plan(config, load_space(config), SPLIT, Slots(4, 1, gpus), CPU, lent=lent).trial_bytes

    alone = trial_bytes("recvae")
    assert trial_bytes("recvae", precision="bfloat16") > alone, "rounded copies of the weights"
    assert trial_bytes("recvae", 1) > alone, "a GPU keeps what a CPU computes again"
    # SLIM's trials share a matrix of 100 x 100 float32 numbers, or each has its own.
    assert trial_bytes("slim") - trial_bytes("slim", lent=True) == 100 * 100 * 4


def test_a_model_that_one_pass_solves_has_no_pre_training_to_be_remarked() -> None:
    assert plan(CPU, 0, model="ease").remark() == ""


def test_the_plan_says_what_it_takes_where_that_is_known() -> None:
    facts, slots = DeviceFacts("a GPU", "bfloat16", 80 << 30), 1.0
    made = plan(facts, slots, trials=8, max_passes=90, min_passes=10, price_per_hour=2.0)
    assert "hours" not in made.text()
    timing = made.expected(0.5, "ten batches, timed here")
    assert timing.share == pytest.approx((10 + 20 / 3 + 60 / 9) / 90), "by the rungs of its rule"
    text = made.text(timing)
    # 8 trials x 23.3 passes x 0.5 s, four at once.
    assert "time        about 23 s, where 4 are always at once (ten batches, timed here)" in text
    assert "cost        about 0.0259 GPU-hours, 0.052 at 2 an hour" in text
    assert plan(facts, slots, scheduler="none").expected(0.5, "").share == 1.0


def test_where_stopped_trials_may_continue_the_first_rungs_do_not_say_what_it_takes() -> None:
    """By the rungs at 13, 39 and 117 of 200 passes a trial got 17 % of its budget: a third of what it takes."""
    asked: dict[str, Any] = {"trials": 24, "max_passes": 200}
    guided, tpe = (plan(CPU, 0, sampler=sampler, **asked).expected(1.0, "") for sampler in ("guided", "tpe"))
    assert guided.share == tpe.share == pytest.approx((40 + 80 / 3 + 80 / 9) / 200)
    late = plan(CPU, 0, sampler="guided", min_passes=100, **asked).expected(1.0, "")
    assert late.share == pytest.approx((100 + 100 / 3) / 200), "a later one does"
    for scheduler in ("none", "median"):
        alone = plan(CPU, 0, sampler="guided", scheduler=scheduler, **asked)
        assert alone.expected(1.0, "").share == 1.0


@pytest.mark.parametrize(("share", "said"), [(1, ""), (4, "; cores are idle, --cpus-per-trial 4 uses them")])
def test_the_plan_says_what_would_use_idle_cores(share: int, said: str) -> None:
    made = plan(CPU, 0)
    made = replace(made, slots=replace(made.slots, share=share))
    assert rows(made)["each on"].endswith(f"({CPU.name}){said}")
