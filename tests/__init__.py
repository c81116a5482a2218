"""The tests mirror the package: tests/a/test_b.py holds distrecvae/a/b.py; tests/whole has what spans rooms."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""
