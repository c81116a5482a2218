"""Who may do what: AWS's judgement of a call by a policy, as far as the policies in cluster/ need it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from tests import ROOT

REGION = "us-west-2"


class ForbiddenError(Exception):
    """A call that the policy does not allow."""


class Policy:
    """A policy in cluster/.

    Attributes:
        used: actions that were asked for and allowed.
    """

    def __init__(self, name: str) -> None:
        self.statements = json.loads((ROOT / "cluster" / name).read_text(encoding="utf-8"))["Statement"]
        self.used: set[str] = set()

    @property
    def actions(self) -> set[str]:
        """All actions that it names."""
        return {action for statement in self.statements for action in as_list(statement["Action"])}

    def require(self, action: str, resource: str, about: Mapping[str, str]) -> None:
        """Refuse an action that is not allowed on a resource; `about` has what conditions may ask for."""
        for statement in self.statements:
            asked = statement.get("Condition", {})
            assert set(asked) <= {"StringEquals"}, "this judge knows no other condition"
            if (
                action in as_list(statement["Action"])
                and any(fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]))
                and all(about.get(k) in as_list(v) for k, v in asked.get("StringEquals", {}).items())
            ):
                self.used.add(action)
                return
        raise ForbiddenError(f"{action} on {resource} ({dict(about)})")


def needed_by(
    operation: str, call: Mapping[str, Any], tags: Mapping[str, Mapping[str, str]]
) -> Iterable[Any]:
    """Yield the actions that a call of EC2 asks for, each with its resource and what is known of it.

    Args:
        operation: the call's name, which is an action's.
        call: what it asks for.
        tags: of the instances that there are, by id.
    """
    if operation == "TerminateInstances":
        for instance in call["InstanceIds"]:
            yield f"ec2:{operation}", instance, of(tags[instance])
    elif operation == "CreateTags":
        for instance in call["Resources"]:
            yield f"ec2:{operation}", instance, of(tags[instance])
    else:
        yield f"ec2:{operation}", "*", {}
    if "TagSpecifications" in call:
        yield "ec2:CreateTags", "*", {"ec2:CreateAction": operation}
    if "IamInstanceProfile" in call:
        name = call["IamInstanceProfile"].get("Name") or call["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        # A profile and its role have one name here, as where AWS's console makes both.
        role = f"arn:aws:iam::123456789012:role/{name}"
        yield "iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"}


def of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return what a condition may ask of an instance's tags."""
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def as_list(value: Any) -> list[Any]:
    """Return what a policy has as one thing or as a list of them."""
    return value if isinstance(value, list) else [value]
