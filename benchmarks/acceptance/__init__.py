"""The steps of gpu_acceptance.py: what each runs on the GPU, and what it holds that to."""

import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parents[2])
)  # a bare GPU box has this checkout, and installs nothing
