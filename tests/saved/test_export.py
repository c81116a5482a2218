"""Export: what a runtime makes of the file is what the model scores, for every model that can be a graph."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from distrecvae.cli.export import _FORMATS
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.stored.tables import load_ids
from distrecvae.errors import ConfigError, ResourceError, ResultsError
from distrecvae.kernels.sparse_weights import SparseItemWeights, load_weights, stored_weights
from distrecvae.models.recvae import RecVAE
from distrecvae.saved import export
from distrecvae.saved.export import FORMATS, DenseScorer, export_model, format_of
from distrecvae.saved.model import LoadedModel
from distrecvae.training import registry
from tests.training.checkerboard import checkerboard
from tests.training.test_registry import SMALL

GRAPHS = {"recvae", "multvae", "multdae", "autorec", "ease", "slim", "popularity"}
SOLVERS = {"wmf", "pmf"}


def trained(model: str, **settings: Any) -> LoadedModel:
    train, _ = checkerboard()
    config = registry.config_from_dict(model, {**SMALL.get(model, {}), **settings})
    trainer = registry.make_trainer(model, config, train, seed=1)
    trainer.step()
    recommender = registry.load_recommender(model, config, train.n_items, trainer.model_state())
    return LoadedModel(model, config, recommender, np.arange(train.n_items) + 100, {}, {"fingerprint": "abc"})


def some_users(n_items: int) -> InteractionMatrix:
    """Return users with no item, one, two, half and all."""
    cells = np.arange(n_items) < np.array([[0], [1], [2], [n_items // 2], [n_items]])
    return InteractionMatrix.from_pairs(*np.nonzero(cells), n_users=5, n_items=n_items)


def run(path: Path, rows: np.ndarray[Any, Any]) -> Any:
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert [(part.name, part.type, part.shape[1]) for part in session.get_inputs()] == [
            ("histories", "tensor(float)", rows.shape[1])
        ]
        return session.run(["scores"], {"histories": rows})[0]
    return torch.export.load(path).module()(torch.from_numpy(rows)).numpy()


def assert_same_scores(loaded: LoadedModel, path: Path) -> None:
    users = some_users(loaded.recommender.n_items)
    expected, rows = loaded.recommender.score(users).numpy(), users.to_scipy().toarray()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(run(path, rows), expected, rtol=1e-5, atol=1e-5 * scale)
    for user in range(users.n_users):  # a graph for any number of users
        one = run(path, rows[user : user + 1])
        np.testing.assert_allclose(one, expected[user : user + 1], rtol=1e-5, atol=1e-5 * scale)


def test_every_model_is_a_graph_or_is_known_not_to_be() -> None:
    can = {name for name in registry.models() if isinstance(trained(name).recommender, DenseScorer)}
    assert can >= GRAPHS
    assert not can & SOLVERS


@pytest.mark.parametrize("model", sorted(set(registry.models()) - SOLVERS))
def test_onnx_runtime_gives_the_models_scores(model: str, tmp_path: Path) -> None:
    loaded = trained(model)
    exported = export_model(loaded, tmp_path / "m.onnx", "onnx")
    assert_same_scores(loaded, tmp_path / "m.onnx")
    assert exported.files == (tmp_path / "m.onnx", tmp_path / "m.items.parquet")
    assert exported.error <= 1e-5
    assert load_ids(tmp_path / "m.items.parquet").tolist() == loaded.item_ids.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.items.parquet", "m.onnx"]


@pytest.mark.parametrize("model", ["recvae", "ease", "popularity"])
def test_pytorch_gives_them_too(model: str, tmp_path: Path) -> None:
    loaded = trained(model)
    export_model(loaded, tmp_path / "m.pt2", "pt2")
    assert_same_scores(loaded, tmp_path / "m.pt2")


def test_weights_that_are_stored_sparse_are_exported_too(tmp_path: Path) -> None:
    # SLIM's weights at a real size; the small ones above are stored whole. It was once refused for being no graph.
    state = stored_weights(torch.tensor([0, 2, 2], dtype=torch.int32), torch.tensor([1, 0, 23], dtype=torch.int32),
                           torch.tensor([0.5, 0.25, 2.0]), 24)  # fmt: skip
    loaded = replace(trained("slim"), recommender=load_weights(None, 24, state))
    assert isinstance(loaded.recommender, SparseItemWeights)
    for name in ("m.onnx", "m.pt2"):
        export_model(loaded, tmp_path / name, name.partition(".")[2])
        assert_same_scores(loaded, tmp_path / name)


def test_weights_of_which_none_is_left_are_exported_too(tmp_path: Path) -> None:
    """SLIM's are, where the penalty is high: a model that scores every item 0."""
    none = torch.zeros(0)
    state = stored_weights(none.int(), none.int(), none, 40)
    loaded = replace(trained("ease"), recommender=load_weights(None, 40, state), item_ids=np.arange(40))
    for file_format in FORMATS:
        path = tmp_path / f"none.{file_format}"
        assert export_model(loaded, path, file_format).error == 0


def test_recvae_as_multvae_is_exported_too(tmp_path: Path) -> None:
    loaded = trained("recvae", architecture="mlp")
    export_model(loaded, tmp_path / "m.onnx", "onnx")
    assert_same_scores(loaded, tmp_path / "m.onnx")


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    export_model(trained("ease"), tmp_path / "m.onnx", "onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["distrecvae"])
    assert (about["model"], about["n_items"], about["fingerprint"]) == ("ease", 24, "abc")


def test_weights_too_many_for_one_file_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ONE_FILE_BYTES", 100)
    loaded = trained("ease")
    exported = export_model(loaded, tmp_path / "m.onnx", "onnx")
    assert [path.name for path in exported.files] == ["m.onnx", "m.items.parquet", "m.onnx.data"]
    assert_same_scores(loaded, tmp_path / "m.onnx")


def test_a_graph_with_other_scores_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = RecVAE.dense_scores
    monkeypatch.setattr(RecVAE, "dense_scores", lambda self, x: right(self, x) * (1 + 1e-4))
    (tmp_path / "m.pt2").write_text("older")
    with pytest.raises(ResultsError, match=r"differ from the model's by 1\.0e-04"):
        export_model(trained("recvae"), tmp_path / "m.pt2", "pt2")
    assert (tmp_path / "m.pt2").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt2"]


@pytest.mark.parametrize("model", sorted(SOLVERS))
def test_a_model_that_is_no_graph_says_so(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{model} cannot be exported: its scores are no graph of tensors"):
        export_model(trained(model), tmp_path / "m.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        ResourceError, match=r"onnxscript is not installed.*; pip install onnxscript onnxruntime"
    ):
        export_model(trained("popularity"), tmp_path / "m.onnx", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_told_or_seen() -> None:
    assert format_of(Path("a/m.ONNX"), None) == "onnx"
    assert format_of(Path("m.bin"), "pt2") == "pt2"
    with pytest.raises(ConfigError, match=r"m.bin tells no format by its name"):
        format_of(Path("m.bin"), None)
    assert _FORMATS == FORMATS
