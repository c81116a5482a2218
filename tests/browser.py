"""A real browser: Debian's Chromium, driven by playwright, and axe-core for what hinders people. For tests."""

from __future__ import annotations

import importlib.resources
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDE, NARROW = (1280, 900), (390, 800)
"""A laptop's window and a phone's, in pixels."""
SERIOUS = ("serious", "critical")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser; the test is skipped, in words, where there is none or nothing to drive it with."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    driver = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class View:
    """A page in a window.

    Attributes:
        page: playwright's.
        complaints: what was said on its console, and errors that nothing caught.
        asked: addresses that it asked for, the page's own aside.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def hindrances(self) -> list[str]:
        """Return what axe-core holds to be serious or worse, a line each."""
        script = importlib.resources.files("axe_playwright_python") / "axe.min.js"
        self.page.evaluate(script.read_text(encoding="utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate("axe.run().then(found => found.violations)")
        return [
            f"{each['impact']} {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in found
            if each["impact"] in SERIOUS
        ]


@contextmanager
def window(
    browser: Browser,
    path: Path,
    *,
    size: tuple[int, int] = WIDE,
    scheme: Literal["light", "dark"] = "light",
    place: str = "",
) -> Iterator[View]:
    """Yield a file in a window of its own.

    Args:
        browser: what shows it.
        path: the file.
        size: of the window, in pixels.
        scheme: what the reader prefers.
        place: in the page, such as `#trial-3`.
    """
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, offline=True
    )
    view = View(context.new_page())
    view.page.on("console", lambda said: view.complaints.append(said.text))
    view.page.on("pageerror", lambda error: view.complaints.append(str(error)))
    own = path.resolve().as_uri()
    view.page.on(
        "request",
        lambda request: None if request.url.startswith((own, "data:", "blob:")) else view.asked.append(request.url),
    )  # fmt: skip
    try:
        view.page.goto(own + place)
        yield view
    finally:
        context.close()
