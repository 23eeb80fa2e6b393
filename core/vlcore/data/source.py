"""The encoded bytes of an image, wherever it is: a file, a tar, a table, or a chunk of litdata's."""

from __future__ import annotations

import errno
import os

from vlcore.data.record import ImageRef


def read_bytes(ref: ImageRef) -> bytes:
    """Read the encoded bytes of an image; may be called from many threads.

    Members of tars are found through an index that is made on the first read; of Parquet files the last row groups
    are kept, within bounds, so images should be asked for roughly in their order.

    Args:
        ref: where it is; `window` and `frames` do not matter here.

    Raises:
        FileNotFoundError: if the file or the member is not there.
        ManifestError: if the archive or table is damaged.
    """
    if ref.member is None:
        return ref.path.read_bytes()
    suffix = ref.path.suffix.lower()
    if suffix == ".tar":
        from vlcore.data.tar_index import read_tar_member

        data = read_tar_member(ref.path, ref.member)
    elif suffix == ".json":
        from vlcore.data.litdata_items import read_litdata_image

        data = read_litdata_image(ref.path, ref.member)
    elif suffix in (".parquet", ".pq", ".arrow"):
        from vlcore.data.table_images import read_table_image

        column, _, row = ref.member.rpartition(":")
        data = read_table_image(ref.path, column, int(row)) if row.isdecimal() else None
    else:
        data = None
    if data is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(ref))
    return data
