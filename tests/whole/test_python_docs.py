"""What the docs show in Python runs as it stands: docs/python.md, README's section, the notebook."""

from __future__ import annotations

import ast
import inspect
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

import distrecvae
from tests import HANGS_AFTER_S, ROOT
from tests.results import n_reports
from tests.sites import Site
from tests.whole.test_tutorial import write_ratings

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## In Python\n", 1)[1].split("\n## ", 1)[0]
NOTEBOOK = ROOT / "docs" / "search.ipynb"


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This package for child processes, and a short path for Ray's sockets."""
    folder = tempfile.mkdtemp(prefix="drn")
    own = {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": folder, "PYTHONWARNINGS": "ignore"}
    # A kernel of this Python, whatever kernels are installed.
    spec = Path(folder) / "kernels" / "here"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "here", "language": "python"})
    )
    for name, value in {**own, "JUPYTER_PATH": folder}.items():
        monkeypatch.setenv(name, value)
    yield
    shutil.rmtree(folder, ignore_errors=True)


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env={**os.environ}, capture_output=True, text=True, check=False, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SMALLER = {
    "trials=6": "trials=2, concurrent=1",
    "trials=8": "trials=3",
    "trials=4": "trials=2, concurrent=1",
    "max_passes=24": "max_passes=8",
}


def show_what_the_page_says(said: str, folder: Path, trials: int, extended: int) -> None:
    for words in (
        "dropped", f"<SearchResult in runs/mine: {trials} trials", f"{extended} True", "p_value_holm", "recall_50",
        "resume=True",
    ):  # fmt: skip
        assert words in said, words
    for name in ("mine", "ease", "both", "ship", "plain"):
        assert (folder / "runs" / name).is_dir(), name


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_the_page_runs_from_its_first_line_to_its_last_with_fewer_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ratings(tmp_path / "ratings.csv")
    code = "\n".join(blocks(PAGE))
    for written, smaller in SMALLER.items():
        assert written in code
        code = code.replace(written, smaller)
    monkeypatch.chdir(tmp_path)
    exec(code, {})  # noqa: S102
    show_what_the_page_says(capsys.readouterr().out, tmp_path, 2, 3)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.nightly(
    "test_the_page_runs_from_its_first_line_to_its_last_with_fewer_trials: every line of it, in a Ray that runs"
)
def test_the_page_runs_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    write_ratings(tmp_path / "ratings.csv")
    show_what_the_page_says(run("\n".join(blocks(PAGE)), tmp_path), tmp_path, 6, 8)


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_the_readme_shows_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ratings(tmp_path / "ratings.csv")
    [code] = blocks(SECTION)
    short = re.sub(r"trials=\d+", "trials=2, max_passes=8, concurrent=1", code)
    monkeypatch.chdir(tmp_path)
    exec(short, {})  # noqa: S102
    assert "bob" in capsys.readouterr().out
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()


def test_links_lead_somewhere() -> None:
    for text, folder in ((PAGE, ROOT / "docs"), (SECTION, ROOT)):
        links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
        assert links
        for link in links:
            assert (folder / link).exists(), link


# --- the notebook


def kinds(cell: Any) -> list[tuple[str, ...]]:
    """Return what kinds of output a cell has: streams by name, results by their forms. Lines of progress are one."""
    found: list[tuple[str, ...]] = []
    for output in cell.get("outputs", ()):
        kind = (output["output_type"], output["name"]) if output["output_type"] == "stream" else (
            output["output_type"], *sorted(output["data"])
        )  # fmt: skip
        if not found or found[-1] != kind:
            found.append(kind)
    return found


def calls_of(code: str) -> list[ast.Call]:
    """Return the calls of this package's functions, in order."""
    return [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {f"dr.{name}" for name in distrecvae.__all__}
    ]


def test_what_the_notebook_calls_is_there_and_takes_what_it_is_given() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    calls = calls_of("\n".join(cell.source for cell in kept.cells if cell.cell_type == "code"))
    assert len(calls) >= 6
    for call in calls:
        function = getattr(distrecvae, ast.unparse(call.func).removeprefix("dr."))
        given = {str(word.arg): word.value for word in call.keywords}
        inspect.signature(function).bind(*call.args, **given)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.nightly(
    "test_what_the_notebook_calls_is_there_and_takes_what_it_is_given, and"
    " test_the_page_runs_from_its_first_line_to_its_last_with_fewer_trials makes the same calls"
)
def test_the_notebook_runs_and_shows_what_it_shows(tmp_path: Path) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    again = nbformat.read(NOTEBOOK, as_version=4)
    for cell in again.cells:
        cell.pop("outputs", None)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(
        again, timeout=int(HANGS_AFTER_S), kernel_name="here", resources=resources
    ).execute()
    assert [kinds(cell) for cell in again.cells] == [kinds(cell) for cell in kept.cells]
    assert (tmp_path / "runs").is_dir()


@pytest.mark.ray
@pytest.mark.usefixtures("environment")
def test_a_cell_that_is_interrupted_keeps_what_is_there(tmp_path: Path, site: Site) -> None:
    for name in ("data", "space.yaml"):
        (tmp_path / name).symlink_to(site.folder / name)
    cell = (
        "import distrecvae as dr\n"
        "result = dr.search('data', space='./space.yaml', trials=400, max_passes=24, min_passes=4, out='out')\n"
        "print('ended', result.complete, len(result.trials) > 0, result.best is not None, result.summary)"
    )
    manager, client = start_new_kernel(kernel_name="here", cwd=str(tmp_path), startup_timeout=HANGS_AFTER_S)
    try:
        said: list[str] = []
        asked = client.execute(cell)
        interrupted = False
        while True:
            try:
                message = client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                message = None
            if not interrupted and n_reports(tmp_path / "out") >= 3:
                manager.interrupt_kernel()
                interrupted = True
            if message is None or message["parent_header"].get("msg_id") != asked:
                assert manager.is_alive(), "the notebook lives on"
                continue
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])
            assert message["msg_type"] != "error", message["content"]
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        text = "".join(said)
        assert "ended False True True Searched recvae" in text
        assert text.count("import distrecvae; distrecvae.search(extend='out')") == 2, (
            "at once, and at the end"
        )
        assert "\x1b" not in text, "plain lines"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_notebooks_outputs_are_real() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run once, in order"
    shown = json.dumps([cell.outputs for cell in code])
    assert "text/html" in shown
    assert "Traceback" not in shown
    assert str(Path.home()) not in shown, "of nobody's machine"
    assert not re.search(r"/(?:home|tmp|work|root)/", shown)
    assert len(shown) < 200_000
