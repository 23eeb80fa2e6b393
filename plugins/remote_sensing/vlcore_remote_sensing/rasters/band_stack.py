"""Bands in files of their own as one scene: a GDAL virtual raster, which QGIS opens too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from vlcore_remote_sensing.rasters.scene import SceneError

_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


@dataclass(frozen=True)
class BandFile:
    """One band of a stack.

    Attributes:
        path: file or URL, as GDAL takes it.
        number: of the band in that file, from 1.
        name: that the band gets; words after the first tell its common name.
        scale: of stored values, 1 to take the file's.
        offset: likewise, 0 to take the file's.
        nodata: stored value of empty pixels; None to take the file's.
    """

    path: str
    number: int
    name: str
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None


def stack_text(files: Sequence[BandFile], tags: Mapping[str, str]) -> str:
    """Text of a virtual raster (`.vrt`) of bands that cover the same ground; coarser ones are enlarged.

    Args:
        files: in the order of the bands.
        tags: of the whole, such as `DATE`.

    Raises:
        SceneError: if a file cannot be opened, or lies elsewhere than the others.
    """
    opened = [_look(file) for file in files]
    finest = max(opened, key=lambda facts: facts["width"])
    parts = []
    for number, (file, facts) in enumerate(zip(files, opened, strict=True), start=1):
        same_ground = facts["crs"] == finest["crs"] and all(
            abs(mine - other) < 0.5 * abs(finest["transform"].a)
            for mine, other in zip(facts["bounds"], finest["bounds"], strict=True)
        )
        if not same_ground:
            raise SceneError(
                f"{file.path} covers {facts['bounds']} in {facts['crs']}, {finest['path']} {finest['bounds']} in "
                f"{finest['crs']}. Bands of one scene must cover the same ground: bring them to one grid first."
            )
        parts.append(_band(number, file, facts, finest))
    places = ", ".join(f"{value!r}" for value in finest["transform"].to_gdal())
    facts_of_all = "".join(f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in tags.items())
    return (
        f'<VRTDataset rasterXSize="{finest["width"]}" rasterYSize="{finest["height"]}">\n'
        f"  <SRS>{escape(finest['crs'].to_wkt())}</SRS>\n  <GeoTransform>{places}</GeoTransform>\n"
        f"  <Metadata>{facts_of_all}</Metadata>\n" + "\n".join(parts) + "\n</VRTDataset>\n"
    )


def _look(file: BandFile) -> dict[str, Any]:
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.open(file.path) as dataset:
            if dataset.crs is None:
                raise SceneError(f"{file.path} has no coordinate reference system. Georeference it first.")
            return {
                "path": file.path,
                "width": dataset.width,
                "height": dataset.height,
                "crs": dataset.crs,
                "transform": dataset.transform,
                "bounds": tuple(dataset.bounds),
                "dtype": dataset.dtypes[file.number - 1],
                "nodata": dataset.nodatavals[file.number - 1] if file.nodata is None else file.nodata,
                "scale": dataset.scales[file.number - 1] if file.scale == 1 else file.scale,
                "offset": dataset.offsets[file.number - 1] if file.offset == 0 else file.offset,
            }
    except RasterioIOError as error:
        raise SceneError(f"{file.path} cannot be opened: {error}. Fetch it again, or leave its scene out.") from error


def _band(number: int, file: BandFile, facts: Mapping[str, Any], finest: Mapping[str, Any]) -> str:
    empty = facts["nodata"]
    kind = "SimpleSource" if empty is None else "ComplexSource"
    lines = [
        f'  <VRTRasterBand dataType="{_TYPES[facts["dtype"]]}" band="{number}">',
        f"    <Description>{escape(file.name)}</Description>",
        "" if empty is None else f"    <NoDataValue>{empty:.17g}</NoDataValue>",
        f"    <Offset>{facts['offset']!r}</Offset><Scale>{facts['scale']!r}</Scale>",
        f'    <{kind} resampling="bilinear">',
        f'      <SourceFilename relativeToVRT="0">{escape(file.path)}</SourceFilename>',
        f"      <SourceBand>{file.number}</SourceBand>",
        f'      <SrcRect xOff="0" yOff="0" xSize="{facts["width"]}" ySize="{facts["height"]}"/>',
        f'      <DstRect xOff="0" yOff="0" xSize="{finest["width"]}" ySize="{finest["height"]}"/>',
        "" if empty is None else f"      <NODATA>{empty:.17g}</NODATA>",
        f"    </{kind}>",
        "  </VRTRasterBand>",
    ]
    return "\n".join(line for line in lines if line)
