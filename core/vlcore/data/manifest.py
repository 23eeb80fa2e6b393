"""Open a manifest of captioned images, of any format, and read its records as often as needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from vlcore.data.readers.folder import FolderReader
from vlcore.data.readers.jsonl import JsonLinesReader
from vlcore.data.readers.paths import IMAGE_SUFFIXES, ImageFolder
from vlcore.data.readers.rows import Reader, RecordBuilder, check_roles
from vlcore.data.readers.table import DelimitedReader
from vlcore.data.readers.validation import validate
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem

FORMATS = (
    "JSON Lines (.jsonl), CSV (.csv), TSV (.tsv), Parquet (.parquet), webdataset tars (.tar, 'data-{000..003}.tar', "
    "or a folder of them), a folder that Hugging Face `datasets` saved or litdata optimised, or a folder of images "
    "with .txt files"
)


class Manifest:
    """A validated manifest: iterate over it for its records, again and again; they are never all held in memory.

    Make one with `open_manifest`.

    Attributes:
        path: as it was given.
        format: jsonl, csv, tsv, parquet, datasets, folder, litdata or webdataset.
        languages: number of texts by language, before any were dropped.
        texts_dropped: texts that were left out because they are of another language than the one asked for.
    """

    def __init__(self, path: Path, reader: Reader, builder: RecordBuilder) -> None:
        self.path = path
        self.format = reader.format
        self._reader = reader
        self._builder = builder
        self._state = _file_state(reader)
        contents = validate(path, reader, builder)
        self.languages = contents.languages
        self.texts_dropped = contents.texts_dropped
        self._length = contents.records
        self._fingerprint = contents.fingerprint

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Record]:
        """Yield every record, in the order of the source.

        Raises:
            ManifestError: if the manifest was changed after it was opened.
        """
        if _file_state(self._reader) != self._state:
            raise self._changed("the file")
        for row in self._reader.rows():
            wrong: list[str] = []
            if isinstance(row, Problem):
                raise self._changed(row.place)
            record, _ = self._builder.build(row, wrong, check_files=False)
            if record is None:
                raise self._changed(row.place)
            yield record

    def fingerprint(self) -> str:
        """SHA-256 of all records in their order (ids, image names, texts, groups, splits, labels, meta).

        It is the same wherever the folder stands and however often it is opened. Pixels are not part of it.
        """
        return self._fingerprint

    def _changed(self, place: str) -> ManifestError:
        return ManifestError(self.path, [Problem(place, "was changed after the manifest was opened. Open it again.")])


def open_manifest(
    path: Path | str,
    *,
    image_root: Path | str | None = None,
    lang: str | None = None,
    columns: Mapping[str, str] | None = None,
    reader: str | None = None,
) -> Manifest:
    """Open a manifest and check every row of it.

    Args:
        path: one of `FORMATS`.
        image_root: folder that image paths start from; the manifest's own folder if left out. No image may lie
            outside it.
        lang: BCP-47 language of the texts to keep: `en` keeps `en-GB` too. Texts of unknown language always stay.
        columns: own names of columns or keys, by role: `{"image": "file_name", "group": "patient"}`. Roles are image,
            text, id, group, split, label and lang. Named images, ids and groups must be there in every row.
        reader: name of a plugin's reader, such as `remote_sensing/karpathy`, for a layout that is none of `FORMATS`;
            it gives the records, and takes no `columns`. Options of the reader follow a colon:
            `medical/vqa_rad:protocol=strict`.

    Raises:
        ManifestError: listing everything that is wrong, with places.
        UnknownNameError: if no reader has that name.
        ConfigurationError: if there is no such source, or an option does not fit it.
    """
    path = Path(path)
    columns = dict(columns or {})
    check_roles(columns)
    if reader is not None:
        from vlcore.data.reader_manifest import ReaderManifest

        if columns:
            raise ConfigurationError(f"The reader {reader!r} knows its columns: leave {sorted(columns)} out.")
        return ReaderManifest(path, reader, None if image_root is None else Path(image_root), lang)
    found = _reader(path, None if image_root is None else Path(image_root), columns)
    return Manifest(path, found, RecordBuilder(ImageFolder(found.root), columns, lang))


def read_records(
    path: Path | str,
    *,
    image_root: Path | str | None = None,
    lang: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> list[Record]:
    """All records of a manifest at once; options and errors as of `open_manifest`."""
    return list(open_manifest(path, image_root=image_root, lang=lang, columns=columns))


def _reader(path: Path, image_root: Path | None, columns: Mapping[str, str]) -> Reader:
    """Choose the reader by what stands at the path.

    Formats that need Arrow are imported when they are met: it takes a tenth of a second.
    """
    if image_root is not None and not image_root.is_dir():
        raise ConfigurationError(f"image_root={str(image_root)!r} is no folder. Give the folder that holds the images.")
    reader: Reader
    if path.is_dir():
        from vlcore.data.readers.hf_datasets import DatasetFolderReader, is_dataset_folder
        from vlcore.data.readers.litdata import LitDataReader, is_litdata_folder
        from vlcore.data.readers.webdataset import WebDatasetReader

        if is_dataset_folder(path):
            return DatasetFolderReader(path, image_root or path, columns)
        shards = sorted(path.glob("*.tar"))
        if is_litdata_folder(path):
            reader = LitDataReader(path, columns)
        else:
            reader = WebDatasetReader(path, shards) if shards else FolderReader(path)
    elif "{" in path.name and not path.exists():
        reader = _shards(path)
    else:
        suffix = path.suffix.lower()
        if not path.is_file():
            raise ConfigurationError(f"There is no manifest {str(path)!r}. Give {FORMATS}.")
        root = image_root or path.parent
        if suffix in (".jsonl", ".ndjson"):
            return JsonLinesReader(path, root)
        if suffix in (".csv", ".tsv"):
            return DelimitedReader(path, root, columns)
        if suffix in (".parquet", ".pq"):
            from vlcore.data.readers.parquet import ParquetReader

            return ParquetReader(path, root, columns)
        if suffix != ".tar":
            raise ConfigurationError(f"{path}: {_mend(path)}")
        from vlcore.data.readers.webdataset import WebDatasetReader

        reader = WebDatasetReader(path, [path])
    if image_root is not None:
        raise ConfigurationError(f"image_root is given, but {path} ({reader.format}) holds its images. Leave it out.")
    return reader


def _shards(pattern: Path) -> Reader:
    from vlcore.data.readers.webdataset import WebDatasetReader, expand_braces

    shards = [Path(name) for name in expand_braces(str(pattern))]
    if missing := [str(shard) for shard in shards if not shard.is_file()]:
        problems = [Problem(name, "there is no such shard. Restore it, or shorten the range.") for name in missing]
        raise ManifestError(pattern, problems)
    if strange := [shard for shard in shards if shard.suffix.lower() != ".tar"]:
        raise ConfigurationError(f"{strange[0]}: {_mend(strange[0])}")
    return WebDatasetReader(pattern, shards)


def _mend(path: Path) -> str:
    name = path.name.lower()
    if name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        return "a compressed tar cannot be read member by member. Unpack it to a plain .tar: gunzip."
    if path.suffix.lower() == ".json":
        return "JSON must be read as a whole. Write JSON Lines, one object a line: jq -c '.[]' in.json > out.jsonl."
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "this is an image. Give the folder that holds it."
    return f"unknown format. Give {FORMATS}."


def _file_state(reader: Reader) -> tuple[tuple[str, int, int], ...]:
    """Size and time of every file that the rows come from."""
    stats = [(file, os.stat(file)) for file in reader.files]  # noqa: PTH116
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats)
