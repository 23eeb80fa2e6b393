"""What the released code does otherwise than its paper, or than anybody would want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from vlcore.errors import ConfigurationError

Defect = Literal["dropped_image_block", "masking_over_padding", "matching_negatives", "decayed_image_norms"]
"""Of zhjohnchan/M3AE at 14da377:

- `dropped_image_block`: a loop over `layers - 1` leaves CLIP's last block out; public checkpoints have 11.
- `masking_over_padding`: words to hide are drawn over all 64 places of a padded text, so short texts often have none.
- `matching_negatives`: the image of a negative is drawn from all, that of the text itself and its copies included.
- `decayed_image_norms`: scales of the image tower's norms decay, those of all other norms do not.
"""

RELEASED: frozenset[Defect] = frozenset(get_args(Defect))
"""As published."""


def chosen_defects(names: Literal["released"] | Sequence[Defect]) -> frozenset[Defect]:
    """The defects of a name or a list.

    Raises:
        ConfigurationError: if there is no such defect.
    """
    if isinstance(names, str):
        return RELEASED if names == "released" else chosen_defects([names])
    if unknown := sorted(set(names) - RELEASED):
        raise ConfigurationError(
            f"defects: there is no {unknown[0]!r}; there are {', '.join(sorted(RELEASED))}, and 'released' for all."
        )
    return frozenset(names)
