"""Training from a configuration file: `vlcore fit | validate | test | predict`, on Lightning's own command line."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import DefaultHelpFormatter
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from omegaconf.errors import OmegaConfBaseException

from vlcore.cli.fit_errors import explain, explain_interpolation
from vlcore.data.datamodule import ManifestDataModule
from vlcore.data.mixture_datamodule import MixtureDataModule
from vlcore.errors import ConfigurationError, MissingDependencyError, VlcoreError
from vlcore.plugins import registries
from vlcore.tasks.alignment import AlignmentTask
from vlcore.tasks.averaging import ExponentialMovingAverage
from vlcore.tasks.callbacks import SaveModelDirectory
from vlcore.tasks.fusion.task import FusionTask

MONITOR = "val/mean_recall"
"""What the best weights are chosen by."""

LAST_EVERY_STEPS = 500
"""Steps after which the last checkpoint is written within an epoch, besides its end."""

# Classes that a configuration names without their path: jsonargparse finds what has been imported.
_CLASSES: dict[str, type] = {
    "model": AlignmentTask,
    "fusion": FusionTask,
    "data": ManifestDataModule,
    "mixture": MixtureDataModule,
    "trainer": Trainer,
    "averaging": ExponentialMovingAverage,
    "saving": SaveModelDirectory,
}

_EXAMPLES = """examples:
  vlcore {name} -c configs/general/flickr8k_heads.yaml{checkpoint}
  vlcore {name} -c config.yaml{checkpoint} --data.manifest mine.jsonl --trainer.max_epochs 5
{resume}  vlcore {name} -c config.yaml --print_config        what the file and the command line add up to
  vlcore {name} --model.help AlignmentTask           every option of the model (or FusionTask)
  vlcore {name} --data.help ManifestDataModule       every option of the data
"""

_RESUME = """  vlcore fit -c config.yaml --ckpt_path last          go on exactly where an interrupted run stopped
"""


class _HelpFormatter(DefaultHelpFormatter):  # type: ignore[misc, unused-ignore]
    """Keeps the line breaks of examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class _Parser(LightningArgumentParser):  # type: ignore[misc, unused-ignore]
    """Raises instead of printing its usage; jsonargparse makes parsers of this class for nested values too."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ConfigurationError(message) from ex


class _CommandLine(LightningCLI):  # type: ignore[misc, unused-ignore]
    """Lightning's command line with a run folder, loggers, checkpoints and a model directory unless told otherwise."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning that arguments were passed on from a program: they always are."""
        try:
            self.config = parser.parse_args(args)
        except ConfigurationError as error:
            raise ConfigurationError(f"{explain(str(error), _CLASSES)} (see: vlcore {args[0]} --help)") from error

    def before_instantiate_classes(self) -> None:
        """Give the run a folder named after its configuration, and check the checkpoint before any work."""
        config = self.config[self.subcommand]
        files = config.get("config") or []
        if config.trainer.default_root_dir is None:
            config.trainer.default_root_dir = str(Path("runs") / (Path(str(files[-1])).stem if files else "fit"))
        path = config.get("ckpt_path")
        if path == "last":
            config.ckpt_path = str(_last_checkpoint(Path(config.trainer.default_root_dir)))
        elif path is not None and path not in ("best", "hpc") and "://" not in path and not Path(path).is_file():
            raise ConfigurationError(
                f"ckpt_path: there is no file {path!r}. Checkpoints are in <run folder>/logs/version_*/checkpoints; "
                f"'last' takes the newest of them."
            )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer; what the configuration does not say about loggers and checkpoints is added."""
        config = self.config_init[self.subcommand].trainer
        if config.logger in (None, True):
            kwargs["logger"] = _loggers(config.default_root_dir)
        if self.subcommand == "fit":
            config.callbacks = [*_listed(config.callbacks), *self._default_callbacks(config)]
        trainer: Trainer = super().instantiate_trainer(**kwargs)
        return trainer

    def _resumed_folder(self) -> Path | None:
        """Where a run that goes on has its checkpoints, so that its best one so far is still known."""
        path = self.config_init[self.subcommand].get("ckpt_path")
        return Path(path).parent if path is not None and Path(path).is_file() else None

    def _default_callbacks(self, config: Any) -> list[Callback]:
        given = _listed(config.callbacks)
        checkpoints = config.enable_checkpointing is not False
        validates = getattr(self.datamodule, "validates", True) and config.limit_val_batches != 0
        added: list[Callback] = []
        if checkpoints and not any(isinstance(callback, ModelCheckpoint) for callback in given):
            added += _checkpoints(self._resumed_folder(), validates)
        if hasattr(self.model, "model") and not any(isinstance(callback, SaveModelDirectory) for callback in given):
            added.append(SaveModelDirectory(weights="best" if checkpoints and validates else "last"))
        return added


def main_lightning(arguments: list[str]) -> None:
    """Run `fit`, `validate`, `test` or `predict`.

    Args:
        arguments: the command's name and what follows it.

    Raises:
        ConfigurationError: if the configuration does not fit; the key, the value and what would do are named.
    """
    _quieten()
    _import_plugin_tasks()
    try:
        _CommandLine(
            LightningModule,
            LightningDataModule,
            parser_class=_Parser,
            parser_kwargs={
                # On the outer parser, which reads the files.
                "parser_mode": "omegaconf",
                **{
                    name: {
                        "parser_mode": "omegaconf",
                        "formatter_class": _HelpFormatter,
                        "epilog": _examples(name),
                    }
                    for name in LightningCLI.subcommands()
                },
            },
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            save_config_kwargs={"overwrite": True},
            args=arguments,
        )
    except MisconfigurationException as error:
        raise ConfigurationError(str(error)) from error
    except ValueError as error:
        # jsonargparse tries every type that a class may stand for, and gives its own account of what they raised.
        if (own := _own_error(error)) is None:
            raise
        raise own from error
    except SystemExit as stop:
        # Lightning ends the process itself where a key was pressed, with the exit code of a failure.
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        raise KeyboardInterrupt(
            "add --ckpt_path last to the same command and it goes on from the last checkpoint."
        ) from None
    except OmegaConfBaseException as error:
        raise ConfigurationError(explain_interpolation(str(error), error.full_key)) from error


def _own_error(error: BaseException | None) -> VlcoreError | None:
    while error is not None and not isinstance(error, VlcoreError):
        error = error.__cause__ or error.__context__
    return error


def _examples(name: str) -> str:
    if name == "fit":
        return _EXAMPLES.format(name=name, checkpoint="", resume=_RESUME)
    return _EXAMPLES.format(name=name, checkpoint=" --ckpt_path best.ckpt", resume="")


def _loggers(folder: str) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder, name="logs")]
    if find_spec("tensorboard") is not None:
        loggers.append(TensorBoardLogger(folder, name="tensorboard"))
    return loggers


def _checkpoints(folder: Path | None, validates: bool) -> list[Callback]:
    """The best weights, and the last ones by epoch and by step.

    Lightning's `save_last` of a monitored checkpoint skips the epochs that are not better than those before, so the
    last one has callbacks of its own; both write the same file.
    """
    last: dict[str, Any] = {"dirpath": folder, "filename": "last", "enable_version_counter": False}
    callbacks: list[Callback] = [
        ModelCheckpoint(every_n_epochs=1, save_on_train_epoch_end=True, **last),
        ModelCheckpoint(every_n_train_steps=LAST_EVERY_STEPS, **last),
    ]
    if validates:
        # The first one is what `best_model_path` is asked of.
        callbacks.insert(0, ModelCheckpoint(folder, monitor=MONITOR, mode="max", filename="best"))
    return callbacks


def _last_checkpoint(folder: Path) -> Path:
    """The newest checkpoint of a run's folder, whichever of its starts wrote it."""
    found = [path for path in folder.rglob("*.ckpt") if path.is_file()]
    if not found:
        raise ConfigurationError(
            f"ckpt_path: there is no checkpoint in {folder}. Begin the run without --ckpt_path, or say where it wrote "
            f"with --trainer.default_root_dir."
        )
    # A run writes `last` beside the file it names by its step, a moment later.
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _listed(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list) else [callbacks]


def _import_plugin_tasks() -> None:
    """Make the tasks of plugins known by their short names; one that cannot be used is left out."""
    for entry in registries().tasks.entries().values():
        try:
            entry.load()
        except MissingDependencyError:
            continue
        except Exception as error:
            warnings.warn(f"The task {entry.name!r} of {entry.owner!r} cannot be imported: {error}", stacklevel=2)


def _quieten() -> None:
    """Silence advice that does not concern these runs."""
    # Frozen towers are meant to stay in evaluation mode, and features in memory need no worker processes.
    for message in ("Found .* module.* in eval mode", ".*does not have many workers", ".*isinstance.treespec"):
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_no_advertisement)


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in str(record.msg)
