"""A model of another package, as the registry meets it."""

from __future__ import annotations

from distrecvae.models import popularity
from distrecvae.training.schemes.closed_form import closed_form

entry = closed_form(
    popularity.PopularityConfig,
    popularity.solve_popularity,
    popularity.load_popularity,
    popularity.popularity_bytes,
)._replace(space={"parameters": {}})
without_a_space = entry._replace(space=None)
without_a_dataclass = entry._replace(config_class=dict)
NOT_AN_ENTRY = 3
