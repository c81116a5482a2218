"""How results folders become candidates of a blend: searches, single trials, trainings, comparisons, blends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distrecvae.blending.candidate import Candidate, Trained, candidate, distinct
from distrecvae.data.dataset import Split
from distrecvae.errors import CheckpointError, DataError
from distrecvae.layout import BEST_FOLDER, COMPARISON_FILE, RUN_FILE, SEARCH_FILE, STATE_FILE, trial_folder
from distrecvae.metrics import on_validation
from distrecvae.runs.kept import kept_model
from distrecvae.runs.seeds import read_seeds, seed_folder
from distrecvae.runs.training_run import read_settings
from distrecvae.saved.blend import BlendConfig, member_state
from distrecvae.saved.model import MODEL_FILE, LoadedModel, load_model, model_folder
from distrecvae.saved.tensors import load_state
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import by_score
from distrecvae.search.folder.search_json import Description, read_description
from distrecvae.training.registry import config_to_dict

BEST_TRIALS = 5
"""Trials of a search that are candidates, unless told otherwise: its best ones whose models are kept."""


@dataclass(frozen=True)
class Place:
    """What candidates are read for.

    Attributes:
        split: the data set.
        name: what it is called in messages.
        best_trials: how many trials of a search.
        device: where models are loaded.
    """

    split: Split
    name: str
    best_trials: int = BEST_TRIALS
    device: str = "cpu"


def candidates_in(folders: Sequence[Path], place: Place) -> list[Candidate]:
    """Return the models in results folders, each once, under names that differ.

    A folder is a search's (its best trials), a trial's (`RUN/trials/00007`), a training's (every seed), a comparison's
    (each of its searches), a model's (`best/`), or a blend's (its members).

    Raises:
        CheckpointError: a folder holds no model, or a damaged one.
        DataError: a model has other items, or was trained on another split of the data, or on its validation users.
        ResultsError: a search's files cannot be read.
    """
    return distinct([each for folder in folders for each in _candidates(folder, place)])


def _candidates(folder: Path, place: Place) -> Iterator[Candidate]:
    if (folder / COMPARISON_FILE).exists():
        searches = sorted(path.parent for path in folder.glob(f"*/{SEARCH_FILE}"))
        found = [each for search in searches for each in _of_search(search, search.name, place)]
        if not found:
            raise CheckpointError(
                f"{folder} has no model yet: no search in it is over; continue it with --resume"
            )
        yield from found
    elif (folder / SEARCH_FILE).exists():
        yield from _of_search(folder, _label(folder), place)
    elif folder.parent.name == "trials" and (folder.parent.parent / SEARCH_FILE).exists():
        search = folder.parent.parent
        described = _described(search, place)
        yield _of_trial(folder, f"{_label(search)} trial {int(folder.name)}", described, place)
    elif (seeds := read_seeds(folder)) is not None:
        for seed in seeds:
            yield from _of_model(seed_folder(folder, seed), f"{_label(folder)} seed {seed}", place)
    else:
        yield from _of_model(folder, _label(folder), place)


def _label(folder: Path) -> str:
    """Return what a folder's model is called by."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == BEST_FOLDER else whole.name


def _of_search(search: Path, label: str, place: Place) -> Iterator[Candidate]:
    described = _described(search, place)
    records = read_records(search, on_validation(described.settings.metric)).values()
    able = by_score(records)
    found = 0
    for rank, record in enumerate(able):
        if found == place.best_trials:
            break
        trial = trial_folder(search, record.number)
        name = f"{label} trial {record.number}"
        kept = None
        with suppress(CheckpointError):  # removed by `clean`, damaged, or stopped before it was written
            kept = _of_trial(trial, name, described, place)
        if kept is not None:
            yield kept
        elif rank == 0 and (search / BEST_FOLDER).exists():
            yield from _of_model(search / BEST_FOLDER, name, place)
        else:
            continue
        found += 1
    if not found:
        raise CheckpointError(f"{search} has no trial whose model is kept; continue it with --resume")


def _described(search: Path, place: Place) -> Description:
    described = read_description(search, remedy="give the results folder of a search")
    _require_same_data(str(search), described.dataset.fingerprint, place)
    return described


def _of_trial(trial: Path, name: str, described: Description, place: Place) -> Candidate:
    kept = kept_model(trial / STATE_FILE, on_validation(described.settings.metric))
    n_items = place.split.n_items
    trained = Trained(passes=kept.passes, seed=kept.seed, precision=kept.precision)
    return candidate(name, str(trial), kept.model, kept.config, kept.state, n_items, place.device, trained)


def _of_model(folder: Path, label: str, place: Place) -> Iterator[Candidate]:
    loaded = load_model(folder)
    _require_fit_for_blending(str(folder), loaded, place)
    state, _ = load_state(model_folder(folder) / MODEL_FILE)
    n_items = place.split.n_items
    if isinstance(loaded.config, BlendConfig):
        for position, member in enumerate(loaded.config.members):
            yield candidate(
                member.name, str(folder), member.model, member.config, member_state(state, position), n_items,
                place.device,
            )  # fmt: skip
        return
    config = config_to_dict(loaded.config)
    trained = _how_trained(folder, loaded)
    yield candidate(label, str(folder), loaded.model, config, state, n_items, place.device, trained)


def _how_trained(folder: Path, loaded: LoadedModel) -> Trained | None:
    """Return how the model in `folder` was trained; None where it does not say so, or not from nothing.

    A model that left its run, or a search's best one, does not say its seed, and any will do.
    """
    passes = loaded.metrics.get("passes")
    if not isinstance(passes, int) or passes < 1 or "begun_from" in loaded.metrics:
        return None
    run = model_folder(folder).parent
    if not (run / RUN_FILE).exists():
        return Trained(passes=passes)
    settings = read_settings(run)
    return Trained(passes=passes, seed=settings.seed, precision=settings.precision)


def _require_fit_for_blending(name: str, loaded: LoadedModel, place: Place) -> None:
    """Refuse a model of other items, or whose training users are not the data's.

    Raises:
        DataError: it is one.
    """
    ours, theirs = place.split.item_ids, loaded.item_ids
    if len(ours) != len(theirs) or ours.tolist() != theirs.tolist():
        raise DataError(
            f"{name} knows {len(theirs):,} items and {place.name} has {len(ours):,}, not the same ones in the same"
            " order; blend models that were trained on the same data set"
        )
    if loaded.metrics.get("refit"):
        raise DataError(
            f"{name} was trained on the validation users, too (--refit), who are to choose the weights; give the model"
            " that was trained without them"
        )
    _require_same_data(name, loaded.data.get("fingerprint"), place)


def _require_same_data(name: str, fingerprint: str | None, place: Place) -> None:
    if fingerprint is not None and fingerprint != place.split.fingerprint:
        raise DataError(
            f"{name} was trained on a data set with fingerprint {fingerprint[:12]}, {place.name} has"
            f" {place.split.fingerprint[:12]}: its training users may be held out here; blend models that were trained"
            " on the same data set"
        )
