"""Finds what is wrong with an IAM policy for `ray up`: what it must allow, and how narrowly."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from distrecvae.search.doctor.cluster.tree import dig, lacking, mapping, text, wrong
from distrecvae.search.doctor.finding import Finding

PASS_ROLE = "iam:PassRole"  # noqa: S105  (an action)
NEEDED = ("ec2:RunInstances", "ec2:TerminateInstances", "ec2:DescribeInstances", "ec2:CreateTags")
"""Without these no node comes or goes."""


def of_policy(content: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a policy."""
    if content.get("Version") != "2012-10-17":
        yield wrong(
            "policy",
            "Version",
            content.get("Version"),
            "the language's version; older ones know less",
            'write "2012-10-17"',
        )
    statements = [mapping(s) for s in as_list(content.get("Statement"))]
    allowed: list[str] = []
    for i, statement in enumerate(statements):
        where = f"Statement[{i}]" + (f" ({text(statement, 'Sid')})" if text(statement, "Sid") else "")
        actions = [a for a in as_list(statement.get("Action")) if isinstance(a, str)]
        if statement.get("Effect") == "Allow":
            allowed += actions
            yield from _of_statement(statement, where, actions)
        elif statement.get("Effect") != "Deny":
            yield wrong(
                "policy", f"{where}.Effect", statement.get("Effect"), "it is Allow or Deny", "write one"
            )
    for action in NEEDED:
        if not any(covers(pattern, action) for pattern in allowed):
            yield lacking("policy", "Statement", action, "no node comes or goes without it", f"add {action}")
    if not any(covers(pattern, PASS_ROLE) for pattern in allowed) and any(
        a.startswith("iam:") and "Role" in a and "ServiceLinked" not in a for a in allowed
    ):
        yield lacking(
            "policy",
            "Statement",
            PASS_ROLE,
            "a head with a role cannot be started without it",
            f"allow {PASS_ROLE} on the head's role",
        )


def _of_statement(statement: dict[str, Any], where: str, actions: list[str]) -> Iterator[Finding]:
    resources = [r for r in as_list(statement.get("Resource")) if isinstance(r, str)]
    for action in actions:
        if action in ("*", "ec2:*", "iam:*"):
            yield wrong(
                "policy",
                f"{where}.Action",
                action,
                "anyone who has this key may do anything there",
                "name the actions; cluster/iam-launcher.json has the fewest that work",
            )
    if any(covers(a, "iam:AttachRolePolicy") for a in actions) and not dig(statement, "Condition"):
        yield wrong(
            "policy",
            f"{where}.Action",
            "iam:AttachRolePolicy",
            "without a condition it lets its owner become an administrator",
            "add a Condition on iam:PolicyARN",
        )
    if PASS_ROLE not in actions:
        return
    for resource in resources:
        if ":instance-profile/" in resource:
            yield wrong(
                "policy",
                f"{where}.Resource",
                resource,
                f"{PASS_ROLE} is asked of the role in the profile, not of the profile",
                f"write {resource.replace(':instance-profile/', ':role/')}",
            )
        elif resource == "*" or resource.endswith(":role/*"):
            yield wrong(
                "policy",
                f"{where}.Resource",
                resource,
                f"{PASS_ROLE} on every role lets its owner become an administrator",
                "name the head's role: arn:aws:iam::ACCOUNT:role/NAME",
            )
    if text(statement, "Condition", "StringEquals", "iam:PassedToService") != "ec2.amazonaws.com":
        yield wrong(
            "policy",
            f"{where}.Condition",
            statement.get("Condition"),
            "the role could be given to other services, too",
            'add {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}',
        )


def covers(pattern: str, action: str) -> bool:
    """Tell whether a pattern of a policy allows an action; case does not matter there."""
    return fnmatchcase(action.lower(), pattern.lower())


def as_list(value: Any) -> list[Any]:
    """Return what a policy has as one thing or as a list of them."""
    return value if isinstance(value, list) else [] if value is None else [value]
