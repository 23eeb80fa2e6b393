"""The losses never hold all combinations of images and texts."""

from __future__ import annotations

import torch
from pair_batches import ALL, LOSSES, batch, random_keys
from torch.utils._python_dispatch import TorchDispatchMode


@ALL
def test_what_is_kept_for_the_backward_pass_grows_with_the_batch_and_not_its_square(name):
    def kept(pairs, size=32):
        tensors = {}

        def keep(tensor):
            tensors[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        image, text = (side.requires_grad_() for side in batch(pairs, size, dtype=torch.float32))
        scale, bias = (torch.tensor(value, requires_grad=True) for value in (9.0, -3.0))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = LOSSES[name](64)(image, text, scale, bias, **random_keys(pairs))
        held = [value for value in vars(loss.grad_fn).values() if isinstance(value, torch.Tensor)]
        assert not held, "tensors on the node that autograd does not see"
        return sum(tensors.values())

    assert kept(400) <= 1.5 * 2 * 400 * 32 * 4  # Half as much again as the embeddings themselves.
    assert kept(1600) <= 4.05 * kept(400)


class LargestTensor(TorchDispatchMode):
    """Bytes of the largest memory behind any tensor that an operation returns."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


@ALL
def test_no_operation_of_either_pass_makes_all_combinations(name):
    image, text = (side.requires_grad_() for side in batch(500, 16, dtype=torch.float32))
    with LargestTensor() as largest:
        LOSSES[name](64)(image, text, 9.0, -3.0, **random_keys(500)).backward()
    assert image.grad is not None
    # All buffers of a tile lie in one block: three of numbers and two of bits.
    assert largest.bytes == 64 * 64 * (3 * 4 + 2) < 500 * 500
