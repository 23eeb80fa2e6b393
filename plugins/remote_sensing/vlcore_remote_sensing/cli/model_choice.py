"""Which model a command uses when none is named."""

from __future__ import annotations

import os
from pathlib import Path

from vlcore.errors import ConfigurationError

MODEL_VARIABLE = "VLCORE_MODEL"


def chosen_model(model: Path | None) -> Path:
    """The model that was given, or the one that the environment names.

    Raises:
        ConfigurationError: if there is neither.
    """
    if model is not None:
        return model
    if named := os.environ.get(MODEL_VARIABLE):
        return Path(named)
    raise ConfigurationError(
        f"Say which model to use: --model DIR, or the environment variable {MODEL_VARIABLE}. `vlcore align MANIFEST -o "
        f"DIR` makes one of your captioned tiles, in minutes."
    )
