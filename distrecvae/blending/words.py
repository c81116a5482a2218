"""What is said of a blend: its members, what it gains, what it costs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from distrecvae.blending.facts import BlendFacts, GainFacts
from distrecvae.metrics import title_of
from distrecvae.words import counted, with_error

WIDTH = 100


def blend_text(facts: BlendFacts) -> str:
    """Return a blend's table and verdict as plain text, at most 100 columns wide but for long names."""
    title = title_of(facts.metric)
    head = f"Blend of {len(facts.members)} of {counted(len(facts.candidates), 'candidate', 'candidates')}"
    lines = [f"{head}, scores made comparable by rule {facts.rule!r}; {title}:", ""]
    valid = {each.name: each.valid for each in facts.candidates}
    rows = [("member", "weight", "valid", "test", "blend gains, test", "worth, test", "MiB")]
    rows += [
        (
            member.name,
            f"{member.weight:.2f}",
            with_error(valid.get(member.name), None),
            with_error(member.test, None),
            _signed(member.behind),
            "-" if member.worth is None else _signed(member.worth),
            f"{member.size_bytes / 2**20:,.1f}",
        )
        for member in facts.members
    ]
    rows.append(
        (
            "blend",
            "1.00",
            with_error(facts.in_sample if facts.valid is None else facts.valid, None),
            with_error(facts.test, None),
            "",
            "",
            f"{facts.size_bytes / 2**20:,.1f}",
        )
    )
    lines += _table(rows)
    lines += ["", *(line for text in _verdict(facts) for line in textwrap.wrap(text, WIDTH))]
    return "\n".join(lines)


def gain_sentence(facts: BlendFacts) -> str:
    """Return in a sentence what a blend gains on test users, and over what."""
    title, gain = title_of(facts.metric), facts.gain_test
    if gain.mean is None or gain.standard_error is None:
        return "No test user can be scored: what the blend gains is not known."
    sure = "more" if abs(gain.mean) > 2 * gain.standard_error else "not more"
    return (
        f"Against {facts.single}, which validation users choose alone, the blend has {title} {gain.mean:+.4f} on test"
        f" users (standard error {gain.standard_error:.4f}, paired): {sure} than twice its standard error."
    )


def cost_sentence(facts: BlendFacts) -> str:
    """Return in a sentence what a blend costs to serve, beside the single candidate."""
    alone = next(each for each in facts.candidates if each.name == facts.single)
    return (
        f"It takes {facts.size_bytes / 2**20:,.1f} MiB and {facts.single_ms:.3g} ms for one user asked for alone"
        f" ({facts.batch_ms:.3g} ms of many), {facts.single} {alone.size_bytes / 2**20:,.1f} MiB and"
        f" {alone.single_ms:.3g} ms ({alone.batch_ms:.3g} ms), measured here."
    )


def _verdict(facts: BlendFacts) -> list[str]:
    if len(facts.members) == 1:
        return [
            f"No blend is better on validation users than {facts.members[0].name} alone: what was written is that"
            " model."
        ]
    title, said = title_of(facts.metric), []
    if facts.valid is not None:
        gain = (
            "" if facts.gain_valid is None else f", {_signed(facts.gain_valid)} against the best single one"
        )
        said.append(
            f"On validation users {title} is {facts.valid:.4f} cross-fitted (weights chosen without a user's"
            f" fold){gain}; {with_error(facts.in_sample, None)} on the users that chose the weights is too good."
        )
    else:
        said.append(
            "There are too few validation users to cross-fit: their score is of those that chose the weights."
        )
    if facts.refit_users is not None:
        said.append(
            f"Then the members and {facts.single} were trained again on all {facts.refit_users:,} training and"
            " validation users, as long as before; validation scores are of the members before, test scores of"
            " those that were written."
        )
    said += [gain_sentence(facts), cost_sentence(facts)]
    said += [
        f"{member.name} keeps its greatest weights alone ({member.size_bytes / 2**20:,.1f} MiB), which loses"
        f" {max(member.thin_loss, 0):.4f} on validation users."
        for member in facts.members
        if member.thin_loss is not None
    ]
    return said


def _signed(gain: GainFacts) -> str:
    if gain.mean is None or gain.standard_error is None:
        return "n/a"
    return f"{gain.mean:+.4f} ± {gain.standard_error:.4f}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
