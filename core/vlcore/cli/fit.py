"""Training from a configuration file: `vlcore fit | validate | test | predict` on Lightning's own command line."""

from __future__ import annotations

import logging
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger

from vlcore.data.datamodule import ManifestDataModule
from vlcore.errors import ConfigurationError, VlcoreError
from vlcore.plugins import registries
from vlcore.tasks.alignment import AlignmentTask
from vlcore.tasks.averaging import ExponentialMovingAverage
from vlcore.tasks.callbacks import SaveModelDirectory

__all__ = ["AlignmentTask", "ExponentialMovingAverage", "ManifestDataModule", "SaveModelDirectory", "main_lightning"]


class _Parser(LightningArgumentParser):  # type: ignore[misc, unused-ignore]
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ConfigurationError(message) from ex


class _CommandLine(LightningCLI):
    pass


def main_lightning(arguments: list[str]) -> None:
    """x."""
    _CommandLine(
        LightningModule,
        LightningDataModule,
        parser_class=_Parser,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        parser_kwargs={"parser_mode": "omegaconf"} | {name: {"parser_mode": "omegaconf"} for name in ("fit", "validate", "test", "predict")},
        args=arguments,
    )
