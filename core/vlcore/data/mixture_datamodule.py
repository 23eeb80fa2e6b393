"""Several manifests in one run, each batch from one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from vlcore.data.datamodule import ManifestDataModule, standardise
from vlcore.data.mixture import ChainedOrder, MixtureCollate, MixtureOrder
from vlcore.data.pair_datamodule import PairDataModule
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.data.split_selection import Part
from vlcore.errors import ConfigurationError


class MixtureDataModule(PairDataModule):
    """Image-text pairs of several manifests; a step sees those of one manifest, drawn with its probability.

    Validation and test read every pair of every data set. The task logs `val/mean_recall` as the mean over data sets,
    and the recall and loss of each under its name: `val/<name>/mean_recall`, `train/<name>/loss`.

    Args:
        datasets: a data module of each data set, by name; batch sizes may differ.
        probabilities: how often each is drawn, in any unit; by default in proportion to its batches, so that an epoch
            sees every pair about once.
        weights: of each data set's gradients, for the optimiser `multi_task_adamw`; by default all alike, adding up
            to 1.
        steps_per_epoch: batches of an epoch; by default as many as all data sets have together.
        seed: of the drawing.

    Attributes:
        shares: probabilities of the data sets, adding up to 1; known after `setup("fit")`.
        balance: weights of the data sets.

    Raises:
        ConfigurationError: if there are fewer than two data sets, or probabilities and weights do not fit them.
    """

    def __init__(
        self,
        datasets: dict[str, ManifestDataModule],
        probabilities: dict[str, float] | None = None,
        weights: dict[str, float] | None = None,
        steps_per_epoch: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(datasets) < 2:
            raise ConfigurationError(
                f"A mixture needs at least two data sets, and {sorted(datasets)} are given. Train on a "
                f"ManifestDataModule, or add one."
            )
        if wrong := [name for name in datasets if not name or "/" in name]:
            raise ConfigurationError(
                f"datasets: {wrong[0]!r} is no name that scores can be logged under; leave '/' out."
            )
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ConfigurationError(f"steps_per_epoch={steps_per_epoch}: choose a number above 0, or leave it out.")
        self.datasets = datasets
        self.probabilities = None if probabilities is None else _values("probabilities", probabilities, datasets)
        self.balance = _values("weights", weights or dict.fromkeys(datasets, 1 / len(datasets)), datasets)
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.shares: tuple[float, ...] = ()

    @property
    def validates(self) -> bool:
        """True where there are pairs to validate on."""
        return any(data.validates for data in self.datasets.values())

    def setup(self, stage: str) -> None:
        """Set every data set up; see `ManifestDataModule.setup`."""
        trainer = self.attached_trainer
        for name, data in self.datasets.items():
            data.trainer = trainer
            rank_zero_info(f"Data set {name!r}: {data.selection.manifest}")
            data.prepare(stage)
        if stage != "fit":
            return
        standardise(trainer.lightning_module, list(self.datasets.values()))  # type: ignore[arg-type]
        given = self.probabilities or tuple(float(len(data.part("train")[0])) for data in self.datasets.values())
        self.shares = tuple(share / math.fsum(given) for share in given)

    def training_texts(self) -> list[str]:
        """Every text of the training pairs of all data sets; known after `setup("fit")`."""
        return [text for data in self.datasets.values() for text in data.training_texts()]

    def train_dataloader(self) -> ResumableLoader:
        """Batches of one data set each."""
        parts = {name: data.part("train") for name, data in self.datasets.items()}
        orders = {name: order for name, (order, _) in parts.items()}
        steps = self.steps_per_epoch or sum(map(len, orders.values()))
        overfits = bool(self.attached_trainer.overfit_batches)  # type: ignore[attr-defined, unused-ignore]
        order = MixtureOrder(orders, self.shares, steps, self.seed, repeats=overfits)
        collate = MixtureCollate(dict(enumerate(collate for _, collate in parts.values())))
        return self.pair_loader(order, collate, self._workers("train"))

    def val_dataloader(self) -> ResumableLoader | list[Any]:
        """Every pair of every data set that holds some out, in order."""
        return self._chain("val")

    def test_dataloader(self) -> ResumableLoader | list[Any]:
        """Every test pair of every data set, in order."""
        return self._chain("test")

    def predict_dataloader(self) -> ResumableLoader | list[Any]:
        """The test pairs."""
        return self._chain("test")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Let the batch's data set count what became of its images."""
        return list(self.datasets.values())[batch.dataset].on_before_batch_transfer(batch, dataloader_idx)

    def teardown(self, stage: str) -> None:
        """Say what became of images that were read while the run went on."""
        for data in self.datasets.values():
            data.teardown(stage)

    def describe(self) -> dict[str, Any]:
        """Facts for the model card."""
        return {
            "datasets": {name: data.describe() for name, data in self.datasets.items()},
            "probabilities": dict(zip(self.datasets, self.shares, strict=False)),
            "weights": dict(zip(self.datasets, self.balance, strict=True)),
        }

    def _chain(self, name: Part) -> ResumableLoader | list[Any]:
        chosen = {number: data for number, data in enumerate(self.datasets.values()) if data.has(name)}
        if not chosen:
            return []
        parts = {number: data.part(name) for number, data in chosen.items()}
        order = ChainedOrder({number: order for number, (order, _) in parts.items()})
        collate = MixtureCollate({number: collate for number, (_, collate) in parts.items()})
        return self.pair_loader(order, collate, self._workers(name))

    def _workers(self, name: Part) -> int:
        return max(data.workers(name) for data in self.datasets.values() if data.has(name))


def _values(what: str, given: Mapping[str, float], datasets: Mapping[str, Any]) -> tuple[float, ...]:
    """Values in the order of the data sets."""
    if given.keys() != datasets.keys():
        raise ConfigurationError(
            f"{what} are given for {sorted(given)}, and the data sets are {sorted(datasets)}. Give one for each."
        )
    if wrong := [name for name in datasets if not 0 < given[name] < math.inf]:
        raise ConfigurationError(
            f"{what}: {given[wrong[0]]} of {wrong[0]!r} is not above 0. Leave a data set out to give it none."
        )
    return tuple(float(given[name]) for name in datasets)
