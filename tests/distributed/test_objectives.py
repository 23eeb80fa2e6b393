"""The losses in 1, 2 and 4 processes with different, uneven data are those of one process with all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("objectives_program.py")
SECONDS = 240


@pytest.mark.parametrize("world", [1, 2, 4])
def test_value_and_gradients_equal_one_process_with_all_pairs(tmp_path, world):
    ranks = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), str(rank), str(world), str(tmp_path / "rendezvous")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(world)
    ]
    try:
        outputs = [rank.communicate(timeout=SECONDS)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0] * world, "\n".join(outputs)
    assert all("checked 24" in output for output in outputs)
