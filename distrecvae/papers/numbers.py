"""What papers have published under this protocol: test NDCG@100, Recall@20, Recall@50, by data set and model.

docs/published.md has the same numbers with their sources. A number that no page was found for is None. Settings are
packaged configurations (`configs/`) by name; one that the papers do not give is this package's default, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distrecvae.data.dataset import Split
from distrecvae.errors import ConfigError, nearest
from distrecvae.metrics import METRICS


@dataclass(frozen=True)
class PublishedSet:
    """A data set that papers report on.

    Attributes:
        name: of its preset.
        title: as people call it.
        n_users: users of all groups, as published.
        n_items: items, as published.
        n_held_out: validation users, and as many test users.
    """

    name: str
    title: str
    n_users: int
    n_items: int
    n_held_out: int

    def is_it(self, split: Split) -> bool:
        """Tell whether a split has this one's numbers of users, held-out users and items."""
        n_users = split.train.n_users + split.valid.n_users + split.test.n_users
        held_out = (split.valid.n_users, split.test.n_users)
        return (n_users, split.n_items) == (self.n_users, self.n_items) and held_out == (self.n_held_out,) * 2


SETS: Mapping[str, PublishedSet] = {
    each.name: each
    for each in (
        PublishedSet("ml-20m", "MovieLens-20M", 136_677, 20_108, 10_000),
        PublishedSet("netflix", "Netflix Prize", 463_435, 17_769, 40_000),
        PublishedSet("msd", "Million Song Dataset", 571_355, 41_140, 50_000),
    )
}


@dataclass(frozen=True)
class Published:
    """A model's published row.

    Attributes:
        model: registry name.
        paper: that the model comes from.
        scores: by data set, its test scores in the order of `METRICS`; None where no page was found.
        settings: by data set, the packaged configuration that has the published settings; "" for our defaults.
        passes: by data set, data passes that the papers train for; 200 where it is not said.
        remark: what is not known of the settings.
    """

    model: str
    paper: str
    scores: Mapping[str, tuple[float | None, float | None, float | None]]
    settings: Mapping[str, str]
    passes: Mapping[str, int]
    remark: str = ""

    def score(self, data: str, metric: str) -> float | None:
        """Return the published test score; None where there is none."""
        found = self.scores.get(data)
        return None if found is None or metric not in METRICS else found[METRICS.index(metric)]


PASSES = 200
_SAME: Mapping[str, int] = {}


def _everywhere(config: str) -> dict[str, str]:
    return dict.fromkeys(SETS, config)


ROWS: Mapping[str, Published] = {
    each.model: each
    for each in (
        Published(
            "popularity",
            "as measured in Steck (WWW 2019)",
            {"msd": (0.058, 0.043, 0.068)},
            {},
            _SAME,
        ),
        Published(
            "wmf",
            "Hu, Koren, Volinsky (ICDM 2008), as measured in Liang et al. (WWW 2018)",
            {"ml-20m": (0.386, None, None), "netflix": (0.351, None, None), "msd": (0.257, 0.211, 0.312)},
            {},
            dict.fromkeys(SETS, 30),
            "what Liang et al. searched and found is not known",
        ),
        Published(
            "multdae",
            "Liang et al. (WWW 2018)",
            {"ml-20m": (0.419, 0.387, 0.524), "netflix": (0.380, 0.344, 0.438), "msd": (0.313, 0.266, 0.363)},
            _everywhere("multdae-published"),
            _SAME,
            "settings not confirmed",
        ),
        Published(
            "multvae",
            "Liang et al. (WWW 2018)",
            {"ml-20m": (0.426, 0.395, 0.537), "netflix": (0.386, 0.351, 0.444), "msd": (0.316, 0.266, 0.364)},
            _everywhere("multvae-published"),
            _SAME,
            "number of passes not confirmed",
        ),
        Published(
            "ract",
            "Lobel et al. (ICLR 2020)",
            {"ml-20m": (0.434, 0.403, 0.543), "netflix": (0.392, None, None), "msd": (0.319, 0.268, 0.364)},
            _everywhere("ract-published"),
            _SAME,
            "settings of the published code for MovieLens-20M",
        ),
        Published(
            "ease",
            "Steck (WWW 2019)",
            {"ml-20m": (0.420, 0.391, 0.521), "netflix": (0.393, 0.362, 0.445), "msd": (0.389, 0.333, 0.428)},
            {name: f"ease-{name}" for name in SETS},
            dict.fromkeys(SETS, 1),
            "lambda as in another group's reproduction",
        ),
        Published(
            "recvae",
            "Shenbin et al. (WSDM 2020)",
            {"ml-20m": (0.442, 0.414, 0.553), "netflix": (0.394, 0.361, 0.452), "msd": (0.326, None, None)},
            {"ml-20m": "recvae-published", "netflix": "recvae-netflix", "msd": "recvae-msd"},
            {"msd": 400},
            "gamma confirmed for MovieLens-20M only",
        ),
    )
}

PAPERS: Mapping[str, tuple[str, ...]] = {
    "recvae": ("wmf", "multdae", "multvae", "ract", "ease", "recvae"),
    "ract": ("wmf", "multdae", "multvae", "ract"),
    "ease": ("popularity", "wmf", "multdae", "multvae", "ease"),
    "multvae": ("wmf", "multdae", "multvae"),
}
"""The rows of each paper's table that this package has models of."""


def rows_of(paper: str, models: str | None = None) -> list[Published]:
    """Return the rows of a paper's table, or those of some of its models.

    Args:
        paper: a name of `PAPERS`.
        models: names, with commas between them; None for all.

    Raises:
        ConfigError: there is no such paper, or it has no such row.
    """
    if paper not in PAPERS:
        raise ConfigError(f"paper={paper!r} is not one of {', '.join(PAPERS)}{nearest(paper, PAPERS)}")
    known = PAPERS[paper]
    wanted = known if models is None else tuple(each.strip() for each in models.split(",") if each.strip())
    if not wanted:
        raise ConfigError(f"--models names no row of that paper; it has {', '.join(known)}")
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"--models: {name!r} is not a row of that paper: {', '.join(known)}{nearest(name, known)}"
            )
    return [ROWS[name] for name in dict.fromkeys(wanted)]


def set_of(split: Split, named: str | None, where: str) -> tuple[PublishedSet, bool]:
    """Return the published data set whose settings are to be used, and whether the data are it.

    Args:
        split: the data.
        named: a name of `SETS`, where one is told; None takes the one that the data are.
        where: what the data are called, for messages.

    Raises:
        ConfigError: the data are none of them and none is told, or there is no such one.
    """
    own = next((each for each in SETS.values() if each.is_it(split)), None)
    if named is not None:
        if named not in SETS:
            raise ConfigError(f"settings={named!r} is not one of {', '.join(SETS)}{nearest(named, SETS)}")
        return SETS[named], SETS[named] is own
    if own is None:
        n_users = split.train.n_users + split.valid.n_users + split.test.n_users
        sizes = ", ".join(f"{each.title} {each.n_users:,} x {each.n_items:,}" for each in SETS.values())
        raise ConfigError(
            f"{where} has {n_users:,} users x {split.n_items:,} items and is not one of the published data sets"
            f" ({sizes}); say with --settings whose settings to use: no number can be compared then"
        )
    return own, True
