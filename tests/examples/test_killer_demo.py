"""The demonstration that people run first holds what it says, as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.minilm
@pytest.mark.timeout(900)
def test_the_four_proofs_hold() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "killer_demo.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  YES  ") == 7
    assert "All four hold." in done.stdout
