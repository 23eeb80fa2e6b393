"""Parquet: paths of images, or the encoded images themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vlcore.data.readers.arrow import ImageColumn, batch_rows, class_names, image_column, located, present
from vlcore.data.readers.rows import SourceRow
from vlcore.errors import ManifestError, Problem

LARGEST_ROW_GROUP = 512 * 2**20
"""Bytes of encoded images in one row group: reading any of them reads the group."""


class ParquetReader:
    """Reads a Parquet file row group by row group; rows are counted from 0 and images stay in the file.

    Args:
        path: of the file.
        root: folder that image paths start from.
        columns: own names of columns, by role.
    """

    format = "parquet"

    def __init__(self, path: Path, root: Path, columns: Mapping[str, str]) -> None:
        self.path = path
        self.root = root
        self.files = (path,)
        self._columns = columns

    def rows(self) -> Iterator[SourceRow | Problem]:
        """One row each.

        Raises:
            ManifestError: if the file is damaged, lacks the image column, or has too large row groups.
        """
        try:
            with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=2**20) as table:
                yield from self._rows(table)
        except (pa.ArrowException, OSError) as error:
            message = f"is no readable Parquet file: {error}. It may be truncated: write or download it again."
            raise ManifestError(self.path, [Problem(self.path.name, message)]) from None

    def _rows(self, table: pq.ParquetFile) -> Iterator[SourceRow]:
        schema = table.schema_arrow
        image, classes = image_column(self.path, schema, self._columns), class_names(schema)
        wanted = [name for name in schema.names if name != image.name]
        if image.has_path:
            wanted.append(image.name if image.kind == "path" else f"{image.name}.path")
        first = 0
        for group in range(table.num_row_groups):
            if image.has_bytes:
                self._check_size(table, group, image)
            row = first
            for batch, embedded in _batches(table, group, wanted, image):
                for position, values in enumerate(batch_rows(batch, image, embedded, classes)):
                    here = embedded is not None and embedded[position].as_py()
                    yield located(self.path, image, row, values, str(row), here)
                    row += 1
            first += table.metadata.row_group(group).num_rows

    def _check_size(self, table: pq.ParquetFile, group: int, image: ImageColumn) -> None:
        size = sum(
            chunk.total_uncompressed_size
            for chunk in _chunks(table, group)
            if chunk.path_in_schema.split(".")[0] == image.name
        )
        if size > LARGEST_ROW_GROUP:
            message = (
                f"holds {size / 2**30:.1f} GiB of images, which would be read at once for every image. Write the file "
                f"with smaller row groups: pyarrow.parquet.write_table(table, path, row_group_size=500)."
            )
            raise ManifestError(self.path, [Problem(f"row group {group}", message)])


def _chunks(table: pq.ParquetFile, group: int) -> list[pq.ColumnChunkMetaData]:
    metadata = table.metadata.row_group(group)
    return [metadata.column(position) for position in range(metadata.num_columns)]


def _batches(
    table: pq.ParquetFile, group: int, wanted: list[str], image: ImageColumn
) -> Iterator[tuple[pa.RecordBatch, pa.Array | None]]:
    """Batches of a row group without the encoded images, and which of the images are there."""
    number = table.metadata.row_group(group).num_rows
    if not wanted:
        batches: Iterator[pa.RecordBatch] = (
            pa.RecordBatch.from_arrays([pa.nulls(min(1024, number - start))], names=[image.name])
            for start in range(0, number, 1024)
        )
    else:
        batches = table.iter_batches(batch_size=1024, row_groups=[group], columns=wanted)
    embedded = _embedded(table, group, image, number)
    start = 0
    for batch in batches:
        yield batch, None if embedded is None else embedded.slice(start, batch.num_rows)
        start += batch.num_rows


def _embedded(table: pq.ParquetFile, group: int, image: ImageColumn, number: int) -> pa.Array | None:
    """`[rows]` bool of a row group: which rows hold their image; None if the table has paths only."""
    if not image.has_bytes:
        return None
    leaf = image.name if image.kind == "bytes" else f"{image.name}.bytes"
    statistics = next(chunk for chunk in _chunks(table, group) if chunk.path_in_schema == leaf).statistics
    if statistics is not None and statistics.has_null_count and statistics.null_count == 0:
        return pa.array([True]).take(pa.array([0] * number))
    parts = table.iter_batches(batch_size=64, row_groups=[group], columns=[leaf])
    return pa.concat_arrays([pa.array([], pa.bool_()), *(present(batch.column(0)) for batch in parts)])
