"""What the contrastive losses share: exact over all processes, in memory that grows with the batch, not its square."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vlcore.objectives.pair_inputs import as_scalar, check_embeddings, check_key, compute_dtype
from vlcore.objectives.pair_keys import PairKeys
from vlcore.objectives.process_rows import ProcessRows
from vlcore.objectives.tiles import Tile, Tiles

# Rows and columns of a tile: 1 MiB in float32 on a processor, in its caches; 256 MiB elsewhere, where a tile has to
# be worth its kernel launches.
TILE_SIZE = 512
ACCELERATOR_TILE_SIZE = 8192


class TiledLoss(nn.Module, ABC):
    """A loss over all combinations of the images and texts of a global batch.

    The N x N logits are computed in tiles, each for rows and columns at once, and again in the backward pass (as in
    Inf-CL, arXiv 2410.17243). Only embeddings, keys and a few numbers per pair are kept for it.

    **In several processes** pass their `process_group`. Each process brings its own pairs, as many as it has, also
    none; it computes the logits of its images with the texts of all, so the work is shared. Every process returns the
    loss of the global batch and has to call backward on it.

    Gradients are such that their *mean* over the processes, which DDP and FSDP take, is that of one process with all
    pairs: a process with W of its kind receives W times the derivative with respect to its own embeddings, and the
    whole derivative with respect to scale and bias.

    Args:
        tile_size: rows and columns of a tile, chosen by the device if left out; it decides memory and speed, not the
            result.
    """

    uses_bias = False

    def __init__(self, tile_size: int | None = None) -> None:
        super().__init__()
        if tile_size is not None and tile_size < 1:
            raise ValueError(f"tile_size is {tile_size}: it must be at least 1.")
        self.tile_size = tile_size

    def forward(
        self,
        image: Tensor,
        text: Tensor,
        logit_scale: Tensor | float,
        logit_bias: Tensor | float | None = None,
        image_index: Tensor | None = None,
        text_key: Tensor | None = None,
        process_group: dist.ProcessGroup | None = None,
    ) -> Tensor:
        """Compute the loss of a batch.

        Args:
            image: `[B, D]` unit norm.
            text: `[B, D]` unit norm; row i belongs to image i.
            logit_scale: scalar, already exponentiated.
            logit_bias: scalar added to every logit. A softmax ignores it: its gradient is then zero.
            image_index: `[B]` int64, equal for pairs of one image, in all processes. None: no two pairs share one.
            text_key: `[B]` int64, equal for pairs that say the same, in all processes. None: no two pairs do.
            process_group: processes whose pairs make up the batch. None: those of this process alone.

        Returns:
            Scalar, float32 (float64 for float64 embeddings). NaN embeddings give NaN: nothing is masked.

        Raises:
            ValueError: if a shape or type is wrong, no process has a pair, or the processes differ in width,
                precision or keys.
        """
        check_embeddings(image, text, may_be_empty=process_group is not None)
        for name, key in (("image_index", image_index), ("text_key", text_key)):
            check_key(name, key, len(image))
        dtype = compute_dtype(image, text)
        scale = as_scalar("logit_scale", logit_scale, dtype, image.device)
        bias = None if logit_bias is None else as_scalar("logit_bias", logit_bias, dtype, image.device)
        loss: Tensor = _Tiled.apply(self, process_group, image, text, scale, bias, image_index, text_key)
        return loss

    @abstractmethod
    def statistics(self, tiles: Tiles) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Go through the tiles once.

        Returns:
            The loss `[]` of the global batch, and what `differentiate` needs: vectors over own rows or all columns.
        """

    @abstractmethod
    def differentiate(self, tile: Tile, statistics: tuple[Tensor, ...]) -> None:
        """Overwrite the tile's logits with N times the derivative of the loss with respect to them."""


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        objective: TiledLoss,
        group: dist.ProcessGroup | None,
        image: Tensor,
        text: Tensor,
        scale: Tensor,
        bias: Tensor | None,
        image_index: Tensor | None,
        text_key: Tensor | None,
    ) -> Tensor:
        given = [key for key in (image_index, text_key) if key is not None]
        processes = ProcessRows.exchange(text, (image_index is not None) + 2 * (text_key is not None), group)
        all_text = processes.gather(text)
        found = iter(processes.gather(torch.stack(given, dim=1)).T.contiguous() if given else ())
        keys = PairKeys.number(
            None if image_index is None else next(found),
            None if text_key is None else next(found),
            processes.total,
            text.device,
        )
        with torch.autocast(device_type=image.device.type, enabled=False):
            tiles = _tiles(objective, image, all_text, scale, bias, keys, processes)
            loss, statistics = objective.statistics(tiles)
        ctx.objective, ctx.processes, ctx.text_dtype = objective, processes, text.dtype
        ctx.save_for_backward(image, all_text, scale, bias, *keys, *statistics)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        image, all_text, scale, bias, numbers, positives, views, *statistics = ctx.saved_tensors
        objective, processes = ctx.objective, ctx.processes
        with torch.autocast(device_type=image.device.type, enabled=False):
            keys = PairKeys(numbers, positives, views)
            tiles = _tiles(objective, image, all_text, scale, bias, keys, processes)
            of_image = tiles.vector(image.numel()).view_as(image)
            # What every process contributes to the texts, the scale and the bias, in one tensor: one collective.
            shared = tiles.vector(all_text.numel() + 2)
            of_text, of_scale, of_bias = shared[:-2].view_as(all_text), shared[-2], shared[-1]
            for tile in tiles:
                objective.differentiate(tile, tuple(statistics))
                of_image[tile.rows].addmm_(tile.logits, tile.text)
                of_text[tile.columns].addmm_(tile.logits.T, tile.image)
                if objective.uses_bias:
                    of_bias.add_(tile.logits.sum())
            for rows in tiles.rows:
                # d loss / d scale = sum_ij g_ij x_i . y_j, and sum_j g_ij y_j is there already.
                of_scale.add_((image[rows].to(tiles.dtype) * of_image[rows]).sum())
            processes.add_up(shared)
            factor = upstream.to(tiles.dtype) / processes.total
            of_scalars = factor * shared[-2:]
            factor = factor * len(processes.sizes) * scale.to(tiles.dtype)
            of_image.mul_(factor)
            # A copy where there are several processes, so that the gradient does not hold the texts of all.
            own_text = of_text[processes.own].mul_(factor).to(ctx.text_dtype, copy=processes.group is not None)
        return (
            None,
            None,
            of_image.to(image.dtype),
            own_text,
            of_scalars[0].to(scale.dtype),
            None if bias is None else of_scalars[1].to(bias.dtype),
            None,
            None,
        )


def _tiles(
    objective: TiledLoss,
    image: Tensor,
    text: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    keys: PairKeys,
    processes: ProcessRows,
) -> Tiles:
    size = objective.tile_size or (TILE_SIZE if image.device.type == "cpu" else ACCELERATOR_TILE_SIZE)
    return Tiles(image, text, scale, bias if objective.uses_bias else None, keys, processes, size)
