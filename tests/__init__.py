"""The tests mirror the package: tests/ROOM/test_NAME.py holds distrecvae/ROOM/NAME.py; whole/ spans rooms."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

HANGS_AFTER_S = 900.0
"""After this long something hangs, and a test that waits for it is ended. It measures nothing: at load 20 on two cores
a search of seconds takes minutes."""
