"""What is said of a blend: the figures of its facts, and a verdict that they carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from distrecvae.blending.facts import BlendFacts, CandidateFacts, GainFacts, MemberFacts
from distrecvae.blending.words import blend_text, cost_sentence, gain_sentence


def gain(mean: float | None, error: float | None) -> GainFacts:
    return GainFacts(mean=mean, standard_error=error)


def facts() -> BlendFacts:
    """Return facts that were made up: 0.7 of a RecVAE and 0.3 of a thin EASE."""
    members = [
        MemberFacts(
            name=name, source=f"runs/{name}", model=name, weight=weight, size_bytes=size << 20, test=test,
            behind=gain(behind, 0.002), worth=gain(worth, 0.001), thin_loss=thin,
        )
        for name, weight, size, test, behind, worth, thin in (
            ("recvae", 0.7, 17, 0.4678, 0.0201, 0.0128, None),
            ("ease", 0.3, 5, 0.4751, 0.0128, 0.0201, 0.0003),
        )
    ]  # fmt: skip
    candidates = [
        CandidateFacts(
            name=name, source=f"runs/{name}", model=name, valid=valid, size_bytes=size << 20, single_ms=ms,
            batch_ms=ms / 4,
        )
        for name, valid, size, ms in (("recvae", 0.4518, 17, 2.0), ("ease", 0.4554, 50, 0.5), ("pop", 0.2, 0, 0.1))
    ]  # fmt: skip
    return BlendFacts(
        distrecvae="0", fingerprint="f", metric="ndcg_100", rule="standardized", members=tuple(members),
        candidates=tuple(candidates), single="ease", size_bytes=22 << 20, single_ms=3.0, batch_ms=0.75,
        valid=0.4646, in_sample=0.4679, test=0.4879, gain_valid=gain(0.0114, 0.0021), gain_test=gain(0.0128, 0.0018),
        fold_weights=((0.7, 0.3, 0.0),),
    )  # fmt: skip


def test_the_table_has_every_member_and_the_blend() -> None:
    lines = blend_text(facts()).splitlines()
    assert lines[0].startswith("Blend of 2 of 3 candidates, scores made comparable by rule 'standardized'")
    rows = {line.split()[0]: line.split() for line in lines[2:6]}
    assert rows["recvae"] == [
        "recvae",
        "0.70",
        "0.4518",
        "0.4678",
        "+0.0201",
        "±",
        "0.0020",
        "+0.0128",
        "±",
        "0.0010",
        "17.0",
    ]
    assert rows["ease"][:4] == ["ease", "0.30", "0.4554", "0.4751"]
    assert rows["blend"] == ["blend", "1.00", "0.4646", "0.4879", "22.0"]
    assert max(map(len, lines)) <= 100


def test_the_verdict_says_what_is_honest_what_is_gained_and_what_it_costs() -> None:
    text = " ".join(blend_text(facts()).split())
    assert "is 0.4646 cross-fitted" in text
    assert (
        "+0.0114 ± 0.0021 against the best single one; 0.4679 on the users that chose the weights is too good"
        in text
    )
    assert "+0.0128 on test users (standard error 0.0018, paired): more than twice its standard error" in text
    assert (
        "It takes 22.0 MiB and 3 ms for one user asked for alone (0.75 ms of many), ease 50.0 MiB and 0.5 ms"
        in text
    )
    assert "ease keeps its greatest weights alone (5.0 MiB), which loses 0.0003 on validation users" in text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (gain(0.004, 0.0021), "not more than twice"),
        (gain(-0.01, 0.002), "-0.0100 on test users (standard error 0.0020, paired): more than twice"),
        (gain(None, None), "what the blend gains is not known"),
    ],
)
def test_a_gain_is_called_what_it_is(found: GainFacts, said: str) -> None:
    assert said in gain_sentence(replace(facts(), gain_test=found))


def test_too_few_users_are_said() -> None:
    text = blend_text(replace(facts(), valid=None, gain_valid=None))
    assert "too few validation users to cross-fit" in text
    assert "0.4679" in text


def test_a_blend_of_one_is_said() -> None:
    text = " ".join(blend_text(replace(facts(), members=facts().members[:1])).split())
    assert "No blend is better on validation users than recvae alone: what was written is that model." in text


def test_costs_are_those_of_the_single_candidate() -> None:
    assert "pop 0.0 MiB and 0.1 ms" in cost_sentence(replace(facts(), single="pop"))
