"""A searchable table of vectors, ids and metadata on disk, bound to the model that made the vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# LanceDB's Rust side warns on standard error that a table which it is asked to make does not exist yet.
os.environ.setdefault("LANCEDB_LOG", "error")

import lancedb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlcore.errors import ConfigurationError
from vlcore.retrieval.columns import TYPES, MetadataColumn, flattened, infer_columns
from vlcore.retrieval.hit import Hit, hit_of
from vlcore.retrieval.index_state import FINISHED, UNFINISHED, IndexState, is_finished, is_unfinished
from vlcore.retrieval.rows import embedding_schema

if TYPE_CHECKING:
    from vlcore.retrieval.embedding_shards import Embeddings
    from vlcore.retrieval.model import Model

TABLE = "images"
ANN_FROM = 50_000
"""Rows from which an index searches approximately unless told otherwise."""
HIDDEN = ("vector", "content_sha256", "record_sha256")
IDS_AT_ONCE = 1000


@dataclass(frozen=True)
class Added:
    """What `Index.add` did: rows that are new, rows that took the place of older ones, rows that were the same."""

    new: int
    replaced: int
    unchanged: int


class Index:
    """Images found by vectors; made by `create`, `build_index` or `Model.index`, opened by `open`."""

    def __init__(self, path: Path, state: IndexState, model: Model | None = None) -> None:
        self.path = path
        self.model = model
        self._state = state
        self._table = lancedb.connect(str(path)).open_table(TABLE)

    @classmethod
    def create(cls, path: Path | str, embeddings: Embeddings, *, ann_from: int = ANN_FROM) -> Index:
        """Make an index of what `embed` wrote.

        Args:
            path: new folder.
            embeddings: finished shards.
            ann_from: rows from which search is approximate.

        Raises:
            ConfigurationError: if the folder already holds a finished index.
        """
        path = Path(path)
        (path / UNFINISHED).unlink(missing_ok=True)  # what an interrupted run left is made anew
        described = ((table["labels"], table["meta"]) for table in embeddings.tables(["labels", "meta"]))
        pairs = (pair for labels, meta in described for pair in zip(labels.to_pylist(), meta.to_pylist(), strict=True))
        index = cls.begin(
            path, fingerprint=embeddings.model, width=embeddings.width, columns=infer_columns(pairs), ann_from=ann_from
        )
        for table in embeddings.tables():
            index.add(table)
        index.finish()
        return index

    @classmethod
    def begin(
        cls,
        path: Path | str,
        *,
        fingerprint: str,
        width: int,
        columns: Sequence[MetadataColumn] = (),
        ann_from: int = ANN_FROM,
        model_path: Path | None = None,
    ) -> Index:
        """Start an index, or go on with one that was interrupted; it opens only after `finish`.

        Args:
            path: folder.
            fingerprint: of the model that makes the vectors.
            width: D.
            columns: of all records that will come (`infer_columns`).
            ann_from: rows from which search is approximate.
            model_path: where the model is, so that a search need not be told.

        Raises:
            ConfigurationError: if the folder already holds a finished index.
            FingerprintMismatchError: if another model began it.
        """
        path = Path(path)
        if is_finished(path):
            raise ConfigurationError(f"{path} already holds an index. Add to it, delete it, or choose another folder.")
        if is_unfinished(path):
            state = IndexState.read(path / UNFINISHED)
            state.check_model(path, fingerprint)
            return cls(path, state)
        path.mkdir(parents=True, exist_ok=True)
        schema = flattened(embedding_schema(width).empty_table(), columns).schema
        lancedb.connect(str(path)).create_table(TABLE, schema=schema, mode="overwrite")
        place = None if model_path is None else str(model_path.absolute())
        state = IndexState(fingerprint, width, ann_from, list(columns), place)
        state.write(path / UNFINISHED)
        return cls(path, state)

    @classmethod
    def open(cls, path: Path | str, model: Model | None = None) -> Index:
        """Open a finished index.

        Args:
            path: folder of the index.
            model: to search by words and images; must be the one that made the vectors.

        Raises:
            ConfigurationError: if there is none, or its making was interrupted.
            FingerprintMismatchError: if the model is another one.
        """
        path = Path(path)
        if not is_finished(path):
            what = "is unfinished; run `vlcore index` again" if is_unfinished(path) else "is not there"
            raise ConfigurationError(f"The index {path} {what}. `vlcore index MODEL MANIFEST -o {path}` makes one.")
        state = IndexState.read(path / FINISHED)
        if model is not None:
            state.check_model(path, model.fingerprint)
        return cls(path, state, model)

    @property
    def fingerprint(self) -> str:
        """Of the model that made the vectors."""
        return self._state.model

    @property
    def width(self) -> int:
        """D."""
        return self._state.width

    def add(self, table: pa.Table) -> Added:
        """Add embedded records: new ids are appended, changed ones replaced, equal ones left alone.

        Each call is written as a whole or not at all.

        Args:
            table: with the columns of `embedding_schema`; ids must not repeat within it.

        Raises:
            ConfigurationError: if vectors have another width, an id repeats, or a column changes its type.
        """
        if table.schema.field("vector").type.list_size != self.width:
            raise ConfigurationError(
                f"The vectors are {table.schema.field('vector').type.list_size} wide, the index holds {self.width}."
            )
        ids = table["id"].to_pylist()
        if len(set(ids)) != len(ids):
            raise ConfigurationError(
                f"The id {next(i for i in ids if ids.count(i) > 1)!r} occurs twice; ids are unique."
            )
        stored = self.stored_keys(ids)
        keys = zip(ids, table["content_sha256"].to_pylist(), table["record_sha256"].to_pylist(), strict=True)
        changed = pa.array([stored.get(i) != (content, record) for i, content, record in keys], pa.bool_())
        rows = table.filter(changed)
        replaced = sum(i in stored for i in rows["id"].to_pylist())
        if len(rows):
            self._widen(rows)
            flat = flattened(rows, self._state.columns)
            if replaced:
                self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(flat)
            else:
                self._table.add(flat)
        return Added(len(rows) - replaced, replaced, len(table) - len(rows))

    def remove(self, where: str) -> int:
        """Remove the rows that fit an SQL condition over `columns`; their number.

        Raises:
            ConfigurationError: if the condition cannot be used.
        """
        before = len(self)
        with _readable(where, self.columns):
            self._table.delete(where)
        return before - len(self)

    def finish(self) -> None:
        """Tidy the files, build the approximate index where the table is large, and let the index be opened."""
        self._table.optimize()
        if len(self) >= self._state.ann_from and not self._approximate:
            from lancedb.index import IvfFlat

            partitions = max(1, round(len(self) ** 0.5))
            config = IvfFlat(distance_type="cosine", num_partitions=partitions)
            self._table.create_index("vector", config=config)
        self._state.write(self.path / FINISHED)
        (self.path / UNFINISHED).unlink(missing_ok=True)

    def search(
        self, query: str | NDArray[np.float32], k: int = 10, where: str | None = None, *, exact: bool = False
    ) -> list[Hit]:
        """Find the images nearest to a query.

        Args:
            query: words, or a vector `[D]` (of an image: `model.embed_images([path])[0]`).
            k: how many.
            where: SQL condition over `columns`: `label = 'airport' AND year >= 2020`.
            exact: compare with every row even where the index is large enough for an approximate search.

        Raises:
            ConfigurationError: if the condition, k or the vector cannot be used, or words are given without a model.
        """
        if isinstance(query, str):
            if self.model is None:
                raise ConfigurationError("Searching by words needs the model: Index.open(path, model).")
            query = self.model.embed_texts([query])[0]
        return self.search_many(np.asarray(query)[None], k, where, exact=exact)[0]

    def search_many(
        self, vectors: NDArray[np.float32], k: int = 10, where: str | None = None, *, exact: bool = False
    ) -> list[list[Hit]]:
        """Like `search`, for Q vectors `[Q, D]` at once."""
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.width or not np.isfinite(vectors).all():
            raise ConfigurationError(
                f"Queries must be finite vectors [Q, {self.width}]; got the shape {list(vectors.shape)}."
            )
        if k < 1:
            raise ConfigurationError(f"k={k}: ask for at least one hit.")
        if not len(self) or not len(vectors):
            return [[] for _ in vectors]
        exact = exact or not self._approximate
        found = self._found(vectors, k, where, exact)
        if not exact and len(found) < len(vectors) * k and len(found) < len(vectors) * self._matching(where):
            # A narrow filter can leave too few rows in the partitions that were looked at.
            found = self._found(vectors, k, where, True)
        hits: list[list[Hit]] = [[] for _ in vectors]
        for row in found.to_pylist():
            hits[row.pop("query_index", 0)].append(hit_of(row))
        return [sorted(group, key=lambda hit: (-hit.score, hit.id)) for group in hits]

    @property
    def columns(self) -> dict[str, str]:
        """Names and types of the columns that a condition may use."""
        return {field.name: str(field.type) for field in self._table.schema if field.name not in HIDDEN}

    def require_model_path(self) -> Path:
        """Where the model was when the index was made.

        Raises:
            ConfigurationError: if it is not known or no longer there.
        """
        place = self._state.model_path
        if place is None or not Path(place).exists():
            known = "no model path" if place is None else f"{place}, which is not there"
            raise ConfigurationError(f"The index {self.path} names {known}. Say where the model is: --model DIR.")
        return Path(place)

    def ids(self) -> Iterator[str]:
        """All ids in the order of the table."""
        for batch in self._table.search().select(["id"]).to_batches():
            yield from batch["id"].to_pylist()

    def stored_keys(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Content and record hashes of those of the ids that the index holds."""
        keys: dict[str, tuple[str, str]] = {}
        for start in range(0, len(ids), IDS_AT_ONCE):
            quoted = ", ".join("'" + i.replace("'", "''") + "'" for i in ids[start : start + IDS_AT_ONCE])
            wanted = ["id", "content_sha256", "record_sha256"]
            rows = self._table.search().where(f"id IN ({quoted})").select(wanted).limit(IDS_AT_ONCE).to_arrow()
            for row in rows.to_pylist():
                keys[row["id"]] = (row["content_sha256"], row["record_sha256"])
        return keys

    def to_arrow(self) -> pa.Table:
        """The whole table, vectors included."""
        return self._table.to_arrow()

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def __repr__(self) -> str:
        return f"Index({str(self.path)!r}, {len(self):,} images, width {self.width})"

    @property
    def _approximate(self) -> bool:
        return any("vector" in index.columns for index in self._table.list_indices())

    def _found(self, vectors: NDArray[np.float32], k: int, where: str | None, exact: bool) -> pa.Table:
        query: Any = self._table.search(vectors, vector_column_name="vector")
        query = query.distance_type("cosine").limit(k).select([*self.columns, "_distance"])
        # A tenth of the partitions, at least twenty: recall stays high as the table grows.
        probes = max(20, round(len(self) ** 0.5 / 10))
        query = query.bypass_vector_index() if exact else query.minimum_nprobes(probes)
        if where:
            query = query.where(where)
        with _readable(where, self.columns):
            return query.to_arrow()

    def _matching(self, where: str | None) -> int:
        with _readable(where, self.columns):
            return int(self._table.count_rows(where))

    def _widen(self, rows: pa.Table) -> None:
        """Add the columns that these rows are the first to need."""
        pairs = zip(rows["labels"].to_pylist(), rows["meta"].to_pylist(), strict=True)
        known = self._state.columns
        columns = infer_columns(pairs, known)
        for before, after in zip(known, columns, strict=False):
            if before.type not in (after.type, "string"):
                raise ConfigurationError(
                    f"The column {before.name!r} of {self.path} holds {before.type}; the new records would make it "
                    f"{after.type}. Give the key {before.key!r} one type in all manifests, or make a new index."
                )
        added = columns[len(known) :]
        there = set(self._table.schema.names)  # a run that was interrupted here may have made some
        if missing := [pa.field(column.name, TYPES[column.type]) for column in added if column.name not in there]:
            self._table.add_columns(missing)
        if added:
            self._state.columns = [*known, *added]
            self._state.write(self.path / (FINISHED if is_finished(self.path) else UNFINISHED))


@contextmanager
def _readable(where: str | None, columns: dict[str, str]) -> Iterator[None]:
    """Turn what LanceDB says about a bad condition into an error that names the columns."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if not where:
            raise
        reason = str(error).splitlines()[0].removeprefix("Invalid input, ")
        names = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
        raise ConfigurationError(
            f"The condition {where!r} cannot be used: {reason}. Columns: {names}. Text stands in single quotes: "
            f"split = 'test'."
        ) from error
