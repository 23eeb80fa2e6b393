"""What a finished run leaves behind: a model directory."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from vlcore.errors import ConfigurationError
from vlcore.hub.model_card import command_line
from vlcore.hub.model_directory import HubModel, ModelCard, save_model_directory


class SaveModelDirectory(Callback):
    """Writes a model directory when a fit ends, ready for `vlcore.load` and every `vlcore` command.

    Averaged weights are saved where the run averages them, for `best` and `last` alike.

    Args:
        folder: to write; `model` inside the trainer's `default_root_dir` if left out.
        weights: `best` by the checkpoint callback's monitor (`last`, with a warning, where nothing was validated), or
            `last`.
        name: of the model, for its card; the name of the run's folder if left out.
    """

    def __init__(
        self, folder: str | None = None, weights: Literal["best", "last"] = "best", name: str | None = None
    ) -> None:
        self.folder = folder
        self.weights = weights
        self.name = name
        self.fingerprint: str | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse, before any work is done, what could not be saved at the end.

        Raises:
            ConfigurationError: if the task has no such model, or the best weights are wanted and nothing keeps them.
        """
        if stage != "fit":
            return
        if not isinstance(getattr(pl_module, "model", None), HubModel):
            raise ConfigurationError(
                f"SaveModelDirectory needs a task whose `model` is a DualEncoder or a FusionModel; "
                f"{type(pl_module).__name__} has none. Remove the callback."
            )
        if self.weights == "best" and not _dry(trainer) and _monitor(trainer) is None:
            raise ConfigurationError(
                "The best weights are wanted, but no checkpoint callback with a monitor keeps them: add "
                "ModelCheckpoint(monitor='val/mean_recall', mode='max'), or choose weights='last'."
            )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the directory; a dry run (`fast_dev_run`) writes nothing."""
        if _dry(trainer) or not trainer.is_global_zero:
            return
        root = Path(trainer.default_root_dir)
        folder = Path(self.folder) if self.folder is not None else root / "model"
        best = self._best_checkpoint(trainer)
        model: HubModel = pl_module.model  # type: ignore[assignment]
        if best is None:
            facts: dict[str, Any] = {"weights": "last", "epochs": trainer.current_epoch, "steps": trainer.global_step}
        else:
            model, epoch, steps = _stored(model, best)
            facts = {"weights": "best", "epochs": epoch + 1, "steps": steps}
        facts["averaged"] = any(isinstance(callback, WeightAveraging) for callback in _callbacks(trainer))
        describe = getattr(getattr(trainer, "datamodule", None), "describe", None)
        card = ModelCard(
            name=self.name or root.resolve().name,
            command=command_line(),
            data=describe() if describe is not None else {},
            training={"task": type(pl_module).__name__, **facts, **_settings(pl_module)},
            scores=_validation_scores(trainer, best is not None),
        )
        self.fingerprint = save_model_directory(folder, model, card)
        rank_zero_info(f"The {facts['weights']} model is in {folder} (fingerprint {self.fingerprint[:12]}).")

    def _best_checkpoint(self, trainer: Trainer) -> Path | None:
        if self.weights == "last":
            return None
        path = getattr(trainer.checkpoint_callback, "best_model_path", "")
        if not path:
            rank_zero_warn("Nothing was validated in this run, so the last weights are saved in place of the best.")
            return None
        return Path(path)


def _dry(trainer: Trainer) -> bool:
    return bool(getattr(trainer, "fast_dev_run", False))


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined, unused-ignore]
    return callbacks


def _monitor(trainer: Trainer) -> str | None:
    monitor: str | None = getattr(trainer.checkpoint_callback, "monitor", None)
    return monitor


def _stored(model: HubModel, path: Path) -> tuple[HubModel, int, int]:
    """Copy of a model with the weights of a checkpoint, and the checkpoint's epoch and step."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    stored = copy.deepcopy(model).cpu()
    prefix = "model."
    state = {name[len(prefix) :]: value for name, value in checkpoint["state_dict"].items() if name.startswith(prefix)}
    # What the checkpoint leaves out are frozen towers: the copy has them.
    missing, unexpected = stored.load_state_dict(state, strict=False)
    learned = [name for name in missing if not any(name.startswith(f"{tower}.") for tower in _frozen(stored))]
    if learned or unexpected:
        raise ConfigurationError(f"{path} does not fit the model: missing {learned}, unexpected {unexpected}.")
    return stored, int(checkpoint["epoch"]), int(checkpoint["global_step"])


def _frozen(model: HubModel) -> list[str]:
    towers = {"image_encoder": model.image_encoder, "text_encoder": model.text_encoder}
    return [name for name, tower in towers.items() if tower is not None and tower.frozen]


def _settings(pl_module: LightningModule) -> dict[str, Any]:
    """The task's plain settings that were given."""
    plain = (bool, int, float, str, list, tuple)
    return {
        name: value
        for name, value in pl_module.hparams.items()
        if isinstance(value, plain) and not name.startswith("_")
    }


def _validation_scores(trainer: Trainer, best: bool) -> dict[str, Any]:
    """The monitored value of the best weights, or all validation scores of the last ones."""
    if best:
        callback: Any = trainer.checkpoint_callback
        values = {callback.monitor: float(callback.best_model_score)}
    else:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return {"val": {name.removeprefix("val/"): value for name, value in values.items() if name.startswith("val/")}}
