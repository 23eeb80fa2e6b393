"""Learned heads on cached features, trained by the same task that `vlcore fit` runs."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from vlcore.align.candidates import Candidate, held_out_recall
from vlcore.align.features import PairedFeatures
from vlcore.data.batch_order import PairOrder
from vlcore.data.collate import PairCollate
from vlcore.data.pairs import PairTable
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.encoders.base import ImageEncoder, TextEncoder
from vlcore.heads.residual_mlp import ResidualMLPHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.tasks.alignment import AlignmentTask

NAME = "residual MLP heads, InfoNCE"

Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class LearnedSettings:
    """How the heads are trained: found by cross-validation on the training photos of Flickr8k.

    Attributes:
        embedding_size: D.
        hidden_features: of the residual branch.
        dropout: of its input and hidden layer; strong, for a few thousand images are soon learned by heart.
        epochs: over all pairs.
        batch_size: pairs per step.
        learning_rate: peak of a cosine schedule.
        weight_decay: of matrices.
    """

    embedding_size: int = 256
    hidden_features: int = 512
    dropout: float = 0.5
    epochs: int = 20
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.1


def try_learned_heads(
    towers: tuple[ImageEncoder, TextEncoder], kept: PairedFeatures, held_out: PairedFeatures, seed: int
) -> Candidate:
    """Score learned heads on images they were not trained on."""
    start = time.monotonic()
    settings = LearnedSettings()
    network, _ = fit_learned_heads(towers, kept, seed, settings)
    score = held_out_recall((network.image_head, network.text_head), held_out)
    return Candidate(NAME, asdict(settings), (score,), time.monotonic() - start)


def fit_learned_heads(
    towers: tuple[ImageEncoder, TextEncoder],
    features: PairedFeatures,
    seed: int,
    settings: LearnedSettings | None = None,
) -> tuple[DualEncoder, Curves]:
    """Train heads on cached features; the towers are carried along untouched.

    Returns:
        The model in evaluation mode on the CPU, and its loss curve.
    """
    settings = settings or LearnedSettings()
    with _quiet():
        seed_everything(seed, verbose=False)
        image_head, text_head = (_head(side, settings) for side in features.tensors)
        network = DualEncoder(*towers, image_head, text_head)
        task = AlignmentTask(
            model=network,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            warmup=0.1,
        )
        curve = _LossCurve()
        trainer = Trainer(
            max_epochs=settings.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[curve],
        )
        trainer.fit(task, _loader(features, settings.batch_size, seed))
    return network.cpu().eval(), {"training loss": curve.points}


def _head(features: torch.Tensor, settings: LearnedSettings) -> ResidualMLPHead:
    head = ResidualMLPHead(
        features.shape[1], settings.embedding_size, settings.hidden_features, dropout=settings.dropout
    )
    head.set_statistics(features.mean(dim=0), features.std(dim=0))
    return head


def _loader(features: PairedFeatures, batch_size: int, seed: int) -> ResumableLoader:
    pairs = len(features.text)
    names = [str(number) for number in range(len(features))]
    table = PairTable(names, [], [""] * pairs, features.image_of_text, features.text_key)
    order = PairOrder(table, min(batch_size, pairs), shuffle=True, seed=seed)
    return ResumableLoader(order, PairCollate(table, features.image, features.text))


class _LossCurve(Callback):
    """Mean loss of every epoch."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value: Any = trainer.callback_metrics.get("train/loss")
        if value is not None:
            self.points.append((float(trainer.current_epoch + 1), float(value)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's banners and advice are for runs of their own; here dozens of steps run inside a command."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
