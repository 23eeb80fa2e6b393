"""What a reader leaves out is counted and said."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path


def report_left_out(path: Path, counts: Counter[str]) -> None:
    """Warn of the rows that were left out, by reason; say nothing where there are none.

    Args:
        path: of the source.
        counts: by reason in the plural, such as `blank captions`.
    """
    if counts.total():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
        warnings.warn(f"{path}: left out {reasons}.", stacklevel=3)
