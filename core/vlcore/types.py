"""Batch, output and preprocessing types that the rooms hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from vlcore.errors import ModelDirectoryError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Trainable = Literal["none", "all"] | int
"""Which part of a tower learns: nothing, everything, or its last N blocks."""


@dataclass(frozen=True, slots=True)
class ImagePreprocess:
    """How a tower wants its images; it is stored with the weights and never guessed.

    The geometry runs on the CPU in uint8; `mean` and `std` are applied on the device by the tower.

    Attributes:
        size: height and width of the tensor, pixels.
        resize: `shortest` scales the short side to `resize_to` and crops the centre; `squash` scales both
            sides to `size`; `pad` scales the long side to fit and pads with `fill`.
        resize_to: pixels of the short side before the centre crop; used by `shortest`.
        interpolation: always antialiased.
        mean: per channel, for values in 0..1.
        std: per channel, for values in 0..1.
        fill: grey value 0..255 of padding.
    """

    size: tuple[int, int]
    resize: Literal["shortest", "squash", "pad"] = "shortest"
    resize_to: int = 224
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    fill: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], place: str = "preprocess.json") -> ImagePreprocess:
        """Read back what `to_dict` wrote.

        Raises:
            ModelDirectoryError: if a key is missing or unknown; nothing is filled in.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            missing, unknown = sorted(names - set(values)), sorted(set(values) - names)
            raise ModelDirectoryError(
                f"{place}: preprocessing must have exactly the keys {sorted(names)}; missing {missing}, unknown "
                f"{unknown}. Take the file from the run that wrote the weights; defaults would change the features."
            )
        height, width = values["size"]
        return cls(
            size=(int(height), int(width)),
            resize=values["resize"],
            resize_to=int(values["resize_to"]),
            interpolation=values["interpolation"],
            mean=_triple(values["mean"]),
            std=_triple(values["std"]),
            fill=int(values["fill"]),
        )


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


class EncoderOutput(NamedTuple):
    """What a tower returns.

    Attributes:
        tokens: `[B, L, W]` patch or word states, or None where the tower has none.
        pooled: `[B, W]` one vector per input.
    """

    tokens: Tensor | None
    pooled: Tensor


class TokenBatch(NamedTuple):
    """Texts as ids, padded to the longest of the batch.

    Attributes:
        input_ids: `[B, L]` int64.
        attention_mask: `[B, L]` int64, 1 on real tokens.
        truncated: `[B]` bool, True where the text was cut at the context length.
    """

    input_ids: Tensor
    attention_mask: Tensor
    truncated: Tensor


class VisualTokens(NamedTuple):
    """What fusion encoders read of images: patches, cells of a feature map, or regions of a detector.

    Attributes:
        features: `[B, R, W]`, zeros where there is nothing.
        mask: `[B, R]` bool, True on real tokens.
        boxes: `[B, R, 4]` left, top, right, bottom in 0..1 of the image; or None where tokens have no place.
        class_probabilities: `[B, R, K]` of a detector, the last class is the background; or None.
    """

    features: Tensor
    mask: Tensor
    boxes: Tensor | None = None
    class_probabilities: Tensor | None = None


@dataclass
class PairBatch:
    """B image-text pairs; each side is either raw input or a frozen tower's cached features.

    Two rows are positives of each other where `image_index` or `text_key` agree.

    Attributes:
        image_index: `[B]` int64, which image of the data set; equal for captions of one image.
        text_key: `[B]` int64, hash of the normalised text; equal for captions that say the same.
        images: `[B, 3, H, W]` uint8, or None.
        input_ids: `[B, L]` int64, or None.
        attention_mask: `[B, L]` int64, or None.
        image_features: `[B, Wi]` float32 cached pooled features, or None.
        text_features: `[B, Wt]` float32 cached pooled features, or None.
        text_lengths: B token counts of the texts, on the host, or None; so that nothing waits for the device to learn
            them.
        dataset: number of the data set of a mixture that all pairs are from, on the host.
        regions: of a detector, precomputed, in place of images; or None.
    """

    image_index: Tensor
    text_key: Tensor
    images: Tensor | None = None
    input_ids: Tensor | None = None
    attention_mask: Tensor | None = None
    image_features: Tensor | None = None
    text_features: Tensor | None = None
    text_lengths: tuple[int, ...] | None = None
    dataset: int = 0
    regions: VisualTokens | None = None

    def __len__(self) -> int:
        return int(self.image_index.shape[0])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PairBatch:
        """Copy every tensor to a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> PairBatch:
        """Copy every tensor to page-locked memory; the data loader calls this."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> PairBatch:
        values: dict[str, Any] = {}
        for field in fields(PairBatch):
            value = getattr(self, field.name)
            # Importing torch for isinstance would make `import vlcore` slow.
            if isinstance(value, VisualTokens):
                parts: list[Any] = [part if part is None else change(part) for part in value]
                values[field.name] = VisualTokens(*parts)
            else:
                values[field.name] = value if value is None or isinstance(value, tuple | int) else change(value)
        return PairBatch(**values)


class DualEncoderOutput(NamedTuple):
    """Embeddings of a batch and the scale that turns cosines into logits.

    Attributes:
        image: `[B, D]` unit norm.
        text: `[B, D]` unit norm.
        logit_scale: scalar, already exponentiated.
        logit_bias: scalar, or None for objectives without a bias.
    """

    image: Tensor
    text: Tensor
    logit_scale: Tensor
    logit_bias: Tensor | None
