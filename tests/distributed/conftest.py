"""Programs that run in several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SECONDS = 240


@pytest.fixture
def run_ranks(tmp_path: Path) -> Callable[[Path, int], list[str]]:
    """Run a program once per rank, with the rank, the world size and a place to meet; the outputs of all."""

    def run(program: Path, world: int) -> list[str]:
        ranks = [
            subprocess.Popen(
                [sys.executable, str(program), str(rank), str(world), str(tmp_path / "rendezvous")],
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
        return outputs

    return run
