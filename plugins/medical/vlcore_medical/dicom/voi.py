"""Which values of interest to show: the file's own windows and tables, a preset, or all (PS3.3 C.11.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from vlcore.errors import ConfigurationError, UnknownNameError
from vlcore_medical.dicom.attributes import functional_group, items, number, numbers
from vlcore_medical.dicom.image import DicomValueError
from vlcore_medical.dicom.lookup_table import LookupTable, lookup_table
from vlcore_medical.dicom.modality import ModalityValues, little_endian
from vlcore_medical.dicom.window import CT_WINDOWS, Window

WindowChoice = int | str | tuple[float, float]
"""Which of the file's own views from 0, the name of a CT window, or a centre and a width."""


def views(dataset: Dataset, signed: bool, frame: int = 0) -> list[LookupTable | Window]:
    """The views that a file offers of a frame: its VOI LUTs, then its windows, each in the file's order.

    Args:
        dataset: header.
        signed: whether values after the modality transform can be negative.
        frame: from 0.

    Raises:
        DicomValueError: if one of them cannot be used.
    """
    group = functional_group(dataset, frame, "FrameVOILUTSequence")
    tables = [lookup_table(item, signed, little_endian(dataset)) for item in items(group, "VOILUTSequence")]
    centers, widths = numbers(group, "WindowCenter"), numbers(group, "WindowWidth")
    if len(centers) != len(widths):
        raise DicomValueError(
            f"WindowCenter holds {len(centers)} numbers and WindowWidth {len(widths)}. Give a window of your own, such "
            f"as window=(40, 400)."
        )
    function = str(group.get("VOILUTFunction") or "LINEAR").upper()
    named = group.get("WindowCenterWidthExplanation") or []
    names = [named] if isinstance(named, str) else [str(name) for name in named]
    names += [""] * (len(centers) - len(names))
    windows = [
        Window(*view, function, name) for view, name in zip(zip(centers, widths, strict=True), names, strict=False)
    ]
    return [*tables, *windows]


def choose_view(dataset: Dataset, modality: ModalityValues, frame: int, window: WindowChoice) -> LookupTable | Window:
    """The view that was asked for.

    Args:
        dataset: header.
        modality: values of the frame.
        frame: from 0.
        window: the choice; for 0 and a file without views, everything: the range of the stored bits where these are
            8 at most, and else the range of the values.

    Raises:
        ConfigurationError: if the file has no such view, or a CT window is asked for values in another unit.
        UnknownNameError: if no CT window has that name.
        DicomValueError: if a view of the file cannot be used.
    """
    if isinstance(window, str):
        if window not in CT_WINDOWS:
            raise UnknownNameError("CT window", window, CT_WINDOWS)
        if modality.unit != "HU":
            raise ConfigurationError(
                f"The CT window {window!r} is in Hounsfield units, and this image is in {modality.unit or 'no unit'}. "
                f"Leave the window out, or give a centre and a width."
            )
        return CT_WINDOWS[window]
    if isinstance(window, tuple):
        try:
            return Window(*window)
        except DicomValueError as problem:
            raise ConfigurationError(f"window={window}: {problem}") from None
    own = views(dataset, modality.range[0] < 0, frame)
    if not own and window == 0:
        return _everything(dataset, modality)
    if not 0 <= window < len(own):
        raise ConfigurationError(f"There is no window {window}: this image has {len(own)} of its own, counted from 0.")
    return own[window]


def _everything(dataset: Dataset, modality: ModalityValues) -> Window:
    low, high = modality.range
    if number(dataset, "BitsStored", 16) > 8:
        seen: NDArray[np.float64] = modality.values[~modality.padding]
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (low, high)
    return Window((low + high) / 2, (high - low) or 1, "LINEAR_EXACT")
