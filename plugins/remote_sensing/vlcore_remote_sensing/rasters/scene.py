"""A georeferenced raster: where it is, what its bands are, how its numbers read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.rasters.bands import RGB, Band, choose_bands, describe_bands
from vlcore_remote_sensing.rasters.grid import ground_size, warp_options
from vlcore_remote_sensing.rasters.radiometry import Radiometry, RadiometryName, choose_radiometry

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

BLOCK_CACHE = 128 * 2**20
"""Bytes of decoded blocks that GDAL keeps; its own default is a twentieth of the machine's memory."""

_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_:]?(0[1-9]|1[0-2])[-_:]?(0[1-9]|[12]\d|3[01])(?!\d{1,2}(?!\d))")


class SceneError(ConfigurationError):
    """A scene that cannot be read or placed."""


@dataclass(frozen=True)
class Scene:
    """What is known of a scene once it has been opened; cheap to hand to workers, which open it again.

    Attributes:
        path: as GDAL takes it: a file, `/vsi…`, a URL, `zip://a.zip!b.tif`.
        crs: of the grid it is worked on.
        transform: of that grid, north up (an `affine.Affine`).
        width: pixels of that grid.
        height: likewise.
        pixel_size: metres on the ground of one pixel at the centre, across and down.
        shown: one or three bands that an image tower sees, in the order red, green, blue.
        bands: all bands.
        radiometry: how stored numbers become physical values.
        eight_bit: stored values are 0..255 and are shown as they are.
        date: of acquisition, `YYYY-MM-DD`, or None.
        licence: as the file states it, or None.
        warp: options of the `WarpedVRT` that brings the file to the grid, or None where it lies on it.
    """

    path: str
    crs: CRS
    transform: Any
    width: int
    height: int
    pixel_size: tuple[float, float]
    shown: tuple[Band, ...]
    bands: tuple[Band, ...]
    radiometry: Radiometry
    eight_bit: bool
    date: str | None
    licence: str | None
    warp: dict[str, Any] | None

    @contextmanager
    def dataset(self) -> Iterator[DatasetReader]:
        """Open the scene on its grid; a handle must stay in the thread that opened it.

        Raises:
            SceneError: if the file cannot be opened.
        """
        import rasterio
        from rasterio.vrt import WarpedVRT

        with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE), _opened(self.path) as file:
            if self.warp is None:
                yield file
            else:
                with WarpedVRT(file, **self.warp) as warped:
                    yield warped

    @property
    def name(self) -> str:
        """Last part of the path."""
        return re.split(r"[/!]", self.path.rstrip("/"))[-1]

    def footprint(self, column: int = 0, row: int = 0, width: int | None = None, height: int | None = None) -> Any:
        """Outline of the scene, or of a window of its grid, in longitude and latitude as a GeoJSON geometry.

        It is cut in two where it crosses the date line.
        """
        from rasterio.warp import transform_geom

        left, top = self.transform * (column, row)
        right, bottom = self.transform * (
            column + (self.width if width is None else width),
            row + (self.height if height is None else height),
        )
        # Twenty-one points a side: straight lines of one projection are curves in another.
        xs = [left + (right - left) * step / 20 for step in range(21)]
        ys = [bottom + (top - bottom) * step / 20 for step in range(21)]
        ring = [(x, bottom) for x in xs] + [(right, y) for y in ys[1:]]
        ring += [(x, top) for x in xs[-2::-1]] + [(left, y) for y in ys[-2::-1]]
        outline = {"type": "Polygon", "coordinates": [ring]}
        return transform_geom(self.crs, "EPSG:4326", outline, antimeridian_cutting=True)


def open_scene(
    path: Path | str,
    *,
    bands: Sequence[str] | str = "auto",
    band_names: Sequence[str] | None = None,
    radiometry: RadiometryName = "auto",
    nodata: float | None = None,
    crs: str | None = None,
) -> Scene:
    """Look at a scene and decide how it is read.

    Args:
        path: GeoTIFF, COG or anything GDAL reads, local or remote: `scene.tif`, `https://…`, `zip://a.zip!b.tif`.
        bands: three that are shown as red, green and blue, or one that is shown in grey, by name, common name or
            wavelength; `auto` takes the red, green and blue band, or the only band there is.
        band_names: what the file's bands are, in order, where it does not say: `["blue", "green", "red", "nir"]`.
        radiometry: what the stored numbers are; see `choose_radiometry`.
        nodata: stored value of empty pixels, in place of the file's.
        crs: reference system, in place of the file's.

    Raises:
        SceneError: if the file cannot be opened, placed, or its bands told apart.
    """
    with _opened(str(path)) as file:
        if not file.count:
            inside = ", ".join(file.subdatasets[:8])
            raise SceneError(f"{path} holds no band of its own. Give one of its parts: {inside or 'none found'}.")
        described = _bands(file, band_names)
        shown = _shown(described, bands, str(path), file.count)
        if any(file.colorinterp[band.number - 1].name == "palette" for band in shown):
            raise SceneError(
                f"{path} stores numbers of colours, not colours: as grey values they would mean nothing. Write them "
                f"out first: gdal_translate -expand rgb IN OUT."
            )
        if file.dtypes[0].startswith("complex"):
            raise SceneError(f"{path} holds complex numbers. Give a detected (amplitude) product.")
        warp = warp_options(file, crs, nodata)
        numbers = [band.number - 1 for band in shown]
        rule = choose_radiometry(
            radiometry,
            str(path),
            tuple(file.scales[number] for number in numbers),
            tuple(file.offsets[number] for number in numbers),
            file.tags(),
        )
        eight_bit = file.dtypes[numbers[0]] == "uint8" and rule.name == "stored"
        parts = {
            "path": str(path),
            "shown": shown,
            "bands": described,
            "radiometry": rule,
            "eight_bit": eight_bit,
            "date": _date(file.tags(), str(path)),
            "licence": file.tags().get("TIFFTAG_COPYRIGHT"),
            "warp": warp,
        }
        if warp is None:
            return _scene(file, **parts)
        from rasterio.vrt import WarpedVRT

        with WarpedVRT(file, **warp) as warped:
            return _scene(warped, **parts)


def _scene(dataset: DatasetReader, **parts: Any) -> Scene:
    size = ground_size(dataset.crs, dataset.transform, dataset.width, dataset.height)
    return Scene(
        crs=dataset.crs,
        transform=dataset.transform,
        width=dataset.width,
        height=dataset.height,
        pixel_size=size,
        **parts,
    )


@contextmanager
def _opened(path: str) -> Iterator[DatasetReader]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # told as an error, with its mend
        try:
            file = rasterio.open(path)
        except RasterioIOError as error:
            raise SceneError(
                f"{path} cannot be opened as a raster: {error}. Give a GeoTIFF, or look at the path."
            ) from (error)
    with file:
        yield file


def _bands(file: DatasetReader, names: Sequence[str] | None) -> tuple[Band, ...]:
    if names is not None:
        if len(names) != file.count:
            raise SceneError(
                f"{file.name} has {file.count} bands and band_names={list(names)} names {len(names)}. Name all of them "
                f"in order."
            )
        return describe_bands(names)
    colours = [interpretation.name for interpretation in file.colorinterp]
    stated = [
        description or (colour if colour in (*RGB, "nir", "pan") else "")
        for description, colour in zip(file.descriptions, colours, strict=True)
    ]
    micrometres = [file.tags(number, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM") for number in file.indexes]
    return describe_bands(stated, [float(value) * 1000 if value else None for value in micrometres])


def _shown(bands: Sequence[Band], wanted: Sequence[str] | str, path: str, count: int) -> tuple[Band, ...]:
    if wanted == "auto":
        if count == 1:
            return (bands[0],)
        wanted = RGB
    if isinstance(wanted, str):
        wanted = wanted.replace(",", " ").split()
    if len(wanted) not in (1, 3):
        raise SceneError(f"bands={list(wanted)}: give three, shown as red, green and blue, or one, shown in grey.")
    return tuple(choose_bands(bands, wanted, path))


def _date(tags: dict[str, str], path: str) -> str | None:
    """Day of acquisition from the usual tags, else from the file's name."""
    names = ("ACQUISITIONDATETIME", "DATE_ACQUIRED", "DATE", "datetime", "TIFFTAG_DATETIME")
    places = [tags[name] for name in names if name in tags]
    for text in [*places, re.split(r"[/!]", path)[-1]]:
        if found := _DATE.search(text):
            return "-".join(found.groups())
    return None
