"""Writing the report of one image with a trained model."""

from __future__ import annotations

from pathlib import Path

import torch

from vlcore.data.transform import apply_preprocess
from vlcore.encoders.token_encoder import TokenEncoder
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import LoadedModel, load_model_directory
from vlcore.models.headed_towers import HeadedTowers
from vlcore.retrieval.images import ImageLike, as_pixels
from vlcore_medical.tasks.report_writer import Memory, ReportWriter


class Reporter:
    """A model that writes reports of images, on the CPU.

    Args:
        loaded: its model directory.

    Raises:
        ConfigurationError: if the model does not write reports.

    Example:
        >>> Reporter.load("reports.model").write("chest.png")  # doctest: +SKIP
        'no acute cardiopulmonary abnormality .'
    """

    def __init__(self, loaded: LoadedModel) -> None:
        model = loaded.model
        if not (
            isinstance(model, HeadedTowers)
            and isinstance(model.head, ReportWriter)
            and isinstance(model.image_encoder, TokenEncoder)
        ):
            raise ConfigurationError(
                f"{loaded.path} does not write reports of images. Train one that does: vlcore medical fit-reports."
            )
        self.card = loaded.card
        self.path = loaded.path
        self.writer = model.head
        self.tower = model.image_encoder

    @classmethod
    def load(cls, path: Path | str) -> Reporter:
        """Load a model directory.

        Raises:
            ModelDirectoryError: if a part is missing or changed.
            ConfigurationError: if the model does not write reports.
        """
        return cls(load_model_directory(path))

    @torch.inference_mode()
    def write(self, image: ImageLike, beams: int = 3) -> str:
        """The report of an image, in plain words.

        Args:
            image: path, PIL image or array; for a DICOM file what `vlcore_medical.dicom.picture.read_picture` gives.
            beams: beginnings that the search keeps; 1 takes the most probable word each time.

        Raises:
            ConfigurationError: if there is no beam.
            ImageDecodeError: if the image cannot be read.
        """
        pixels = apply_preprocess(as_pixels(image, "the image"), self.tower.preprocess)[None]
        tokens = self.tower.unflatten(self.tower(pixels).pooled.float())
        return self.writer.write(Memory(tokens.features, tokens.mask), beams)[0]
