"""What every tower is: pixels or tokens in, features out, preprocessing attached."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, ImagePreprocess, TokenBatch, Trainable


class Encoder(nn.Module, ABC):
    """Shared parts of image and text towers.

    Attributes:
        width: size W of the pooled feature.
        source: where the weights came from, for the model card: `starter/efficientnet_lite0`.
        licence: of the weights, as their source states it.
        trainable: which part learns.
    """

    width: int
    source: str = ""
    licence: str = "unknown"
    trainable: Trainable = "all"

    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The tower's layers in the order of the data, for partial freezing."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Plain JSON values that rebuild this tower without weights: the first argument of `from_config`.

        Only what decides the features belongs here: it is hashed into the fingerprint. `source` and `licence` are
        kept apart, so that a model that was moved stays the same model.
        """

    def set_trainable(self, trainable: Trainable) -> None:
        """Freeze the tower but for its last blocks, or let all of it learn.

        Args:
            trainable: `none`, `all`, or the number N of last blocks that learn (with what follows them).

        Raises:
            ConfigurationError: if N is negative or larger than the number of blocks.
        """
        blocks = list(self.blocks())
        if isinstance(trainable, int) and not isinstance(trainable, bool):
            if not 0 <= trainable <= len(blocks):
                raise ConfigurationError(
                    f"trainable={trainable}: {self.source} has {len(blocks)} blocks; choose 0 to {len(blocks)}, "
                    f"'none' or 'all'."
                )
        elif trainable not in ("none", "all"):
            raise ConfigurationError(f"trainable={trainable!r}: choose 'none', 'all' or a number of last blocks.")
        self.trainable = trainable
        self.requires_grad_(trainable == "all")
        for module in self._learning():
            module.requires_grad_(True)
        self.train(self.training)

    def after_blocks(self) -> Sequence[nn.Module]:
        """Layers behind the last block (final norm, projection); they learn when any block does."""
        return ()

    @property
    def frozen(self) -> bool:
        """True where no parameter learns, so that features can be cached."""
        return self.trainable in ("none", 0)

    def train(self, mode: bool = True) -> Encoder:
        """Set the mode; frozen parts stay in evaluation mode, so their statistics and dropout stand still."""
        if not mode or self.trainable == "all":
            super().train(mode)
            return self
        super().train(False)
        self.training = True
        for module in self._learning():
            module.train(True)
        return self

    def _learning(self) -> list[nn.Module]:
        """The last blocks that learn and what follows them; empty where none or all of the tower learns."""
        if isinstance(self.trainable, str) or self.trainable == 0:
            return []
        blocks = list(self.blocks())
        return [*blocks[len(blocks) - self.trainable :], *self.after_blocks()]

    def fingerprint(self) -> str:
        """SHA-256 of architecture, preprocessing or tokeniser, and weights: 64 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What besides the weights changes the features; goes into the fingerprint."""


class ImageEncoder(Encoder):
    """An image tower; normalises uint8 pixels itself, on the device.

    Attributes:
        preprocess: geometry, mean and std that the weights were trained with.
    """

    kind: ClassVar[str] = "image"
    preprocess: ImagePreprocess

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any], preprocess: ImagePreprocess) -> ImageEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""

    @abstractmethod
    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode normalised pixels `[B, 3, H, W]` float."""

    def forward(self, images: Tensor) -> EncoderOutput:
        """Encode images `[B, 3, H, W]` uint8 of size `preprocess.size`.

        Raises:
            ConfigurationError: if the images are of another type or size; their features would be wrong.
        """
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != (3, *self.preprocess.size):
            raise ConfigurationError(
                f"{self.source} takes images [B, 3, {self.preprocess.size[0]}, {self.preprocess.size[1]}] uint8, found "
                f"{list(images.shape)} {images.dtype}. Bring them to size with the tower's own preprocess."
            )
        return self.encode(self.normalise(images))

    def normalise(self, images: Tensor) -> Tensor:
        """Turn `[B, 3, H, W]` uint8 into normalised floats of the tower's dtype."""
        dtype = next((p.dtype for p in self.parameters() if p.is_floating_point()), torch.float32)
        mean = torch.tensor(self.preprocess.mean, device=images.device, dtype=torch.float32).view(1, 3, 1, 1)
        std = torch.tensor(self.preprocess.std, device=images.device, dtype=torch.float32).view(1, 3, 1, 1)
        # One fused multiply-add per pixel: x / 255 / std - mean / std.
        return (images.to(torch.float32) * (1 / (255 * std)) - mean / std).to(dtype)

    def identity(self) -> dict[str, Any]:
        """Architecture and preprocessing."""
        return {
            "class": type(self).__qualname__,
            "config": self.config(),
            "preprocess": self.preprocess.to_dict(),
        }


class TextTokenizer(ABC):
    """Texts to padded ids; belongs to one text tower.

    Attributes:
        context_length: the most tokens a text may have; longer ones are cut and flagged.
        pad_id: what short texts are filled with on the right.
        largest_id: the highest id that a text can get.
    """

    context_length: int
    pad_id: int = 0
    largest_id: int = 0

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenise, cut at the context length (marked), pad right to the longest of the batch."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files that `load` reads."""

    @abstractmethod
    def identity(self) -> str:
        """Hash of everything that decides the ids."""


class TextEncoder(Encoder):
    """A text tower with its tokeniser.

    Attributes:
        tokenizer: makes the ids this tower was trained on.
        context_length: the most tokens it reads.
    """

    kind: ClassVar[str] = "text"
    shares_prefixes: ClassVar[bool] = False
    """True where `pool` computes a beginning that several texts of a batch share only once."""
    tokenizer: TextTokenizer
    context_length: int

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any], tokenizer_folder: Path) -> TextEncoder:
        """Build the architecture with untrained weights from what `config()` returned."""

    @abstractmethod
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> EncoderOutput:
        """Encode ids `[B, L]` int64 with mask `[B, L]`, ones on the left; L may be the batch's longest text."""

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled features `[B, W]` alone, equal to `forward(...).pooled`; a tower may have a shorter way there."""
        pooled: Tensor = self(input_ids, attention_mask).pooled
        return pooled

    def identity(self) -> dict[str, Any]:
        """Architecture and tokeniser."""
        return {
            "class": type(self).__qualname__,
            "config": self.config(),
            "tokenizer": self.tokenizer.identity(),
        }


@dataclass
class DualTowers:
    """Two towers that were trained together, such as CLIP or SigLIP; their pooled features share one space.

    Attributes:
        image: image tower, pooled output already projected.
        text: text tower, pooled output already projected.
        logit_scale: exponentiated temperature of the checkpoint.
        logit_bias: SigLIP's bias, or None.
    """

    image: ImageEncoder
    text: TextEncoder
    logit_scale: float
    logit_bias: float | None = None
