"""Stored numbers become the right reflectances, or are told to be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.rasters.radiometry import choose_radiometry, dark_pixel_warning

OLD = "S2A_MSIL2A_20210604T101031_N0300_R022_T32TQM_20210604T133102.tif"
NEW = OLD.replace("N0300", "N0509")


def reflectance(path: str, stored: float, name: str = "auto", tags: dict[str, str] | None = None) -> float:
    rule = choose_radiometry(name, path, (1.0,) * 3, (0.0,) * 3, tags or {})  # type: ignore[arg-type]
    return float(rule.apply(np.array([stored], dtype=np.float32))[0])


def test_the_offset_of_sentinel_2_follows_the_processing_baseline() -> None:
    assert reflectance(OLD, 1500) == pytest.approx(0.15)
    assert reflectance(NEW, 1500) == pytest.approx(0.05)
    assert reflectance("scene.tif", 1500, tags={"PROCESSING_BASELINE": "05.09"}) == pytest.approx(0.05)
    assert reflectance("scene.tif", 1500, tags={"PROCESSING_BASELINE": "02.08"}) == pytest.approx(0.15)


def test_what_the_user_says_goes_before_names() -> None:
    assert reflectance(NEW, 1500, "sentinel-2-harmonised") == pytest.approx(0.15)
    assert reflectance(OLD, 1500, "sentinel-2") == pytest.approx(0.05)
    assert reflectance(NEW, 1500, "stored") == 1500


def test_a_file_that_is_not_known_keeps_its_numbers() -> None:
    rule = choose_radiometry("auto", "scene.tif", (1.0,), (0.0,), {})
    assert (rule.name, rule.reflectance) == ("stored", False)


def test_scale_and_offset_of_the_file_go_before_its_name() -> None:
    rule = choose_radiometry("auto", NEW, (2.75e-05,) * 2, (-0.2,) * 2, {})  # Landsat collection 2
    assert rule.reflectance
    assert float(rule.apply(np.array([10_000], dtype=np.float32))[0]) == pytest.approx(0.075)


def test_bands_of_different_scales_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="different scales"):
        choose_radiometry("auto", "a.tif", (1.0, 2.0), (0.0, 0.0), {})
    with pytest.raises(ConfigurationError, match="choose auto, stored"):
        choose_radiometry("surface", "a.tif", (1.0,), (0.0,), {})  # type: ignore[arg-type]


def test_bright_shadows_are_told() -> None:
    forest = {"blue": 0.03, "red": 0.02, "nir": 0.4}
    blue, red, nir = (np.full(100, value, dtype=np.float32) for value in forest.values())
    assert dark_pixel_warning(blue, red, nir) == ""
    message = dark_pixel_warning(blue + 0.1, red + 0.1, nir + 0.1)
    assert "vegetation is 0.13" in message
    assert "radiometry='sentinel-2'" in message


def test_without_infrared_the_darkest_pixels_tell() -> None:
    blue = np.linspace(0.02, 0.5, 1000, dtype=np.float32)
    assert dark_pixel_warning(blue, None, None) == ""
    assert "darkest hundredth" in dark_pixel_warning(blue + 0.1, None, None)


def test_without_vegetation_nothing_is_said() -> None:
    desert = np.full(100, 0.3, dtype=np.float32)
    assert dark_pixel_warning(desert, desert, desert) == ""
