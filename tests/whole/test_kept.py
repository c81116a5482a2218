"""Folders of earlier versions, kept as they were written: they are read, and resumed, for ever.

`tests/kept/search-N` was written by the first version whose ledger has format N; `data` and `data-2` are prepared data
of formats 1 and 2, `train-1` a training of format 1, and each `best/` has a model of format 1. None is rewritten:
where a later version cannot read it, that version is wrong.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import distrecvae
from distrecvae.cli import main
from distrecvae.data import io
from distrecvae.runs import training_run
from distrecvae.saved import model as saved_model
from distrecvae.search.core import ledger
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status
from distrecvae.search.folder.mailbox import Mailbox
from distrecvae.search.folder.marks import require_whole_ledger
from distrecvae.search.folder.search_json import FINISHED, read_description
from distrecvae.search.report.writing import write_report
from tests.kept_here import KEPT, kept_here

# As that version's own summary.txt and tables said.
BEST, SCORE, TEST_SCORE = 5, 0.31982300443415695, 0.2287644135760639
# Of each trial: how it ended, its reports, its score.
SCORES = {
    0: ("finished", 4, 0.3017594317568378),
    1: ("stopped", 1, 0.27477795496365975),
    2: ("stopped", 1, 0.25454840678215845),
    3: ("finished", 4, 0.30722887770902996),
    4: ("stopped", 1, 0.2548003338426458),
    5: ("finished", 4, 0.31982300443415695),
}


@pytest.fixture(params=sorted(path.name for path in KEPT.glob("search-*")))
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of a kept folder, beside its data; trials are run in this process."""
    return kept_here(request.param, tmp_path, monkeypatch)


def test_it_is_read_as_what_it_was(kept: Path) -> None:
    described = read_description(kept)
    require_whole_ledger(kept, described)
    records = read_records(kept, "valid/ndcg_100")
    assert {number: (str(r.status), len(r.reports), r.score) for number, r in records.items()} == SCORES
    assert max(records.values(), key=lambda r: r.score or 0.0).number == BEST
    assert (described.status, described.settings.trials, described.settings.seed) == (FINISHED, 6, 4)
    result = distrecvae.load(kept)
    assert result.config.latent_dim == 4


def test_its_report_and_its_scores_are_made_again(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = write_report(kept).read_text(encoding="utf-8")
    assert (
        "Trial 5 is the best of 6: NDCG@100 0.2288 ± 0.0100 on 10 test users, -0.0425 ± 0.0270 against"
        in page
    )
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--model", "mine/best", "--data", "data"])
    assert ended.value.code == 0
    assert f"{TEST_SCORE:.4f}" in capsys.readouterr().out


def test_it_goes_on(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (kept / "ledger.jsonl").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["search", "--extend", "mine", "--trials", "7"])
    assert ended.value.code == 0
    assert "7 of 7 trials" in capsys.readouterr().out
    after = (kept / "ledger.jsonl").read_bytes()
    assert after.startswith(before), "what was written stands"
    records = read_records(kept, "valid/ndcg_100")
    assert records[BEST].score == SCORE
    assert records[6].status in (Status.FINISHED, Status.STOPPED)


def test_a_shorter_ledger_is_refused(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (kept / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (kept / "ledger.jsonl").write_bytes(b"".join(lines[:12]))
    best = (kept / "best" / "metrics.json").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["search", "--extend", "mine", "--trials", "7"])
    assert ended.value.code == 2
    assert "ledger.jsonl" in capsys.readouterr().err
    assert (kept / "best" / "metrics.json").read_bytes() == best
    assert json.loads(best)["trial"] == BEST


def test_a_moved_folder_names_the_way_to_its_data_and_keeps_no_request_that_was_refused(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # `continue` said "give --data" and had no such option; what it had asked for stayed, for whoever went on later.
    shutil.move("data", "elsewhere")
    for words in (["continue", "mine", "--trial", "5", "--max-passes", "24"],
                  ["search", "--extend", "mine", "--trials", "9", "--dry-run"]):  # fmt: skip
        with pytest.raises(SystemExit) as refused:
            main(words)
        assert refused.value.code == 2
        assert "and no data set of that fingerprint" in capsys.readouterr().err
    assert Mailbox(kept).names == []
    with pytest.raises(SystemExit) as ended:
        main(["continue", "mine", "--trial", "5", "--max-passes", "24", "--data", "elsewhere"])
    assert ended.value.code == 0, capsys.readouterr()
    assert read_records(kept, "valid/ndcg_100")[5].max_passes == 24


def typed(*words: str) -> None:
    """Run a command as it is typed; it must end well."""
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 0


def test_whoever_raises_a_formats_number_keeps_a_folder_of_it() -> None:
    def numbers(pattern: str, file: str) -> set[int]:
        return {
            json.loads((path / file).read_text(encoding="utf-8"))["format"] for path in KEPT.glob(pattern)
        }

    assert (KEPT / f"search-{ledger.FORMAT}").is_dir()
    assert numbers("data*", "dataset.json") >= {io.FORMAT, io.OVERLAPPING_FORMAT}
    assert training_run.FORMAT in numbers("train-*", "run.json")
    assert saved_model.FORMAT in numbers("*-*/best", "config.json")


def test_commands_that_only_look_open_it(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed("list", ".")
    assert "mine" in capsys.readouterr().out
    typed("why", "mine", "--trial", str(BEST))
    why = capsys.readouterr().out
    assert f"trial {BEST}" in why.lower()
    (kept.parent / "histories.csv").write_text("user_id,item_id\nann,1\nann,2\nbob,3\n", encoding="utf-8")
    typed("recommend", "--model", "mine", "--histories", "histories.csv", "--top", "5", "--out", "recs.csv")
    rows = (kept.parent / "recs.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0].strip('"') for row in rows[1:]] == ["ann"] * 5 + ["bob"] * 5


def test_a_finished_one_has_nothing_left_to_do(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (kept / "ledger.jsonl").read_bytes()
    model = (kept / "best" / "model.safetensors").read_bytes()
    typed("search", "--extend", "mine")
    assert "6 of 6 trials" in capsys.readouterr().out
    assert (kept / "ledger.jsonl").read_bytes() == lines
    assert (kept / "best" / "model.safetensors").read_bytes() == model


def test_its_best_configuration_can_be_trained(kept: Path) -> None:
    typed(
        "train", "--data", "data", "--config", "mine/best/config.json", "--max-passes", "4", "--out", "again"
    )
    trained = json.loads(Path("again/best/config.json").read_text(encoding="utf-8"))
    assert (
        trained["config"] == json.loads((kept / "best" / "config.json").read_text(encoding="utf-8"))["config"]
    )


def test_a_kept_training_is_loaded_scored_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(KEPT / "data", "data")
    shutil.copytree(KEPT / "train-1", "run")
    typed("evaluate", "--model", "run", "--data", "data")
    assert "NDCG@100 0.2479 ± 0.0418" in capsys.readouterr().out, "as that version said"
    before = Path("run/history.csv").read_text(encoding="utf-8").splitlines()
    typed("train", "--out", "run", "--resume", "--max-passes", "12")
    after = Path("run/history.csv").read_text(encoding="utf-8").splitlines()
    assert (after[:3], len(after)) == (before, 4), "a cycle more; what was written stands"


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [("data", "07cd9cfa23b842c9ccdc4b48b50fc85b"), ("data-2", "da841a12ab11133256d8a6e18eb2a20a")],
)
def test_kept_data_is_what_it_was(name: str, fingerprint: str, tmp_path: Path) -> None:
    # The fingerprint is made of the matrices: models and searches know their data by it.
    split = io.load_dataset(KEPT / name)
    assert split.fingerprint == fingerprint
    io.save_dataset(split, tmp_path / "anew", {})
    assert io.load_dataset(tmp_path / "anew").fingerprint == fingerprint
