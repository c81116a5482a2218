"""Blends: a naive blend in float64, the folder, the graph, and damage that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.evaluation import evaluate
from distrecvae.kernels.comparable import RULES
from distrecvae.saved.blend import (
    Blend,
    BlendConfig,
    MemberConfig,
    blend_config,
    joined_state,
    load_blend,
    member_state,
    seen_cells,
    settings_of,
    total_bytes,
    why_no_graph,
)
from distrecvae.saved.export import export_model
from distrecvae.saved.model import load_model, save_model
from distrecvae.training import registry
from tests.training.checkerboard import checkerboard, withheld_diagonal

MEMBERS: list[tuple[str, dict[str, Any], float]] = [
    ("recvae", {"hidden_dim": 8, "latent_dim": 3}, 0.5),
    ("ease", {"regularization": 5}, 0.3),
    ("popularity", {}, 0.2),
]


def trained(
    members: list[tuple[str, dict[str, Any], float]] = MEMBERS, rule: str = "standardized"
) -> tuple[Any, Any]:
    """Return the configuration and the parameters of a blend of models that saw a checkerboard once."""
    train, _ = checkerboard()
    states, described = [], []
    for model, settings, weight in members:
        config = registry.config_from_dict(model, settings)
        trainer = registry.make_trainer(model, config, train, seed=1)
        trainer.step()
        states.append(trainer.model_state())
        described.append(
            MemberConfig(
                name=f"a {model}", model=model, config=registry.config_to_dict(config), weight=weight
            )
        )
    return BlendConfig(rule=rule, members=tuple(described)), joined_state(states)


def saved(folder: Path, **options: Any) -> Path:
    config, state = trained(**options)
    save_model(folder, model="blend", config=config, state=state, item_ids=np.arange(24), metrics={})
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_scores_are_the_weighted_mean_of_comparable_scores(rule: str) -> None:
    config, state = trained(rule=rule)
    _, users = checkerboard()
    blend = load_blend(config, 24, state)
    expected = np.zeros(users.fold_in.shape)
    seen = torch.from_numpy(users.fold_in.to_scipy().toarray() > 0)
    for place, member in enumerate(config.members):
        own = registry.config_from_dict(member.model, member.config)
        model = registry.load_recommender(member.model, own, 24, member_state(state, place))
        expected += member.weight * RULES[rule](model.score(users.fold_in), seen).double().numpy()
    scores = blend.score(users.fold_in)
    assert scores.dtype == torch.float32
    assert blend.n_items == 24
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-5)  # float32 of values below 10


def test_what_users_have_is_marked() -> None:
    fold_in = InteractionMatrix.from_pairs([0, 0, 2], [1, 3, 0], n_users=3, n_items=4)
    marked = seen_cells(fold_in, torch.device("cpu")).tolist()
    assert marked == [[False, True, False, True], [False] * 4, [True, False, False, False]]


class TestABlendIsARecommender:
    """What is asked of every model of the registry, as far as it is asked of a model that is not trained."""

    def blend(self) -> Blend:
        config, state = trained()
        return load_blend(config, 24, state)

    def test_scores_are_finite_for_no_item_one_item_some_and_all(self) -> None:
        cells = [(1, 3), *((2, item) for item in range(0, 24, 2)), *((3, item) for item in range(24))]
        rows, items = zip(*cells, strict=True)
        extremes = InteractionMatrix.from_pairs(rows, items, n_users=4, n_items=24)
        scores = self.blend().score(extremes)
        assert scores.shape == (4, 24)
        assert torch.isfinite(scores).all()

    def test_scores_do_not_depend_on_who_else_is_scored(self) -> None:
        blend, fold_in = self.blend(), checkerboard()[1].fold_in
        together = blend.score(fold_in)
        for user in (0, 1, fold_in.n_users - 1):
            alone = blend.score(fold_in.slice(user, user + 1))
            torch.testing.assert_close(together[user : user + 1], alone, rtol=1e-4, atol=1e-5)

    def test_the_caller_may_overwrite_scores(self) -> None:
        blend, fold_in = self.blend(), checkerboard()[1].fold_in
        expected = blend.score(fold_in).clone()
        blend.score(fold_in).fill_(7.0)
        assert torch.equal(blend.score(fold_in), expected)

    def test_a_withheld_diagonal_is_completed(self) -> None:
        users = withheld_diagonal()
        ease, popularity = (
            registry.make_trainer(name, registry.config_from_dict(name, settings), users.fold_in, seed=1)
            for name, settings in (("ease", {"regularization": 5}), ("popularity", {}))
        )
        for each in (ease, popularity):
            each.step()
        blend = Blend("standardized", [0.8, 0.2], [ease.model, popularity.model])
        assert evaluate(blend, users).mean("ndcg_100") == 1.0

    def test_a_user_without_a_history_gets_what_is_popular(self) -> None:
        config, state = trained([("ease", {}, 0.8), ("popularity", {}, 0.2)])
        nobody = InteractionMatrix.from_pairs([], [], n_users=1, n_items=24)
        counts = member_state(state, 1)["counts"]
        assert int(load_blend(config, 24, state).score(nobody).argmax()) == int(counts.argmax())


def test_the_folder_gives_the_same_model_and_holds_each_weight_once(tmp_path: Path) -> None:
    config, state = trained()
    loaded = load_model(saved(tmp_path / "best"))
    assert loaded.model == "blend"
    assert loaded.config == config
    _, users = checkerboard()
    assert torch.equal(
        loaded.recommender.score(users.fold_in), load_blend(config, 24, state).score(users.fold_in)
    )
    assert loaded.n_parameters == sum(value.numel() for value in state.values())
    size = (tmp_path / "best" / "model.safetensors").stat().st_size
    assert total_bytes(state) <= size < total_bytes(state) + 8192  # and the file's header
    card = (tmp_path / "best" / "README.md").read_text(encoding="utf-8")
    assert "| `rule` | standardized |" in card
    assert "0.3 x ease (a ease): regularization=5" in card


def test_it_recommends_by_name(tmp_path: Path) -> None:
    frame = load_model(saved(tmp_path / "best")).recommend({"ann": [0, 2, 4, 6]}, top=3)
    assert frame["item_id"].isin([0, 2, 4, 6]).sum() == 0
    assert len(frame) == 3


@pytest.mark.parametrize("rule", ["standardized", "log-softmax"])
@pytest.mark.parametrize("ending", ["onnx", "pt2"])
def test_its_graph_gives_its_scores(tmp_path: Path, rule: str, ending: str) -> None:
    loaded = load_model(saved(tmp_path / "best", rule=rule))
    exported = export_model(loaded, tmp_path / f"blend.{ending}", ending)
    assert exported.error <= 1e-5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rule": "ranks"}, "it goes by ranks"),
        (
            {"members": [("ease", {}, 0.5), ("wmf", {"latent_dim": 3}, 0.5)]},
            r"the scores of its member a wmf \(wmf\) are no graph of tensors",
        ),
    ],
)
def test_a_blend_that_is_no_graph_says_why_in_one_line(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    loaded = load_model(saved(tmp_path / "best", **options))
    with pytest.raises(ConfigError, match=f"the blend cannot be exported: {said}") as caught:
        export_model(loaded, tmp_path / "blend.pt2", "pt2")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "blend.pt2").exists()


def test_a_blend_of_graphs_is_one() -> None:
    config, state = trained()
    assert why_no_graph(load_blend(config, 24, state), config) is None


@pytest.mark.parametrize("weight", [0.0, -0.5, float("nan"), "much"])
def test_a_weight_that_is_none_is_refused(weight: Any) -> None:
    with pytest.raises(ConfigError, match="a member's weight is"):
        MemberConfig(name="a", model="ease", config={}, weight=weight)


def test_settings_that_are_no_blends_are_refused() -> None:
    member = MemberConfig(name="a", model="ease", config={}, weight=0.5)
    with pytest.raises(ConfigError, match=r"weights sum to 0.5; they must sum to 1"):
        BlendConfig(rule="standardized", members=(member,))
    with pytest.raises(ConfigError, match="a blend has no member"):
        BlendConfig(rule="standardized", members=())
    with pytest.raises(ConfigError, match="'best'"):
        BlendConfig(rule="best", members=(member, member))


def test_settings_survive_json() -> None:
    config, _ = trained()
    assert blend_config(json.loads(json.dumps(registry.config_to_dict(config)))) == config


@pytest.mark.parametrize(
    "change", ["member gone", "member too many", "other items", "unknown model", "no rule"]
)
def test_a_damaged_folder_is_told_in_one_line(tmp_path: Path, change: str) -> None:
    config, state = trained()
    if change == "member gone":
        state = {name: value for name, value in state.items() if not name.startswith("1/")}
    if change == "member too many":
        state["3/counts"] = state["2/counts"].clone()
    if change == "other items":
        state["2/counts"] = state["2/counts"][:5]
    save_model(
        tmp_path / "best", model="blend", config=config, state=state, item_ids=np.arange(24), metrics={}
    )
    path = tmp_path / "best" / "config.json"
    document = json.loads(path.read_text())
    if change == "unknown model":
        document["config"]["members"][0]["model"] = "recvea"
    if change == "no rule":
        del document["config"]["rule"]
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        load_model(tmp_path / "best")
    assert "\n" not in str(caught.value)


def test_a_card_says_who_the_members_are() -> None:
    lines = settings_of(trained()[0])
    assert list(lines) == ["rule", "member 1", "member 2", "member 3"]
    assert lines["member 3"] == "0.2 x popularity (a popularity): no settings"
