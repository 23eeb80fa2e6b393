"""Two processes with different data must take the very step that one process with all of it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_towers import small_task


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed training")
def test_two_processes_take_the_step_of_one(tmp_path: Path, run_program: Callable[..., str]) -> None:
    torch.manual_seed(0)
    before = dict(small_task(objective="siglip").model.named_parameters())
    steps = []
    for processes in (1, 2):
        target = tmp_path / f"{processes}.pt"
        run_program(Path(__file__).with_name("two_processes.py"), processes, target, timeout=180)
        steps.append(torch.load(target, weights_only=True))
    alone, together = steps
    moved = 0
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=1e-5, atol=1e-7), name
        moved += not torch.equal(value, before[name])
    assert moved >= 6  # two heads with two tensors each, temperature and bias
