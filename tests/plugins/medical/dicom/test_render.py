"""Rendering of synthetic files, value by value as the standard writes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from vlcore.errors import ConfigurationError, UnknownNameError
from vlcore_medical.dicom.image import DicomError, open_dicom
from vlcore_medical.dicom.modality import physical_values
from vlcore_medical.dicom.render import render, render_frames


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        ("LINEAR", lambda x: 0 if x <= 0.5 else 1 if x > 9.5 else (x - 5) / 9 + 0.5),
        ("LINEAR_EXACT", lambda x: 0 if x <= 0.5 else 1 if x > 10.5 else (x - 5.5) / 10 + 0.5),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 5.5) / 10))),
        (None, lambda x: 0 if x <= 0.5 else 1 if x > 9.5 else (x - 5) / 9 + 0.5),
    ],
)
def test_every_voi_function(make_dicom, function: str | None, formula: Callable[[float], float]) -> None:
    image = open_dicom(make_dicom(WindowCenter=5.5, WindowWidth=10, VOILUTFunction=function))
    expected = [[round(255 * formula(4 * row + column)) for column in range(4)] for row in range(3)]
    assert render(image).tolist() == expected


@pytest.mark.parametrize(
    ("attributes", "inverted"),
    [
        ({"PhotometricInterpretation": "MONOCHROME2"}, False),
        ({"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "IDENTITY"}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, True),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"}, True),
        ({"PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "INVERSE"}, True),
    ],
)
def test_inversion_comes_last(make_dicom, attributes: dict[str, str], inverted: bool) -> None:
    # A window off the middle: inverting the stored values first would cut at the wrong end.
    options = {"BitsStored": 12, "WindowCenter": 3, "WindowWidth": 4}
    plain = render(open_dicom(make_dicom("plain.dcm", **options)))
    picture = render(open_dicom(make_dicom("b.dcm", **options, **attributes)))
    assert (picture == (255 - plain if inverted else plain)).all()
    assert 0 < plain.ravel()[2] < 255 == plain.ravel()[5]


def test_views_are_chosen_by_number_name_or_value(make_dicom, lut_item) -> None:
    pixels = np.array([[0, 800, 1024, 1064, 1424]], dtype=np.uint16)
    image = open_dicom(
        make_dicom(
            pixels=pixels,
            Modality="CT",
            RescaleSlope=1,
            RescaleIntercept=-1024,
            WindowCenter=[40, -600],
            WindowWidth=[400, 1500],
            VOILUTSequence=[lut_item(-1024, 8, [255] * 1000 + [0] * 1500)],
        )
    )
    assert render(image).tolist() == [[255, 255, 0, 0, 0]]
    assert render(image, window=1).tolist() == render(image, window=(40, 400)).tolist() == [[0, 0, 102, 128, 255]]
    assert render(image, window=2).tolist() == render(image, window="lung").tolist()
    with pytest.raises(ConfigurationError, match=r"There is no window 3: this image has 3 of its own"):
        render(image, window=3)
    with pytest.raises(UnknownNameError, match=r"There is no CT window named 'lungs'. Did you mean lung"):
        render(image, window="lungs")
    with pytest.raises(ConfigurationError, match=r"window=\(40, 0\): the window width is 0. It must be at least 1"):
        render(image, window=(40, 0))


def test_a_ct_window_needs_hounsfield_units(make_dicom) -> None:
    with pytest.raises(ConfigurationError, match="is in Hounsfield units, and this image is in no unit"):
        render(open_dicom(make_dicom()), window="lung")


def test_lookup_tables_of_12_bits_signed_input_and_8_bit_pixels(make_dicom, lut_item) -> None:
    signed = np.array([[-3, -1, 0, 1, 32767]], dtype=np.int16)
    table = lut_item(-1, 12, [100, 200, 4095], ModalityLUTType="OD")
    values, unit = physical_values(open_dicom(make_dicom(pixels=signed, ModalityLUTSequence=[table])))
    assert (values.tolist(), unit) == ([[100, 100, 200, 4095, 4095]], "OD")
    bytes_ = np.array([[0, 10, 250, 255]], dtype=np.uint8)
    long = lut_item(0, 16, list(range(0, 1000 * 65, 65)), ModalityLUTType="US")
    values, unit = physical_values(open_dicom(make_dicom(pixels=bytes_, ModalityLUTSequence=[long])))
    assert (values.tolist(), unit) == ([[0, 650, 16250, 16575]], "")


def test_the_first_value_of_a_table_is_negative_where_values_are(make_dicom, lut_item) -> None:
    pixels = np.array([[0, 1, 2, 3]], dtype=np.uint16)
    options = {"pixels": pixels, "RescaleSlope": 1, "RescaleIntercept": -2}
    table = lut_item(2**16 - 2, 8, [10, 20, 30, 40])
    assert render(open_dicom(make_dicom(VOILUTSequence=[table], **options))).tolist() == [[10, 20, 30, 40]]


def test_entries_of_8_bits_come_two_to_a_word(make_dicom, lut_item) -> None:
    table = lut_item(0, 8, [0x0A14, 0x1E28, 0x0032])
    table.LUTDescriptor = [5, 0, 8]
    pixels = np.array([[0, 1, 2, 3, 4]], dtype=np.uint16)
    image = open_dicom(make_dicom(pixels=pixels, VOILUTSequence=[table]))
    assert render(image).tolist() == [[0x14, 0x0A, 0x28, 0x1E, 0x32]]


def test_a_negative_slope_does_not_turn_the_picture_over_twice(make_dicom) -> None:
    pixels = np.array([[0, 50, 100]], dtype=np.uint16)
    options = {"RescaleSlope": -1, "RescaleIntercept": 100, "WindowCenter": 50, "WindowWidth": 100}
    assert render(open_dicom(make_dicom(pixels=pixels, VOILUTFunction="LINEAR_EXACT", **options))).tolist() == [
        [255, 128, 0]
    ]


def test_padding_is_black_in_either_polarity_and_does_not_count(make_dicom) -> None:
    pixels = np.array([[-2000, -1999, 0, 100]], dtype=np.int16)
    options = {"pixels": pixels, "PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
    assert render(open_dicom(make_dicom(**options))).tolist() == [[0, 0, 0, 255]]
    inverse = make_dicom(PhotometricInterpretation="MONOCHROME1", **options)
    assert render(open_dicom(inverse)).tolist() == [[0, 0, 255, 0]]


def test_functional_groups_hold_their_own_rescale_and_window(make_dicom) -> None:
    def groups(center: float, slope: float) -> Dataset:
        voi, transform, group = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 10
        transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = slope, 0, "HU"
        group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [voi], [transform]
        return group

    pixels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) % 12
    image = open_dicom(
        make_dicom(
            pixels=pixels,
            NumberOfFrames=2,
            PerFrameFunctionalGroupsSequence=[groups(5, 1), Dataset()],
            SharedFunctionalGroupsSequence=[groups(10, 2)],
        )
    )
    first, second = render_frames(image)
    assert (first == render(image, window=(5, 10))).all()
    assert (second == render(image, 1, window=(10, 10))).all()
    assert physical_values(image, 1)[0].max() == 22
    with pytest.raises(DicomError, match=r"has no frame 2. Its frames are 0 to 1"):
        render(image, 2)


def test_frames_come_one_by_one(make_dicom, monkeypatch: pytest.MonkeyPatch) -> None:
    image = open_dicom(make_dicom(pixels=np.zeros((5, 3, 4), dtype=np.uint8), NumberOfFrames=5))
    frames = render_frames(image, frames=[3, 1])
    image.dataset.WindowCenter, image.dataset.WindowWidth = 0, 1
    assert [frame.shape for frame in frames] == [(3, 4), (3, 4)]


def test_colours_of_8_and_16_bits(make_dicom) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert (render(open_dicom(make_dicom(pixels=pixels))) == pixels).all()
    deep = pixels.astype(np.uint16) * 257
    assert (render(open_dicom(make_dicom(pixels=deep))) == pixels).all()


def test_ybr_becomes_rgb(make_dicom) -> None:
    # PS3.3 C.7.6.3.1.2: red is Y 76.245, Cb 84.972, Cr 255.5 of 255.
    pixels = np.broadcast_to(np.array([76, 85, 255], dtype=np.uint8), (2, 4, 3))
    picture = render(open_dicom(make_dicom(pixels=pixels, PhotometricInterpretation="YBR_FULL")))
    assert np.abs(picture.astype(int) - [254, 0, 0]).max() <= 1


def test_a_palette_keeps_values_beyond_its_end(make_dicom) -> None:
    table = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, data in (("Red", [1, 2, 3, 4]), ("Green", [5, 6, 7, 8]), ("Blue", [9, 10, 11, 12]))
        for part, value in (("Descriptor", [4, 1, 8]), ("Data", bytes(data)))
    }
    pixels = np.array([[0, 1, 4, 700]], dtype=np.uint16)
    image = open_dicom(make_dicom(pixels=pixels, PhotometricInterpretation="PALETTE COLOR", **table))
    assert render(image).tolist() == [[[1, 5, 9], [1, 5, 9], [4, 8, 12], [4, 8, 12]]]


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_syntaxes_render_alike(make_dicom, lut_item, syntax: str, signed: bool) -> None:
    pixels = np.arange(-60 if signed else 0, 4036 if signed else 4096).astype(np.int16 if signed else np.uint16)
    path = make_dicom(
        pixels=pixels.reshape(64, 64),
        PixelPaddingValue=-60 if signed else 3,
        RescaleSlope=2,
        RescaleIntercept=-100,
        VOILUTSequence=[lut_item(-90, 12, list(range(0, 4000, 10)))],
        WindowCenter=50,
        WindowWidth=90,
    )
    plain = [render(open_dicom(path), window=window) for window in (0, 1)]
    dataset = pydicom.dcmread(path)
    if syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"):
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path, implicit_vr=syntax == "1.2.840.10008.1.2", little_endian=True)
    again = [render(open_dicom(path), window=window) for window in (0, 1)]
    assert all((one == other).all() for one, other in zip(plain, again, strict=True))
    assert plain[0].any()
