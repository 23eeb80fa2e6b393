"""Scenes of a STAC catalogue: a static one on disk or on the web, or an API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlcore.errors import ConfigurationError, MissingDependencyError
from vlcore_remote_sensing.rasters.band_stack import BandFile, stack_text
from vlcore_remote_sensing.rasters.scene import SceneError

if TYPE_CHECKING:
    import pystac

COLOURS = ("red", "green", "blue")


def is_stac(source: str) -> bool:
    """Whether a source names a catalogue: a JSON file, or an address that does not end as a raster does."""
    if source.startswith(("http://", "https://")):
        return not source.lower().endswith((".tif", ".tiff", ".jp2", ".vrt"))
    return Path(source).suffix == ".json"


def stac_items(
    source: str,
    bbox: Sequence[float] | None = None,
    dates: tuple[str | None, str | None] = (None, None),
    collections: Sequence[str] | None = None,
) -> Iterator[pystac.Item]:
    """Yield the items of a catalogue.

    An API is asked for what fits; in a static catalogue all items are looked at.

    Args:
        source: file or URL of a catalogue, a collection or one item, or of an API.
        bbox: west, south, east, north in degrees that items must touch.
        dates: first and last day, `YYYY-MM-DD`, each or both None.
        collections: of these only.

    Raises:
        ConfigurationError: if the catalogue cannot be read, or an API is asked for everything it has.
        MissingDependencyError: if pystac-client is not installed.
    """
    try:
        import pystac
        from pystac_client import Client
    except ImportError as error:
        raise MissingDependencyError(error.name or "pystac_client", "remote_sensing", "A STAC catalogue") from error
    try:
        top = pystac.read_file(source)
    except Exception as error:  # pystac raises its own, json's, urllib's and the system's
        raise ConfigurationError(f"{source} is no STAC catalogue, collection or item: {error}") from error
    if isinstance(top, pystac.Item):
        items: Iterator[pystac.Item] = iter([top])
    elif isinstance(top, pystac.Catalog):
        client = Client.from_dict(top.to_dict(), href=source) if source.startswith("http") else None
        if client is not None and client.conforms_to("ITEM_SEARCH"):
            if bbox is None and collections is None:
                raise ConfigurationError(f"{source} is an API over whole archives: say bbox and collections.")
            when = None if dates == (None, None) else "/".join(day or ".." for day in dates)
            found = client.search(
                bbox=None if bbox is None else list(bbox),
                datetime=when,
                collections=None if collections is None else list(collections),
            )
            items = found.items()
        else:
            items = top.get_items(recursive=True)
    else:
        raise ConfigurationError(f"{source} holds {type(top).__name__}, not a catalogue, collection or item.")
    for item in items:
        if _fits(item, bbox, dates, collections):
            yield item


def item_stack(item: pystac.Item) -> str:
    """Text of the virtual raster of an item's bands: red, green and blue, and near infrared where there is one.

    Band names, places and nodata are read by odc-stac; scale and offset are those of the extension `raster`. Where
    Earth Search says that Sentinel-2's offset was taken off already, it is taken at its word.

    Raises:
        SceneError: if the item has no red, green and blue, or a file of it is gone.
    """
    from odc.stac import parse_item

    item.make_asset_hrefs_absolute()
    parsed = parse_item(item)
    aliases = parsed.collection.aliases
    names = {key[0].lower(): [key] for key in parsed.bands}
    chosen = {colour: (aliases.get(colour) or names.get(colour, []))[:1] for colour in (*COLOURS, "nir")}
    missing = [colour for colour in COLOURS if not chosen[colour]]
    if missing:
        raise SceneError(
            f"The item {item.id!r} has no band known as {', '.join(missing)}; its bands are "
            f"{', '.join(str(key[0]) for key in parsed.bands)}. Its assets must name their common names (eo:bands)."
        )
    files = []
    for colour, keys in chosen.items():
        for asset, number in keys:
            band = parsed.bands[asset, number]
            scale, offset = _scale(item, asset, number)
            nodata = band.meta.nodata if band.meta is not None else None
            files.append(BandFile(band.uri, number, f"{asset} {colour}", scale, offset, nodata))
    return stack_text(files, _tags(item))


def _tags(item: pystac.Item) -> dict[str, str]:
    properties = item.properties
    tags = {"STAC_ITEM": item.id}
    when = properties.get("datetime") or properties.get("start_datetime")
    if when:
        tags["DATE"] = str(when)[:10]
    if properties.get("s2:processing_baseline"):
        tags["PROCESSING_BASELINE"] = str(properties["s2:processing_baseline"])
    if properties.get("license"):
        tags["TIFFTAG_COPYRIGHT"] = str(properties["license"])
    return tags


def _scale(item: pystac.Item, asset: str, number: int) -> tuple[float, float]:
    """Scale and offset of a band as the item states them; 1 and 0 where it does not."""
    fields = item.assets[asset].extra_fields
    listed = fields.get("raster:bands") or fields.get("bands") or [{}] * number
    stated: dict[str, Any] = listed[min(number, len(listed)) - 1]
    scale = stated.get("scale", stated.get("raster:scale", fields.get("raster:scale", 1.0)))
    offset = stated.get("offset", stated.get("raster:offset", fields.get("raster:offset", 0.0)))
    if item.properties.get("earthsearch:boa_offset_applied") is True:
        return (float(scale) if scale != 1.0 else 1e-4), 0.0
    return float(scale), float(offset)


def _fits(
    item: pystac.Item,
    bbox: Sequence[float] | None,
    dates: tuple[str | None, str | None],
    collections: Sequence[str] | None,
) -> bool:
    if collections is not None and item.collection_id not in collections:
        return False
    if bbox is not None and item.bbox is not None:
        half = len(item.bbox) // 2  # boxes may have heights
        (west, south), (east, north) = item.bbox[:2], item.bbox[half : half + 2]
        if west > bbox[2] or east < bbox[0] or south > bbox[3] or north < bbox[1]:
            return False
    day = str(item.properties.get("datetime") or item.properties.get("start_datetime") or "")[:10]
    first, last = dates
    return not ((first and (not day or day < first)) or (last and (not day or day > last)))
