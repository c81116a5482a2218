"""How a search begins or continues: all that can be refused is refused before anything is written or started."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from rich.console import Console

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import load_dataset, read_protocol, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import (
    ConfigError,
    DataError,
    DistrecvaeError,
    DivergedError,
    ResourceError,
    ResultsError,
    SpaceError,
)
from distrecvae.files import exclusive
from distrecvae.search import launch
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.course import Outcome
from distrecvae.search.estimating import timing_like
from distrecvae.search.folder.search import Search
from distrecvae.search.folder.search_json import read_description, write_description
from distrecvae.search.launch import (
    dry_run,
    load_space,
    load_split,
    one_trial_without_parameters,
    plan_search,
    search,
    settled,
)
from distrecvae.search.on_ray.interruption import Interruption
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.plan import Plan
from distrecvae.search.planning.resources import Cluster
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.device import DeviceFacts
from distrecvae.training.registry import models
from tests.search.reported import make_search
from tests.whole.test_bad_input import GIB, RATE, without_ray

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
SPACE = SearchSpace.from_mapping(yaml.safe_load(RATE))


def knowing(low: str) -> SearchSpace:
    """Return a space whose batches depend on the number of users."""
    batch_size = {"type": "int", "low": low, "high": "users/2 at most 30", "log": True}
    return SearchSpace.from_mapping({"model": "recvae", "parameters": {"batch_size": batch_size}})


KNOWING = knowing("users/10")
CLUSTER = Cluster(((2.0, 0.0),), GIB, 8 * GIB)
ENDED = Outcome("the summary", complete=True, has_score=True)
TYPED = "distrecvae search --data data"


# Settings, space, data.


@pytest.mark.parametrize("model", models())
def test_every_model_can_be_searched_with_and_without_data(model: str) -> None:
    for data in (None, "data/mine"):
        assert load_space(SearchConfig(model=model, data=data)).model == model


def test_without_data_the_demos_space_comes_first() -> None:
    assert load_space(SearchConfig()) == SearchSpace.load("recvae-demo")
    assert load_space(SearchConfig(data="data/mine")) == SearchSpace.load("recvae")
    assert load_space(SearchConfig(model="ease")) == SearchSpace.load("ease")


def test_a_space_that_is_named_is_taken_with_data_or_without(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(RATE, encoding="utf-8")
    for data in (None, "data/mine"):
        assert load_space(SearchConfig(data=data, space=str(tmp_path / "space.yaml"))) == SPACE
        assert load_space(SearchConfig(data=data, space="recvae")) == SearchSpace.load("recvae")


def test_a_space_of_another_model_is_refused() -> None:
    with pytest.raises(DistrecvaeError, match="ease"):
        load_space(SearchConfig(model="recvae", space="ease"))


def test_where_nothing_is_searched_one_trial_is_enough() -> None:
    config = SearchConfig(model="popularity", trials=24, seed=5)
    assert one_trial_without_parameters(config, SearchSpace.load("popularity")) == replace(config, trials=1)
    assert one_trial_without_parameters(config, SPACE) is config


def test_the_data_that_is_named_is_read_whatever_lies_in_the_folder(tmp_path: Path) -> None:
    save_dataset(SPLIT, tmp_path / "mine", {})
    save_dataset(synthetic_split(n_users=100, n_items=60, seed=2), tmp_path / "out/data", {})
    read = load_split(SearchConfig(data=str(tmp_path / "mine")), tmp_path / "out")
    assert read.fingerprint == SPLIT.fingerprint


def test_the_demos_data_is_of_its_seed_and_once_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "synthetic_split", small)
    assert load_split(SearchConfig(seed=1), tmp_path).fingerprint == SPLIT.fingerprint
    assert load_split(SearchConfig(seed=2), tmp_path).fingerprint != SPLIT.fingerprint
    assert list(tmp_path.iterdir()) == []
    # A later version of this package may make other data of the same seed: the search resumes what it had.
    save_dataset(SPLIT, tmp_path / "data", {})
    assert load_split(SearchConfig(seed=2), tmp_path).fingerprint == SPLIT.fingerprint


def small(*, seed: int) -> Split:
    return synthetic_split(n_users=100, n_items=60, seed=seed)


# The plan.


def test_a_search_goes_on_in_the_precision_that_it_was_begun_in(monkeypatch: pytest.MonkeyPatch) -> None:
    # Resumed on another kind of machine, its trials must stay comparable.
    config = SearchConfig(data="data", gpus_per_trial=0)
    offers = DeviceFacts("a CPU", "bfloat16", 0)
    monkeypatch.setattr(launch, "survey", lambda *_: offers)
    assert plan_search(config, load_space(config), Session(CLUSTER, SPLIT)).precision == "bfloat16"
    assert plan_search(config, load_space(config), Session(CLUSTER, SPLIT), "float32").precision == "float32"


def test_data_by_which_nothing_can_be_chosen_is_refused() -> None:
    # Each trial scored 0, and the first one was the best of them.
    nobody = InteractionMatrix.from_pairs([], [], n_users=SPLIT.valid.n_users, n_items=SPLIT.n_items)
    blind = replace(SPLIT, valid=HeldOutUsers(SPLIT.valid.fold_in, nobody))
    with pytest.raises(
        DataError, match="none of the 10 validation users has items to fold in and items to find"
    ):
        plan_search(SearchConfig(data="data"), SPACE, Session(CLUSTER, blind))


def test_the_device_is_asked_about_with_a_trials_share_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def survey(slots: Any, cluster: Cluster, tell: Callable[[str], None]) -> DeviceFacts:
        asked.append((slots.cpus, slots.gpus, cluster))
        tell("waiting")
        return DeviceFacts("a GPU", "bfloat16", 8 * GIB)

    monkeypatch.setattr(launch, "survey", survey)
    cluster = Cluster(((8.0, 1.0),), GIB, 8 * GIB)
    config = SearchConfig(data="data", cpus_per_trial=2, gpus_per_trial=0.5)
    said: list[str] = []
    plan = plan_search(config, SPACE, Session(cluster, SPLIT), tell=said.append)
    assert asked == [(2, 0.5, cluster)]
    assert said == ["waiting"]
    assert (plan.slots.concurrent, plan.facts.name) == (2, "a GPU")


def test_what_trials_have_in_common_is_lent_where_the_object_store_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = SearchConfig(model="ease", data="data")
    space = load_space(config)
    roomy, tight = (
        plan_search(config, space, Session(replace(CLUSTER, object_store_bytes=store), SPLIT))
        for store in (GIB, 1)
    )
    assert (roomy.lent, tight.lent) == (True, False)
    assert roomy.shared_bytes - tight.shared_bytes == roomy.common_bytes > 0


# A dry run.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with a data set; searches find a cluster and no Ray."""
    save_dataset(SPLIT, tmp_path / "data", {})
    monkeypatch.chdir(tmp_path)
    without_ray(monkeypatch, CLUSTER)
    monkeypatch.setattr(launch, "survey", lambda *_: DeviceFacts("the CPU", "float32", 0))
    monkeypatch.setattr("distrecvae.search.estimating.time_a_pass", lambda *_: None)
    return tmp_path


def config_of(**settings: Any) -> SearchConfig:
    return SearchConfig(**{"data": "data", "trials": 4, "max_passes": 12, "min_passes": 4, **settings})


def plan_of(config: SearchConfig) -> Plan:
    return plan_search(config, SPACE, Session(CLUSTER, SPLIT))


def test_a_dry_run_is_the_plan_and_leaves_nothing(here: Path) -> None:
    before = sorted(here.rglob("*"))
    text = dry_run(config_of(), folder=Path("out"), verbose=False, space=SPACE)
    assert text == plan_of(config_of()).text()
    assert sorted(here.rglob("*")) == before


def test_a_dry_run_refuses_what_the_search_would(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # EASE on 40,000 items: a plan of about 24 GiB a trial on a machine of 24 GiB, and the exit status 0.
    without_ray(monkeypatch, replace(CLUSTER, memory_bytes=1 << 19))
    with pytest.raises(ResourceError, match="not even one trial fits") as refused:
        dry_run(config_of(), folder=Path("out"), verbose=False, space=SPACE)
    assert "--concurrent" not in str(refused.value)


def test_a_dry_run_looks_for_the_space_that_is_named(here: Path) -> None:
    (here / "space.yaml").write_text(RATE, encoding="utf-8")
    config = config_of(space="./space.yaml")
    assert dry_run(config, folder=Path("out"), verbose=False) == plan_of(config).text()


def test_a_dry_run_of_nothing_to_search_has_one_trial(here: Path) -> None:
    text = dry_run(config_of(model="popularity"), folder=Path("out"), verbose=False)
    assert "trials      1, 1 at once" in text


def test_a_dry_run_waits_for_no_node(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The search itself would: nodes may join.
    without_ray(monkeypatch, replace(CLUSTER, joined=True))
    elastic = config_of(elastic=True, concurrent=4, gpus_per_trial=1)
    with pytest.raises(ResourceError, match="1 CPU and 1 GPU, and no node has both"):
        dry_run(elastic, folder=Path("out"), verbose=False, space=SPACE)
    fits = replace(elastic, gpus_per_trial=0)
    assert "4, 4 at once" in dry_run(fits, folder=Path("out"), verbose=False, space=SPACE)


def test_a_dry_run_says_what_is_taken_over(here: Path) -> None:
    make_search(here / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    config = config_of(warm_start="earlier", space="recvae", sampler="tpe")
    text = dry_run(config, folder=Path("out"), verbose=False)
    space = load_space(config).resolved(Sizes.of(SPLIT.train))
    assert text.startswith(plan_search(config, space, Session(CLUSTER, SPLIT)).text() + "\n\n")
    assert text.splitlines()[-1].startswith("Warm start from earlier: ")


def test_a_dry_run_says_what_ranges_that_depend_on_the_data_come_to(here: Path) -> None:
    text = dry_run(config_of(), folder=Path("out"), verbose=False, space=KNOWING)
    assert "batch_size  8 to 500, log, asked: users/10 (8) to users/2 at most 30 (30)" in text


def test_a_dry_run_takes_its_times_from_an_earlier_search_that_is_named(here: Path) -> None:
    make_search(here / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    timing = timing_like(Path("earlier"), "recvae")
    assert timing.pass_s > 0
    text = dry_run(config_of(), folder=Path("out"), verbose=False, space=SPACE, like=Path("earlier"))
    assert text == plan_of(config_of()).text(timing)
    assert "(passes as in earlier)" in text


def test_a_dry_run_times_some_batches_where_none_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distrecvae.search.estimating.time_a_pass", lambda *_: 0.5)
    timing = plan_of(config_of()).expected(0.5, "some batches of the first trial, timed alone")
    assert dry_run(config_of(), folder=Path("out"), verbose=False, space=SPACE) == plan_of(config_of()).text(
        timing
    )


@pytest.mark.parametrize("error", [ResourceError, DivergedError])
def test_a_plan_that_cannot_be_timed_is_a_plan(
    error: type[DistrecvaeError], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> float:
        raise error("it does not fit")

    monkeypatch.setattr("distrecvae.search.estimating.time_a_pass", refuse)
    assert dry_run(config_of(), folder=Path("out"), verbose=False, space=SPACE) == plan_of(config_of()).text()


# A search.


@dataclass
class Carried:
    """What a search was carried out with."""

    calls: list[dict[str, Any]]

    def last(self, name: str) -> Any:
        return self.calls[-1][name]


@pytest.fixture
def carried(here: Path, monkeypatch: pytest.MonkeyPatch) -> Carried:
    """Return what hears how a search would be carried out; its folder is as that finds it, and no trial is run."""
    carried = Carried([])

    def carry_out(search: Search, session: Session, console: Console) -> Outcome:
        call = {**vars(search), "session": session, "console": console}
        with pytest.raises(ResultsError, match="in use"), exclusive(call["folder"]):
            pass
        written = read_description(call["folder"])
        assert replace(written, data=call["described"].data) == call["described"]
        carried.calls.append(call)
        return ENDED

    monkeypatch.setattr(launch, "carry_out", carry_out)
    return carried


def begin(config: SearchConfig | None = None, *, resume: bool = False, **named: Any) -> Outcome:
    asked: dict[str, Any] = {
        "console": Console(file=io.StringIO()),
        "verbose": False,
        "space": SPACE,
        **named,
    }
    return search(config or config_of(), Path("out"), resume=resume, command=TYPED, **asked)


def test_a_new_search_is_described_in_a_folder_that_is_held_until_it_ends(carried: Carried) -> None:
    assert begin() == ENDED
    described = carried.last("described")
    assert described.status == "running"
    assert described.command == carried.last("command") == TYPED
    assert described.settings == config_of(sampler="tpe")
    assert described.data == str(Path("data").absolute())
    assert described.space == SPACE.to_dict()
    assert described.dataset.fingerprint == SPLIT.fingerprint
    assert described.plan.trial_bytes == carried.last("plan").trial_bytes
    assert described.warm_start is None
    with exclusive(Path("out")):
        pass


def test_a_space_that_is_not_handed_over_is_loaded(carried: Carried, here: Path) -> None:
    (here / "space.yaml").write_text(RATE, encoding="utf-8")
    begin(config_of(space="./space.yaml"), space=None)
    assert carried.last("space") == SPACE


def test_a_space_that_knows_its_data_is_resolved_and_written_down_with_what_was_asked(
    carried: Carried,
) -> None:
    begin(space=KNOWING)
    space = carried.last("space")
    assert space == carried.last("plan").space == KNOWING.resolved(Sizes.of(SPLIT.train))
    written = read_description(Path("out"))
    assert written.searched() == space
    assert written.space["parameters"]["batch_size"]["low"] == 8
    assert written.space["asked"]["batch_size"]["low"] == "users/10"
    assert written.space["sizes"] == Sizes.of(SPLIT.train).to_dict()
    begin(resume=True, space=KNOWING)
    begin(resume=True, space=written.searched())  # as --extend has it
    assert carried.last("space") == space
    with pytest.raises(ResultsError, match="was started with another search space"):
        begin(resume=True, space=knowing("users/5"))


def test_a_range_that_makes_no_sense_on_the_data_is_refused_with_nothing_written(carried: Carried) -> None:
    with pytest.raises(SpaceError, match=r"^batch_size: low users/1000 is 0 with 80 training users"):
        begin(space=knowing("users/1000"))
    assert not Path("out").exists()


def test_a_search_goes_on_in_the_space_that_a_packaged_name_stood_for(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another version's space of that name may be another one; and what was begun is not to be lost by an update.
    begin(config_of(space="recvae"), space=SPACE)
    begin(config_of(space="recvae"), space=None, resume=True)
    assert carried.last("space") == SPACE


def test_a_file_that_is_another_space_now_is_refused(carried: Carried, here: Path) -> None:
    (here / "space.yaml").write_text(RATE, encoding="utf-8")
    begin(config_of(space="./space.yaml"), space=None)
    (here / "space.yaml").write_text(RATE.replace("1.0e-4", "2.0e-4"), encoding="utf-8")
    with pytest.raises(ResultsError, match="was started with another search space"):
        begin(config_of(space="./space.yaml"), space=None, resume=True)


@pytest.mark.parametrize(("given", "passes"), [({}, 30), ({"max_passes": 50}, 50)])
def test_a_trial_gets_the_passes_of_the_space_unless_they_are_given(
    carried: Carried, given: dict[str, Any], passes: int
) -> None:
    space = replace(SPACE, max_passes=30)
    begin(SearchConfig(data="data", **given), space=space)
    assert carried.last("config").max_passes == carried.last("plan").trial_passes == passes
    assert read_description(Path("out")).settings.max_passes == passes
    assert f"{passes} a trial" in carried.last("plan").text()
    begin(SearchConfig(data="data", **given), space=space, resume=True)


def test_where_nobody_says_how_many_passes_it_is_two_hundred() -> None:
    assert settled(SearchConfig(), SPACE).max_passes == 200


def test_a_space_that_says_what_is_likely_is_searched_by_the_sampler_that_asks(carried: Carried) -> None:
    informed = SearchSpace.load("recvae")
    assert informed.likely
    assert not SPACE.likely
    assert settled(SearchConfig(), informed).sampler == "guided"
    assert settled(SearchConfig(), SPACE).sampler == "tpe"
    for space in (informed, SPACE):
        assert settled(SearchConfig(sampler="random"), space).sampler == "random"
    begin(SearchConfig(data="data"), space=informed)
    assert carried.last("config").sampler == read_description(Path("out")).settings.sampler == "guided"
    assert "guided, seed 0" in carried.last("plan").text()


def test_a_search_is_resumed_by_the_sampler_that_it_began_with(carried: Carried) -> None:
    """Another version may choose another one for the same space: what was begun is not refused, nor changed."""
    informed = SearchSpace.load("recvae")
    begin(SearchConfig(data="data", sampler="tpe"), space=informed)
    begin(SearchConfig(data="data"), space=informed, resume=True)
    assert carried.last("config").sampler == "tpe"
    with pytest.raises(ResultsError, match="started with sampler='tpe', now it is 'guided'"):
        begin(SearchConfig(data="data", sampler="guided"), space=informed, resume=True)


def test_a_dry_run_of_a_resumption_plans_what_was_begun(carried: Carried) -> None:
    """It said `guided` and a first rung at 13, where the search went on by `tpe` and a first rung at 40."""
    begin(SearchConfig(data="data", sampler="tpe"), space=SearchSpace.load("recvae"))
    text = dry_run(SearchConfig(data="data"), folder=Path("out"), verbose=False, resume=True)
    assert "sampler     tpe, seed 0" in text
    assert "rungs at passes 40, 120" in text
    other = dry_run(SearchConfig(data="data"), folder=Path("other"), verbose=False)
    assert "sampler     guided, seed 0" in other
    assert "rungs at passes 13, 39, 117" in other
    with pytest.raises(ResultsError, match="started with sampler='tpe', now it is 'guided'"):
        dry_run(SearchConfig(data="data", sampler="guided"), folder=Path("out"), verbose=False, resume=True)


def test_nothing_to_search_is_one_trial(carried: Carried) -> None:
    begin(config_of(model="popularity"), space=None)
    assert carried.last("config").trials == 1
    assert carried.last("described").settings.trials == 1


def test_ray_is_joined_at_the_address_and_signals_are_given_back(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[Any] = []
    over: list[Interruption] = []

    class Heard(Interruption):
        def over(self) -> None:
            over.append(self)

    @contextmanager
    def ray_session(address: str | None, *, verbose: bool) -> Iterator[Cluster]:
        joined.append((address, verbose))
        yield CLUSTER
        joined.append("left")

    monkeypatch.setattr(launch, "ray_session", ray_session)
    monkeypatch.setattr(launch, "Interruption", Heard)
    begin(config_of(address="auto"), verbose=True)
    assert joined == [("auto", True), "left"]
    assert over == [carried.last("session").stop]


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("this must not be called")


def test_a_session_that_the_caller_has_is_used_and_left_open(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A comparison starts Ray, and reads the data, once for all of its searches.
    monkeypatch.setattr(launch, "ray_session", refuse)
    monkeypatch.setattr(launch, "load_dataset", refuse)
    session = Session(CLUSTER, SPLIT)
    begin(session=session)
    assert carried.last("session") is session


def test_the_demos_data_is_written_before_the_first_trial_and_only_once(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "synthetic_split", small)
    demo = config_of(data=None, seed=1)
    begin(demo)
    assert load_dataset("out/data").fingerprint == SPLIT.fingerprint
    assert {"source": "synthetic", "seed": 1}.items() <= read_protocol("out/data").items()
    # What is printed to be typed next, to evaluate or to train, reads it there.
    assert carried.last("described").data == str(Path("out/data").absolute())
    begin(demo, resume=True)
    assert len(carried.calls) == 2


def test_a_folder_that_was_copied_says_where_its_own_data_lies(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The commands in its summary named a folder that was gone, or another search's.
    monkeypatch.setattr(launch, "synthetic_split", small)
    begin(config_of(data=None, seed=1))
    there = read_description(Path("out"))
    write_description(Path("out"), replace(there, data="elsewhere/data"))
    begin(config_of(data=None, seed=1), resume=True)
    assert carried.last("described").data == str(Path("out/data").absolute())


def test_a_demo_that_was_killed_before_its_data_was_written_writes_it_when_it_goes_on(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "synthetic_split", small)
    begin(config_of(data=None, seed=1))
    Path("out/data").rename("gone")
    begin(config_of(data=None, seed=1), resume=True)
    assert load_dataset("out/data").fingerprint == SPLIT.fingerprint


def test_that_a_plan_waits_for_a_node_is_shown(carried: Carried, monkeypatch: pytest.MonkeyPatch) -> None:
    def survey(slots: Any, cluster: Cluster, tell: Callable[[str], None]) -> DeviceFacts:
        tell("Waiting for a node.")
        return DeviceFacts("the CPU", "float32", 0)

    monkeypatch.setattr(launch, "survey", survey)
    shown = io.StringIO()
    begin(console=Console(file=shown))
    assert shown.getvalue() == "Waiting for a node.\n"


def test_what_is_taken_over_is_written_down(carried: Carried, here: Path) -> None:
    make_search(here / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    begin(config_of(warm_start="earlier", space="recvae"), space=None)
    assert carried.last("described").warm_start.source == "earlier"


Given = Callable[[Path, pytest.MonkeyPatch], object]


def bare_node(folder: Path, patch: pytest.MonkeyPatch) -> None:
    def require_package() -> None:
        raise ResourceError("node 10.0.0.7 cannot run distrecvae")

    patch.setattr(launch, "require_package", require_package)


# what is asked for, what there is, what is said
REFUSED: dict[str, tuple[dict[str, Any], Given, type[DistrecvaeError], str]] = {
    "no such data": ({"data": "absent"}, lambda *_: None, DistrecvaeError, "absent"),
    "no folder for the storage": (
        {"storage": "sqlite:///absent/study.db"}, lambda *_: None, ConfigError, "no folder absent",
    ),
    "nothing to take over": ({"warm_start": "absent"}, lambda *_: None, ResultsError, "absent holds no search"),
    "no node for a trial": (
        {"cpus_per_trial": 3}, lambda *_: None, ResourceError, "3 CPU and 0 GPU, and no node has both",
    ),
    "no room for the trials": (
        {}, lambda _, patch: without_ray(patch, replace(CLUSTER, memory_bytes=1)), ResourceError, "one trial fits",
    ),
    "a node without the package": ({}, bare_node, ResourceError, "node 10.0.0.7 cannot run distrecvae"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_fit_is_refused_with_nothing_written(
    case: str, carried: Carried, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, given, error, words = REFUSED[case]
    given(here, monkeypatch)
    with pytest.raises(error, match=words):
        begin(config_of(**settings))
    assert not Path("out").exists()
    assert carried.calls == []


def test_a_folder_with_something_in_it_is_no_place_for_a_new_search(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "ray_session", refuse)
    Path("out").mkdir()
    Path("out/notes").write_text("mine", encoding="utf-8")
    with pytest.raises(ResultsError) as caught:
        begin()
    assert str(caught.value) == (
        "out is not empty; pass --resume to resume the search in it, or choose another --out"
    )
    assert [path.name for path in Path("out").iterdir()] == ["notes"]


def test_a_start_that_was_killed_may_be_typed_again(carried: Carried) -> None:
    Path("out").mkdir()
    Path("out/.lock").touch()
    Path("out/.search.json.x.part").touch()
    assert begin() == ENDED


def test_an_elastic_search_counts_the_nodes_that_are_there_once_the_plan_is_made(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At its start the cluster may have been empty: the plan waited for the first node.
    empty = Cluster((), GIB, 0, joined=True)
    without_ray(monkeypatch, empty)
    monkeypatch.setattr(launch, "living_nodes", refuse)
    elastic = config_of(elastic=True, concurrent=2, gpus_per_trial=0)
    came = Cluster(((2.0, 0.0),), GIB, 8 * GIB, joined=True)
    seen: list[bool] = []

    def living_nodes(*, joined: bool) -> Cluster:
        seen.append(joined)
        return came

    monkeypatch.setattr(launch, "living_nodes", living_nodes)
    assert begin(elastic) == ENDED
    assert seen == [True]
    came = replace(came, memory_bytes=1)
    with pytest.raises(ResourceError, match="not even one trial fits"):
        begin(elastic, resume=True)


def test_other_searches_count_the_nodes_that_they_found(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "living_nodes", refuse)
    assert begin() == ENDED


# A search that is resumed.


def test_a_search_goes_on_as_it_is_described(carried: Carried) -> None:
    begin()
    before = Path("out/search.json").read_bytes()
    assert begin(config_of(trials=9), resume=True) == ENDED
    # It is rewritten by whoever carries it out: what began it, and when, stay.
    assert json.loads(json.dumps(asdict(carried.last("described")))) == json.loads(before)
    assert carried.last("config").trials == 9
    assert Path("out/search.json").read_bytes() == before


def test_a_search_that_goes_on_elsewhere_keeps_its_precision(
    carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    monkeypatch.setattr(launch, "survey", lambda *_: DeviceFacts("a GPU", "bfloat16", 0))
    begin(resume=True)
    assert carried.last("plan").precision == "float32"


def test_nothing_to_go_on_with_is_said(carried: Carried) -> None:
    with pytest.raises(
        ResultsError, match=r"out holds no search \(search.json is missing\); leave out --resume"
    ):
        begin(resume=True)
    assert not Path("out").exists()


def test_a_search_goes_on_in_one_process_at_a_time(carried: Carried, monkeypatch: pytest.MonkeyPatch) -> None:
    begin()
    monkeypatch.setattr(launch, "ray_session", refuse)
    with exclusive(Path("out")), pytest.raises(ResultsError, match="out is in use by another run"):
        begin(resume=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"seed": 3}, "started with seed=0, now it is 3"), ({"trials": 2}, "--trials 2 is below the 4")],
)
def test_another_search_is_not_gone_on_with(
    settings: dict[str, Any], words: str, carried: Carried, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    before = Path("out/search.json").read_bytes()
    monkeypatch.setattr(launch, "ray_session", refuse)
    with pytest.raises(ResultsError, match=words):
        begin(config_of(**settings), resume=True)
    assert len(carried.calls) == 1
    assert Path("out/search.json").read_bytes() == before


def test_a_search_that_is_over_says_its_summary_again_and_starts_nothing(
    carried: Carried, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(here)
    monkeypatch.setattr(launch, "ray_session", refuse)
    assert begin(config_of(storage="journal:copy.journal"), resume=True) == Outcome(
        "what was found", complete=True, has_score=True
    )
    assert carried.calls == []
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("copy.journal"))
    trials = journal.get_all_trials(journal.get_study_id_from_name("out"))
    assert [trial.user_attrs["trial"] for trial in trials] == [0, 1, 2, 3]


def test_a_search_that_is_over_tells_no_tracker_again(
    carried: Carried, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(here)
    monkeypatch.setattr(launch, "require_loggers", lambda _: None)
    made: list[SearchConfig] = []

    def make_loggers(config: SearchConfig, **_: object) -> list[Any]:
        made.append(config)
        return []

    monkeypatch.setattr(launch, "make_loggers", make_loggers)
    begin(config_of(log_to="mlflow"), resume=True)
    assert made == []
    begin(config_of(log_to="mlflow", storage="journal:copy.journal"), resume=True)
    assert [(config.log_to, config.storage) for config in made] == [(None, "journal:copy.journal")]


def test_a_search_that_is_over_goes_on_with_more_trials(carried: Carried, here: Path) -> None:
    over(here)
    assert begin(config_of(trials=5), resume=True) == ENDED
    assert len(carried.calls) == 1


def over(here: Path) -> None:
    """Let a search of four trials in `out` be over."""
    settings: dict[str, Any] = {"data": "data", "trials": 4, "max_passes": 12, "min_passes": 4, "seed": 0}
    make_search(here / "out", space=SPACE, curve=lambda *_: 0.5, **settings)
    described = read_description(here / "out")
    dataset = replace(described.dataset, fingerprint=SPLIT.fingerprint)
    write_description(here / "out", replace(described, dataset=dataset))
    (here / "out/summary.txt").write_text("what was found\n", encoding="utf-8")
    (here / "out/best").mkdir()
    (here / "out/best/config.json").touch()
