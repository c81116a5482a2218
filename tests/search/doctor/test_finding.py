"""What the doctor says: a finding without a remedy is one that all is well with."""

from __future__ import annotations

from distrecvae.search.doctor.finding import Finding


def test_a_finding_is_well_until_it_has_a_remedy() -> None:
    assert Finding("cores", "8 of 8").remedy is None
    assert Finding("cores", "none", "buy some") == ("cores", "none", "buy some")
