"""The table of concepts: read from CSV or Parquet, changed row by row, told apart by its version.

After the remote sensing semantic knowledge database of arXiv 2506.21863; the form of the table is ours.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from vlcore.data.reader import RowError, collect_records, require_file
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore.files import atomic_write
from vlcore_remote_sensing.semantic_experts.concept import COLUMNS, LABEL, Concept, Level, build_concept

_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class KnowledgeBase:
    """Concepts in the order of their table.

    Attributes:
        concepts: each with an id of its own.
    """

    concepts: tuple[Concept, ...]

    def __len__(self) -> int:
        return len(self.concepts)

    @cached_property
    def version(self) -> str:
        """SHA-256 of the rows, 64 hexadecimal digits: the same for the same table in CSV and Parquet."""
        rows = [concept.to_row() for concept in self.concepts]
        return hashlib.sha256(json.dumps(rows, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def of_level(self, level: Level) -> tuple[Concept, ...]:
        """The concepts of one level, in order."""
        return tuple(concept for concept in self.concepts if concept.level == level)

    def get(self, concept_id: str) -> Concept:
        """The concept of that id.

        Raises:
            ConfigurationError: if there is none.
        """
        for concept in self.concepts:
            if concept.id == concept_id:
                return concept
        raise ConfigurationError(f"The knowledge base has no concept {concept_id!r}. Add a row for it.")

    def with_concept(self, concept: Concept) -> KnowledgeBase:
        """A table with one more row.

        Raises:
            ConfigurationError: if the id is taken.
        """
        if any(known.id == concept.id for known in self.concepts):
            raise ConfigurationError(
                f"The knowledge base already has a concept {concept.id!r}. Choose another id, or leave the old row out."
            )
        return KnowledgeBase((*self.concepts, concept))

    def without(self, concept_ids: Iterable[str]) -> KnowledgeBase:
        """A table without these rows.

        Raises:
            ConfigurationError: if an id is unknown.
        """
        left_out = {self.get(concept_id).id for concept_id in concept_ids}
        return KnowledgeBase(tuple(concept for concept in self.concepts if concept.id not in left_out))

    def save(self, path: Path | str) -> None:
        """Write CSV or, where the name ends in `.parquet` or `.pq`, Parquet."""
        rows = [concept.to_row() for concept in self.concepts]
        columns = [*COLUMNS, *sorted({column for row in rows for column in row if column.startswith(LABEL)})]
        with atomic_write(path) as temporary:
            if Path(path).suffix.lower() in _PARQUET:
                import pyarrow
                import pyarrow.parquet

                values = {column: [row.get(column) for row in rows] for column in columns}
                pyarrow.parquet.write_table(pyarrow.table(values), temporary)
            else:
                with temporary.open("w", newline="", encoding="utf-8") as handle:
                    writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)


def read_knowledge_base(path: Path | str) -> KnowledgeBase:
    """Read a table with the columns `concept_id, level, label.<language> …, definition, source, licence`.

    Args:
        path: a CSV file in UTF-8, or Parquet. English labels are required, those of other languages may be empty.

    Raises:
        ConfigurationError: if there is no such file.
        ManifestError: listing every bad row with its line.
    """
    path = Path(path)
    require_file(path)
    rows = _parquet_rows(path) if path.suffix.lower() in _PARQUET else _csv_rows(path)
    return KnowledgeBase(tuple(collect_records(path, rows, path.parent, build_concept)))


def seed_knowledge_base() -> KnowledgeBase:
    """The table that comes with the plugin.

    Label sets of AID (arXiv 1608.05167, the scenes of RSICD too), UCM, EuroSAT (arXiv 1709.00029), DOTA
    (arXiv 1711.10398), DIOR (arXiv 1909.00133), the 19 CORINE classes of BigEarthNet (arXiv 2105.07921) and ESA
    WorldCover. The definitions were written for this table.
    """
    with as_file(files("vlcore_remote_sensing.semantic_experts").joinpath("seed_concepts.csv")) as path:
        return read_knowledge_base(path)


def _csv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.DictReader(handle, strict=True)
        before = 1
        try:
            _check_columns(path, reader.fieldnames or [])
            for values in reader:
                # A row begins where the one before it ended: quoted cells may hold line breaks.
                place, before = f"line {before + 1}", reader.line_num
                if None in values or None in values.values():
                    columns = len(reader.fieldnames or [])
                    yield place, RowError(f"has not the {columns} cells of the header. Quote cells that hold commas.")
                else:
                    yield place, {column: cell or None for column, cell in values.items()}
        except (csv.Error, UnicodeDecodeError) as error:
            yield f"line {before + 1}", RowError(f"is not CSV in UTF-8: {error}")


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        # The file alone: PyArrow would read a folder named `key=value` as one more column.
        table = pyarrow.parquet.ParquetFile(path).read()
    except (pyarrow.ArrowException, OSError) as error:
        raise ManifestError(path, [Problem("the file", f"is not Parquet: {error}.")]) from None
    _check_columns(path, table.column_names)
    for number, values in enumerate(table.to_pylist(), start=1):
        yield f"row {number}", values


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    missing = [column for column in (*COLUMNS, f"{LABEL}en") if column not in found]
    unknown = [column for column in found if column not in COLUMNS and not column.startswith(LABEL)]
    twice = sorted({column for column in found if found.count(column) > 1})
    if missing or unknown or twice:
        message = (
            f"the columns are missing {missing}, unknown {unknown}, twice {twice}. A knowledge base has "
            f"{', '.join(COLUMNS)} and label.<language> for each language, label.en among them."
        )
        raise ManifestError(path, [Problem("the header", message)])
