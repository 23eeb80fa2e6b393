"""A manifest whose records come from a plugin's reader of one data set's layout."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from vlcore.data.manifest import Manifest
from vlcore.data.reader_options import reader_options, split_reader
from vlcore.data.readers.paths import ImageFolder
from vlcore.data.readers.texts import language_matches
from vlcore.data.readers.validation import canonical
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore.plugins import registries


class ReaderManifest(Manifest):
    """Records of a registered reader, held in memory; used as any other manifest.

    Args:
        path: that the reader is given.
        reader: its name, such as `remote_sensing/karpathy`, and its options, as in `medical/vqa_rad:protocol=strict`.
        image_root: folder that image paths start from; the reader's own choice if left out.
        lang: BCP-47 language of the texts to keep; readers that take a language are given it.

    Raises:
        UnknownNameError: if no reader has that name.
        ManifestError: listing what is wrong with the rows, or ids that come twice.
        ConfigurationError: if there are no records, no text of that language, or the reader takes no image folder or no
            such option.
    """

    def __init__(self, path: Path, reader: str, image_root: Path | None, lang: str | None) -> None:
        self.path = path
        self.format = reader
        name, written = split_reader(reader)
        read: Callable[..., Iterable[Record]] = registries().readers.get(name)
        known = inspect.signature(read).parameters
        options = reader_options(read, name, written, ("image_root", "lang"))
        if image_root is not None:
            if "image_root" not in known:
                raise ConfigurationError(f"The reader {name!r} takes no image folder: leave image_root out.")
            options["image_root"] = image_root
        if lang is not None and "lang" in known:
            options["lang"] = lang
        records = list(read(path, **options))
        self._check(records)
        languages = Counter(text.lang for record in records for text in record.texts)
        self._records = [_in_language(record, lang) for record in records]
        self.languages: Mapping[str, int] = dict(languages)
        self.texts_dropped = languages.total() - sum(len(record.texts) for record in self._records)
        if lang is not None and languages and self.texts_dropped == languages.total():
            raise ConfigurationError(
                f"{path}: no text has the language {lang!r}. Languages: {', '.join(sorted(languages))}."
            )
        folder = ImageFolder(image_root or (path if path.is_dir() else path.parent))
        digest = hashlib.sha256(b"vlcore manifest 1\n" + json.dumps(reader).encode())
        for record in self._records:
            digest.update(canonical(record, folder))
        self._fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """Yield every record, in the order of the reader."""
        return iter(self._records)

    def _check(self, records: list[Record]) -> None:
        if not records:
            raise ConfigurationError(f"{self.path}: the reader {self.format!r} found no records in it.")
        counts = Counter(record.id for record in records)
        repeated = [identifier for identifier, count in counts.items() if count > 1]
        if repeated:
            problems = [
                Problem(f"id {identifier!r}", f"comes {counts[identifier]} times. Give each record its own.")
                for identifier in repeated
            ]
            raise ManifestError(self.path, problems)


def _in_language(record: Record, lang: str | None) -> Record:
    if lang is None:
        return record
    return replace(record, texts=tuple(text for text in record.texts if language_matches(text.lang, lang)))
