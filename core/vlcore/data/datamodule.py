"""From a manifest to the batches that a task trains on, with the features of frozen towers cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from torch import nn

from vlcore.data.arrangement import count_tokens, suitable_arrangement
from vlcore.data.batch_order import Arrangement, PairOrder
from vlcore.data.collate import LoadedPairBatch, PairCollate
from vlcore.data.decode import DecodeReport, OnBadImage
from vlcore.data.feature_store import default_cache_root
from vlcore.data.pair_datamodule import PairDataModule
from vlcore.data.pairs import CaptionChoice
from vlcore.data.prepare_pairs import PairPreparation, TowerTask, count_truncated
from vlcore.data.record import Record
from vlcore.data.regions import RegionReader
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.data.split_selection import Part, SplitSelection
from vlcore.data.stream import default_workers
from vlcore.errors import ConfigurationError, ImageDecodeError

T = TypeVar("T")

_MOST_WORKERS = 8
_PARTS: dict[str, tuple[Part, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": ("test",),
}


class ManifestDataModule(PairDataModule):
    """Image-text pairs of a manifest in batches of `PairBatch`.

    A frozen tower's features are computed once, kept on disk, and read from there in every epoch and later run; the
    tower is not touched again. Training images that are augmented differ every time and are read from their files.

    Args:
        manifest: file or folder; see `vlcore.data.manifest.open_manifest`.
        image_root: folder that image paths start from; the manifest's own if left out.
        lang: keep only texts of this language, such as `en`.
        reader: a plugin's reader for a layout of its own, such as `remote_sensing/karpathy`.
        train_split: name of the records to train on; all records where the manifest names no splits.
        val_split: name of the records to validate on; left out, a part of the training records is held out.
        val_fraction: share of the training records (by group) that is held out where there is no `val_split`.
        test_split: name of the records for `test` and `predict`.
        batch_size: pairs per batch and process.
        captions: `all` pairs in every epoch; `sample` one caption per image anew in each; or `two`, which come in one
            batch (SAIL's second caption; an image with a single one has it twice).
        order: how training pairs are shuffled: `rows` one by one; `blocks` of 1,024 neighbours that are mixed with
            other blocks, so that disks read nearly in sequence; or by `lengths`, so that the texts of a batch are of
            like length. Left out: `lengths` where texts pass through their tower in every epoch, else `blocks` where
            cached features take 256 MiB or more or images are in archives, else `rows`.
        on_bad_image: `raise`; or `skip` the pairs of a bad image or `replace` it by a grey one, both counted.
        augment: torchvision v2 transforms for training images `[3, H, W]` uint8, before the tower's own geometry.
        cache_features: keep the features of frozen towers; False reads and encodes every image in every epoch.
        cache_dir: folder of the cached features; `$VLCORE_CACHE` or `~/.cache/vlcore` if left out.
        most_regions: precomputed regions of an image that are read, the surest ones; for models without a tower.
        empty_regions: `raise` for an image without regions, or go on with its `global` one alone.
        num_workers: processes that read images; by default one per core, at most 8. Cached features need none.
        seed: of the hold-out, the order, and the choice of captions.

    Attributes:
        report: counts of images decoded, skipped and replaced.
    """

    def __init__(
        self,
        manifest: str,
        image_root: str | None = None,
        lang: str | None = None,
        train_split: str = "train",
        val_split: str | None = None,
        val_fraction: float = 0.1,
        test_split: str = "test",
        batch_size: int = 256,
        captions: CaptionChoice = "all",
        order: Arrangement | None = None,
        on_bad_image: OnBadImage = "raise",
        augment: nn.Module | list[nn.Module] | None = None,
        cache_features: bool = True,
        cache_dir: str | None = None,
        most_regions: int = 36,
        empty_regions: Literal["raise", "global"] = "raise",
        num_workers: int | None = None,
        seed: int = 0,
        reader: str | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 2:
            raise ConfigurationError(f"batch_size={batch_size}: a contrastive loss needs at least 2 pairs.")
        if not 0 <= val_fraction < 1:
            raise ConfigurationError(f"val_fraction={val_fraction}: choose a share from 0 to below 1.")
        self.selection = SplitSelection(
            Path(manifest),
            None if image_root is None else Path(image_root),
            lang,
            train_split,
            val_split,
            val_fraction,
            test_split,
            seed,
            reader,
        )
        self.batch_size = batch_size
        self.captions = captions
        self.order = order
        self.on_bad_image = on_bad_image
        self.augment = nn.Sequential(*augment) if isinstance(augment, list) else augment
        self.cache_root = (Path(cache_dir) if cache_dir else default_cache_root()) if cache_features else None
        self.num_workers = min(_MOST_WORKERS, default_workers()) if num_workers is None else num_workers
        self.seed = seed
        self.report = DecodeReport()
        root = self.selection.image_root or self.selection.manifest.parent
        self.region_reader = partial(RegionReader, root, most=most_regions, on_empty=empty_regions)
        self._parts: dict[Part, PairCollate] = {}
        self._prepared_for: TowerTask | None = None

    @property
    def validates(self) -> bool:
        """True where there are pairs to validate on."""
        return self.selection.val_split is not None or self.selection.val_fraction > 0

    def setup(self, stage: str) -> None:
        """Read the manifest, encode what frozen towers have not seen yet, and give the heads their statistics.

        Raises:
            ManifestError: if the manifest has bad rows.
            ConfigurationError: if a split is not there or has no texts.
            ImageDecodeError: for a bad image under the policy `raise`.
        """
        self.prepare(stage)
        if stage == "fit":
            standardise(self._task(), [self])
        if self.report.decoded or self.report.bad:
            rank_zero_info(self.report.summary())

    def prepare(self, stage: str) -> None:
        """As `setup`, without the statistics; for data sets of a mixture, whose heads see all of them."""
        if self._task() is not self._prepared_for:
            self._parts, self._prepared_for = {}, self._task()
        for part in _PARTS[stage]:
            records = self.selection.records(part)
            if records and part not in self._parts:
                self._parts[part] = self._rank_zero_first(partial(self._collate, part, records))

    def sample_features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features `[N, Wi]` and `[M, Wt]` of the training pairs, of an even sample where there are many."""
        return self._preparation().sample_features(self._parts["train"])

    def training_texts(self) -> list[str]:
        """Every text of the training pairs; known after `setup("fit")`."""
        return self._parts["train"].table.texts

    def has(self, name: Part) -> bool:
        """True where a part has been prepared and has pairs."""
        return name in self._parts

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled; the remainder that does not fill a batch is left out, another one in each epoch."""
        return self._loader("train")

    def val_dataloader(self) -> ResumableLoader | list[Any]:
        """Every pair in order; empty where nothing is held out."""
        return self._loader("val") if "val" in self._parts else []

    def test_dataloader(self) -> ResumableLoader:
        """Every pair in order."""
        return self._loader("test")

    def predict_dataloader(self) -> ResumableLoader:
        """The test pairs."""
        return self._loader("test")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Count what became of a batch's images.

        Raises:
            ImageDecodeError: for a bad image under the policy `raise`.
        """
        if not isinstance(batch, LoadedPairBatch):
            return batch
        self.report.add_decoded(batch.decoded)
        for error in (ImageDecodeError(*facts) for facts in batch.bad):
            if self.on_bad_image == "raise":
                raise error
            if not self.report.bad:
                rank_zero_warn(f"{error} It goes on with {self.on_bad_image!r}; further ones are only counted.")
            self.report.add_bad(error, self.on_bad_image)
        if not len(batch):
            raise ConfigurationError(f"Every image of a batch is bad, the last one is {batch.bad[-1][1]}: see above.")
        return batch.pairs()

    def teardown(self, stage: str) -> None:
        """Say what became of the images that were read while the run went on."""
        if self.report.bad and not all(part.cached for part in self._parts.values()):
            rank_zero_info(self.report.summary())

    def describe(self) -> dict[str, Any]:
        """Facts for the model card."""
        chosen = self.selection
        held_out = f"{chosen.val_fraction:.0%} of {chosen.train_split!r} held out by group, seed {self.seed}"
        return {
            "manifest": chosen.manifest.name,
            "fingerprint": chosen.fingerprint,
            "lang": chosen.lang,
            "captions": self.captions,
            "validation": held_out if chosen.val_split is None else chosen.val_split,
            "parts": {
                name: {"images": len(part.table.images), "captions": len(part.table)}
                for name, part in self._parts.items()
            },
            "bad_images": {"skipped": self.report.skipped, "replaced": self.report.replaced},
        }

    def part(self, name: Part) -> tuple[PairOrder, PairCollate]:
        """Order and collation of a part that has been prepared."""
        collate = self._parts[name]
        trainer = self.attached_trainer
        # A run that is to overfit a few batches wants the same ones in every epoch.
        train = name == "train" and not trainer.overfit_batches  # type: ignore[attr-defined, unused-ignore]
        arrangement = self.order or suitable_arrangement(collate)
        by_length = train and arrangement == "lengths"
        tokenizer = self._task().model.text_encoder.tokenizer
        order = PairOrder(
            collate.table,
            self.batch_size,
            self.captions if train else "all",
            shuffle=train,
            arrangement=arrangement,
            lengths=count_tokens(collate.table.texts, tokenizer) if by_length else None,
            seed=self.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        return order, collate

    def _loader(self, name: Part) -> ResumableLoader:
        order, collate = self.part(name)
        return self.pair_loader(order, collate, self.workers(name))

    def workers(self, name: Part) -> int:
        """Processes that read the images or regions of a part; cached features need none."""
        return self.num_workers if self._parts[name].reads_files else 0

    def _collate(self, part: Part, records: list[Record]) -> PairCollate:
        model = self._task().model
        augment = self.augment if part == "train" else None
        tower = model.image_encoder
        if augment is not None and self.cache_root is not None and tower is not None and tower.frozen:
            rank_zero_info(
                "The frozen image tower encodes augmented images anew in every epoch; without data.augment their "
                "features would be computed once."
            )
        collate = self._preparation()(records, augment)
        tokenizer = model.text_encoder.tokenizer
        if truncated := count_truncated(collate.table.texts, tokenizer):
            rank_zero_warn(
                f"{truncated:,} of {len(collate.table):,} texts of the {part} pairs are longer than the "
                f"{tokenizer.context_length} tokens that {model.text_encoder.source} reads: their ends are cut off. "
                f"Shorten them, or choose a text tower with a longer context."
            )
        return collate

    def _preparation(self) -> PairPreparation:
        trainer = self.attached_trainer
        return PairPreparation(
            self._task(),
            trainer.strategy.root_device,
            self.cache_root,
            self.on_bad_image,
            self.report,
            progress=trainer.is_global_zero,
            region_reader=self.region_reader,
            seed=self.seed,
        )

    def _rank_zero_first(self, work: Callable[[], T]) -> T:
        """Let the first process fill the cache; the others wait and find everything there."""
        trainer = self.attached_trainer
        if trainer.is_global_zero:
            result = work()
        trainer.strategy.barrier("feature cache")
        return result if trainer.is_global_zero else work()

    def _task(self) -> TowerTask:
        return cast(TowerTask, self.attached_trainer.lightning_module)


def standardise(task: TowerTask, data: Sequence[ManifestDataModule]) -> None:
    """Give heads that have no statistics yet those of the training features of all data sets, each counting alike."""
    if not task.needs_feature_statistics:
        return
    samples = [one.sample_features() for one in data]
    image, text = (
        np.concatenate([side[_even(len(side), min(map(len, sides)))] for side in sides])
        for sides in zip(*samples, strict=True)
    )
    task.set_feature_statistics(image, text)


def _even(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, most).astype(np.int64)
