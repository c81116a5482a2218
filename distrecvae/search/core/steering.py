"""How a search has been steered: a function of the requests in its ledger, so that a resumed search knows it.

A request that is taken up is a line of the ledger (`steered`) before it takes effect, with what it found (`facts`): how
many trials had been asked for, which ones ran. What was refused is a line, too, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import REOPENING, Request
from distrecvae.search.core.study import expressed_in
from distrecvae.search.space.changing import fits, fitting_point, with_range, with_value
from distrecvae.search.space.cycles import require_cycles_fit
from distrecvae.search.space.space import SearchSpace
from distrecvae.words import counted


class Steering:
    """What a search is to do now.

    Args:
        space: as it was begun.
        config: its settings.
        concurrent: trials at once, as they were planned: no more can run.
        config_class: the model's config, which has to take what is asked for; None asks nobody.

    Attributes:
        begun: what was searched at first.
        space: what is searched, now.
        trials: how many, now.
        concurrent: how many at once, now.
        paused: whether no trial may run.
        added: configurations that are tried next, in order.
        stopped: trials that were stopped by hand, and may not have ended yet.
        changed: whether the space is another than it was begun with.
        by_hand: settings whose ranges a person changed: the search itself leaves them so.
    """

    def __init__(
        self,
        space: SearchSpace,
        config: SearchConfig,
        *,
        concurrent: int = 1,
        config_class: type | None = None,
    ) -> None:
        self.begun = self.space = space
        self.trials, self.concurrent = config.trials, concurrent
        self.paused, self.changed = False, False
        self.added: list[dict[str, Any]] = []
        self.stopped: dict[int, str] = {}
        self.by_hand: set[str] = set()
        self._config, self._most, self._config_class = config, concurrent, config_class

    def replay(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Note what a ledger has: the requests that were done, and the trials that were asked for since."""
        was: int | None = None
        for line in lines:
            if line["kind"] == "asked":
                self.asked()
            elif line["kind"] == "steered" and line["done"]:
                request = Request.from_dict(line["what"])
                was = line["facts"]["was"] if request.action in ("trials", "end") else was
                self.apply(request, line["facts"])
        if was is not None and self._config.trials != was:
            # Whoever resumes the search typed another number than there was when it was steered.
            self.trials = max(self.trials, self._config.trials)

    def asked(self) -> None:
        """Note that a trial was asked for: it was the first of those added by hand, if there were any."""
        if self.added:
            self.added.pop(0)

    def check(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        """Return the answer to a request that can be done; nothing changes.

        Raises:
            ConfigError: it cannot be done, and why.
            SpaceError: the same.
        """
        checks: dict[str, Callable[[Request, Mapping[int, TrialRecord]], str]] = {
            "stop": self._check_stop,
            "add": self._check_add,
            "narrow": self._check_space,
            "widen": self._check_space,
            "fix": self._check_space,
            "trials": self._check_trials,
            "concurrent": self._check_concurrent,
            "pause": self._check_pause,
            "go": self._check_go,
            "end": self._check_end,
            "continue": self._check_continue,
            "revive": self._check_revive,
        }
        return checks[request.action](request, records)

    def facts(self, records: Mapping[int, TrialRecord]) -> dict[str, Any]:
        """Return what a request finds: it is written down with it."""
        running = [number for number, record in records.items() if record.ended_at is None]
        return {"asked": len(records), "running": running, "was": self._config.trials}

    def apply(self, request: Request, facts: Mapping[str, Any]) -> None:
        """Change what a request that was checked changes."""
        if request.action == "stop":
            self.stopped |= dict.fromkeys(request.trials, "by hand")
        elif request.action in REOPENING:
            self.stopped.pop(request.trials[0], None)
        elif request.action == "add":
            self.added.append(self._whole(request))
            self.trials = max(self.trials, facts["asked"] + len(self.added))
        elif request.action in ("narrow", "widen", "fix"):
            self.space, self.changed = self._changed_space(request), True
            self.by_hand |= set() if "by" in facts else {*request.ranges, *request.settings}
        elif request.action == "trials":
            self.trials = request.number or self.trials
        elif request.action == "concurrent":
            self.concurrent = request.number or self.concurrent
        elif request.action in ("pause", "go"):
            self.paused = request.action == "pause"
        elif request.action == "end":
            self.trials, self.paused = facts["asked"], False
            self.added.clear()
            self.stopped |= dict.fromkeys(
                facts["running"], f"the search was ended by {facts.get('by', 'hand')}"
            )

    def next_point(self) -> dict[str, Any] | None:
        """Return the Optuna parameters of the configuration that was added by hand and is next; None without one."""
        return fitting_point(self.space, self.added[0]) if self.added else None

    def express(self) -> Callable[[TrialRecord], Any] | None:
        """Return what puts an earlier trial as the space has it now; None while it is as it was."""
        return expressed_in(self.space) if self.changed else None

    def _whole(self, request: Request) -> dict[str, Any]:
        return {
            **self.space.base,
            **_without_other_branches(self.space, request.settings),
            **request.settings,
        }

    def _changed_space(self, request: Request) -> SearchSpace:
        space = self.space
        for field, value in request.settings.items():
            space = with_value(space, field, value, config_class=self._config_class)
        for field, ends in request.ranges.items():
            wider = request.action == "widen"
            space = with_range(space, field, ends, wider=wider, config_class=self._config_class)
        return space

    def _check_stop(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        for number in request.trials:
            _require_known(number, records)
        over = [number for number in request.trials if records[number].ended_at is not None]
        stopped = [number for number in dict.fromkeys(request.trials) if number not in over]
        if not stopped:
            raise ConfigError(f"{_named(over)} ended before; nothing was stopped")
        beside = f"; {_named(over)} had ended before" if over else ""
        return f"stopped {_named(stopped)}{beside}"

    def _check_add(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        whole = self._whole(request)
        unknown = [name for name in request.settings if name not in self.space.base]
        if unknown:
            raise ConfigError(
                f"{unknown[0]} is no setting of {self.space.model}; it has {', '.join(self.space.base)}"
            )
        searched = {field for parameter in self.space.parameters.values() for field in parameter.fields}
        for name, value in request.settings.items():
            if name not in searched and value != self.space.base[name]:
                raise ConfigError(
                    f"{name} is not searched here, it is {self.space.base[name]!r} in every trial; leave it out"
                )
        for name, parameter in self.space.parameters.items():
            parameter.internal(name, whole)  # refuses what is outside of a range, and says so
        place = max(len(records), 0) + len(self.added)
        return f"it will be trial {place}"

    def _check_space(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        after = self._changed_space(request)
        if self._config_class is not None:
            require_cycles_fit(after, self._config_class, self._config.most_passes)
        for place, added in enumerate(self.added, len(records)):
            fixed = all(added[field] == value for field, value in request.settings.items())
            if not (fixed and fits(after, added)):
                raise ConfigError(
                    f"trial {place}, which was added and has not begun, would not fit; wait until it has"
                )
        parts = []
        for field in request.ranges:
            rows = {name.split(" (")[0].strip(): text for name, text, _ in after.describe()}
            parts.append(f"{field} is {rows.get(field, 'as asked')} from the next trial on")
        parts += [f"{field} is {value!r} from the next trial on" for field, value in request.settings.items()]
        return "; ".join(parts)

    def _check_trials(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        wanted = request.number or 0
        if wanted < len(records):
            begun = counted(len(records), "trial was", "trials were")
            raise ConfigError(f"{begun} begun already; give as many or more")
        if wanted < len(records) + len(self.added):
            waiting = counted(len(self.added), "configuration waits", "configurations wait")
            raise ConfigError(
                f"{waiting} that somebody added; give {len(records) + len(self.added)} or more, or end the search"
            )
        return f"{counted(wanted, 'trial', 'trials')} in all, {wanted - len(records)} to come"

    def _check_concurrent(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        wanted, running = request.number or 0, sum(record.ended_at is None for record in records.values())
        if wanted > self._most:
            raise ConfigError(
                f"{counted(self._most, 'trial', 'trials')} at once is what this search was planned with; end it, and go"
                f" on with --extend and --concurrent {wanted}"
            )
        later = f"; {running} run, and no other begins before fewer do" if running > wanted else ""
        return f"{counted(wanted, 'trial', 'trials')} at a time{later}"

    def _check_pause(self, request: Request, records: Mapping[int, TrialRecord]) -> str:  # noqa: ARG002
        if self.paused:
            raise ConfigError("it is paused already")
        running = sum(record.ended_at is None for record in records.values())
        return f"paused; {counted(running, 'trial gives its worker', 'trials give their workers')} back"

    def _check_go(self, request: Request, records: Mapping[int, TrialRecord]) -> str:  # noqa: ARG002
        if not self.paused:
            raise ConfigError("it is not paused")
        return "it continues"

    def _check_end(self, request: Request, records: Mapping[int, TrialRecord]) -> str:  # noqa: ARG002
        running = sum(record.ended_at is None for record in records.values())
        return (
            f"it ends: {counted(running, 'trial is', 'trials are')} stopped, and the best model is published"
        )

    def _check_continue(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        (number,) = request.trials
        _require_known(number, records)
        record, passes = records[number], request.number or 0
        if record.ended_at is None:
            raise ConfigError(f"trial {number} is under way; wait for its end")
        if not record.has_model:
            raise ConfigError(f"trial {number} {record.status} ({record.reason}); it cannot continue")
        cycle = record.passes // int(record.reports[-1]["cycle"])
        if passes < record.passes + cycle:
            raise ConfigError(
                f"trial {number} has had {record.passes} passes and a cycle takes {cycle};"
                f" give --max-passes {record.passes + cycle} or more"
            )
        return f"trial {number} continues from {record.passes} passes to at most {passes}"

    def _check_revive(self, request: Request, records: Mapping[int, TrialRecord]) -> str:
        (number,) = request.trials
        _require_known(number, records)
        if records[number].status is not Status.STOPPED:
            raise ConfigError(f"trial {number} was not stopped; it cannot continue")
        return f"trial {number} continues from {records[number].passes} passes"


def steered_trials(lines: Iterable[Mapping[str, Any]], config: SearchConfig, space: SearchSpace) -> int:
    """Return how many trials a search is to have that continues with these settings, as it was steered."""
    steering = Steering(space, config)
    steering.replay(lines)
    return steering.trials


def steered_space(
    lines: Iterable[Mapping[str, Any]], config: SearchConfig, space: SearchSpace
) -> SearchSpace:
    """Return what a search searches now that was begun with this space, as it was steered."""
    steering = Steering(space, config)
    steering.replay(lines)
    return steering.space


def _without_other_branches(space: SearchSpace, settings: Mapping[str, Any]) -> dict[str, None]:
    """Return the fields of branches that lose: whoever names a setting of one branch wants that one."""
    lost: dict[str, None] = {}
    for parameter in space.parameters.values():
        if len(parameter.fields) > 1 and any(field in settings for field in parameter.fields):
            lost |= dict.fromkeys(parameter.fields)
    return lost


def _require_known(number: int, records: Mapping[int, TrialRecord]) -> None:
    if number not in records:
        raise ConfigError(
            f"there is no trial {number}; {counted(len(records), 'trial was', 'trials were')} begun"
        )


def _named(numbers: list[int]) -> str:
    return f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers))}"
