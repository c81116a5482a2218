"""Says what can be asked of a running search: data that is checked before it counts, never code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import yaml

from distrecvae.checks import is_whole
from distrecvae.errors import ConfigError, nearest
from distrecvae.typed import MisfitError, yaml_value
from distrecvae.words import first_line

Action = Literal[
    "stop",
    "add",
    "narrow",
    "widen",
    "fix",
    "trials",
    "concurrent",
    "pause",
    "go",
    "end",
    "continue",
    "revive",
]
ACTIONS: tuple[str, ...] = get_args(Action)
REOPENING = ("continue", "revive")
"""What lets a trial that ended continue: a command of its own, and what a search asks of itself."""
LASTING = ("add", "narrow", "widen", "fix")
"""What makes sense for a search that is not running: it is taken up when it is resumed."""
MOST_NAMED = 1000
"""Trials, or settings, that one request may name."""
Scalar = None | bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to a search.

    Attributes:
        action: one of `ACTIONS`.
        trials: `stop`, `continue`, `revive`: numbers of trials.
        settings: `add`, `fix`: values by setting; a list is a simplex's weights.
        ranges: `narrow`, `widen`: by setting low and high, None for as it is, or a categorical's choices.
        number: `trials`, `concurrent`: how many; `continue`: data passes, at most.
    """

    action: Action
    trials: list[int] = field(default_factory=list)
    settings: dict[str, Scalar | list[float]] = field(default_factory=dict)
    ranges: dict[str, list[Scalar]] = field(default_factory=dict)
    number: int | None = None

    def __post_init__(self) -> None:
        """Check that it has what its action takes, and nothing else.

        Raises:
            ConfigError: it does not.
        """
        takes = _TAKES[self.action]
        for name in ("trials", "settings", "ranges", "number"):
            value = getattr(self, name)
            given = value is not None if name == "number" else bool(value)
            if given != (name in takes):
                raise ConfigError(
                    f"{self.action} {'takes no' if given else 'needs'} {_SAID[name]}; write {USAGE[self.action]}"
                )
            if name != "number" and len(value) > MOST_NAMED:
                raise ConfigError(
                    f"{self.action} names {len(value)} {_SAID[name]}; at most {MOST_NAMED} at a time"
                )
        if any(not is_whole(number) or number < 0 for number in self.trials):
            raise ConfigError(f"{self.action}: {self.trials} must be numbers of trials, from 0 on")
        if self.number is not None and (not is_whole(self.number) or self.number < 1):
            raise ConfigError(f"{self.action} {self.number!r} must be a whole number, at least 1")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Request:
        """Return what `to_dict` gave; a ledger's line has it."""
        return cls(**form)

    def text(self) -> str:
        """Return it as it is typed."""
        words: list[str] = [str(number) for number in self.trials]
        words += [f"{name}={_shown(value)}" for name, value in self.settings.items()]
        for name, ends in self.ranges.items():
            plain = len(ends) == 2 and all(each is None or not isinstance(each, str | bool) for each in ends)
            joined = (":" if plain else "|").join("" if each is None else _shown(each) for each in ends)
            words.append(f"{name}={joined}")
        words += [str(self.number)] if self.number is not None else []
        return " ".join([self.action, *words])


_TAKES = {
    "stop": ("trials",), "add": ("settings",), "narrow": ("ranges",), "widen": ("ranges",), "fix": ("settings",),
    "trials": ("number",), "concurrent": ("number",), "pause": (), "go": (), "end": (),
    "continue": ("trials", "number"), "revive": ("trials",),
}  # fmt: skip
_SAID = {"trials": "trials", "settings": "settings", "ranges": "ranges", "number": "number"}
USAGE = {
    "stop": "stop 17 18",
    "add": "add learning_rate=0.001 ..., or add FILE",
    "narrow": "narrow gamma=0.003:0.006",
    "widen": "widen gamma=0.0001:0.1",
    "fix": "fix batch_size=64",
    "trials": "trials 200",
    "concurrent": "concurrent 4",
    "pause": "pause",
    "go": "go",
    "end": "end",
    "continue": "continue RUN --trial 17 --max-passes 800",
    "revive": "nothing: a search does it by itself",
}
"""How each action is typed."""


def request_of(action: str, words: Sequence[str]) -> Request:
    """Return the request that was typed: an action and its words.

    Raises:
        ConfigError: there is no such action, or its words make no sense.
    """
    if action not in ACTIONS or action in REOPENING:
        known = [each for each in ACTIONS if each not in REOPENING]
        raise ConfigError(f"cannot {action!r} a search{nearest(action, known)}; it takes {', '.join(known)}")
    form: dict[str, Any] = {"action": action}
    if action == "stop":
        form["trials"] = [_number(action, word) for word in words]
    elif action in ("trials", "concurrent"):
        if len(words) != 1:
            raise ConfigError(f"{action} takes one number; write {USAGE[action]}")
        form["number"] = _number(action, words[0])
    elif action in ("add", "fix"):
        form["settings"] = {name: _value(name, text) for name, text in _pairs(action, words)}
    elif action in ("narrow", "widen"):
        form["ranges"] = {name: _ends(name, text) for name, text in _pairs(action, words)}
    elif words:
        raise ConfigError(f"{action} takes nothing more, and {' '.join(words)!r} was given; leave it out")
    return Request(**form)


def _pairs(action: str, words: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals or not text:
            raise ConfigError(f"{action}: {word!r} is not NAME=VALUE; write {USAGE[action]}")
        pairs.append((name.replace("-", "_"), text))
    return pairs


def _number(action: str, word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ConfigError(f"{action}: {word!r} is not a number; write {USAGE[action]}") from None


def _ends(name: str, text: str) -> list[Scalar]:
    if "|" in text:
        return [_scalar(name, part) for part in text.split("|")]
    low, colon, high = text.partition(":")
    if not colon:
        return [_scalar(name, text)]
    return [_scalar(name, part) if part else None for part in (low, high)]


def _scalar(name: str, text: str) -> Scalar:
    value = _value(name, text)
    if isinstance(value, list):
        raise ConfigError(f"{name}: {text} is a list; give a number or a word")
    return value


def _value(name: str, text: str) -> Scalar | list[float]:
    try:
        value = yaml_value(text)
    except (yaml.YAMLError, MisfitError) as error:
        raise ConfigError(f"{name}: {text!r} is not a value ({first_line(error)})") from None
    if isinstance(value, str):
        # YAML takes 1e-3 for text: it wants 1.0e-3.
        try:
            return float(value)
        except ValueError:
            return None if value == "none" else value
    if isinstance(value, list) and all(isinstance(each, int | float) for each in value):
        return [float(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ConfigError(
        f"{name}: {text!r} is a {type(value).__name__}; give a number, a word or a list of numbers"
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_shown(each) for each in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value!r}" if isinstance(value, float) else str(value)
