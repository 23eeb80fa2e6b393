"""Captions that say the same in several languages share a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlcore.data.pairs import Indices, PairTable
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError

GROUPS = "translation_groups"
"""Key of a record's `meta`: for each of its texts, in order, a number or name that translations of one sentence share
(such as its `sentid`), or None."""


def translation_groups(record: Record) -> Sequence[Any]:
    """Group of each text of a record; None for all where it carries no groups.

    Raises:
        ConfigurationError: if there are not as many groups as texts.
    """
    groups = record.meta.get(GROUPS)
    if groups is None:
        return [None] * len(record.texts)
    if isinstance(groups, str) or not isinstance(groups, Sequence) or len(groups) != len(record.texts):
        raise ConfigurationError(
            f"Record {record.id!r}: meta[{GROUPS!r}] is {groups!r:.80} for {len(record.texts)} texts. Give one group "
            f"per text, in order, and leave data.lang out."
        )
    return groups


def joined_keys(table: PairTable, groups: Sequence[Any]) -> Indices:
    """Keys of texts that are equal where captions say the same, in one language or another.

    Captions with equal words have equal keys already; captions of one image with equal groups now have too, and what
    hangs together by such steps. So "many planes" of one image and "muitos aviões" of another are positives of each
    other where the data says anywhere that one translates the other.

    Args:
        table: with `text_key`.
        groups: of each text, or None.

    Returns:
        `[M]` int64: of all keys that hang together, the smallest.
    """
    first: dict[tuple[int, Any], int] = {}
    links = [
        (first.setdefault((image, group), place), place)
        for place, (image, group) in enumerate(zip(table.image_of_text.tolist(), groups, strict=True))
        if group is not None
    ]
    if not links:
        return table.text_key
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys, node = np.unique(table.text_key, return_inverse=True)
    left, right = node[np.array(links, dtype=np.int64)].T
    graph = coo_array((np.ones(len(links), dtype=np.int8), (left, right)), shape=(len(keys), len(keys)))
    count, component = connected_components(graph, directed=False)
    smallest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(smallest, component, keys)
    joined: Indices = smallest[component[node]]
    return joined
