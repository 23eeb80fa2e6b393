"""Training pairs whose captions come in several languages."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import compress
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from vlcore.data.batch_order import PairOrder
from vlcore.data.collate import PairCollate
from vlcore.data.datamodule import ManifestDataModule
from vlcore.data.record import Record
from vlcore.data.split_selection import Part
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.captions.language_order import LanguageOrder
from vlcore_remote_sensing.captions.translation_groups import GROUPS, joined_keys, translation_groups

CAPTION_KINDS = ("caption", "machine_translation")
"""Texts that describe the whole image; answers, labels and the like are left out."""


class MultilingualDataModule(ManifestDataModule):
    """Images of a manifest with captions in several languages; an epoch reads every image once, in one of them.

    The language is drawn anew for every image and epoch, uniformly or by weights, then one of the image's captions in
    it. Validation and test read all captions of these languages. Captions with equal words are positives of each other,
    and so are translations where the records say which (`meta["translation_groups"]`, see `translation_groups`).

    Args:
        manifest: file or folder; see `vlcore.data.manifest.open_manifest`.
        languages: how often each language is drawn, by its BCP-47 tag, in any unit; texts of other languages are left
            out. Left out: every language of the manifest, all alike.
        options: of `ManifestDataModule`; captions are always sampled.

    Raises:
        ConfigurationError: if a weight is not above 0.
    """

    def __init__(self, manifest: str, languages: dict[str, float] | None = None, **options: Any) -> None:
        super().__init__(manifest, captions="sample", **options)
        for name, weight in (languages or {}).items():
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigurationError(f"languages: {name!r} has the weight {weight}; leave it out to have none.")
        self.languages = languages
        self._records: dict[Part, dict[str, Record]] = {}

    def part(self, name: Part) -> tuple[PairOrder, PairCollate]:
        """Order and collation of a part that has been prepared; training draws a language for every image."""
        order, collate = super().part(name)
        if order.captions != "sample":
            return order, collate
        found = [text.lang for identifier in collate.table.ids for text in self._records[name][identifier].texts]
        weights = self.languages or dict.fromkeys(found, 1.0)
        return LanguageOrder(order, collate, found, dict(sorted(weights.items()))), collate

    def describe(self) -> dict[str, Any]:
        """Facts for the model card."""
        return {**super().describe(), "languages": self.languages or "all, alike"}

    def _collate(self, part: Part, records: list[Record]) -> PairCollate:
        records = self._captioned(part, records)
        self._records[part] = {record.id: record for record in records}
        collate = super()._collate(part, records)
        groups = [
            group for identifier in collate.table.ids for group in translation_groups(self._records[part][identifier])
        ]
        collate.table = replace(collate.table, text_key=joined_keys(collate.table, groups))
        return collate

    def _captioned(self, part: Part, records: list[Record]) -> list[Record]:
        """The records with the captions of the languages that are wanted; how many have none is said."""
        kept = [chosen for record in records if (chosen := self._chosen_texts(record)).texts]
        found = Counter(text.lang for record in kept for text in record.texts)
        if part == "train" and (missing := [name for name in self.languages or {} if name not in found]):
            known = sorted({text.lang for record in records for text in record.texts})
            raise ConfigurationError(
                f"languages: no caption of the training records is in {missing[0]!r}; their texts are in "
                f"{', '.join(known)}. Use the manifest's own tags, or leave the language out."
            )
        if not kept:
            kinds = sorted({text.kind for record in records for text in record.texts})
            raise ConfigurationError(
                f"The {part} records have no captions: their texts are of the kinds {', '.join(kinds)}, and "
                f"{' or '.join(CAPTION_KINDS)} is needed."
            )
        if dropped := len(records) - len(kept):
            rank_zero_warn(
                f"{dropped:,} of {len(records):,} {part} records have no caption in {', '.join(sorted(found))} and are "
                f"left out."
            )
        return kept

    def _chosen_texts(self, record: Record) -> Record:
        wanted = [
            text.kind in CAPTION_KINDS and (self.languages is None or text.lang in self.languages)
            for text in record.texts
        ]
        if all(wanted):
            return record
        groups = list(compress(translation_groups(record), wanted))
        return replace(record, texts=tuple(compress(record.texts, wanted)), meta={**record.meta, GROUPS: groups})
