"""IAM policies: what nobody can do without, and what is too much."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.search.doctor.cluster.policy import NEEDED, as_list, covers, of_policy

ROLE = "arn:aws:iam::123456789012:role/ray"
TO_EC2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
NODES: dict[str, Any] = {"Effect": "Allow", "Action": list(NEEDED), "Resource": "*"}
PASS: dict[str, Any] = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE, "Condition": TO_EC2}


def said(*statements: dict[str, Any], version: str | None = "2012-10-17") -> list[str]:
    return [f"{f.text}; {f.remedy}" for f in of_policy({"Version": version, "Statement": list(statements)})]


def test_a_policy_that_is_right() -> None:
    assert said(NODES, PASS) == []


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([{**NODES, "Action": NEEDED[1:]}, PASS], "lacks ec2:RunInstances"),
        ([NODES, {**PASS, "Resource": ROLE.replace(":role/", ":instance-profile/")}], f"write {ROLE}"),
        ([NODES, {**PASS, "Resource": "*"}], "become an administrator"),
        ([NODES, {**PASS, "Resource": "arn:aws:iam::1:role/*"}], "become an administrator"),
        ([NODES, {**PASS, "Condition": None}], "iam:PassedToService"),
        ([{**NODES, "Action": "ec2:*"}, PASS], "may do anything there"),
        ([NODES, {"Effect": "Allow", "Action": "iam:CreateRole", "Resource": ROLE}], "lacks iam:PassRole"),
        (
            [NODES, PASS, {"Effect": "Allow", "Action": "iam:AttachRolePolicy", "Resource": ROLE}],
            "iam:PolicyARN",
        ),
        ([NODES, {**PASS, "Effect": "allow"}], "it is Allow or Deny"),
    ],
)
def test_a_policy_that_is_not(statements: list[dict[str, Any]], words: str) -> None:
    # A tuple is what JSON never has: a list.
    (text,) = said(
        *(
            {**s, "Action": list(s["Action"]) if isinstance(s["Action"], tuple) else s["Action"]}
            for s in statements
        )
    )
    assert words in text


def test_an_older_language_is_told() -> None:
    (text,) = said(NODES, version="2008-10-17")
    assert "2012-10-17" in text


def test_patterns_cover_actions_whatever_their_case() -> None:
    assert covers("EC2:Describe*", "ec2:DescribeInstances")
    assert not covers("ec2:Describe*", "ec2:RunInstances")
    assert (as_list(None), as_list("a"), as_list(["a"])) == ([], ["a"], ["a"])
