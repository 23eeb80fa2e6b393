"""A step under DDP and FSDP2, whole or in micro-batches, is the step of one process with all pairs; MT-AdamW's too."""

from __future__ import annotations

from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("strategies_program.py")


@pytest.mark.parametrize("world", [2, 4])
def test_a_step_equals_that_of_one_process_with_all_pairs(run_ranks, world):
    assert all("checked 9" in output for output in run_ranks(PROGRAM, world))
