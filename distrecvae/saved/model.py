"""How tensors lie on disk: safetensors files with JSON in their header, and a model's folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distrecvae import __version__
from distrecvae.data.days.matching import KnownIds
from distrecvae.data.histories import Histories, HistoriesLike, as_table, over_items
from distrecvae.data.item_counts import load_counts
from distrecvae.data.offering import offered
from distrecvae.data.recommendations import ArrowIds, Frame, as_frame, in_arrow, likeness_frame
from distrecvae.data.stored.tables import load_ids, n_rows_of, save_ids
from distrecvae.data.table import InteractionTable
from distrecvae.errors import CheckpointError, ConfigError, DistrecvaeError
from distrecvae.evaluation import Recommender
from distrecvae.files import new_folder, write_json, write_text
from distrecvae.layout import BEST_FOLDER, CONFIG_FILE, METRICS_FILE, RUN_FILE, SEARCH_FILE
from distrecvae.models.popularity import Popularity
from distrecvae.recommendation import Likening
from distrecvae.saved.card import CARD_FILE, model_card, versions
from distrecvae.saved.kinds import parts_of, read_settings, recommender_of, require_known, shown_settings
from distrecvae.saved.lists import NOTES, ids_of, lists, most_alike, popularity_for, require_top
from distrecvae.saved.tensors import load_state, read_json, save_state
from distrecvae.storage.fetched import on_this_machine
from distrecvae.training.registry import config_to_dict
from distrecvae.words import first_line

FORMAT = 1
"""Of a model's folder."""
MODEL_FILE = "model.safetensors"
ITEMS_FILE = "items.parquet"


@dataclass(frozen=True)
class LoadedModel:
    """A model folder, read back.

    Attributes:
        model: its name in the registry, or "blend".
        config: its configuration.
        recommender: the model itself.
        item_ids: ids by item position.
        metrics: what was written about its quality.
        data: what was written about the data that it was trained on; empty for a folder that does not say.
        n_parameters: floating-point numbers in it.
        popularity: scores items by the training users who have them; None where the folder does not say.
    """

    model: str
    config: Any
    recommender: Recommender
    item_ids: npt.NDArray[np.generic]
    metrics: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    n_parameters: int = 0
    popularity: Recommender | None = None

    @cached_property
    def known_items(self) -> KnownIds:
        """Its items' ids, to look others up among: made once for all requests."""
        return KnownIds(self.item_ids)

    @cached_property
    def _items_in_arrow(self) -> ArrowIds:
        return in_arrow(self.item_ids)

    @property
    def min_rating(self) -> float | None:
        """What the rating of a training interaction was above; None where every row counted."""
        threshold = (self.data.get("options") or {}).get("min_rating")
        return None if threshold is None else float(threshold)

    def recommend(
        self,
        histories: HistoriesLike,
        *,
        top: int = 100,
        include_seen: bool = False,
        min_rating: float | None = None,
        allow: Iterable[Any] | None = None,
        deny: Iterable[Any] | None = None,
        fallback: str | None = None,
    ) -> Frame:
        """Return each user's best items: a pandas DataFrame of `user_id`, `rank` (from 1), `item_id`, `score`.

        Users without an item that the model knows are left out, and items that it does not know are ignored; the first
        `UserWarning` says how many, and it is the only one of a process.

        Args:
            histories: a dict of user id -> item ids, a list of lists of item ids (users are 0, 1, ...), or a DataFrame
                with `user_id` and `item_id`. A repeated item counts once.
            top: items a user.
            include_seen: recommend what a user has, too.
            min_rating: of a DataFrame's rows with a rating, those above it are what the model goes by; the others are
                only not recommended. None takes the threshold that the model's data was made with, if any.
            allow: ids of what may be recommended; None for all of the model's items.
            deny: ids of what may not.
            fallback: "popularity" gives that to users who would be left out; they come last, and a column `source`
                says "model" or "popularity".

        Raises:
            ConfigError: `top` is not a whole number from 1 on, or there is a threshold and no rating.
            DataError: `histories` is something else, or an id is missing.
        """
        require_top(top)
        popularity = popularity_for(fallback, self.popularity)
        found = histories_for(self, as_table(histories), min_rating)
        ids, among = ids_of(found, self._items_in_arrow, fallback), offered(self.known_items, allow, deny)
        NOTES.warn(found.notes(include_seen=include_seen, fallback=fallback), stacklevel=2)
        batches = lists(
            self.recommender, found, top=top, include_seen=include_seen, among=among, popularity=popularity
        )
        return as_frame([ids.table(*batch, source) for batch, source in batches], ids)

    def similar(self, item: Any, top: int = 10) -> Frame:
        """Return the items most like one: a pandas DataFrame of `rank` (from 1), `item_id`, `score`, itself left out.

        The score is the cosine of the items' vectors in the model; of a model of weights between items, the weight.

        Args:
            item: its id.
            top: how many.

        Raises:
            ConfigError: `top` is not a whole number from 1 on, or the model does not tell which items are alike.
            DataError: the model does not know the item.
        """
        require_top(top)
        if not isinstance(self.recommender, Likening):
            raise ConfigError(f"{self.model} does not tell which items are alike; take another for that")
        best, likeness = most_alike(self.recommender, self.known_items, item, top)
        return likeness_frame(self.item_ids[best], likeness)


def save_model(
    folder: Path,
    *,
    model: str,
    config: Any,
    state: Mapping[str, torch.Tensor],
    item_ids: npt.NDArray[Any],
    metrics: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    item_counts: npt.NDArray[np.int64] | None = None,
) -> None:
    """Write a model folder that has all it takes to recommend, and its card; an older one at `folder` is replaced.

    Args:
        folder: where.
        model: name in the registry, or "blend".
        config: the model's configuration.
        state: its parameters.
        item_ids: ids by item position.
        metrics: its quality, JSON-able.
        data: what it was trained on, as `distrecvae.data.summary.facts` tells it; None where that is not known.
        item_counts: training users who have each item, int64, (n_items,); None where that is not known.

    Raises:
        ResultsError: `folder` holds something that is not a model.
    """
    retired = folder.with_name(f".{folder.name}.retired")
    shutil.rmtree(retired, ignore_errors=True)
    if (folder / CONFIG_FILE).is_file():
        folder.rename(retired)
    with new_folder(folder) as temporary:
        save_state(temporary / MODEL_FILE, state, {"model": model})
        save_ids(temporary / ITEMS_FILE, item_ids, counts=item_counts)
        write_json(temporary / METRICS_FILE, dict(metrics))
        document: dict[str, Any] = {
            "model": model,
            "config": config_to_dict(config),
            "format": FORMAT,
            "distrecvae": __version__,
            "data": dict(data or {}),
        }
        write_json(temporary / CONFIG_FILE, document)
        card = model_card(
            model=model,
            config=shown_settings(config, document["config"]),
            n_items=len(item_ids),
            metrics=metrics,
            data=document["data"],
            written_with=versions(),
        )
        write_text(temporary / CARD_FILE, card)
    shutil.rmtree(retired, ignore_errors=True)


def load_model(folder: Path | str, device: torch.device | str = "cpu") -> LoadedModel:
    """Return the model of a folder that `save_model` wrote, or of a results folder that has one in ``best/``.

    Args:
        folder: it, or its URI as text, of which a temporary copy is read.
        device: where the model is to score.

    Raises:
        CheckpointError: a file is missing, damaged, of another format, or they do not belong together.
        StorageError: a URI cannot be read.
    """
    with on_this_machine(folder, _is_of_a_model) as here:
        return _load(model_folder(here), device)


def _is_of_a_model(name: str) -> bool:
    files = (CONFIG_FILE, METRICS_FILE, MODEL_FILE, ITEMS_FILE, RUN_FILE, SEARCH_FILE)
    return name.removeprefix(f"{BEST_FOLDER}/") in files


def _load(folder: Path, device: torch.device | str) -> LoadedModel:
    document = read_json(folder / CONFIG_FILE)
    if document.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} has format {document.get('format')}; {FORMAT} is read: use the version that wrote it"
        )
    require_known(folder, document.get("model"))
    state, _ = load_state(folder / MODEL_FILE)
    try:
        config = read_settings(document["model"], document["config"])
        for settings, weights in parts_of(config, document["config"], state):
            _require_fitting(folder, settings, weights)
        item_ids = load_ids(folder / ITEMS_FILE)
        recommender = recommender_of(document["model"], config, len(item_ids), state, device)
        counts = load_counts(folder / ITEMS_FILE)
    except (DistrecvaeError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{folder} is damaged: {first_line(error)}") from None
    data = document.get("data")
    return LoadedModel(
        document["model"],
        config,
        recommender,
        item_ids,
        read_json(folder / METRICS_FILE),
        data if isinstance(data, dict) else {},
        sum(value.numel() for value in state.values() if value.is_floating_point()),
        None if counts is None else Popularity(torch.from_numpy(counts.copy()).float().to(device)),
    )


def _require_fitting(folder: Path, settings: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
    """Refuse sizes that no weight of the model has, before anything of such a size is read or made.

    Raises:
        CheckpointError: there are as many items, or a layer is so wide, as no weight is.
    """
    widths = {size for tensor in state.values() for size in tensor.shape}
    n_items = n_rows_of(folder / ITEMS_FILE)
    if not widths & {n_items, n_items + 1}:
        raise CheckpointError(
            f"{ITEMS_FILE} has {n_items:,} items, and no weight in {MODEL_FILE} has as many"
        )
    for name, value in settings.items():
        # What is left out of a saved model, such as a critic, may be wider than the rest of it, within reason.
        if name.endswith("_dim") and isinstance(value, int) and value > 100 * max(widths):
            raise CheckpointError(f"{name} is {value}, and no weight in {MODEL_FILE} is so wide")


def model_folder(path: Path) -> Path:
    """Return the model folder that `path` is, or has in ``best/``.

    Raises:
        CheckpointError: there is none.
    """
    files = (CONFIG_FILE, MODEL_FILE)
    for folder in (path, path / BEST_FOLDER):
        if any((folder / name).exists() for name in files):
            return folder
    if not path.exists():
        raise CheckpointError(
            f"{path} does not exist; give a folder that `distrecvae train` or a search wrote"
        )
    if any((path / name).exists() for name in (RUN_FILE, SEARCH_FILE)):
        raise CheckpointError(f"{path} has no model yet, it is not finished; continue it with --resume")
    raise CheckpointError(
        f"{path} holds no model ({CONFIG_FILE} and {MODEL_FILE} are not there, nor in {BEST_FOLDER}/);"
        " give a folder that `distrecvae train` or a search wrote"
    )


def histories_for(loaded: LoadedModel, table: InteractionTable, min_rating: float | None) -> Histories:
    """Return the histories of `table` over the model's items.

    Args:
        loaded: the model.
        table: rows of users that may be anyone.
        min_rating: rows above it are what the model goes by; None takes the threshold that its training data was made
            with, where there are ratings.
    """
    if min_rating is None and table.ratings is not None:
        min_rating = loaded.min_rating
    return over_items(table, loaded.known_items, min_rating=min_rating)
