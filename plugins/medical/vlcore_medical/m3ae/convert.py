"""From a released checkpoint to a model directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlcore.encoders.source_folder import source_folder
from vlcore.encoders.tokenizer import FastTokenizer
from vlcore.encoders.transformers_tokenizer import plain_tokenizer, read_transformers_tokenizer
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import ModelCard, save_model_directory
from vlcore_medical.m3ae.converter import ConversionReport, convert_checkpoint
from vlcore_medical.m3ae.released_checkpoint import read_released_checkpoint

REPORT = "conversion.json"
"""Beside the parts of the model directory: what became of every tensor."""

_TOKENS = 64
"""Of texts in the release, where a checkpoint does not say."""


def convert_to_directory(
    checkpoint: Path | str,
    output: Path | str,
    tokenizer: str,
    *,
    answers: Sequence[str] | None = None,
    image_size: int | None = None,
) -> ConversionReport:
    """Write the model directory of a released checkpoint, and a report beside it.

    Args:
        checkpoint: `.ckpt` file of zhjohnchan/M3AE.
        output: folder to write.
        tokenizer: folder or hub id of RoBERTa-base, such as `FacebookAI/roberta-base`.
        answers: that its head chooses among, in the order of its classes.
        image_size: pixels of a side, in place of the checkpoint's own.

    Raises:
        ConfigurationError: if the tokeniser is of another kind, or the number of answers is another one.
        ModelDirectoryError: if the checkpoint cannot be read, or does not fit.
    """
    released = read_released_checkpoint(checkpoint)
    tokens = int(released.settings.get("max_text_len", _TOKENS))
    found = plain_tokenizer(read_transformers_tokenizer(source_folder(tokenizer, "transformers")), tokens)
    if not isinstance(found, FastTokenizer):
        raise ConfigurationError(f"tokenizer={tokenizer!r} has no tokenizer.json; give the folder of roberta-base.")
    model, report = convert_checkpoint(released, found, answers=answers, image_size=image_size)
    card = ModelCard(
        name=released.path.stem,
        command="",
        data={},
        training={"converted from": released.path.name, "tensors mapped": len(report.mapped)},
        scores={},
    )
    save_model_directory(output, model, card)
    report.save(Path(output) / REPORT)
    return report
