"""Bands are found by what they are, wherever they stand in the file."""

from __future__ import annotations

import pytest

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.rasters.bands import choose_bands, describe_bands

SENTINEL_2 = ["B02", "B03", "B04", "B08", "B8A"]


@pytest.mark.parametrize("order", [SENTINEL_2, SENTINEL_2[::-1], ["B01", *SENTINEL_2]])
def test_red_green_blue_are_found_in_any_order(order: list[str]) -> None:
    chosen = choose_bands(describe_bands(order), ("red", "green", "blue"), "scene")
    assert [order[band.number - 1] for band in chosen] == ["B04", "B03", "B02"]


@pytest.mark.parametrize(
    ("description", "common_name", "wavelength"),
    [
        ("B8A", "nir08", 865),
        ("B4", "red", 655),
        ("SR_B5", "nir08", 865),
        ("B04 - Red", "red", 665),
        ("Blue", "blue", None),
        ("nir", "nir", None),
        ("sur_refl_b01", "", None),
        ("", "", None),
    ],
)
def test_spellings(description: str, common_name: str, wavelength: float | None) -> None:
    (band,) = describe_bands([description])
    assert (band.common_name, band.wavelength) == (common_name, wavelength)


def test_a_wavelength_finds_the_band_that_covers_it() -> None:
    bands = describe_bands(SENTINEL_2)
    assert [band.name for band in choose_bands(bands, ("665nm", "560 nm", "490nm"), "s")] == ["B04", "B03", "B02"]
    assert choose_bands(bands, ("870nm",), "s")[0].name == "B8A"
    with pytest.raises(ConfigurationError, match="'1610nm'"):
        choose_bands(bands, ("1610nm",), "s")


def test_a_stated_wavelength_goes_before_the_table() -> None:
    (band,) = describe_bands(["B04"], [650.0])
    assert band.wavelength == 650.0


def test_a_band_that_is_not_there_is_told_with_those_that_are() -> None:
    bands = describe_bands(["", "B03"])
    with pytest.raises(ConfigurationError) as caught:
        choose_bands(bands, ("red",), "a.tif")
    message = str(caught.value)
    assert "a.tif: no band is known as 'red'" in message
    assert "band 1 (no name), band 2 (B03, green, 560 nm)" in message
    assert "band_names=" in message


def test_two_bands_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="fits 2 bands"):
        choose_bands(describe_bands(["red", "red"]), ("red",), "a.tif")
