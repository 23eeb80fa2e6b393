"""Windows of a scene as an image tower takes them, with the share of each that holds anything."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vlcore.types import ImagePreprocess
from vlcore_remote_sensing.rasters.bands import Band
from vlcore_remote_sensing.rasters.radiometry import dark_pixel_warning
from vlcore_remote_sensing.rasters.scene import Scene, SceneError
from vlcore_remote_sensing.rasters.stretch import Stretch, stretch_of

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

LARGEST_SIDE = 1024
"""Pixels of a window's side up to which every pixel is read; beyond it GDAL thins, by overviews where there are any."""

_SAMPLE_SIDE = 1024
_STRIPS = 64

OnBadBlock = Literal["raise", "skip"]


class Window(NamedTuple):
    """A part of a scene's grid in whole pixels."""

    column: int
    row: int
    width: int
    height: int


@dataclass(frozen=True)
class WindowPixels:
    """One window as read.

    Attributes:
        values: `[C, h, w]` float32, physical.
        valid: `[h, w]`, pixels that hold anything.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


class SceneReader:
    """Reads windows through one open handle; belongs to one thread.

    Empty is what the user or the file calls nodata, what the file's mask or alpha band leaves out, and NaN. A pixel
    is empty where all shown bands are: a pure red one with nodata 0 is not.

    Args:
        scene: that is read.
        dataset: its handle, from `Scene.dataset`.
    """

    def __init__(self, scene: Scene, dataset: DatasetReader) -> None:
        self.scene = scene
        self._dataset = dataset

    @classmethod
    @contextmanager
    def open(cls, scene: Scene) -> Iterator[SceneReader]:
        """Open a scene for reading."""
        with scene.dataset() as dataset:
            yield cls(scene, dataset)

    def read(self, window: Window, bands: Sequence[Band] | None = None, largest: int = LARGEST_SIDE) -> WindowPixels:
        """Read a window that lies in the grid.

        Args:
            window: part of the grid.
            bands: other than the shown ones.
            largest: pixels per side beyond which the window is thinned.

        Raises:
            SceneError: if its blocks cannot be read.
        """
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window as RasterWindow

        shown = self.scene.shown if bands is None else bands
        numbers = [band.number for band in shown]
        shrink = max(1.0, max(window.width, window.height) / largest)
        shape = max(1, round(window.height / shrink)), max(1, round(window.width / shrink))
        part = RasterWindow(window.column, window.row, window.width, window.height)
        options = {"window": part, "resampling": Resampling.average if shrink > 1 else Resampling.nearest}
        try:
            stored = self._dataset.read(numbers, out_shape=(len(numbers), *shape), out_dtype="float32", **options)
            # A mask averaged is never 0 or 255 at an edge: half a pixel or more counts.
            masks = self._dataset.read_masks(numbers, out_shape=(len(numbers), *shape), **options)
        except RasterioIOError as error:
            reason = str(error.__cause__ or error).rstrip(".")
            raise SceneError(
                f"{self.scene.path}: the pixels of columns {window.column} to {window.column + window.width}, rows "
                f"{window.row} to {window.row + window.height} cannot be read: {reason}. Fetch the file again, or "
                f"choose on_bad_block='skip' to leave such places empty, counted."
            ) from error
        valid = (masks >= 128).any(axis=0) & np.isfinite(stored).all(axis=0)
        return WindowPixels(self.scene.radiometry.apply(stored), valid)


def whole(scene: Scene) -> Window:
    """The window that is the whole scene."""
    return Window(0, 0, scene.width, scene.height)


def scene_stretch(reader: SceneReader, on_bad_block: OnBadBlock = "raise") -> Stretch:
    """Choose the scene's one stretch from the whole of it, thinned out, and look at its dark pixels.

    Args:
        reader: of the scene.
        on_bad_block: with `skip`, what can be read of a damaged scene decides.

    Raises:
        SceneError: if the scene is empty from edge to edge.

    Warns:
        UserWarning: if reflectances are too bright to be.
    """
    scene = reader.scene
    if scene.eight_bit:  # nothing to look at, and one read less of a scene that may be far away
        return Stretch.of_range(0, 255, len(scene.shown))
    try:
        sample = reader.read(whole(scene), largest=_SAMPLE_SIDE)
    except SceneError:
        if on_bad_block == "raise":
            raise
        sample = _readable_parts(reader)
    if not sample.valid.any():
        raise SceneError(f"{scene.path} is empty from edge to edge: nodata, masked or NaN. Give another scene.")
    if scene.radiometry.reflectance and len(scene.shown) == 3:
        _warn_of_bright_shadows(reader, sample)
    return stretch_of(sample.values, sample.valid, reflectance=scene.radiometry.reflectance)


def tower_image(pixels: WindowPixels, stretch: Stretch, preprocess: ImagePreprocess) -> NDArray[np.uint8]:
    """Bring a window to an image tower's size.

    The whole window is seen, squashed if it is not square; empty pixels do not bleed into full ones, and are shown in
    the tower's mean colour, which is nothing to it.

    Args:
        pixels: of the window.
        stretch: of the scene.
        preprocess: of the tower.

    Returns:
        `[3, H, W]` uint8.
    """
    mean = torch.tensor(preprocess.mean).view(3, 1, 1) * 255
    if not pixels.valid.any():
        return mean.round().expand(3, *preprocess.size).to(torch.uint8).numpy()
    valid = torch.from_numpy(pixels.valid).float()
    values = torch.from_numpy(np.where(pixels.valid, pixels.values, np.float32(0)))
    weight = _resized(valid[None], preprocess)
    resized = _resized(values, preprocess) / weight.clamp(min=1e-6)
    shown = torch.from_numpy(stretch.apply(resized.numpy()))
    full = weight >= 0.5
    return torch.where(full, shown.expand(3, -1, -1), mean.round().to(torch.uint8)).numpy()


def picture(pixels: WindowPixels, stretch: Stretch) -> NDArray[np.uint8]:
    """A window to look at, `[h, w, 4]` uint8; empty pixels are transparent."""
    shown = stretch.apply(np.where(pixels.valid, pixels.values, np.float32(0)))
    colours = np.repeat(shown, 3, axis=0) if len(shown) == 1 else shown
    alpha = pixels.valid[None].astype(np.uint8) * 255
    image: NDArray[np.uint8] = np.concatenate([colours, alpha]).transpose(1, 2, 0)
    return image


def _resized(values: torch.Tensor, preprocess: ImagePreprocess) -> torch.Tensor:
    """`[C, h, w]` at the tower's size. Bilinear: bicubic would ring where empty pixels begin."""
    if values.shape[1:] == preprocess.size:
        return values
    return torch.nn.functional.interpolate(
        values[None], size=preprocess.size, mode="bilinear", align_corners=False, antialias=True
    )[0]


def _readable_parts(reader: SceneReader) -> WindowPixels:
    """Strips over a scene that can be read, thinned out, one beside the other."""
    scene = reader.scene
    height = -(-scene.height // _STRIPS)
    strips = []
    for row in range(0, scene.height, height):
        window = Window(0, row, scene.width, min(height, scene.height - row))
        with suppress(SceneError):
            pixels = reader.read(window, largest=_SAMPLE_SIDE)
            strips.append((pixels.values.reshape(len(pixels.values), -1), pixels.valid.reshape(-1)))
    if not strips:
        raise SceneError(f"{scene.path}: no part of it can be read. Fetch the file again.")
    values, valid = (np.concatenate(parts, axis=-1) for parts in zip(*strips, strict=True))
    return WindowPixels(values[:, None], valid[None])


def _warn_of_bright_shadows(reader: SceneReader, sample: WindowPixels) -> None:
    scene = reader.scene
    colours = {band.common_name: values[sample.valid] for band, values in zip(scene.shown, sample.values, strict=True)}
    if "blue" not in colours:
        return
    infrared = [band for band in scene.bands if band.common_name == "nir"]
    nir = None
    if infrared:
        nir = reader.read(whole(scene), infrared, largest=_SAMPLE_SIDE).values[0][sample.valid]
    if message := dark_pixel_warning(colours["blue"], colours.get("red"), nir):
        warnings.warn(f"{scene.path}: {message}", stacklevel=3)
