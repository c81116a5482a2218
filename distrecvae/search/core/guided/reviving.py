"""Says which stopped trial is worth more than a new one: a search that guides itself may have stopped a good one early.

Freeze-thaw (Swersky, Snoek and Adams, Freeze-Thaw Bayesian Optimization, 2014) by the sampler's own process: at a free
worker a trial that a rule stopped competes with the configuration that would be tried next. Each has an expected
improvement for the time that it still takes to the end of its budget.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import optuna

from distrecvae.search.core.guided.guide import log_expected_improvement
from distrecvae.search.core.guided.sampler import GuidedSampler


def worth_reviving(
    study: optuna.Study, sampler: GuidedSampler, number: int, stopped: Collection[int], most: int
) -> int | None:
    """Return the stopped trial that is worth more than trial `number`, which is to come; None for none.

    Args:
        study: the trials so far, as samplers see them; greater values are better.
        sampler: that will propose the trial to come.
        number: of the trial to come.
        stopped: trials that a rule stopped, and that can continue.
        most: passes of a whole training.
    """
    guide = sampler.guide(study, number) if stopped else None
    waiting = [i for i, each in enumerate(guide.known) if each.number in stopped] if guide else []
    if guide is None or not waiting:
        return None
    ends, spreads = guide.ends()
    left = np.log([1 - guide.known[i].curve[-1][0] / most for i in waiting])
    points = np.array([guide.known[i].point for i in waiting])
    gain = log_expected_improvement(ends[waiting], spreads[waiting], guide.best)
    worth = gain - left - guide.log_seconds(points)
    chosen = int(np.argmax(worth))
    new = guide.worth(sampler.proposed(guide, number)[None])[0]
    return guide.known[waiting[chosen]].number if worth[chosen] >= new else None
