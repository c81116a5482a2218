"""`distrecvae export` as it is typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from distrecvae.cli import main
from distrecvae.models.popularity import PopularityConfig
from distrecvae.models.wmf import WMFConfig
from distrecvae.saved.model import save_model

Run = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    ids = np.array([5, 6, 7])
    counts = {"counts": torch.tensor([3.0, 1, 2])}
    save_model(
        Path("runs/best"),
        model="popularity",
        config=PopularityConfig(),
        state=counts,
        item_ids=ids,
        metrics={},
    )
    config, items = WMFConfig(latent_dim=2), {"items": torch.ones(3, 2)}
    save_model(Path("factors"), model="wmf", config=config, state=items, item_ids=ids, metrics={})

    def call(line: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["export", *line.split()])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def test_a_results_folder_becomes_a_file(run: Run) -> None:
    status, out, _ = run("--model runs --out m.onnx")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["m.onnx", "m.items.parquet", "checked"]
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    scores = session.run(["scores"], {"histories": np.eye(3, dtype=np.float32)})[0]
    assert scores.tolist() == [[3, 1, 2]] * 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--model runs --out m.bin", "m.bin tells no format by its name; end it in .onnx or .pt2"),
        ("--model runs --out m.pt --format torchscript", "'torchscript' is not one of 'onnx', 'pt2'"),
        ("--model factors --out m.onnx", "wmf cannot be exported"),
        ("--model nothing --out m.onnx", "nothing does not exist"),
        ("--model runs --out runs --format pt2", "runs is a folder"),
    ],
)
def test_bad_input_gets_one_line(run: Run, line: str, message: str) -> None:
    status, _, err = run(line)
    assert status == 2
    assert message in err.splitlines()[-1]
