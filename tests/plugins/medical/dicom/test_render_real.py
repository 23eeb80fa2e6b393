"""Rendering of real files against a reference written from the standard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from vlcore_medical.dicom.image import open_dicom
from vlcore_medical.dicom.modality import physical_values
from vlcore_medical.dicom.render import render


def reference(path: Path) -> np.ndarray:
    """The first frame of a monochrome file, pixel by pixel as PS3.3 C.11 writes it, in 0 … 255."""
    dataset = pydicom.dcmread(path)
    stored = pixel_array(dataset)
    stored = (stored[0] if stored.ndim == 3 else stored).astype(float)
    group = dataset
    if "SharedFunctionalGroupsSequence" in dataset:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        group = Dataset()
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            if name in shared:
                group.update(shared[name][0])
    if "ModalityLUTSequence" in dataset:
        table = dataset.ModalityLUTSequence[0]
        count, first, _ = table.LUTDescriptor
        data = table.LUTData
        data = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(data)
        values = np.vectorize(lambda x: data[int(min(max(x - first, 0), (count or 65536) - 1))])(stored).astype(float)
    else:
        values = stored * float(group.get("RescaleSlope", 1)) + float(group.get("RescaleIntercept", 0))
    if "WindowCenter" in group:
        c, w = (np.atleast_1d(group[name].value)[0] for name in ("WindowCenter", "WindowWidth"))
        c, w = float(c), float(w)
        shown = np.piecewise(
            values,
            [values <= c - 0.5 - (w - 1) / 2, values > c - 0.5 + (w - 1) / 2],
            [0.0, 1.0, lambda x: (x - (c - 0.5)) / (w - 1) + 0.5],
        )
    else:
        shown = (values - values.min()) / (values.max() - values.min())
    return 255 * (1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown)


def test_every_real_monochrome_file_is_as_the_standard_has_it(data_root: Path) -> None:
    seen = 0
    for path in sorted((data_root / "medical" / "dicom").glob("*.dcm")):
        image = open_dicom(path)
        if image.dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
            continue
        picture = render(image)
        assert np.corrcoef(picture.ravel(), reference(path).ravel())[0, 1] >= 0.999, path.name
        assert np.abs(picture - reference(path)).max() <= 1, path.name
        seen += 1
    assert seen == 13


def test_one_x_ray_and_its_monochrome1_twin_are_exact_inverses(data_root: Path) -> None:
    folder = data_root / "medical" / "dicom"
    (twin,) = folder.glob("1.2.276.*.dcm")
    assert (render(open_dicom(folder / "Fake_MONOHR1.dcm")) == 255 - render(open_dicom(twin))).all()


def test_real_monochrome1_shows_bone_bright_on_a_dark_ground(data_root: Path) -> None:
    image = open_dicom(data_root / "medical" / "dicom" / "RG3_J2KR.dcm")
    stored = pixel_array(image.dataset)
    picture = render(image).astype(float)
    assert np.corrcoef(stored.ravel(), picture.ravel())[0, 1] < -0.9


def test_every_real_colour_file_renders(data_root: Path) -> None:
    shapes = {
        "HTJ2K_08_RGB": (480, 640, 3),
        "OBXXXX1A_rle": (600, 800, 3),
        "US1_J2KI": (480, 640, 3),
        "color-px": (120, 256, 3),
    }
    for name, shape in shapes.items():
        picture = render(open_dicom(data_root / "medical" / "dicom" / f"{name}.dcm"))
        assert (picture.shape, picture.dtype) == (shape, np.uint8)
        assert picture.std() > 10


def test_hounsfield_units_of_a_real_ct_and_its_padding(data_root: Path) -> None:
    image = open_dicom(data_root / "medical" / "dicom" / "693_J2KR.dcm")
    values, unit = physical_values(image)
    stored = pixel_array(image.dataset)
    assert (values.shape, values.dtype, unit) == ((512, 512), np.float32, "HU")
    assert np.array_equal(np.isnan(values), stored == -2000)
    assert (values[stored != -2000] == stored[stored != -2000] - 1024).all()


def test_overlays_are_painted_only_when_asked(data_root: Path) -> None:
    image = open_dicom(data_root / "medical" / "dicom" / "MR-SIEMENS-DICOM-WithOverlays.dcm")
    plain, painted = render(image), render(image, overlays=True)
    changed = plain != painted
    assert changed.any()
    assert (painted[changed] == 255).all()
