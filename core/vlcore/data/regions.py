"""Regions that a detector found in an image, precomputed, in files that the manifest names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, MissingDependencyError, UnsafePathError
from vlcore.files import contained

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float32]

KEY = "regions"
"""Name in `Record.meta` of where an image's regions are."""

EDGE_PIXELS = 1.0
"""A box may stand out of its image by this much: detectors round. It is cut off."""

_NEEDED = ("features", "boxes", "image_width", "image_height")


@dataclass(frozen=True)
class Regions:
    """R regions of an image, the surest first.

    Attributes:
        features: `[R, W]` float32.
        boxes: `[R, 4]` left, top, right, bottom in 0..1 of the image.
        class_probabilities: `[R, K]` adding up to 1, the last class is the background; or None.
    """

    features: Floats
    boxes: Floats
    class_probabilities: Floats | None = None


class RegionReader:
    """Reads and checks the regions of records.

    A record says where they are in its `regions`, relative to the folder of the manifest: `a.npz` for a file of its
    own, `regions.h5::a` for a group of an HDF5 file, `regions.parquet::a` for the row with that `id` of a Parquet file.
    Each has `features` `[R, W]`, `boxes` `[R, 4]` left, top, right, bottom in pixels, `image_width` and
    `image_height`, and may have `class_probabilities` `[R, K]` and `confidence` `[R]`. A Parquet file is held in memory
    by every process that reads from it; many images are better kept in the other two.

    Args:
        root: folder that the paths start from.
        width: W.
        most: regions that are kept, the most confident ones; the first ones where there is no confidence.
        on_empty: `raise` for an image without regions, or go on with its `global` region alone.
    """

    def __init__(self, root: Path, width: int, most: int = 36, on_empty: Literal["raise", "global"] = "raise") -> None:
        if most < 1:
            raise ConfigurationError(f"most={most}: keep at least one region.")
        self.root = root
        self.width = width
        self.most = most
        self.on_empty = on_empty
        self._tables: dict[Path, tuple[pa.Table, dict[str, int]]] = {}

    def __call__(self, record: Record, image_size: tuple[int, int] | None = None) -> Regions:
        """The regions of a record.

        Args:
            record: whose regions they are.
            image_size: width and height of its image in pixels, where they are known, to compare with.

        Raises:
            ConfigurationError: if they are missing or do not fit; id, file and value are named.
            MissingDependencyError: for HDF5 without h5py.
            UnsafePathError: if the path, or a link inside an HDF5 file, leads out of the folder.
        """
        reference = record.meta.get(KEY)
        if not isinstance(reference, str) or not reference:
            raise ConfigurationError(
                f"Record {record.id!r} names no regions: give its row a {KEY!r}, such as 'regions/{record.id}.npz'."
            )
        place = f"Record {record.id!r}, {reference}"
        values = self._read(reference, place)
        if missing := [name for name in _NEEDED if name not in values]:
            raise ConfigurationError(
                f"{place}: {', '.join(missing)} missing; found {', '.join(sorted(values)) or 'nothing'}. Write them "
                f"under these names."
            )
        return self._checked(values, place, image_size)

    def __getstate__(self) -> dict[str, Any]:
        """Tables are read again in another process."""
        return {**self.__dict__, "_tables": {}}

    def _read(self, reference: str, place: str) -> Mapping[str, Any]:
        name, _, member = reference.partition("::")
        path = contained(self.root, name)
        readers: dict[str, Callable[[Path, str, str], Mapping[str, Any]]] = {
            ".npz": _read_npz,
            ".h5": _read_hdf5,
            ".hdf5": _read_hdf5,
            ".parquet": self._read_parquet,
        }
        if path.suffix not in readers:
            raise ConfigurationError(f"{place}: regions are read from {', '.join(readers)}, not from {path.suffix!r}.")
        if not path.is_file():
            raise ConfigurationError(
                f"{place}: there is no file {path}. Restore it, or mend the path: it starts from {self.root}."
            )
        if (path.suffix == ".npz") == bool(member):
            wanted = "'file.npz'" if member else f"'{name}::member'"
            raise ConfigurationError(f"{place}: write {wanted}.")
        return readers[path.suffix](path, member, place)

    def _read_parquet(self, path: Path, member: str, place: str) -> Mapping[str, Any]:
        if path not in self._tables:
            self._tables[path] = _open_parquet(path, place)
        table, rows = self._tables[path]
        row = rows.get(member)
        if row is None:
            raise ConfigurationError(f"{place}: {path} has no row with the id {member!r}.")
        cells = {name: table.column(name)[row] for name in table.column_names if name != "id"}
        return {name: _cell(cell, name, place) for name, cell in cells.items() if cell.is_valid}

    def _checked(self, values: Mapping[str, Any], place: str, image_size: tuple[int, int] | None) -> Regions:
        width, height = (_number(values[name], name, place) for name in ("image_width", "image_height"))
        if image_size is not None and image_size != (width, height):
            raise ConfigurationError(
                f"{place}: the regions were found in an image of {width:g} x {height:g} pixels, and this one has "
                f"{image_size[0]} x {image_size[1]}. They belong to another image, or it was resized since."
            )
        features, boxes = _table(values["features"], "features", place), _table(values["boxes"], "boxes", place)
        if len(boxes) != len(features):
            raise ConfigurationError(
                f"{place}: {len(features)} features and boxes of shape {list(boxes.shape)}. Write one box per feature."
            )
        if not len(boxes):
            if self.on_empty == "raise":
                raise ConfigurationError(
                    f"{place}: no regions. Lower the detector's threshold, leave the record out, or set "
                    f"data.empty_regions: global."
                )
            return Regions(np.zeros((0, self.width), np.float32), np.zeros((0, 4), np.float32))
        if features.shape[1] != self.width:
            raise ConfigurationError(
                f"{place}: features have {features.shape[1]} numbers, expected {self.width}. All regions must come "
                f"from one detector, and the model must be made for its width."
            )
        if boxes.shape[1] != 4:
            raise ConfigurationError(
                f"{place}: {len(features)} features and boxes of shape {list(boxes.shape)}. A box is left, top, right, "
                f"bottom."
            )
        boxes = _relative(boxes, width, height, place)
        probabilities = values.get("class_probabilities")
        if probabilities is not None:
            probabilities = _probabilities(probabilities, len(features), place)
        chosen = self._surest(values.get("confidence"), len(features), place)
        return Regions(features[chosen], boxes[chosen], None if probabilities is None else probabilities[chosen])

    def _surest(self, confidence: Any, count: int, place: str) -> NDArray[np.int64]:
        if confidence is None:
            return np.arange(min(count, self.most))
        values = _floats(confidence, "confidence", place)
        if values.shape != (count,):
            raise ConfigurationError(
                f"{place}: confidence of shape {list(values.shape)} for {count} regions. Write one number per region."
            )
        if not np.isfinite(values).all():
            region = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ConfigurationError(
                f"{place}: the confidence of region {region} is {values[region]}. Leave the region out."
            )
        order: NDArray[np.int64] = np.argsort(-values, kind="stable")[: self.most]
        return order


def _read_npz(path: Path, member: str, place: str) -> Mapping[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise ConfigurationError(f"{place}: {path} cannot be read as plain arrays ({error}).") from error


def _read_hdf5(path: Path, member: str, place: str) -> Mapping[str, Any]:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError("h5py", "regions", f"reading {path.name}") from error
    try:
        with h5py.File(path, "r") as file:
            group = file.get(member)
            if not isinstance(group, h5py.Group):
                raise ConfigurationError(f"{place}: {path} has no group {member!r}.")
            found = {name: group.get(name) for name in group}
            sets = {name: item for name, item in found.items() if isinstance(item, h5py.Dataset)}
            for item in (group, *sets.values()):
                # Links, virtual data sets and outer storage can name any file of this computer.
                outside = item.file.filename != file.filename
                if outside or (item is not group and (item.is_virtual or item.external)):
                    raise UnsafePathError(
                        f"{place}: {item.name!r} is a link out of {path}. Copy the data into the file."
                    )
            return {name: item[()] for name, item in sets.items()} | dict(group.attrs)
    except OSError as error:
        raise ConfigurationError(f"{place}: {path} cannot be read ({error}).") from error


def _open_parquet(path: Path, place: str) -> tuple[pa.Table, dict[str, int]]:
    """A table and the rows of its ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ConfigurationError(f"{place}: {path} cannot be read ({error}).") from error
    if "id" not in table.column_names:
        raise ConfigurationError(
            f"{place}: {path} has no column 'id'; found {', '.join(table.column_names)}. Give every row the id that "
            f"manifests name it by."
        )
    rows: dict[str, int] = {}
    for row, name in enumerate(table.column("id").to_pylist()):
        if rows.setdefault(str(name), row) != row:
            raise ConfigurationError(
                f"{place}: rows {rows[str(name)]} and {row} of {path} have the same id {str(name)!r}. Keep one."
            )
    return table, rows


def _cell(cell: Any, name: str, place: str) -> Any:
    """A number, or an array of a list or of a list of lists, without a Python object for every number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def is_list(kind: pa.DataType) -> bool:
        return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))

    if not is_list(cell.type):
        return cell.as_py()
    values = cell.values
    if not is_list(values.type):
        return values.to_numpy(zero_copy_only=False)
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    if len(uneven := np.flatnonzero(lengths != lengths[:1])):
        region = int(uneven[0])
        raise ConfigurationError(
            f"{place}: {name} of region {region} have {lengths[region]} numbers and those of region 0 have "
            f"{lengths[0]}. Write as many for every region."
        )
    return values.flatten().to_numpy(zero_copy_only=False).reshape(len(lengths), lengths[0] if len(lengths) else 0)


def _floats(value: Any, name: str, place: str) -> Floats:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is told with its region
            numbers: Floats = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{place}: {name} are no table of numbers ({error}).") from error
    return numbers


def _number(value: Any, name: str, place: str) -> float:
    try:
        number = float(np.asarray(value).reshape(-1)[0]) if np.size(value) == 1 else float("nan")
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number < float("inf"):
        raise ConfigurationError(f"{place}: {name} is {value!r}, not a number of pixels.")
    return number


def _table(value: Any, name: str, place: str) -> Floats:
    table = _floats(value, name, place)
    if table.ndim == 1 and table.size == 0:
        return table.reshape(0, 0)
    if table.ndim != 2:
        raise ConfigurationError(f"{place}: {name} have the shape {list(table.shape)}, expected one row per region.")
    if not np.isfinite(table).all():
        region, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise ConfigurationError(
            f"{place}: {name} of region {region} are NaN or infinite: {table[region, column]} in column {column}. "
            f"Leave the region out, or run the detector on the image again."
        )
    return table


def _relative(boxes: Floats, width: float, height: float, place: str) -> Floats:
    """Boxes in 0..1 of the image."""
    size = np.array([width, height, width, height], dtype=np.float32)
    outside = (boxes < -EDGE_PIXELS) | (boxes > size + EDGE_PIXELS)
    if outside.any():
        region = int(np.argwhere(outside)[0][0])
        raise ConfigurationError(
            f"{place}: the box {boxes[region].tolist()} of region {region} lies outside the image of {width:g} x "
            f"{height:g} pixels. Boxes are left, top, right, bottom in pixels of the image as it was detected on."
        )
    inside = np.clip(boxes, 0, size)  # first, as a box in the last pixel outside has no area inside
    flat = (inside[:, 2] <= inside[:, 0]) | (inside[:, 3] <= inside[:, 1])
    if flat.any():
        region = int(np.flatnonzero(flat)[0])
        raise ConfigurationError(
            f"{place}: the box {boxes[region].tolist()} of region {region} has no area in the image of {width:g} x "
            f"{height:g} pixels. Boxes are left, top, right, bottom in that order, not width and height."
        )
    relative: Floats = (inside / size).astype(np.float32)
    return relative


def _probabilities(value: Any, count: int, place: str) -> Floats:
    table = _table(value, "class_probabilities", place)
    if len(table) != count:
        raise ConfigurationError(
            f"{place}: {count} regions and {len(table)} rows of class_probabilities. Write one row per region."
        )
    sums = table.sum(axis=1)
    wrong = (table < 0).any(axis=1) | (np.abs(sums - 1) > 1e-3)
    if wrong.any():
        region = int(np.flatnonzero(wrong)[0])
        least = f", and the least is {table[region].min():.4g}" if (table[region] < 0).any() else ""
        raise ConfigurationError(
            f"{place}: class_probabilities of region {region} add up to {sums[region]:.4g}, expected 1{least}. Write "
            f"the softmax, with the background as the last class."
        )
    return table
