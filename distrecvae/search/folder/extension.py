"""`--extend`: a search is resumed by what its folder says of it, so that nothing is typed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from distrecvae.data.dataset import Split
from distrecvae.errors import ResultsError
from distrecvae.layout import BEST_FOLDER, CONFIG_FILE, LEDGER_FILE, SEARCH_FILE
from distrecvae.metrics import on_validation
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.requests import Request
from distrecvae.search.core.steering import steered_trials
from distrecvae.search.folder.description import check_same
from distrecvae.search.folder.mailbox import Mailbox
from distrecvae.search.folder.marks import require_whole_ledger
from distrecvae.search.folder.search_json import FINISHED, Description, read_description
from distrecvae.search.space.space import SearchSpace


def begun_search(folder: Path, given: Mapping[str, Any]) -> tuple[SearchConfig, SearchSpace | None]:
    """Return the settings of the search in `folder` with what is `given` over them, and its space.

    Whether what is given may change, `run.search` says. The space is the one that was searched, wherever its file went;
    None where one is given.

    Raises:
        ResultsError: there is no search, or it is over and has no time for more trials.
        ConfigError: a setting breaks its rule.
    """
    described = read_description(folder, remedy="give --extend the results folder of a search")
    begun = described.settings
    config = SearchConfig.from_mapping({**asdict(begun), **given}, source=str(folder / SEARCH_FILE))
    grows = described.status == FINISHED and config.trials > begun.trials
    if grows and spent(config, described.elapsed_s):
        raise ResultsError(
            f"{folder} has used up its time budget of {config.time_budget_s:g} s; give a longer --time-budget, too"
        )
    return config, None if "space" in given else described.searched()


def nothing_left(described: Description, config: SearchConfig, folder: Path) -> bool:
    """Tell whether a search that is resumed is over already: it has a model, and all of its trials or no time for more.

    Of a folder that was fetched from a mirror the model may be missing: half of it was there, and was left out.
    """
    if described.status != FINISHED or not (folder / BEST_FOLDER / CONFIG_FILE).exists():
        return False
    if Mailbox(folder).names or config.trials != described.settings.trials:
        return False
    if spent(config, described.elapsed_s):
        return True
    return len(read_records(folder, on_validation(config.metric))) >= config.trials


def as_steered(
    config: SearchConfig, space: SearchSpace, folder: Path, grow_to: int | None = None
) -> SearchConfig:
    """Return the settings with which a search is resumed: with as many trials as it was steered to, or `grow_to`.

    Raises:
        ResultsError: the ledger is damaged.
    """
    steered = _steered(config, space, folder)
    return config if steered is None else replace(config, trials=max(steered, grow_to or 0))


def as_begun(
    described: Description,
    config: SearchConfig,
    space: SearchSpace,
    split: Split,
    folder: Path,
    grow_to: int | None,
) -> SearchConfig:
    """Return the settings with which a search is resumed (`as_steered`).

    Raises:
        ResultsError: the ledger is damaged, or what is asked for is not the search that lies in `folder`.
    """
    require_whole_ledger(folder, described)
    config = as_steered(config, space, folder, grow_to)
    check_same(described, config, space, split, folder)
    return config


def ask_to_grow(config: SearchConfig, space: SearchSpace, folder: Path) -> None:
    """Ask for as many trials as the settings say, where the search was steered to fewer.

    It is a request like that of `steer`, the first thing that is taken up, so that the ledger has it: the same number
    may have been typed when the search was started, and would say nothing new.

    Raises:
        ResultsError: the ledger is damaged.
    """
    steered = _steered(config, space, folder)
    if steered is not None and steered < config.trials:
        Mailbox(folder).send(Request(action="trials", number=config.trials))


def _steered(config: SearchConfig, space: SearchSpace, folder: Path) -> int | None:
    path = folder / LEDGER_FILE
    if not path.exists() or not space.parameters:
        return None
    return steered_trials(read_chain(path).records, config, space)


def spent(config: SearchConfig, elapsed_s: float) -> bool:
    """Tell whether the time budget is spent."""
    return config.time_budget_s is not None and elapsed_s >= config.time_budget_s
