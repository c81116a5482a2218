"""docs/paper.md, typed as it stands in an empty folder: a metric, a model and a system of one's own to LaTeX."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pandas as pd
import pytest

from distrecvae.cli import cli, main
from distrecvae.search.comparison.kept import read_table
from tests import HANGS_AFTER_S, ROOT
from tests.search.comparison.test_latex import body, require_whole
from tests.sites import ray_folder
from tests.whole.test_tutorial import write_ratings

PAGE = (ROOT / "docs/paper.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
FILES = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def type_in(folder: Path, commands: str) -> str:
    """Type commands of the page in a folder with its files; return what they printed."""
    write_ratings(folder / "ratings.csv")
    for name, text in zip(("mine.py", "theirs.py"), FILES, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # The page sets PYTHONPATH for `mine`; where this package is not installed its own place must stay in it.
    commands = commands.replace('PYTHONPATH="$PWD"', f'PYTHONPATH="$PWD:{ROOT}"')
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": str(ray_folder()), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=folder, env={**os.environ, **own},
        capture_output=True, text=True, check=False, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.ray
def test_the_page_is_prepared_planned_and_its_last_command_is_one(tmp_path: Path) -> None:
    *commands, last = COMMANDS
    assert commands[-1].rstrip().endswith("--out runs/paper")
    said = type_in(tmp_path, "\n".join(commands).rstrip() + " --dry-run")
    assert "3 searches, 9 trials, 5 trainings" in said, "of what is solved no seed changes anything"
    assert not (tmp_path / "runs").exists()
    program, name, *words = shlex.split(last)
    assert (program, name) == ("distrecvae", "tables")
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, words)


@pytest.mark.ray
@pytest.mark.slow  # three searches and their seeds on a real Ray: most of a minute
@pytest.mark.nightly(
    "test_the_page_is_prepared_planned_and_its_last_command_is_one: up to the training;"
    " tests/search/comparison/test_seeds.py::test_each_seed_is_a_training_of_its_own_and_a_users_value_their_mean,"
    " tests/search/comparison/test_latex.py::test_seeds_have_a_second_error_and_the_caption_says_so, and"
    " tests/search/comparison/test_comparison.py::test_the_table_has_each_models_own_scores: what follows"
)
def test_an_empty_folder_becomes_a_table_with_seeds_and_significance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(tmp_path, "\n".join(COMMANDS))

    text = (tmp_path / "paper/comparison.tex").read_text(encoding="utf-8")
    require_whole(text)
    cells = body(text)
    assert set(cells) == {"knn", "ease", "recvae", "popular"}
    assert all(len(each) == 2 for each in cells.values()), "the columns that were asked for"
    assert cells["recvae"][0].count(r"\pm") == 2, "the error over users, and over seeds"
    assert cells["popular"][0].count(r"\pm") == 1, "one file is one seed"
    assert "then over 3 seeds" in text
    assert "Holm-corrected" in text

    table = read_table(tmp_path / "runs/paper")
    assert table.versions["distrecvae"]
    rows = {row.name: row for row in table.rows}
    assert {name: row.seeds.count for name, row in rows.items() if row.seeds is not None} == {
        "knn": 3, "ease": 3, "recvae": 3,
    }  # fmt: skip
    assert rows["ease"].seeds is not None
    assert rows["ease"].seeds.standard_error("ndcg_10") == 0.0, "solved: no seed changes it"
    assert rows["recvae"].seeds is not None
    assert rows["recvae"].seeds.standard_error("ndcg_10") > 0.0
    assert "mine:first_half_20" in rows["knn"].test.per_user
    assert rows["popular"].valid is not None
    tests = pd.read_csv(tmp_path / "paper/comparison_tests.csv")
    assert len(tests) == 3 * 3, "a test a metric and a row but the best"
    assert tests["p_value_holm"].between(0, 1).all()

    # All of it is made again from the folder alone, to the byte: the data, the models and the code are gone.
    kept = {path.name: path.read_bytes() for path in (tmp_path / "paper").iterdir()}
    for name in ("data", "mine.py", "theirs.parquet"):
        (tmp_path / name).rename(tmp_path / f"{name}.gone")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["tables", "runs/paper", "--metrics", "ndcg@10,recall@20", "--out", "again"])
    assert ended.value.code == 0
    assert "again/comparison.tex" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == kept
