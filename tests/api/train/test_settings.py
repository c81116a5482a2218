"""What a training run is asked to do: a new one by its options, one that continues by its folder, never a mixture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from distrecvae.api.train.settings import implied_by_refit, new_settings, old_settings, refuse_used
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError, DataError, ResultsError
from distrecvae.files import exclusive
from distrecvae.runs.configuration import read_config
from distrecvae.runs.training_run import RunSettings, write_settings
from distrecvae.training import registry

SPLIT = synthetic_split(n_users=100, n_items=60, seed=2)
EASE = registry.config_to_dict(registry.config_from_dict("ease", {"regularization": 50.0}))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tiny"
    save_dataset(SPLIT, folder, {})
    return folder


def new(given: dict[str, Any], **changes: Any) -> RunSettings:
    """Return the settings of a new run of EASE with this given, its data being SPLIT."""
    asked: dict[str, Any] = {
        "model": "ease",
        "config_source": None,
        "words": (),
        "precision": None,
        **changes,
    }
    configuration = partial(read_config, asked["model"], asked["config_source"], asked["words"])
    split, settings = new_settings(given, configuration, asked["precision"], "cpu", None)
    assert split.fingerprint == SPLIT.fingerprint
    return settings


def test_a_new_run_has_its_datas_fingerprint_and_the_defaults(data: Path) -> None:
    settings = new({"data": str(data)}, words=("regularization=50",))
    expected = RunSettings(model="ease", config=EASE, data=str(data), fingerprint=SPLIT.fingerprint)
    assert settings == expected


def test_what_is_given_is_taken(data: Path) -> None:
    settings = new({"data": str(data), "seed": 7, "max_passes": 30, "patience": 5, "refit": True})
    assert (settings.seed, settings.max_passes, settings.patience, settings.refit) == (7, 30, 5, True)


def test_a_patience_of_zero_is_none_at_all(data: Path) -> None:
    # As a number of passes it would end a run after its first cycle.
    assert new({"data": str(data), "patience": 0}).patience is None
    assert new({"data": str(data)}).patience == RunSettings.patience


def test_without_a_model_it_is_recvae(data: Path) -> None:
    assert new({"data": str(data)}, model=None).model == "recvae"


def test_words_are_set_over_the_configurations_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model": "ease", "config": {"regularization": 9.0}}))
    source = str(tmp_path / "config.json")
    assert new({"data": str(data)}, model=None, config_source=source).config["regularization"] == 9
    words = ("regularization=3",)
    settings = new({"data": str(data)}, model=None, config_source=source, words=words)
    assert (settings.model, settings.config["regularization"]) == ("ease", 3)


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        ("recvae", "bfloat16", "bfloat16"),
        ("recvae", "float32", "float32"),
        ("ease", None, "float32"),
        ("ease", "auto", "float32"),
    ],
)
def test_the_precision_is_settled_when_a_run_begins(
    model: str, asked: str | None, expected: str, data: Path
) -> None:
    # "auto" is another one on another machine: what is written down, and resumed, is what it was here.
    assert new({"data": str(data)}, model=model, precision=asked).precision == expected


def test_auto_is_what_the_device_offers(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distrecvae.training import device

    facts = device.DeviceFacts("a GPU", "bfloat16", 1 << 30)
    monkeypatch.setattr(device, "device_facts", lambda name: facts._replace(name=name))
    assert new({"data": str(data)}, model="recvae").precision == "bfloat16"
    monkeypatch.setattr(device, "device_facts", lambda _: facts._replace(precision="float32"))
    assert new({"data": str(data)}, model="recvae", precision="auto").precision == "float32"


def test_a_new_run_needs_data() -> None:
    with pytest.raises(ConfigError) as caught:
        new({"seed": 1})
    assert str(caught.value) == "--data is missing; give a dataset folder (`distrecvae prepare` makes one)"


def test_data_that_is_there_is_not_read_again(begun: Begun) -> None:
    # Python may hand over a data set that lies nowhere.
    split, settings = new_settings({"data": "nowhere"}, None, None, "cpu", SPLIT)
    assert split is SPLIT
    assert (settings.model, settings.data, settings.fingerprint) == ("recvae", "nowhere", SPLIT.fingerprint)
    folder = begun(data="nowhere")
    assert old_settings(folder, {}, None, None, SPLIT)[0] is SPLIT


def test_a_configuration_is_refused_before_the_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="regularisation"):
        new({"data": str(tmp_path / "absent")}, words=("regularisation=1",))
    with pytest.raises(DataError, match="absent"):
        new({"data": str(tmp_path / "absent")})


Begun = Callable[..., Path]


@pytest.fixture
def begun(data: Path, tmp_path: Path) -> Begun:
    """Return what begins a run of EASE on the data, with these settings changed, and returns its folder."""

    def begin(**changes: Any) -> Path:
        settings = RunSettings(model="ease", config=EASE, data=str(data), fingerprint=SPLIT.fingerprint)
        write_settings(tmp_path / "run", replace(settings, **{"seed": 3, "max_passes": 20, **changes}))
        return tmp_path / "run"

    return begin


Configuration = tuple[str | None, str | None, tuple[str, ...]]


def old(
    folder: Path,
    given: dict[str, Any] | None = None,
    configuration: Configuration | None = None,
    precision: str | None = None,
) -> RunSettings:
    read = None if configuration is None else partial(read_config, *configuration)
    split, settings = old_settings(folder, given or {}, read, precision, None)
    assert split.fingerprint == SPLIT.fingerprint
    return settings


def test_a_run_that_goes_on_needs_nothing_but_its_folder(begun: Begun, data: Path) -> None:
    settings = old(begun(refit=True, precision="bfloat16", patience=None))
    expected = RunSettings(
        model="ease", config=EASE, data=str(data), fingerprint=SPLIT.fingerprint, seed=3, max_passes=20,
        patience=None, precision="bfloat16", refit=True,
    )  # fmt: skip
    assert settings == expected


def test_what_it_began_with_may_be_said_again(begun: Begun, data: Path) -> None:
    folder = begun(refit=True)
    again = {"seed": 3, "refit": True, "data": str(data), "max_passes": 20}
    assert old(folder, again, ("ease", None, ("regularization=50",)), "float32") == old(folder)


def test_how_long_it_trains_may_be_given_anew(begun: Begun) -> None:
    folder = begun()
    changed = asdict(old(folder, {"max_passes": 40, "patience": 9}))
    assert changed == {**asdict(old(folder)), "max_passes": 40, "patience": 9}
    assert old(folder, {"patience": 0}).patience is None


def test_data_that_moved_is_read_where_it_is_now(begun: Begun, data: Path, tmp_path: Path) -> None:
    folder = begun(data=str(tmp_path / "gone"))
    with pytest.raises(DataError, match="gone"):
        old(folder)
    assert old(folder, {"data": str(data)}).data == str(data)


def test_auto_goes_on_in_the_precision_that_it_began_in(begun: Begun) -> None:
    assert old(begun(precision="bfloat16"), precision="auto").precision == "bfloat16"


@pytest.mark.parametrize(
    ("given", "configuration", "precision", "message"),
    [
        (
            {},
            ("ease", None, ("regularization=51",)),
            None,
            "was started with another configuration; leave it out or start over",
        ),
        (
            {},
            ("popularity", None, ()),
            None,
            "was started with another configuration; leave it out or start over",
        ),
        (
            {"refit": True},
            None,
            None,
            "was started without --refit; leave it out, or start over in another folder",
        ),
        ({"seed": 4}, None, None, "was started with seed 3; leave --seed out, or start over"),
        ({"seed": 0}, None, None, "was started with seed 3; leave --seed out, or start over"),
        ({}, None, "bfloat16", "was started in float32; leave --precision out, or start over"),
    ],
    ids=["settings", "model", "refit", "seed", "seed 0", "precision"],
)
def test_what_would_make_it_another_run_is_refused(
    given: dict[str, Any],
    configuration: Configuration | None,
    precision: str | None,
    message: str,
    begun: Begun,
) -> None:
    folder = begun()
    with pytest.raises(ConfigError) as caught:
        old(folder, given, configuration, precision)
    assert str(caught.value) == f"{folder} {message}"


def test_the_same_settings_of_another_model_are_another_run(begun: Begun) -> None:
    folder = begun(model="popularity")
    with pytest.raises(ConfigError, match="started with another configuration"):
        old(folder, configuration=("ease", None, ("regularization=50",)))


def test_a_folder_without_a_run_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no training run; start one without --resume"):
        old(tmp_path)


def finished(folder: Path, metrics: object) -> str:
    """Write a finished model's scores; return its config.json, which need not be there to be pointed at."""
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return str(folder / "config.json")


def test_a_refit_trains_for_as_long_as_was_best(tmp_path: Path) -> None:
    source = finished(tmp_path, {"passes": 28})
    assert implied_by_refit({}, source, None, resume=False) == {"refit": True, "max_passes": 28}


def test_a_refit_of_a_given_length_asks_no_file(tmp_path: Path) -> None:
    for source in (None, str(tmp_path / "plain.yaml"), finished(tmp_path, {"passes": 28})):
        assert implied_by_refit({"max_passes": 9}, source, None, resume=False) == {"refit": True}


def test_a_refit_that_goes_on_has_its_length_already() -> None:
    assert implied_by_refit({}, None, None, resume=True) == {"refit": True}


@pytest.mark.parametrize(
    ("given", "source", "seeds", "message"),
    [
        (
            {},
            None,
            3,
            "--refit with --seeds: a refit has no validation users to choose by; leave one of them out",
        ),
        (
            {"patience": 8},
            None,
            None,
            "--refit with --patience: a refit has no validation users to choose by; leave one of them out",
        ),
        # 0 is a patience, too, though one that never ends a run.
        ({"patience": 0, "max_passes": 4}, None, None, "--refit with --patience: "),
        ({}, None, None, "--refit needs --config FOLDER/config.json of a finished model, or --max-passes"),
        ({}, "ease.yaml", None, "metrics.json does not say after how many passes the model was the best"),
    ],
    ids=["seeds", "patience", "no patience", "no length", "a file that is not a model's"],
)
def test_a_refit_that_nothing_bounds_or_that_has_to_choose_is_refused(
    given: dict[str, Any], source: str | None, seeds: int | None, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        implied_by_refit(given, source, seeds, resume=False)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_refit_with_what_it_cannot_have_is_refused_when_it_goes_on_too() -> None:
    with pytest.raises(ConfigError, match="--refit with --seeds"):
        implied_by_refit({}, None, 2, resume=True)


@pytest.mark.parametrize("name", ["run.json", "notes.txt", ".hidden"])
def test_a_folder_with_something_in_it_is_not_written_to(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ResultsError) as caught:
        refuse_used(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is not empty; --resume resumes the run in it, or choose another folder"
    )


def test_a_folder_that_is_new_empty_or_only_held_is_taken(tmp_path: Path) -> None:
    # Two commands at once: the one that holds the folder asks again, and finds its own lock there.
    refuse_used(tmp_path / "absent")
    refuse_used(tmp_path)
    with exclusive(tmp_path):
        refuse_used(tmp_path)
    refuse_used(tmp_path)
    assert not (tmp_path / "absent").exists()
