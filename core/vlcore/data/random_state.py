"""Random numbers that depend on a few whole numbers alone, and leave no trace behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seed the generators of Python, NumPy and PyTorch (CPU) from some numbers; afterwards they are as before.

    Args:
        numbers: not negative, such as seed, epoch and sample.
    """
    state = np.random.SeedSequence(numbers).generate_state(4)
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        # default_generator alone: torch.manual_seed would seed accelerators too, which a worker must not touch.
        torch.default_generator.manual_seed(int(state[2]) << 32 | int(state[3]))
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])
