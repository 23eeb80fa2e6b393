"""The losses in 1, 2 and 4 processes with different, uneven data are those of one process with all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("objectives_program.py")


@pytest.mark.parametrize("world", [1, 2, 4])
def test_value_and_gradients_equal_one_process_with_all_pairs(run_ranks, world):
    assert all("checked 24" in output for output in run_ranks(PROGRAM, world))
