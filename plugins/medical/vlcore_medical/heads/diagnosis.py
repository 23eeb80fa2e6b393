"""A calibrated head that names a class from the pooled features of a frozen tower: a finding, a view, a diagnosis."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.principal_components import PrincipalComponents


class DiagnosisHead(nn.Module):
    """One hidden layer on principal components; a temperature, fitted apart, divides its logits.

    Args:
        image_width: W.
        classes: C.
        components: of the features that are kept.
        hidden: H, width of the hidden layer.
        dropout: of the components and the hidden layer.
    """

    log_temperature: Tensor

    def __init__(
        self, image_width: int, classes: int, *, components: int = 64, hidden: int = 128, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ConfigurationError(f"A head needs at least 2 classes to tell apart; the labels hold {classes}.")
        self.image = PrincipalComponents(image_width, components)
        self.network = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(components, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        self.register_buffer("log_temperature", torch.zeros(()))

    def forward(self, image: Tensor) -> Tensor:
        """Calibrated logits `[B, C]` from pooled features `[B, W]`."""
        logits: Tensor = self.network(self.image(image)) / self.log_temperature.exp()
        return logits
