"""Memory of batches is used again, and never while anybody holds it."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from vlcore.data.batch_buffers import MOST, BatchBuffers


def place(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_used_again_once_it_is_free() -> None:
    buffers = BatchBuffers(8)
    first = place(buffers.take(100))
    assert place(buffers.take(100)) == first
    assert place(buffers.take(60)) == first  # a smaller batch fits in
    assert place(buffers.take(101)) != first


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array,
        lambda array: array[3:5],
        lambda array: array.T,
        torch.from_numpy,
        lambda array: torch.from_numpy(array)[1:].view(-1)[::2],
        lambda array: memoryview(array),
    ],
    ids=["itself", "slice", "transpose", "tensor", "view of a tensor", "memoryview"],
)
def test_what_anybody_holds_is_left_alone(hold) -> None:
    buffers = BatchBuffers(8)
    array = buffers.take(100)
    first, kept = place(array), hold(array)
    del array
    assert place(buffers.take(100)) != first
    del kept
    assert first in {place(buffers.take(100)) for _ in range(MOST)}


def test_few_are_kept() -> None:
    buffers = BatchBuffers(8)
    held = [buffers.take(10) for _ in range(3 * MOST)]
    assert len({place(array) for array in held}) == len(held)
    del held
    assert len({place(buffers.take(10)) for _ in range(3 * MOST)}) == 1


def test_threads_never_share() -> None:
    buffers = BatchBuffers(4)

    def use(number: int) -> bool:
        for _ in range(200):
            array = buffers.take(50)
            array[:] = number
            if not (array == number).all():
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(8)))


def test_another_process_begins_with_none() -> None:
    buffers = BatchBuffers(8)
    buffers.take(1000)
    assert len(pickle.dumps(buffers)) < 200
    assert pickle.loads(pickle.dumps(buffers)).take(3).shape == (3, 8)
