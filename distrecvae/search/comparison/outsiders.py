"""Systems that were trained elsewhere, as a comparison takes them: NAME=PATH each, a name again being another seed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from distrecvae.data.dataset import Split
from distrecvae.elsewhere.reading import read_scores
from distrecvae.elsewhere.scoring import score_elsewhere
from distrecvae.errors import ConfigError
from distrecvae.evaluation import Scoring
from distrecvae.search.comparison.row import Row, elsewhere_row

_NAME = re.compile(r"[\w.+ ()-]+")


def named_scores(given: Sequence[str], taken: Sequence[str]) -> dict[str, list[Path]]:
    """Return where each system's scores lie, by its name, in the order given.

    Args:
        given: NAME=PATH each.
        taken: names of the comparison's searches.

    Raises:
        ConfigError: one is not of that form, or a search has its name.
    """
    found: dict[str, list[Path]] = {}
    for each in given:
        name, equals, path = each.partition("=")
        name = name.strip()
        if not equals or not path or not _NAME.fullmatch(name):
            raise ConfigError(
                f"--scores {each!r} is not NAME=PATH; write for example --scores knn=knn.parquet"
            )
        if name in taken:
            raise ConfigError(f"--scores {name}: a search of this comparison has that name; give another one")
        if Path(path) in found.get(name, ()):
            raise ConfigError(f"--scores {each!r} is there twice; a name again is another seed's file")
        found.setdefault(name, []).append(Path(path))
    return found


def outside_rows(named: dict[str, list[Path]], split: Split, metrics: Sequence[str]) -> list[Row]:
    """Return the row of each system that was trained elsewhere.

    Args:
        named: where its scores lie, a seed each.
        split: the data.
        metrics: what is computed.

    Raises:
        DataError: scores cannot be read, or cannot be compared honestly.
    """
    scoring = Scoring.of(metrics, split.train)
    return [
        elsewhere_row(
            name,
            [score_elsewhere(read_scores(path), split, scoring, str(path)) for path in paths],
            [str(path) for path in paths],
        )
        for name, paths in named.items()
    ]
