"""Samples of TorchGeo data sets as image-text pairs: which text each has, and its pixels as a tower reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.batch_order import Draw
from vlcore.data.collate import PixelReader
from vlcore.data.pairs import Indices, PairTable
from vlcore.data.reader import RowError
from vlcore.data.record import ImageRef, Record, Text
from vlcore.data.transform import apply_preprocess
from vlcore.errors import ConfigurationError, ImageDecodeError, ManifestError, Problem
from vlcore.types import ImagePreprocess


class Samples(Protocol):
    """A data set in TorchGeo's form: samples are `{"image": [C, H, W], "caption": str}` or have a `label` instead."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int) -> Any:
        """One sample."""


@dataclass(frozen=True)
class SampleForm:
    """How the samples of a data set are read.

    Attributes:
        bands: positions of red, green and blue among the channels.
        value_range: values that become black and white; what lies outside is cut off.
        class_names: words of each label number.
        prompt: sentence about a class, `{}` in place of its name.
    """

    bands: tuple[int, int, int]
    value_range: tuple[float, float]
    class_names: Sequence[str]
    prompt: str

    def text(self, sample: Any) -> str:
        """The caption of a sample, or the sentence about its class.

        Raises:
            RowError: if it has neither, a blank caption, or a label without a name.
        """
        caption = sample.get("caption")
        if caption is not None:
            if not isinstance(caption, str) or not caption.strip():
                raise RowError(f"'caption' is {caption!r:.80}. It must be words.")
            return " ".join(caption.split())
        label = sample.get("label")
        if isinstance(label, Tensor) and label.numel() == 1:
            label = label.item()
        if not isinstance(label, int) or isinstance(label, bool):
            raise RowError(f"has no 'caption', and 'label' is {label!r:.80}. It must be one whole number.")
        if not 0 <= label < len(self.class_names):
            raise RowError(f"the label {label} has no name: class_names has {len(self.class_names)}. Give all of them.")
        return self.prompt.format(self.class_names[label])

    def pixels(self, sample: Any) -> NDArray[np.uint8]:
        """The image of a sample, `[H, W, 3]` uint8 RGB.

        Raises:
            RowError: if it is no `[C, H, W]`, lacks a band, or holds values that are not finite.
        """
        image = sample.get("image")
        if not isinstance(image, Tensor) or image.ndim != 3:
            found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise RowError(f"'image' is {found}. It must be a tensor [C, H, W].")
        if image.shape[0] <= max(self.bands):
            raise RowError(f"'image' has {image.shape[0]} channels, and bands={self.bands} names more. Mend bands.")
        rgb = image[list(self.bands)].float()
        if not torch.isfinite(rgb).all():
            raise RowError("'image' holds values that are not finite. Fill them in the data set's transforms.")
        low, high = self.value_range
        scaled = ((rgb - low) * (255 / (high - low))).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(scaled.permute(1, 2, 0).numpy())

    def table(self, samples: Samples) -> PairTable:
        """Read every sample once, for its text; sample i is pair i.

        Raises:
            ManifestError: listing every sample that cannot be used.
        """
        name = type(samples).__name__
        records, problems = [], []
        for index in range(len(samples)):
            sample = samples[index]
            try:
                self.pixels(sample)
                text = Text(self.text(sample), lang="en")
            except RowError as error:
                problems.append(Problem(f"sample {index}", str(error)))
            else:
                records.append(Record(f"{name}/{index}", ImageRef(Path(name), member=str(index)), (text,)))
        if problems:
            raise ManifestError(name, problems)
        return PairTable.from_records(records)


class SampleReader(PixelReader):
    """Images of a batch, read from the data set itself instead of files.

    Args:
        table: made by `form` of the same samples.
        samples: the data set.
        form: how its samples are read.
        preprocess: of the tower.
    """

    def __init__(self, table: PairTable, samples: Samples, form: SampleForm, preprocess: ImagePreprocess) -> None:
        super().__init__(table, preprocess)
        self.samples = samples
        self.form = form

    def __call__(
        self, rows: Indices, draw: Draw | None = None
    ) -> tuple[Tensor, NDArray[np.bool_], int, list[ImageDecodeError]]:
        """Read the images `[B]`; see `PixelReader`.

        Raises:
            ConfigurationError: if the data set now gives an image that cannot be used, which it did not before.
        """
        images = [apply_preprocess(self._pixels(row), self.preprocess) for row in rows.tolist()]
        return torch.stack(images), np.ones(len(rows), dtype=np.bool_), len(rows), []

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        try:
            return self.form.pixels(self.samples[row])
        except RowError as error:
            message = f"{self.table.ids[row]}: {error} It could be used at the start: check random transforms."
            raise ConfigurationError(message) from None
