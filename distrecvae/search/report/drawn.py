"""Chooses the figures of a search's page: those that have something to show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plotly.graph_objects import Figure

from distrecvae.search.core.study import CONFIG_KEY
from distrecvae.search.report import figures as draw
from distrecvae.search.report import parameter_figures as draw_parameters
from distrecvae.search.report import prose
from distrecvae.search.report.axes import Axis, triangles
from distrecvae.search.report.data import SearchResults
from distrecvae.search.report.importance import Importance, importances
from distrecvae.training import registry


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A page's figures, by the ids of their places; none where there is nothing to show."""

    course: Mapping[str, Figure] = field(default_factory=dict)
    curves: Mapping[str, Figure] = field(default_factory=dict)
    passes: Mapping[str, Figure] = field(default_factory=dict)
    importances: Mapping[str, Figure] = field(default_factory=dict)
    parallel: Mapping[str, Figure] = field(default_factory=dict)
    scatters: Mapping[str, Figure] = field(default_factory=dict)
    triangles: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)

    def by_id(self, prefix: str = "") -> dict[str, Any]:
        """Return all of them, as plotly.js takes them, by their ids with a prefix."""
        groups = [self.course, self.curves, self.passes, self.importances, self.parallel, self.scatters]
        groups += self.triangles.values()
        return {
            f"{prefix}{id_}": json.loads(figure.to_json())
            for group in groups
            for id_, figure in group.items()
        }


def drawn(results: SearchResults, listed: Sequence[Axis], found: Sequence[Importance]) -> Drawn:
    """Return the figures of a search.

    Args:
        results: the search.
        listed: the axes of its parameters.
        found: how much these mattered.
    """
    reported = any(trial.curve for trial in results.trials)
    iterated = not registry.solved_at_once(results.settings.model)
    unspent = prose.unspent_passes(results)
    several = len(results.scored) >= 2
    course = {"over-time": draw.over_time, "over-passes": draw.over_passes}
    return Drawn(
        course={name: figure(results) for name, figure in course.items()}
        if reported and len(results.trials) > 1
        else {},
        curves={"curves": draw.curves(results)} if iterated and reported else {},
        passes={"passes": draw.passes_by_trial(results, unspent)} if iterated and any(unspent) else {},
        importances={"importances": draw_parameters.importance_bars(found)} if found else {},
        parallel={"parallel": draw_parameters.parallel_coordinates(results, listed)}
        if several and listed
        else {},
        scatters={f"by-{i}": draw_parameters.scatter(results, axis) for i, axis in enumerate(listed)}
        if several
        else {},
        triangles={
            name: {f"triangle-{name}": draw_parameters.triangle(results, columns)}
            for name, columns in triangles(results.space).items()
        }
        if several
        else {},
    )


def how_much_they_mattered(results: SearchResults) -> Sequence[Importance]:
    """Return the importances of a search's parameters, the largest first; none where it is too early to say."""
    scored = results.scored
    return importances(
        results.space.parameters,
        [trial.suggested for trial in scored],
        [trial.score or 0.0 for trial in scored],
        [trial.suggested.user_attrs[CONFIG_KEY] for trial in scored],
    )
