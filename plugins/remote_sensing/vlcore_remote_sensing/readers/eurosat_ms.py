"""Reader of EuroSAT MS: Sentinel-2 chips of 64 x 64 pixels with thirteen bands.

Layout: `<class>/<class>_<number>.tif`, in the published archive below
`ds/images/remote_sensing/otherDatasets/sentinel_2/tif`. Values are 16-bit digital numbers of level 1C, reflectance
times 10,000. The bands stand in the order of their file, which is not that of their wavelengths: B8A comes last.

Source: P. Helber et al., EuroSAT, arXiv 1709.00029.
"""

from __future__ import annotations

from pathlib import Path

from vlcore.data.reader import Row, RowError
from vlcore.data.record import Record
from vlcore_remote_sensing.readers.scene_folders import read_class_folders

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")
"""In the order of the file."""

ARCHIVE_FOLDER = "ds/images/remote_sensing/otherDatasets/sentinel_2/tif"


def read_eurosat_ms(path: Path | str) -> list[Record]:
    """Read multi-spectral chips.

    Args:
        path: folder of the class folders, or that into which the archive was extracted.

    Returns:
        Records without texts, with the class in words as `label`, the order of the bands in the meta `bands`, and the
        split where `eurosat-{train,val,test}.txt` say it.

    Raises:
        ConfigurationError: if there are no class folders.
        ManifestError: listing what is wrong with the lists, and the first chip of a class without thirteen bands.
    """
    root = Path(path)
    folder = root / ARCHIVE_FOLDER if (root / ARCHIVE_FOLDER).is_dir() else root
    seen: set[str] = set()

    def check(row: Row, name: str) -> None:
        # One chip a class tells copies with other bands; opening all 27,000 would take longer than it is worth.
        scene = name.rpartition("/")[0]
        if scene not in seen:
            seen.add(scene)
            _check_bands(row.folder / name)

    meta = {"bands": list(BANDS), "level": "L1C"}
    return read_class_folders(folder, frozenset({".tif", ".tiff"}), (root, root.parent), meta, check)


def _check_bands(path: Path) -> None:
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.open(path) as raster:
            count = raster.count
    except RasterioIOError as error:
        raise RowError(f"cannot be opened: {error}. Extract the archive again.") from None
    if count != len(BANDS):
        raise RowError(f"has {count} bands, and EuroSAT MS has {len(BANDS)}. Give the multi-spectral archive.")
