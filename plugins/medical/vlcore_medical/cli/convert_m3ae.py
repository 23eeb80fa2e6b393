"""`vlcore medical convert-m3ae`: a released checkpoint as a model directory."""

from __future__ import annotations

import json
from pathlib import Path

from vlcore.errors import ConfigurationError


def convert_m3ae(
    checkpoint: Path, output: Path, *, tokenizer: str, answers: Path | None = None, image_size: int | None = None
) -> None:
    """Convert a checkpoint of zhjohnchan/M3AE to a model directory, without running what is in it.

    Args:
        checkpoint: the .ckpt file.
        output: folder to write; conversion.json in it tells what became of every tensor.
        tokenizer: folder or hub id of RoBERTa-base, such as FacebookAI/roberta-base.
        answers: JSON list of the answers that a fine-tuned checkpoint chooses among, in the order of first occurrence
            in the train, validation and test files of its data set.
        image_size: pixels of a side, in place of the checkpoint's own.

    Examples:
        vlcore medical convert-m3ae m3ae.ckpt --output m3ae --tokenizer FacebookAI/roberta-base
    """
    from vlcore_medical.m3ae.convert import convert_to_directory

    names = None if answers is None else _answers(answers)
    report = convert_to_directory(checkpoint, output, tokenizer, answers=names, image_size=image_size)
    print(f"{output}: {len(report.mapped)} tensors mapped, {len(report.dropped)} left out (conversion.json says why).")


def _answers(path: Path) -> list[str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} is no JSON file of answers: {error}.") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ConfigurationError(f'{path} must hold a list of texts, such as ["yes", "no"].')
    return found
