"""The settings that published results were measured under, by dataset."""

from __future__ import annotations

from typing import Any

from distrecvae.data.splitting.options import SplitOptions

# Liang et al. (WWW 2018), section 4.1, taken over by RecVAE (WSDM 2020): thresholds are exclusive, rating >
# 3.5. ml-1m and ml-latest-small are in neither paper: the same threshold and filters, a tenth of the users in
# each group.
PRESETS: dict[str, dict[str, Any]] = {
    "ml-20m": {
        "min_rating": 3.5,
        "min_user_interactions": 5,
        "min_item_interactions": 0,
        "held_out_users": 10_000,
    },
    "netflix": {
        "min_rating": 3.5,
        "min_user_interactions": 5,
        "min_item_interactions": 0,
        "held_out_users": 40_000,
    },
    "msd": {
        "min_rating": None,
        "min_user_interactions": 20,
        "min_item_interactions": 200,
        "held_out_users": 50_000,
    },
    "ml-1m": {
        "min_rating": 3.5,
        "min_user_interactions": 5,
        "min_item_interactions": 0,
        "held_out_users": 600,
    },
    "ml-latest-small": {
        "min_rating": 3.5,
        "min_user_interactions": 5,
        "min_item_interactions": 0,
        "held_out_users": 60,
    },
}


def split_options(preset: str | None = None, **given: Any) -> SplitOptions:
    """Return the options of `preset` (or the defaults) with those of `given` that are not None put over them.

    Raises:
        ConfigError: a value is out of its range.
    """
    chosen = dict(PRESETS[preset]) if preset is not None else {}
    chosen |= {name: value for name, value in given.items() if value is not None}
    return SplitOptions(**chosen)
