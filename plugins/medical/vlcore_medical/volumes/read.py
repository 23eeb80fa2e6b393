"""One call for a volume, whatever it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vlcore.errors import ConfigurationError, MissingDependencyError
from vlcore_medical.volumes.series import read_series

if TYPE_CHECKING:
    from monai.data.meta_tensor import MetaTensor

SUFFIXES = (".nii", ".nii.gz")


def read_volume(path: Path | str, series: str | None = None) -> MetaTensor:
    """Read a NIfTI file or a DICOM series, with its spacing and orientation.

    Args:
        path: `.nii` or `.nii.gz`, or a folder or zip archive of the slices of a series.
        series: Series Instance UID, where a folder holds several.

    Returns:
        `[1, X, Y, Z]` float32, with the affine from voxels to millimetres in RAS, as MONAI's transforms take it. Of the
        header nothing else is kept but the `unit` in `meta`: HU for CT, "" where it is unknown.

    Raises:
        ConfigurationError: if the path is neither, or the NIfTI file is damaged or has more than three dimensions.
        DicomError: if the slices make no even stack, or one cannot be read.
        MissingDependencyError: if MONAI or a decoder is not installed.
    """
    path = Path(path)
    try:
        from monai.data.meta_tensor import MetaTensor
    except ImportError:
        raise MissingDependencyError("monai", "medical", "Reading volumes") from None
    import torch

    if path.name.lower().endswith(SUFFIXES):
        image = _read_nifti(path)
        return MetaTensor(image.as_tensor(), affine=image.affine, meta={"unit": ""})
    values, affine, unit = read_series(path, series)
    return MetaTensor(torch.from_numpy(values[None]), affine=torch.from_numpy(affine), meta={"unit": unit})


def _read_nifti(path: Path) -> MetaTensor:
    import nibabel
    from monai.transforms.io.array import LoadImage

    try:
        header: Any = nibabel.load(path)
        shape = header.shape
        if len(shape) != 3:
            raise ConfigurationError(f"{path} has the shape {shape}. Split it into volumes of three dimensions.")
        image: MetaTensor = LoadImage("NibabelReader", image_only=True, dtype=np.float32, ensure_channel_first=True)(
            path
        )
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist.") from None
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{path} is no whole NIfTI file: {reason:.200}") from None
    return image
