"""What a report says of blending: what the blend in the search's folder gains and costs, or how one is made."""

from __future__ import annotations

from distrecvae.blending.facts import BlendFacts, read_facts
from distrecvae.blending.words import cost_sentence, gain_sentence
from distrecvae.errors import ResultsError
from distrecvae.layout import BLEND_FOLDER
from distrecvae.search.commands import BLEND_IT, model_commands
from distrecvae.search.core.records import BAD
from distrecvae.search.report.data import SearchResults


def blended(results: SearchResults) -> list[str]:
    """Return sentences on the blend of the search's trials; none where there is none and none can be made yet."""
    facts = _facts(results)
    if facts is not None:
        members = " + ".join(f"{member.weight:.2f} x {member.name}" for member in facts.members)
        if len(facts.members) == 1:
            return [f"No blend was better on validation users than {facts.members[0].name} alone."]
        return [f"{members}. {gain_sentence(facts)}", cost_sentence(facts)]
    return []


def blend_command(results: SearchResults) -> str:
    """Return the command, or the call, that blends the best trials; empty where that was done, or cannot be."""
    able = [trial for trial in results.scored if trial.status not in BAD]
    if results.scores is None or len(able) < 2 or _facts(results) is not None:
        return ""
    described = results.described
    return model_commands(described.command, results.folder, described.data)[BLEND_IT]


def _facts(results: SearchResults) -> BlendFacts | None:
    """Return what is known of the blend in the search's folder; None of one that is damaged, or of other data."""
    try:
        facts = read_facts(results.folder / BLEND_FOLDER)
    except ResultsError:
        return None
    return facts if facts.fingerprint == results.described.dataset.fingerprint else None
