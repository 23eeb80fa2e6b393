"""Naming a class from frozen image features, calibrated on held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vlcore.align.features import group_folds
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


def choose_diagnosis(
    image: Tensor,
    labels: Sequence[str],
    groups: Sequence[str],
    candidates: Sequence[DiagnosisSettings],
    *,
    folds: int = 3,
    seed: int = 0,
) -> tuple[DiagnosisSettings, list[float]]:
    """The settings with the best balanced accuracy on groups that were left out, and the accuracies of all, per cent.

    Args:
        image: `[N, W]` pooled features of the training images.
        labels: N of them.
        groups: N patients, which folds keep whole.
        candidates: to choose from.
        folds: how many parts, each held out once.
        seed: of the folds and heads.

    Raises:
        ConfigurationError: if there are fewer groups than folds, or too few images for the components.
    """
    names = sorted(set(labels))
    target = np.array([names.index(label) for label in labels])
    scores = []
    for settings in candidates:
        told = np.zeros(len(labels), dtype=np.int64)
        for kept, held_out in group_folds(groups, folds, seed):
            model = fit_diagnosis(image[kept], [labels[row] for row in kept], settings, seed=seed)
            # A rare class may be missing from a fold, which then numbers the others differently.
            number = np.array([names.index(name) for name in model.classes])
            told[held_out] = number[model.probabilities(image[held_out]).argmax(axis=1)]
        recalls = [(told[target == place] == place).mean() for place in range(len(names))]
        scores.append(float(np.mean(recalls) * 100))
    return candidates[int(np.argmax(scores))], scores


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
