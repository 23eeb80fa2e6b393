"""Writing the report of one study with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vlcore.data.transform import apply_preprocess
from vlcore.encoders.token_encoder import TokenEncoder
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import LoadedModel, load_model_directory
from vlcore.models.headed_towers import HeadedTowers
from vlcore.retrieval.images import ImageLike, as_pixels
from vlcore_medical.tasks.report_writer import ReportWriter
from vlcore_medical.tasks.studies import join_images


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
    def write(self, *images: ImageLike, prior: Sequence[ImageLike] = (), beams: int = 3) -> str:
        """The report of the images of one study, in plain words.

        Args:
            *images: paths, PIL images or arrays; for a DICOM file what `vlcore_medical.dicom.picture.read_picture`
                gives. More than one where the model learned from studies.
            prior: images of the study before, where the model learned to read them.
            beams: beginnings that the search keeps; 1 takes the most probable word each time.

        Raises:
            ConfigurationError: if there is no image or no beam, or the model did not learn from so many images.
            ImageDecodeError: if an image cannot be read.
        """
        reads_prior = bool(self.card.data.get("prior_images"))
        if not images:
            raise ConfigurationError("There is no image to write a report of.")
        if len(images) > 1 and self.card.data.get("views") != "study":
            raise ConfigurationError(
                f"{self.path} learned from single images; {len(images)} were given. Give one, or train it with "
                f"--views study."
            )
        if prior and not reads_prior:
            raise ConfigurationError(f"{self.path} did not learn to read prior images. Train it with --prior.")
        current = self._tokens(images)
        before = self._tokens(prior) if prior else current[:0]
        memory = join_images([current], [before] if reads_prior else None)
        return self.writer.write(memory, beams)[0]

    def _tokens(self, images: Sequence[ImageLike]) -> Tensor:
        """`[V, R, W]` of V images."""
        pixels = [apply_preprocess(as_pixels(image, "the image"), self.tower.preprocess) for image in images]
        return self.tower.unflatten(self.tower(torch.stack(pixels)).pooled.float()).features
