"""TorchGeo data sets as training data; TorchGeo itself is not needed, only its form of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from vlcore.data.batch_order import PairOrder
from vlcore.data.collate import PairCollate
from vlcore.data.pair_datamodule import PairDataModule
from vlcore.data.prepare_pairs import count_truncated
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.data.stream import default_workers
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.torchgeo_samples import SampleForm, SampleReader, Samples

_MOST_WORKERS = 8
_STATISTICS_ROWS = 1024  # pairs that stand for all where heads standardise their features
_ENCODE_BATCH = 64


class TorchGeoDataModule(PairDataModule):
    """Pairs of data sets whose samples are `{"image": [C, H, W], "caption": str}`, or have an integer `label` instead.

    Every sample is read once at the start, for its text; images are read and encoded in every epoch, for a data set
    in Python has no fingerprint that a feature cache could be kept under.

    Args:
        train: to train on; data sets have `__len__` and `__getitem__` by number.
        val: to validate on; left out, nothing is.
        test: for `test` and `predict`.
        class_names: words of each label number, for samples without captions.
        prompt: sentence about a class, `{}` in place of its name.
        bands: positions of red, green and blue among the channels: 3, 2, 1 for Sentinel-2 from B01 on.
        value_range: values of the images that become black and white; TorchGeo gives 8-bit images as 0 to 255.
        batch_size: pairs per batch and process.
        num_workers: processes that read images; by default one per core, at most 8.
        seed: of the order.

    Raises:
        ConfigurationError: if the batch size, the prompt, the bands or the range of values cannot be used.
    """

    def __init__(
        self,
        train: Any,  # Samples; jsonargparse can name a class for Any, and for no protocol of magic methods
        val: Any = None,
        test: Any = None,
        class_names: Sequence[str] = (),
        prompt: str = "a satellite image of {}",
        bands: tuple[int, int, int] = (0, 1, 2),
        value_range: tuple[float, float] = (0.0, 255.0),
        batch_size: int = 256,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 2:
            raise ConfigurationError(f"batch_size={batch_size}: a contrastive loss needs at least 2 pairs.")
        if prompt.count("{}") != 1 or "{" in prompt.replace("{}", ""):
            raise ConfigurationError(f"prompt={prompt!r}: write {{}} once, where the name of the class goes.")
        if len(bands) != 3 or min(bands) < 0:
            raise ConfigurationError(f"bands={bands}: give three positions from 0, for red, green and blue.")
        if not value_range[0] < value_range[1]:
            raise ConfigurationError(f"value_range={value_range}: the first value must be the lower one.")
        self.samples: dict[str, Samples | None] = {"train": train, "val": val, "test": test}
        self.form = SampleForm(bands, value_range, class_names, prompt)
        self.batch_size = batch_size
        self.num_workers = min(_MOST_WORKERS, default_workers()) if num_workers is None else num_workers
        self.seed = seed
        self._parts: dict[str, PairCollate] = {}

    @property
    def validates(self) -> bool:
        """True where there are pairs to validate on."""
        return self.samples["val"] is not None

    def setup(self, stage: str) -> None:
        """Read the texts of a stage's samples, and give heads their statistics.

        Raises:
            ManifestError: listing every sample that cannot be used.
            ConfigurationError: if there are no samples for the stage.
        """
        for part in {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",)):
            if part not in self._parts and (part != "val" or self.validates):
                self._parts[part] = self._collate(part)
        task: Any = self.attached_trainer.lightning_module
        if stage == "fit" and task.needs_feature_statistics:
            task.set_feature_statistics(*self._sample_features(task))

    def training_texts(self) -> list[str]:
        """Every text of the training pairs; known after `setup("fit")`."""
        return self._parts["train"].table.texts

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled; the remainder that does not fill a batch is left out, another one in each epoch."""
        return self._loader("train")

    def val_dataloader(self) -> ResumableLoader | list[Any]:
        """Every pair in order; empty where there is no `val`."""
        return self._loader("val") if "val" in self._parts else []

    def test_dataloader(self) -> ResumableLoader:
        """Every pair in order."""
        return self._loader("test")

    def predict_dataloader(self) -> ResumableLoader:
        """The test pairs."""
        return self._loader("test")

    def describe(self) -> dict[str, Any]:
        """Facts for the model card."""
        return {
            "datasets": {name: type(self.samples[name]).__name__ for name in self._parts},
            "parts": {name: {"images": len(part.table.images)} for name, part in self._parts.items()},
            "bands": list(self.form.bands),
            "value_range": list(self.form.value_range),
            "prompt": self.form.prompt if self.form.class_names else None,
        }

    def _collate(self, part: str) -> PairCollate:
        samples = self.samples[part]
        if samples is None or not len(samples):
            raise ConfigurationError(f"There are no samples to {part} on. Give a data set that has some as {part}.")
        model: Any = self.attached_trainer.lightning_module.model
        table = self.form.table(samples)
        tokenizer = model.text_encoder.tokenizer
        if truncated := count_truncated(table.texts, tokenizer):
            rank_zero_warn(
                f"{truncated:,} of {len(table):,} texts of the {part} pairs are longer than the "
                f"{tokenizer.context_length} tokens that {model.text_encoder.source} reads: their ends are cut off."
            )
        reader = SampleReader(table, samples, self.form, model.image_encoder.preprocess)
        return PairCollate(table, reader, tokenizer)

    def _loader(self, part: str) -> ResumableLoader:
        collate, trainer = self._parts[part], self.attached_trainer
        # A run that is to overfit a few batches wants the same ones in every epoch.
        shuffle = part == "train" and not trainer.overfit_batches  # type: ignore[attr-defined, unused-ignore]
        order = PairOrder(
            collate.table,
            self.batch_size,
            shuffle=shuffle,
            seed=self.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        return self.pair_loader(order, collate, self.num_workers)

    def _sample_features(self, task: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features `[N, Wi]` and `[N, Wt]` of an even sample of the training pairs, by the towers as they stand."""
        collate = self._parts["train"]
        assert isinstance(collate.images, SampleReader)
        device = self.attached_trainer.strategy.root_device
        task.model.image_encoder.to(device)
        task.model.text_encoder.to(device)
        encode, count = task.image_features(), len(collate.table)
        rows = np.unique(np.linspace(0, count - 1, min(count, _STATISTICS_ROWS)).astype(np.int64))
        batches = [rows[start : start + _ENCODE_BATCH] for start in range(0, len(rows), _ENCODE_BATCH)]
        image = [encode(collate.images(batch)[0]) for batch in batches]
        text = [task.text_features([collate.table.texts[row] for row in batch]) for batch in batches]
        return torch.cat(image).cpu().float().numpy(), torch.cat(text).cpu().float().numpy()
