"""Questions about images with their answers in batches."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from vlcore.data.batch_order import Draw, PairOrder
from vlcore.data.collate import PixelReader, Tokenizer
from vlcore.data.pair_datamodule import PairDataModule
from vlcore.data.pairs import PairTable
from vlcore.data.record import Record
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.data.split_selection import Part, SplitSelection
from vlcore.data.stream import default_workers
from vlcore.errors import ConfigurationError, ImageDecodeError
from vlcore.types import PairBatch
from vlcore_medical.m3ae.answer_scores import KIND
from vlcore_medical.m3ae.answers import answer_classes, answer_vocabulary

_ALL: tuple[Part, ...] = ("train", "val", "test")
_PARTS: dict[str, tuple[Part, ...]] = {
    "fit": ("train", "val"),
    "validate": ("train", "val"),
    "test": ("train", "test"),
    "predict": ("train", "test"),
}


@dataclass
class AnswerBatch(PairBatch):
    """B questions about images.

    Attributes:
        answers: `[B]` int64 classes, -1 where the vocabulary does not have the answer.
        closed: `[B]` int64: 1 for yes-or-no questions and the like, 0 for open ones, -1 where nobody says.
        bad: id, place and reason of images that could not be read; then the batch is not to be used.
    """

    answers: Tensor | None = None
    closed: Tensor | None = None
    bad: tuple[tuple[str, str, str], ...] = ()

    def _each(self, change: Any) -> AnswerBatch:
        changed = super()._each(change)
        pairs = {field.name: getattr(changed, field.name) for field in fields(PairBatch)}
        assert self.answers is not None and self.closed is not None
        return AnswerBatch(**pairs, answers=change(self.answers), closed=change(self.closed), bad=self.bad)


class AnswerCollate:
    """Makes batches of questions.

    Args:
        table: questions and images.
        reader: of the images.
        tokenizer: of the questions.
        answers: class of each record.
        closed: see `AnswerBatch`.
    """

    def __init__(
        self, table: PairTable, reader: PixelReader, tokenizer: Tokenizer, answers: list[int], closed: list[int]
    ) -> None:
        self.table = table
        self.reader = reader
        self.tokenizer = tokenizer
        self.answers = torch.tensor(answers)
        self.closed = torch.tensor(closed)

    def __call__(self, draw: Draw) -> AnswerBatch:
        """Put the tensors of a draw's questions together."""
        images, _, _, errors = self.reader(self.table.image_of_text[draw.pairs], draw)
        tokens = self.tokenizer([self.table.texts[row] for row in draw.pairs.tolist()])
        rows = torch.from_numpy(self.table.image_of_text[draw.pairs])
        return AnswerBatch(
            image_index=rows,
            text_key=torch.from_numpy(self.table.text_key[draw.pairs]),
            images=images,
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            answers=self.answers[rows],
            closed=self.closed[rows],
            bad=tuple((error.sample_id, error.place, error.reason) for error in errors),
        )


class AnswerDataModule(PairDataModule):
    """Questions with answers, or texts with classes, as a reader gives them: the first text of every record.

    Records without the label are left out, and counted.

    The vocabulary of answers is that of the training records; an answer of validation or test that is not among them
    counts as wrong. `vocabulary_of: all` takes the answers of every split, as M3AE's released code does.

    Args:
        manifest: file or folder.
        reader: a plugin's reader, such as `medical/covid_cxr`; None for a manifest of vlcore's own.
        image_root: folder that image paths start from; the reader's own choice if left out.
        label: that holds the answer or the class.
        vocabulary_of: `train` or, to compare with the published scores alone, `all` splits.
        train_split: name of the records to train on.
        val_split: name of the records to validate on; left out, a part of the training records is held out by group.
        val_fraction: that part.
        test_split: name of the records for `test`.
        batch_size: questions per batch and process.
        augment: torchvision v2 transforms for training images.
        num_workers: processes that read images; by default one per core.
        seed: of the hold-out and the order.

    Attributes:
        answers: the vocabulary; known after `setup`.
    """

    validates = True

    def __init__(
        self,
        manifest: str,
        reader: str | None = None,
        image_root: str | None = None,
        label: str = "answer",
        vocabulary_of: Literal["train", "all"] = "train",
        train_split: str = "train",
        val_split: str | None = None,
        val_fraction: float = 0.1,
        test_split: str = "test",
        batch_size: int = 64,
        augment: nn.Module | None = None,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < val_fraction < 1:
            raise ConfigurationError(f"val_fraction={val_fraction}: choose a share above 0 and below 1.")
        root = None if image_root is None else Path(image_root)
        names = (train_split, val_split, val_fraction, test_split)
        self.selection = SplitSelection(Path(manifest), root, None, *names, seed, reader)
        self.label = label
        self.vocabulary_of = vocabulary_of
        self.batch_size = batch_size
        self.augment = augment
        self.num_workers = default_workers() if num_workers is None else num_workers
        self.seed = seed
        self.answers: tuple[str, ...] = ()
        self._records: dict[Part, list[Record]] = {}

    def setup(self, stage: str) -> None:
        """Read the records and the vocabulary.

        Raises:
            ConfigurationError: if an answer is no text, or there is nothing to choose between.
        """
        for part in _PARTS[stage]:
            self._read(part)
        if self.vocabulary_of == "all":
            for part in _ALL:
                self._read(part)
        of: tuple[Part, ...] = _ALL if self.vocabulary_of == "all" else ("train",)
        self.answers = answer_vocabulary([record for part in of for record in self._records[part]], self.label)

    def records(self, part: Part) -> list[Record]:
        """Records of a part that has been set up."""
        return self._records[part]

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled."""
        return self._loader("train")

    def val_dataloader(self) -> ResumableLoader:
        """Every question in order."""
        return self._loader("val")

    def test_dataloader(self) -> ResumableLoader:
        """Every question in order."""
        return self._loader("test")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Refuse a batch with a bad image.

        Raises:
            ImageDecodeError: naming it.
        """
        if isinstance(batch, AnswerBatch) and batch.bad:
            raise ImageDecodeError(*batch.bad[0])
        return batch

    def describe(self) -> dict[str, Any]:
        """Facts for the model card."""
        return {
            "manifest": self.selection.manifest.name,
            "fingerprint": self.selection.fingerprint,
            "answers": {"number": len(self.answers), "of": self.vocabulary_of},
            "parts": {name: {"questions": len(records)} for name, records in self._records.items()},
        }

    def _read(self, part: Part) -> None:
        """Keep the records of a part that have the label, each with its first text alone."""
        if part in self._records:
            return
        found = self.selection.records(part)
        labelled = [replace(record, texts=record.texts[:1]) for record in found if self.label in record.labels]
        if len(labelled) < len(found):
            rank_zero_info(
                f"{len(found) - len(labelled):,} of {len(found):,} {part} records have no label {self.label!r}: they "
                f"are left out."
            )
        self._records[part] = labelled

    def _loader(self, part: Part) -> ResumableLoader:
        trainer, records = self.attached_trainer, self._records[part]
        model: Any = trainer.lightning_module.model
        table = PairTable.from_records(records)
        train = part == "train"
        reader = PixelReader(
            table, model.image_encoder.preprocess, self.augment if train else None, "replace", self.seed
        )
        kinds = {"CLOSED": 1, "OPEN": 0}
        closed = [kinds.get(str(record.labels.get(KIND, "")).upper(), -1) for record in records]
        classes = answer_classes(records, model.network.answers, self.label)
        order = PairOrder(
            table,
            self.batch_size,
            shuffle=train,
            seed=self.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        collate = AnswerCollate(table, reader, model.text_encoder.tokenizer, classes, closed)
        return self.pair_loader(order, collate, self.num_workers)
