"""A large batch in small memory: towers run in parts, the loss sees the whole batch once, and gradients are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from vlcore.errors import ConfigurationError
from vlcore.models.dual_encoder import DualEncoder
from vlcore.types import DualEncoderOutput, PairBatch


@dataclass(frozen=True)
class MicroBatches:
    """How a batch is cut; the model keeps the activations of one part at a time.

    This is GradCache (arXiv 2101.06983): all parts are embedded without keeping activations, one loss is computed on
    all embeddings, and each part is embedded again for its gradients, with the random numbers (dropout) and the
    precision of the first time. It costs one more forward pass of what learns. PyTorch's checkpointing does the second
    pass inside the ordinary backward pass, so gradient scalers, DDP and FSDP work as without it.

    Attributes:
        pairs: most pairs of a part, or None.
        tokens: most text tokens of a part, padding included, or None. Pairs are sorted by the length of their texts
            first, so that parts have little padding, and every part is cut to its own longest text. A text that is
            longer than the limit makes a part of its own.

    Raises:
        ConfigurationError: if a limit is below 1, or there is none.
    """

    pairs: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.pairs is None and self.tokens is None:
            raise ConfigurationError("Micro-batches need a limit: give pairs, tokens, or both.")
        for name, limit in (("micro_batch_size", self.pairs), ("micro_batch_tokens", self.tokens)):
            if limit is not None and limit < 1:
                raise ConfigurationError(f"{name}={limit}: choose a number above 0, or leave it out.")

    def embed(self, model: DualEncoder, batch: PairBatch) -> DualEncoderOutput:
        """Embed a batch part by part; embeddings and gradients are those of `model(batch)`.

        Args:
            model: embeds pairs independently of each other.
            batch: B pairs.

        Raises:
            ConfigurationError: if a batch normalisation of the model takes its statistics from the batch; under FSDP
                also if a process has fewer pairs than another has parts.
        """
        _check_independent(model)
        order, bounds = self.cut(batch)
        if any(isinstance(module, FSDPModule) for module in model.modules()):
            bounds = _as_many_everywhere(bounds, batch.image_index.device)
        whole = batch if order is None else _rows(batch, order)
        outputs: list[DualEncoderOutput] = []
        for start, stop in bounds:
            part = _encode_frozen(model, _trimmed(_rows(whole, slice(start, stop))))
            output: DualEncoderOutput = checkpoint(model, part, use_reentrant=False)
            outputs.append(output)
        image = torch.cat([output.image for output in outputs])
        text = torch.cat([output.text for output in outputs])
        if order is not None:
            places = torch.tensor(sorted(range(len(order)), key=order.__getitem__))
            places = places.to(image.device, non_blocking=True)
            image, text = image[places], text[places]
        return outputs[-1]._replace(image=image, text=text)

    def cut(self, batch: PairBatch) -> tuple[list[int] | None, list[tuple[int, int]]]:
        """Decide the parts of a batch.

        Returns:
            The order in which the parts hold the B pairs (None: the batch's own), and first and last row (past the
            end) of each part in that order.
        """
        count = len(batch)
        most = self.pairs or count
        if self.tokens is None or batch.input_ids is None:
            return None, [(start, min(start + most, count)) for start in range(0, count, most)]
        lengths = batch.text_lengths
        if lengths is None:
            assert batch.attention_mask is not None
            lengths = tuple(batch.attention_mask.sum(dim=1).tolist())
        order = sorted(range(count), key=lambda row: lengths[row])
        bounds: list[tuple[int, int]] = []
        start = 0
        for place, row in enumerate(order):
            # Sorted: the newest text is the longest of the part so far.
            pairs = place + 1 - start
            if pairs > 1 and (pairs > most or pairs * lengths[row] > self.tokens):
                bounds.append((start, place))
                start = place
        return order, [*bounds, (start, count)]


def _as_many_everywhere(bounds: list[tuple[int, int]], device: torch.device) -> list[tuple[int, int]]:
    """Cut on until every process has equally many parts: FSDP collects weights in every one of them, together."""
    own = torch.tensor([len(bounds), bounds[-1][1]], device=device)
    found = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(found, own)
    parts, pairs = zip(*(tuple(one.tolist()) for one in found), strict=True)
    if min(pairs) < max(parts):
        raise ConfigurationError(
            f"Under FSDP all processes need equally many micro-batches, but they have {list(parts)} for {list(pairs)} "
            f"pairs, and {min(pairs)} pairs make no {max(parts)} parts. Give the processes equal batches, or raise "
            f"micro_batch_size or micro_batch_tokens."
        )
    bounds = list(bounds)
    while len(bounds) < max(parts):
        place = max(range(len(bounds)), key=lambda index: bounds[index][1] - bounds[index][0])
        start, stop = bounds[place]
        bounds[place : place + 1] = [(start, (start + stop) // 2), ((start + stop) // 2, stop)]
    return bounds


def _rows(batch: PairBatch, rows: list[int] | slice) -> PairBatch:
    """Some pairs of a batch, in the given order."""
    index = rows if isinstance(rows, slice) else torch.tensor(rows)
    values: dict[str, Any] = {}
    for field in fields(PairBatch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            value = value[index if isinstance(index, slice) else index.to(value.device, non_blocking=True)]
        elif isinstance(value, tuple):
            value = value[rows] if isinstance(rows, slice) else tuple(value[row] for row in rows)
        values[field.name] = value
    return PairBatch(**values)


def _trimmed(part: PairBatch) -> PairBatch:
    """Cut the padding behind a part's longest text."""
    if part.text_lengths is None or part.input_ids is None or part.attention_mask is None:
        return part
    longest = max(part.text_lengths)
    return replace(part, input_ids=part.input_ids[:, :longest], attention_mask=part.attention_mask[:, :longest])


def _encode_frozen(model: DualEncoder, part: PairBatch) -> PairBatch:
    """Run frozen towers once, in front of the checkpoint: they have no gradients to come back for."""
    if part.images is not None and part.image_features is None and model.image_encoder.frozen:
        part = replace(part, images=None, image_features=model.image_features(part.images))
    if (
        part.input_ids is not None
        and part.attention_mask is not None
        and part.text_features is None
        and model.text_encoder.frozen
    ):
        features = model.text_features(part.input_ids, part.attention_mask)
        part = replace(part, input_ids=None, attention_mask=None, text_features=features)
    return part


def _check_independent(model: DualEncoder) -> None:
    """Refuse batch statistics: the parts would be normalised apart, and running means be updated twice."""
    names: Sequence[str] = [
        name for name, module in model.named_modules() if isinstance(module, _BatchNorm) and module.training
    ]
    if names:
        raise ConfigurationError(
            f"Micro-batches are not exact with batch normalisation that learns ({len(names)} layers, first "
            f"{names[0]}): its statistics would come from the parts. Freeze the blocks that have it, choose a tower "
            f"with layer normalisation, or train without micro-batches."
        )
