"""Naming a class from frozen image features, calibrated on held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.diagnosis import DiagnosisHead
from vlcore_medical.tasks.fit import FitSettings, fit
from vlcore_medical.tasks.temperature import fit_temperature


@dataclass(frozen=True)
class DiagnosisSettings:
    """A diagnosis head and its training.

    Attributes:
        components: of the image features that are kept.
        hidden: width of the hidden layer.
        dropout: of the components and the hidden layer.
        training: how the head is trained.
    """

    components: int = 64
    hidden: int = 128
    dropout: float = 0.5
    training: FitSettings = field(default_factory=lambda: FitSettings(epochs=40, batch_size=64))


@dataclass(frozen=True)
class DiagnosisModel:
    """A trained head with its classes.

    Attributes:
        head: in evaluation mode.
        classes: C names, sorted.
    """

    head: DiagnosisHead
    classes: list[str]

    @torch.inference_mode()
    def probabilities(self, image: Tensor) -> NDArray[np.float64]:
        """Class probabilities `[B, C]` of pooled features `[B, W]`."""
        found: NDArray[np.float64] = self.head(image).double().softmax(dim=1).numpy()
        return found

    def target(self, labels: Sequence[str]) -> Tensor:
        """Class numbers `[N]` int64 of labels.

        Raises:
            ConfigurationError: naming labels that training did not have.
        """
        unknown = sorted(set(labels) - set(self.classes))
        if unknown:
            raise ConfigurationError(
                f"The labels {', '.join(map(repr, unknown))} do not occur in training; known: "
                f"{', '.join(self.classes)}. Leave such images out, counted, or add training images of them."
            )
        return torch.tensor([self.classes.index(label) for label in labels], dtype=torch.int64)


def fit_diagnosis(
    image: Tensor, labels: Sequence[str], settings: DiagnosisSettings | None = None, *, seed: int = 0
) -> DiagnosisModel:
    """Train a head on pooled features `[N, W]` and N labels; its temperature is 1 until `calibrate`.

    Raises:
        ConfigurationError: if there is one class only, or too few images for the components.
    """
    settings = settings or DiagnosisSettings()
    classes = sorted(set(labels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = DiagnosisHead(
            image.shape[1],
            len(classes),
            components=settings.components,
            hidden=settings.hidden,
            dropout=settings.dropout,
        )
    head.image.fit(image)
    model = DiagnosisModel(head, classes)
    target = model.target(labels)
    fit(
        head,
        lambda rows: nn.functional.cross_entropy(head(image[rows]), target[rows]),
        len(labels),
        settings.training,
        seed=seed,
    )
    return model


@torch.no_grad()
def calibrate(model: DiagnosisModel, image: Tensor, labels: Sequence[str]) -> float:
    """Set the head's temperature from images it was not trained on, `[N, W]` with N labels, and return it.

    Raises:
        ConfigurationError: if there are no images, or labels that training did not have.
    """
    model.head.log_temperature.zero_()
    temperature = fit_temperature(model.head(image), model.target(labels))
    model.head.log_temperature.fill_(float(np.log(temperature)))
    return temperature
