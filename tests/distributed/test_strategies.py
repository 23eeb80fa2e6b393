"""A step under DDP and FSDP2, whole or in micro-batches, is the step of one process with all pairs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("strategies_program.py")
SECONDS = 240


@pytest.mark.parametrize("world", [2, 4])
def test_a_step_equals_that_of_one_process_with_all_pairs(tmp_path, world):
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
    assert all("checked 7" in output for output in outputs)
