"""What is refused before anything starts: one line, exit status 2, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from distrecvae.api.asking import DEMO_SETTINGS
from distrecvae.cli import main
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import LOST
from distrecvae.search import launch
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.course import Outcome
from tests.sites import typed_here


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tiny"
    save_dataset(synthetic_split(n_users=100, n_items=60, seed=1), folder, {"source": "synthetic"})
    return folder


SPACES = {
    "typo.yaml": "model: recvae\nparameters: {latent_dimm: {type: int, low: 8, high: 16}}\n",
    "range.yaml": "model: recvae\nparameters: {latent_dim: {type: int, low: 80, high: 16}}\n",
    "other.yaml": "model: popularity\nparameters: {}\n",
    "broken.yaml": "model: [recvae\n",
    "settings.yaml": "trials: 5\nmax-passes: 3\ntrails: 5\n",
    "nan.yaml": "model: recvae\nparameters: {dropout: {type: float, low: .nan, high: 0.5}}\n",
}

# what is typed after `search --data DATA --out out`, what the line must say
REFUSED: list[tuple[list[str], list[str]]] = [
    (["--trials", "0"], ["trials=0", "at least 1"]),
    (["--trials", "many"], ["--trials", "many", "integer"]),
    (["--trails", "5"], ["--trails", "--trials"]),
    (["--max-passes", "10", "--min-passes", "20"], ["min_passes=20", "max_passes=10"]),
    (["--reduction-factor", "1"], ["reduction_factor=1", "at least 2"]),
    (["--metric", "ndgc_10"], ["ndgc_10", "ndcg"]),
    (["--sampler", "tpee"], ["tpee", "tpe"]),
    (["--scheduler", "ash"], ["ash", "asha"]),
    (["--gpus-per-trial", "1.5"], ["gpus_per_trial=1.5", "fraction"]),
    (["--gpus-per-trial", "2"], ["gpus_per_trial=2.0", "a trial trains on one GPU"]),
    (["--gpus-per-trial", "-1"], ["gpus_per_trial=-1"]),
    (["--gpus-per-trial", "nan"], ["gpus_per_trial=nan"]),
    (["--time-budget", "0"], ["time_budget_s=0", "positive"]),
    (["--seed", "-1"], ["seed=-1"]),
    (["--model", "recvea"], ["recvea", "recvae"]),
    (["--space", "recva"], ["recva", "recvae"]),
    (["--space", "./absent.yaml"], ["absent.yaml"]),
    (["--space", "./typo.yaml"], ["typo.yaml", "latent_dimm", "latent_dim"]),
    (["--space", "./range.yaml"], ["range.yaml", "latent_dim", "80", "16"]),
    (["--space", "./other.yaml"], ["other.yaml", "popularity", "recvae"]),
    (["--space", "./broken.yaml"], ["broken.yaml", "YAML"]),
    (["--space", "./nan.yaml"], ["nan.yaml", "dropout", "nan"]),
    (["--config", "absent.yaml"], ["absent.yaml", "cannot be read"]),
    (["--config", "settings.yaml"], ["settings.yaml", "trails", "trials"]),
    (["--config", "broken.yaml"], ["broken.yaml", "YAML"]),
    (["--data", "absent"], ["absent"]),
    (["--data", "."], ["dataset"]),
    (["--address", "127.0.0.1:1"], ["127.0.0.1:1", "nothing listens"]),
    (["--address", "127.0.0.1:x"], ["127.0.0.1:x", "nothing listens"]),
    (["--name", "x"], ["--out", "--name"]),
    (["--resume"], ["--resume", "out"]),
    (["--resume", "--resume-or-start"], ["--resume-or-start", "give one"]),
    (["--elastic"], ["elastic", "--concurrent", "--gpus-per-trial"]),
    (["--elastic", "--concurrent", "4"], ["elastic", "--gpus-per-trial"]),
    (["--data", "file:///absent/data"], ["file:///absent/data", "no such folder"]),
    (["--data", "ftp://host/data"], ["ftp://host/data", "s3, gs"]),
    (["surplus"], ["surplus"]),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=[" ".join(options) for options, _ in REFUSED])
def test_bad_input_is_one_clear_line(
    options: list[str],
    words: list[str],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in SPACES.items():
        Path(name).write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        main(["search", "--data", str(data), "--out", "out", *options])
    captured = capsys.readouterr()
    line = captured.err.strip().splitlines()[-1]
    assert stopped.value.code == 2
    assert captured.out == ""
    assert line.lower().startswith("error: ")
    for word in words:
        assert word in line
    assert not Path("out").exists()


def test_a_results_folder_is_not_overwritten(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/precious").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        main(["search", "--data", str(data), "--out", "out"])
    assert stopped.value.code == 2
    assert "out is not empty; pass --resume" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "cannot be read"), ("[]", "should be an object"), (json.dumps({"format": 99}), "format 99")],
    ids=["damaged", "no search", "another version"],
)
def test_a_folder_that_is_no_search_is_not_resumed(
    content: str,
    words: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/search.json").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        main(["search", "--data", str(data), "--out", "out", "--resume"])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_help_teaches_and_needs_neither_ray_nor_torch() -> None:
    code = (
        "import sys\nfor name in ('ray', 'torch', 'optuna'): sys.modules[name] = None\n"
        "from distrecvae.cli import main\nmain(['search', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for words in (
        "python -m distrecvae.search --data",
        "--resume",
        "published configuration",
        "[default: 24]",
    ):
        assert words in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


@dataclass
class Heard:
    """What a search was asked for, and how it ends."""

    ends: Outcome = field(default_factory=lambda: Outcome("the summary", complete=True, has_score=True))
    config: SearchConfig | None = None
    folder: Path | None = None
    resumed: list[bool] = field(default_factory=list)


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Return what a search that runs nothing hears; the working directory is an empty one."""
    heard = Heard()

    def hear(config: SearchConfig, folder: Path, *, resume: bool, **_: object) -> Outcome:
        heard.config, heard.folder = config, folder
        heard.resumed.append(resume)
        return heard.ends

    monkeypatch.setattr(launch, "search", hear)
    monkeypatch.chdir(tmp_path)
    return heard


def run(*options: str) -> Any:
    with pytest.raises(SystemExit) as stopped:
        main(["search", *options])
    return stopped.value.code


@pytest.mark.parametrize(
    ("options", "trials", "max_passes"),
    [
        ([], DEMO_SETTINGS["trials"], DEMO_SETTINGS["max_passes"]),
        (["--trials", "3"], 3, DEMO_SETTINGS["max_passes"]),
        (["--data", "data/mine"], SearchConfig().trials, SearchConfig().max_passes),
        (["--config", "mine.yaml"], SearchConfig().trials, 7),
        (["--config", "none.yaml"], 5, DEMO_SETTINGS["max_passes"]),
        (["--config", "none.yaml", "--trials", "3"], 3, DEMO_SETTINGS["max_passes"]),
    ],
    ids=["nothing", "trials", "data", "data in a file", "no data in a file", "typed over the file"],
)
def test_a_search_without_data_is_a_small_one_unless_told_otherwise(
    options: list[str], trials: int, max_passes: int, heard: Heard
) -> None:
    Path("mine.yaml").write_text("data: data/mine\nmax-passes: 7\n", encoding="utf-8")
    Path("none.yaml").write_text("data:\ntrials: 5\n", encoding="utf-8")
    assert run(*options) == 0
    assert heard.config is not None
    assert (heard.config.trials, heard.config.max_passes) == (trials, max_passes)


def test_a_second_search_of_a_name_says_where_its_results_go_and_how_the_first_goes_on(
    heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    # Typed again after a kill, it began again without a word, and --resume then took the newer one.
    assert run("--model", "ease") == 0
    assert capsys.readouterr().err == ""
    Path("runs/ease-synthetic").mkdir(parents=True)
    Path("runs/ease-synthetic/search.json").touch()
    assert run("--model", "ease") == 0
    said = capsys.readouterr().err
    assert "runs/ease-synthetic is there already: results go to runs/ease-synthetic-2." in said
    for options in (["--out", "mine"], ["--name", "mine"]):
        assert run("--model", "ease", *options) == 0
        assert capsys.readouterr().err == ""


def test_results_are_named_by_model_and_data(heard: Heard) -> None:
    assert run("--model", "ease") == 0
    assert heard.folder == Path("runs/ease-synthetic")
    assert run("--data", "data/ml-1m/") == 0
    assert heard.folder == Path("runs/recvae-ml-1m")


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (Outcome("the summary", complete=True, has_score=True), 0),
        (Outcome("the summary", complete=True, has_score=False), 1),
        (Outcome("the summary", complete=False, has_score=False), 130),
        (Outcome("the summary", complete=False, has_score=False, lost=True), LOST),
    ],
    ids=["a model", "no score", "interrupted", "Ray went away"],
)
def test_the_summary_is_printed_and_the_status_says_how_it_ended(
    ends: Outcome, expected: int, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    heard.ends = ends
    assert run() == expected
    assert capsys.readouterr().out == "\nthe summary\n"


def test_resume_or_start_is_decided_by_what_lies_there(heard: Heard) -> None:
    assert run("--resume-or-start", "--out", "out") == 0
    Path("out").mkdir()
    Path("out/search.json").touch()
    assert run("--resume-or-start", "--out", "out") == 0
    # Without being asked a search does not resume what lies there: it is refused.
    assert run("--out", "out") == 0
    assert heard.resumed == [False, True, False]


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_an_elastic_search_needs_a_cluster(data: Path, tmp_path: Path) -> None:
    elastic = ("--elastic", "--concurrent", "4", "--gpus-per-trial", "1")
    done = typed_here(tmp_path, "search", "--data", str(data), "--out", "out", *elastic)
    assert done.returncode == 2
    assert "error: --elastic: no nodes can join the Ray that a search starts for itself" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_gpu_where_there_is_none_is_refused_at_once(data: Path, tmp_path: Path) -> None:
    # Tune itself would leave the trials pending for ever.
    done = typed_here(tmp_path, "search", "--data", str(data), "--out", "out", "--gpus-per-trial", "1")
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: a trial asks for 1 CPU and 1 GPU, and no node has both")
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_more_cores_than_there_are_is_refused_at_once(data: Path, tmp_path: Path) -> None:
    done = typed_here(tmp_path, "search", "--data", str(data), "--out", "out", "--cpus-per-trial", "4096")
    assert done.returncode == 2
    assert "4096 CPU" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_a_dry_run_prints_the_plan_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    done = typed_here(
        tmp_path, "search", "--data", str(data), "--max-passes", "243", "--min-passes", "1", "--dry-run"
    )
    assert done.returncode == 0, done.stderr
    # Ray's own rung arithmetic truncates a logarithm and loses the last of these.
    assert "rungs at passes 1, 3, 9, 27, 81, 243" in done.stdout
    assert "precision   " in done.stdout
    assert "latent_dim" in done.stdout
    assert list(tmp_path.iterdir()) == []
