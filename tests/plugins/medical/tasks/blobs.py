"""Pictures with a dark, a grey and a bright disc, of which a text names one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

GREYS = (-1.5, 1.0, 3.0)
SIDE = 24


def blobs(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images `[I, 1, S, S]`, image of each text `[3 I]`, which disc it names `[3 I]`, masks `[3 I, S, S]`."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = generator.normal(0, 0.1, (count, 1, SIDE, SIDE))
    masks = np.zeros((count, 3, SIDE, SIDE), dtype=np.float32)
    quadrants = np.array([[6, 6], [6, 17], [17, 6], [17, 17]])
    for number in range(count):
        places = generator.permutation(4)[:3]
        for kind, place in enumerate(places):
            row, column = quadrants[place] + generator.integers(-1, 2, 2)
            disc = (rows - row) ** 2 + (columns - column) ** 2 <= 4.3**2
            images[number, 0][disc] += GREYS[kind]
            masks[number, kind] = disc
    return (
        torch.tensor(images, dtype=torch.float32),
        torch.arange(count).repeat_interleave(3),
        torch.arange(3).repeat(count),
        torch.tensor(masks).flatten(0, 1),
    )
