"""The 14 observations of CheXpert, as MIMIC-CXR and CheXpert label them."""

from __future__ import annotations

from collections.abc import Mapping

from vlcore.data.reader import RowError
from vlcore_medical.reports.findings import CHEXPERT, NO_FINDING

OBSERVATIONS = (NO_FINDING, *CHEXPERT)
"""In the order of arXiv 1901.07031, table 1."""


def findings(cells: Mapping[str, str]) -> dict[str, int]:
    """Labels by observation: 1 present, 0 absent, -1 uncertain; what the report does not mention is left out.

    Raises:
        RowError: if a cell is another number or no number.
    """
    labels = {}
    for name in OBSERVATIONS:
        if cell := cells.get(name, "").strip():
            try:
                value = float(cell)
            except ValueError:
                value = float("nan")
            if value not in (-1, 0, 1):
                raise RowError(f"{name!r} is {cell!r}. It must be 1, 0, -1 or empty.")
            labels[name] = int(value)
    return labels
