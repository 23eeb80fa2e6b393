"""Checkpoints without the weights of frozen towers: small, quick, and refused where the towers differ."""

from __future__ import annotations

from typing import Any

from torch import nn

from vlcore.encoders.base import Encoder
from vlcore.errors import FingerprintMismatchError

_KEY = "frozen_towers"
_STATES = ("state_dict", "current_model_state")  # the second is Lightning's, where weights are averaged
_TOWERS = ("image_encoder", "text_encoder")


class FrozenTowers:
    """Fingerprints of a model's frozen towers, computed once, and their place in checkpoints.

    Args:
        model: whose towers `image_encoder` and `text_encoder` are; a side may have none.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._fingerprints: dict[str, str] = {}

    def fingerprint(self, name: str) -> str:
        """Fingerprint of the frozen tower `image_encoder` or `text_encoder`."""
        if name not in self._fingerprints:
            self._fingerprints[name] = self._tower(name).fingerprint()
        return self._fingerprints[name]

    def remove(self, checkpoint: dict[str, Any]) -> None:
        """Replace the frozen towers' weights by their fingerprints."""
        frozen = [name for name in _TOWERS if (tower := getattr(self.model, name)) is not None and tower.frozen]
        checkpoint[_KEY] = {name: self.fingerprint(name) for name in frozen}
        prefixes = tuple(f"model.{name}." for name in frozen)
        for key in _STATES:
            if prefixes and key in checkpoint:
                checkpoint[key] = {
                    name: value for name, value in checkpoint[key].items() if not name.startswith(prefixes)
                }

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Put the weights of the towers at hand in the place of the fingerprints.

        Raises:
            FingerprintMismatchError: if a tower is not the one the checkpoint was trained on.
        """
        for name, stored in checkpoint.get(_KEY, {}).items():
            current = self.fingerprint(name)
            if current != stored:
                raise FingerprintMismatchError(
                    "The checkpoint",
                    f"{name.replace('_', ' ')} ({self._tower(name).source})",
                    stored,
                    current,
                    "Build the task with the tower it was trained on.",
                )
            state = {f"model.{name}.{key}": value for key, value in self._tower(name).state_dict().items()}
            for key in _STATES:
                if key in checkpoint:
                    checkpoint[key] = {**checkpoint[key], **state}

    def _tower(self, name: str) -> Encoder:
        tower: Encoder = getattr(self.model, name)
        return tower
