"""Runs a search from its first trial to the published model: who is told, what is written, how it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from distrecvae.errors import DistrecvaeError
from distrecvae.files import remove_leftovers, storage_error, write_text
from distrecvae.layout import LEDGER_FILE, SUMMARY_FILE
from distrecvae.pacing import Seldom
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.core.requests import Request
from distrecvae.search.core.states import TrialStates
from distrecvae.search.folder.best import Scored, publish_best
from distrecvae.search.folder.environment import changes, environment_of
from distrecvae.search.folder.keeper import Keeper
from distrecvae.search.folder.live import remove_live
from distrecvae.search.folder.mailbox import Answer, Mailbox
from distrecvae.search.folder.search import Search
from distrecvae.search.folder.search_json import FINISHED, INTERRUPTED, RUNNING
from distrecvae.search.folder.search_json import Status as SearchStatus
from distrecvae.search.folder.tables import Tables
from distrecvae.search.folder.warm_start import warm_start_of
from distrecvae.search.on_ray import tuning
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.allowed import allowed
from distrecvae.search.planning.resources import piece_bytes
from distrecvae.search.report.current import CurrentReport, written_report
from distrecvae.search.summary import search_summary
from distrecvae.search.watchers import notify
from distrecvae.search.watchers.outlook import Outlook, show_elsewhere
from distrecvae.search.watchers.progress import Progress
from distrecvae.search.watchers.tensorboard import EventFiles
from distrecvae.search.watchers.trackers import make_loggers
from distrecvae.training import registry
from distrecvae.words import first_line

HEAR_EVERY_S = 0.2
"""How often requests are looked for."""
LIVE_EVERY_S = 3.0
"""How often it is written what workers are at, for `top`."""
LOOK_EVERY_S = 10.0
"""How often the ledger on disk is compared with the one that is written."""


@dataclass(frozen=True)
class Outcome:
    """How a call of `search` ended.

    Attributes:
        summary: text for people.
        complete: every trial ended, or the time budget did.
        has_score: some trial has a score.
        lost: Ray went away under it.
    """

    summary: str
    complete: bool
    has_score: bool
    lost: bool = False


def carry_out(search: Search, session: Session, console: Console) -> Outcome:
    """Run a search's trials to the end, publish the best one's model, write the report.

    Args:
        search: what was started; `search.json` lies in its folder.
        session: Ray and the data set.
        console: shows progress.

    Raises:
        ResultsError: the folder could not be written; what was written before stands.
    """
    return _Course(search, session, console).carry_out()


class _Course:
    """One process's share of a search: made when it begins or is resumed, over when it is interrupted or done."""

    def __init__(self, search: Search, session: Session, console: Console) -> None:
        config, space, plan, folder = search.config, search.space, search.plan, search.folder
        remove_leftovers(folder)
        tuning.clear_away(folder)
        self._search, self._session, self._console = search, session, console
        now, elapsed_s, at_once = environment_of(plan), search.described.elapsed_s, plan.slots.concurrent
        about = {"fingerprint": session.split.fingerprint, "environment": now}
        self._ledger = ledger = Ledger(folder, search.metric, about)
        self._tables = Tables(folder, ledger, space, search.metric)
        self._keeper = Keeper(TrialStates(folder), ledger, n_best=config.n_kept, revives=config.revives)
        self._events = EventFiles(folder, space, config.metric, config.scored)
        self._outlook = Outlook(ledger, config, plan.rule, trial_passes=plan.trial_passes, at_once=at_once)
        self._progress = Progress(
            console, ledger, config, outlook=self._outlook, space=space, elapsed_s=elapsed_s
        )
        self._loggers = make_loggers(
            config, folder=folder, space=space, ledger=ledger, started=search.described.started, tell=self._say
        )  # fmt: skip
        self._notifier = notify.make_notifier(config, folder=folder, ledger=ledger, tell=self._say)
        warm = warm_start_of(config, space, search.described)
        own = (self._outlook, self._progress, self._events, self._tables, self._keeper)
        notified = () if self._notifier is None else (self._notifier,)
        self._conductor = Conductor(
            ledger=ledger,
            space=space,
            config=config,
            rule=plan.rule,
            folder=folder.resolve(),
            concurrent=at_once,
            device=plan.slots.device,
            precision=plan.precision,
            watchers=(*own, *self._loggers, *notified),
            elapsed_s=elapsed_s,
            warm_starts=warm.points(space) if warm is not None else (),
            config_class=registry.config_class(config.model),
            allows=allowed(space, plan.trial_passes, session.split.train),
            tell=self._heed,
        )
        if self._conductor.steering.changed:
            self._events.widened(self._conductor.steering.space)
        self._mailbox = Mailbox(folder)
        self._mailbox.clear_answers()
        self._report = CurrentReport(folder)
        self._hear = Seldom(self._take_up, HEAR_EVERY_S)
        self._in_place = Seldom(self._ledger.require_in_place, LOOK_EVERY_S)
        self._show_elsewhere = Seldom(
            partial(show_elsewhere, folder, self._conductor, self._outlook), LIVE_EVERY_S
        )
        self._say_what_begins(now, "" if warm is None else warm.text())
        session.stop.last_words, session.stop.goes_on = self._last_words, search.goes_on

    def carry_out(self) -> Outcome:
        try:
            try:
                self._train()
            finally:
                self._report.close()
                self._events.close()
                self._write_state(INTERRUPTED)
            return self._end()
        except OSError as error:
            trouble = storage_error(error, self._search.folder, self._search.goes_on)
            self._notify(notify.TROUBLE, str(trouble))
            raise trouble from error
        except DistrecvaeError as error:
            self._notify(notify.TROUBLE, str(error))
            raise
        except Exception as error:
            self._notify(notify.TROUBLE, f"ended by {type(error).__name__}: {first_line(error)}")
            # A bug of ours or of what this stands on: a traceback follows. What was reported is safe all the same.
            self._say(f"\n{self._summary(None, f'ended by {type(error).__name__}: {first_line(error)}')}")
            raise

    def _train(self) -> None:
        """Run the trials that are left."""
        conductor, session, search = self._conductor, self._session, self._search
        conductor.settle()  # what was decided before comes before what is asked now
        self._take_up()
        conductor.settle()
        if not conductor.has_work:
            return
        with self._progress:
            data, common = session.data, session.common(search.config.model, self._progress.preparing)
            # More than once only where Tune lost sight of a trial.
            while self._goes_on():
                tuning.run_trials(
                    conductor,
                    data,
                    common,
                    search.plan.slots,
                    search.folder,
                    refresh=self._refresh,
                    tell=self._progress.warn,
                    stop=session.stop,
                    piece_bytes=piece_bytes(
                        session.cluster, search.plan.shared_bytes, search.plan.slots.concurrent
                    ),
                )
        conductor.settle()

    def _end(self) -> Outcome:
        """Publish the best trial's model if the search is over; write what was found."""
        complete, folder = self._complete(), self._search.folder
        scored = None
        if complete:
            self._mailbox.over()
            self._ledger.require_in_place()
            self._keeper.clean_all()
            scored = publish_best(self._search, self._conductor, self._session.split)
        text = self._summary(scored, None if complete else self._session.stop.reason or "interrupted")
        write_text(folder / SUMMARY_FILE, text + "\n")
        # Over no test users there is no mean, and a tracker has no word for that.
        means = {} if scored is None or not scored[0].test.n_evaluated else scored[0].test.means()
        for logger in self._loggers:
            logger.finish(complete=complete, scores={f"test/{name}": value for name, value in means.items()})
        if scored is not None:
            self._write_state(FINISHED)
            self._mailbox.over()  # publishing may have taken long
        self._notify(
            notify.END if complete else notify.INTERRUPTED, " ".join(text.partition("\n\n")[0].split())
        )
        if trouble := written_report(folder):
            text += f"\n\n{trouble}"
        return Outcome(text, complete, scored is not None, lost=not complete and self._session.stop.lost)

    def _complete(self) -> bool:
        """Tell whether the search is over: every trial ended, and no other is to come."""
        records = self._ledger.records
        running = any(record.status is Status.RUNNING for record in records.values())
        return not running and (self._conductor.all_begun or self._conductor.out_of_time)

    def _goes_on(self) -> bool:
        return self._conductor.has_work and self._session.stop.reason is None

    def _refresh(self) -> None:
        """Hear signals, hold the ledger to its file, show and write how things stand; Tune calls it all the time."""
        self._session.stop.check()
        self._in_place()
        self._hear()
        self._outlook.follow(self._conductor)
        self._progress.refresh()
        self._show_elsewhere()
        self._report.refresh()
        if self._tables.due:
            self._write_state(RUNNING)

    def _take_up(self) -> None:
        """Carry out the requests to the search, in order, and answer them."""
        for name, asked in self._mailbox.waiting():
            if isinstance(asked, str):
                self._mailbox.answer(name, Answer(done=False, text=asked))
                continue
            done, text = self._conductor.steer(name, asked)
            self._describe(RUNNING)  # its mark vouches for the line: what is answered is not lost in silence
            self._mailbox.answer(name, Answer(done=done, text=text))
            self._heed(asked, f"{asked.text()}: {text}")

    def _heed(self, asked: Request, text: str) -> None:
        """Say what was asked, by a person or by the search itself, and what came of it."""
        if asked.action == "widen":
            self._events.widened(self._conductor.steering.space, self._ledger.records.get(0))
        self._progress.warn(text)

    def _write_state(self, status: SearchStatus) -> None:
        self._tables.write()
        self._describe(status)
        if status != RUNNING:
            remove_live(self._search.folder)

    def _describe(self, status: SearchStatus) -> None:
        self._search.write(
            status, self._conductor.elapsed_s, self._ledger.mark, self._conductor.steering.trials
        )

    def _say_what_begins(self, now: dict[str, str], taken_over: str) -> None:
        """Print the plan, what is taken over, and what has changed since the search was started."""
        plan, ledger = self._search.plan, self._ledger
        before = ledger.about.get("environment") or now
        lines = [plan.headline(), plan.remark(), taken_over, changes(before, now)]
        if ledger.cut_bytes:
            lines.append(
                f"{LEDGER_FILE}: its last line was cut off ({ledger.cut_bytes} bytes); that report is repeated."
            )
        for line in filter(None, lines):
            self._say(line)
        if before != now:
            ledger.resumed({"environment": now})

    def _notify(self, event: str, text: str) -> None:
        if self._notifier is not None:
            self._notifier.over(event, text)

    def _last_words(self) -> None:
        """Say how to resume, where the process is ended; all trials may be over, but nothing is published yet."""
        self._write_state(INTERRUPTED)
        self._say(f"\n{self._summary(None, self._session.stop.reason)}")
        self._notify(notify.INTERRUPTED, f"the search is not over: {self._session.stop.reason}")
        if (mirror := self._search.mirror) is not None:
            mirror.finish(mirror.patience_s)
            if mirror.left:
                self._say(mirror.left)

    def _summary(self, scored: tuple[Scored, Scored | None] | None, interrupted: str | None) -> str:
        # As many trials as it was steered to.
        config = replace(self._search.config, trials=self._conductor.steering.trials)
        return search_summary(
            replace(self._search, config=config),
            self._ledger,
            elapsed_s=self._conductor.elapsed_s,
            scored=scored,
            interrupted=interrupted,
            searched=self._conductor.steering.space,
        )

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
