"""Pages of the documentation site that are not pages of docs/: MkDocs calls these functions (`hooks` in mkdocs.yml).

The README is the site's front page; the notebook is shown as it was recorded; the reference is written from the
docstrings; files of the repository that a page links to (measurements, search spaces) are pages, too; and the report
of docs/example, a recorded search, is made by the code of today. Formulas become MathML, so that the site needs no
network and no script to show them.
"""

from __future__ import annotations

import ast
import html
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]

MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs/search.ipynb": "notebook.md",
}
"""Files of the repository, and the page that each is on the site."""

REFERENCE = {
    "errors": ("Errors", "What the package raises.", ["distrecvae.errors"]),
    "data": (
        "Data",
        "Interaction matrices, splits and the prepared folder.",
        [
            "distrecvae.data.interactions",
            "distrecvae.data.dataset",
            "distrecvae.data.io",
            "distrecvae.data.prepared",
            "distrecvae.data.histories",
            "distrecvae.data.sources",
        ],
    ),
    "models": ("Models and their settings", "Each model's configuration is a frozen dataclass.", []),
    "training": (
        "Training",
        "What trains a model, the list of models, and what a model of your own is made of.",
        [
            "distrecvae.training.trainer",
            "distrecvae.training.registry",
            "distrecvae.training.entry",
            "distrecvae.training.schemes.closed_form",
            "distrecvae.checks",
            "distrecvae.testing",
        ],
    ),
    "evaluation": (
        "Scoring and recommending",
        "Metrics by name, scores a user, saved models.",
        [
            "distrecvae.metrics.names",
            "distrecvae.metrics.ranks",
            "distrecvae.evaluation",
            "distrecvae.paired",
            "distrecvae.recommendation",
            "distrecvae.saved.model",
        ],
    ),
    "search": (
        "Search spaces, samplers and rules",
        "What a search is made of, without Ray.",
        [
            "distrecvae.search.space.space",
            "distrecvae.search.space.distributions",
            "distrecvae.search.core.config",
            "distrecvae.search.core.rules.names",
            "distrecvae.search.core.rules.curves",
            "distrecvae.search.core.rules.halving",
            "distrecvae.search.core.rules.median",
            "distrecvae.search.core.ledger",
        ],
    ),
}
"""Pages of the reference: their title, what they are of, and the modules on them."""

REPORT = "example/report.html"
EXAMPLE = f"""# A report

The report of a search, as `distrecvae report` writes it ([on a page of its own]({REPORT})): twelve trials of
RecVAE on a synthetic data set.

```bash
python -m distrecvae.search --space recvae-demo --trials 12 --concurrent 1
```

Click on a trial to read why it was chosen, stopped or given up.

<iframe src="{REPORT}" title="The report of a search" style="width: 100%; height: 80vh; border: 0"></iframe>
"""

SOURCES: dict[str, str] = {}
"""The file of the repository behind each page that has one; `on_files` fills it."""

IMAGES: dict[str, str] = {}
"""The file of the repository behind each picture that lies outside of docs/, by its name on the site."""
PICTURES = (".png", ".svg")

LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]*)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^\s*(```|~~~)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here to those of docs/."""
    SOURCES.clear()
    IMAGES.clear()
    SOURCES.update({page: name for name, page in MOVED.items()})
    for file in files.documentation_pages():
        SOURCES[file.src_uri] = f"docs/{file.src_uri}"
    _follow_links()
    made = {page: _shown(name) for page, name in SOURCES.items() if files.get_file_from_path(page) is None}
    made |= _reference()
    made["example.md"] = EXAMPLE
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    for page, name in IMAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    # What it is made of, the folder docs/example, is no page; so this one is included by name.
    report = File.generated(config, REPORT, content=_report(), inclusion=InclusionLevel.INCLUDED)
    files.append(report)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point a page's links, which lead through the repository, at the site's pages."""
    here = page.file.src_uri
    if here not in SOURCES:
        return markdown

    def relinked(match: re.Match[str]) -> str:
        there = _page_of(_target(SOURCES[here], match[2]))
        return f"{match[1]}{posixpath.relpath(there, posixpath.dirname(here) or '.')}{match[3]}"

    return "\n".join(LINK.sub(relinked, line) if prose else line for line, prose in _lines(markdown))


def on_page_content(content: str, **_: object) -> str:
    """Write formulas as MathML, which browsers show by themselves."""

    def written(match: re.Match[str]) -> str:
        display = "inline" if match[2] == "(" else "block"
        return str(convert(html.unescape(match[3]).strip(), display=display))

    return FORMULA.sub(written, content)


def _lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it is prose rather than code."""
    code = False
    for line in markdown.split("\n"):
        fence = FENCE.match(line) is not None
        code ^= fence
        yield line, not code and not fence


def _target(source: str, link: str) -> str:
    """Return the file or folder of the repository that a link leads to.

    Raises:
        PluginError: there is none.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if target.startswith("..") or not (ROOT / target).exists():
        raise PluginError(f"{source} links to {link}, which is not in the repository")
    return target


def _page_of(name: str) -> str:
    """Return the page on which the site shows a file or folder of the repository."""
    if name in MOVED:
        return MOVED[name]
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    if (ROOT / name).is_dir():
        return f"repository/{name}/README.md"
    return f"repository/{name}" if name.endswith((".md", *PICTURES)) else f"repository/{name}.md"


def _shown(name: str) -> str:
    """Return a file of the repository as a page."""
    path = ROOT / name
    if path.suffix == ".ipynb":
        # Tables have a style of their own, for Jupyter's page: here they look like the site's.
        body = MarkdownExporter().from_filename(str(path))[0]
        body = re.sub(r"<style scoped>.*?</style>\n?", "", body, flags=re.DOTALL)
        return body.replace('<table border="1" class="dataframe">', "<table>")
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".md" else f"# {name}\n\n```{path.suffix[1:]}\n{text}```\n"


def _follow_links() -> None:
    """Add to the sources what pages link to elsewhere in the repository, and what that links to."""
    waiting = list(SOURCES.values())
    while waiting:
        source = waiting.pop()
        for line, prose in _lines(_shown(source)):
            for match in LINK.finditer(line) if prose else ():
                target = _target(source, match[2])
                page = _page_of(target)
                if page.startswith("repository/") and page.endswith(PICTURES):
                    IMAGES[page] = target
                elif page.startswith("repository/") and page not in SOURCES:
                    SOURCES[page] = f"{target}/README.md" if (ROOT / target).is_dir() else target
                    waiting.append(SOURCES[page])


def _reference() -> dict[str, str]:
    """Return the reference's pages: the names that `distrecvae` exports, and the rooms' faces."""
    front = ["# distrecvae\n\nWhat `import distrecvae` offers; [Python](../python.md) has examples.\n"]
    exported = _exported()
    for name, path in exported.items():
        front.append(f"::: {path}\n    options:\n      heading: distrecvae.{name}\n      toc_label: {name}\n")
    pages = {"reference/distrecvae.md": "\n".join(front)}
    for page, (title, about, modules) in REFERENCE.items():
        if page == "models":
            modules = [
                f"distrecvae.models.{path.stem}"
                for path in sorted((ROOT / "distrecvae/models").glob("[a-z]*.py"))
            ]
        blocks = [f"::: {module}\n{_without(module, exported)}" for module in modules]
        pages[f"reference/{page}.md"] = "\n".join([f"# {title}\n\n{about}\n", *blocks])
    return pages


def _without(module: str, exported: dict[str, str]) -> str:
    """Return the options that leave a module's exported names to the front page: a name has one place."""
    names = [name for name, path in exported.items() if path == f"{module}.{name}"]
    filters = ", ".join(f'"!^{name}$"' for name in ["_.*", *names])
    return f"    options:\n      filters: [{filters}]\n"


def _exported() -> dict[str, str]:
    """Return where each name of `distrecvae.__all__` is written."""
    tree = ast.parse((ROOT / "distrecvae/__init__.py").read_text(encoding="utf-8"))
    places: dict[str, str] = {}
    exported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and all(alias.asname is None for alias in node.names):
            places |= {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            exported = ast.literal_eval(node.value)
    return {name: places.get(name, f"distrecvae.{name}") for name in exported}


def _report() -> str:
    """Return the report of the recorded search, written by the code of today."""
    os.environ.setdefault("MPLBACKEND", "agg")
    import distrecvae

    with tempfile.TemporaryDirectory() as folder:
        # A copy: a results folder that is read may be written to (locks, marks). Its commands name it from beside it.
        shutil.copytree(ROOT / "docs" / "example", Path(folder) / "example")
        with chdir(folder):
            return Path(distrecvae.report("example")).read_text(encoding="utf-8")
