"""A search's report: one page that says what was found, shows why, and needs no network to be read.

The page is `templates/report.html`; the words that depend on the search come from `prose`, its figures from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from distrecvae.files import write_text
from distrecvae.layout import REPORT_FILE
from distrecvae.search.core.study import CONFIG_KEY
from distrecvae.search.report import figures as draw
from distrecvae.search.report import parameter_figures as draw_parameters
from distrecvae.search.report import prose
from distrecvae.search.report.axes import Axis, axes, triangles
from distrecvae.search.report.blended import blend_command, blended
from distrecvae.search.report.data import SearchResults, read_results
from distrecvae.search.report.importance import Importance, importances
from distrecvae.storage.fetched import on_this_machine
from distrecvae.storage.store import Store
from distrecvae.storage.uri import below
from distrecvae.training import registry

_MOST_LISTED = 10


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a search, finished or not, and return its path.

    Raises:
        ResultsError: there is no search in `folder`, it has no trial yet, or a file is damaged.
    """
    path = folder / REPORT_FILE
    write_text(path, report_page(read_results(folder)))
    return path


def write_report_at(uri: str) -> str:
    """Put `report.html` beside the results of a search at a URI, and return where it lies.

    Raises:
        StorageError: the URI cannot be read, or not be written.
        ResultsError: as `write_report`.
    """
    with on_this_machine(uri, lambda name: not name.endswith((".safetensors", ".html"))) as folder:
        page = report_page(read_results(folder)).replace(str(folder), uri.rstrip("/"))
        Store(uri).put(REPORT_FILE, page.encode())
    return below(uri, REPORT_FILE)


def report_page(results: SearchResults) -> str:
    """Return the report as HTML; plotly.js, which draws its figures, is in it (4.8 MB)."""
    listed, scored = axes(results.space), results.scored
    found = _importances(results) if listed else []
    leading = scored[:_MOST_LISTED]
    return _template().render(
        title=f"{results.settings.model}: search in {results.folder.name}",
        headline=prose.headline(results),
        verdict=prose.verdict(results),
        scores=prose.scores_table(results),
        scores_note=prose.scores_note(results),
        configuration=prose.parameters_table(results),
        limits=[] if results.limits is None else results.limits.sentences(),
        any_report=any(trial.curve for trial in results.trials),
        n_trials=len(results.trials),
        n_scored=len(scored),
        curves_about=prose.curves_about(results),
        saving=prose.saving(results),
        any_parameter=bool(listed),
        importance=prose.importance_words(found, len(scored)),
        drawn=_drawn(results, listed, found),
        trouble=prose.trouble_table(results),
        leading=prose.trials_table(results, leading) if leading else None,
        all_trials=prose.trials_table(results, results.trials)
        if len(results.trials) > len(leading)
        else None,
        provenance=prose.provenance(results),
        again=prose.train_again(results),
        blended=blended(results),
        blend_it=blend_command(results),
        plotly=get_plotlyjs(),
    )


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("distrecvae.search.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # A reason or a file's name may hold "</script>": `tojson` writes its "<" so that no browser reads it as one.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template("report.html")


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A page's figures, by the ids of their places; none where there is nothing to show."""

    course: Mapping[str, Figure] = field(default_factory=dict)
    curves: Mapping[str, Figure] = field(default_factory=dict)
    passes: Mapping[str, Figure] = field(default_factory=dict)
    importances: Mapping[str, Figure] = field(default_factory=dict)
    parallel: Mapping[str, Figure] = field(default_factory=dict)
    scatters: Mapping[str, Figure] = field(default_factory=dict)
    triangles: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)

    def by_id(self) -> dict[str, Any]:
        """Return all of them, as plotly.js takes them."""
        groups = [self.course, self.curves, self.passes, self.importances, self.parallel, self.scatters]
        groups += self.triangles.values()
        return {id_: json.loads(figure.to_json()) for group in groups for id_, figure in group.items()}


def _drawn(results: SearchResults, listed: Sequence[Axis], found: Sequence[Importance]) -> _Drawn:
    reported = any(trial.curve for trial in results.trials)
    iterated = not registry.solved_at_once(results.settings.model)
    unspent = prose.unspent_passes(results)
    several = len(results.scored) >= 2
    course = {"over-time": draw.over_time, "over-passes": draw.over_passes}
    return _Drawn(
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


def _importances(results: SearchResults) -> Sequence[Importance]:
    scored = results.scored
    return importances(
        results.space.parameters,
        [trial.suggested for trial in scored],
        [trial.score or 0.0 for trial in scored],
        [trial.suggested.user_attrs[CONFIG_KEY] for trial in scored],
    )
