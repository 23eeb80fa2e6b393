"""What hides an M3AE's words."""

from __future__ import annotations

from typing import Literal

from vlcore.errors import ConfigurationError
from vlcore.objectives.text_masking import TextMasking
from vlcore.tasks.fusion.build import build_text_masking
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.padded_masking import PaddedMasking


def build_masking(
    name: Literal["token", "whole_word"] | None, model: M3AEModel, over_padding: bool = False
) -> TextMasking:
    """Build it.

    Args:
        name: single pieces, or whole words; left out, whole words, or pieces over padding.
        model: whose vocabulary it is.
        over_padding: draw over all places of a padded text, as the released code does, single pieces alone.

    Raises:
        ConfigurationError: if the vocabulary has no mask token, or whole words are to be drawn over padding.
    """
    if over_padding and name == "whole_word":
        raise ConfigurationError(
            "text_masking='whole_word': the released code hides single pieces, so leave text_masking out beside the "
            "defect masking_over_padding."
        )
    if not over_padding:
        return build_text_masking(name or "whole_word", model, model.text_encoder.source)
    masking = build_text_masking("token", model, model.text_encoder.source)
    special = tuple(masking.is_special.nonzero().flatten().tolist())
    return PaddedMasking(len(masking.is_special), masking.mask_id, special, model.tokenizer.context_length)
