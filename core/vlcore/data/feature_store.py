"""The files of a feature cache: append-only, mapped into memory, whole after any crash."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vlcore.data.feature_rows import FEATURE_DTYPE, FeatureRows
from vlcore.data.lock import exclusive_lock
from vlcore.errors import ConfigurationError, FingerprintMismatchError, VlcoreError
from vlcore.files import sync, write_text

KEY_BYTES = 32
"""Size of a key: a SHA-256 digest of the content that was encoded."""

_VERSION = 1


def default_cache_root() -> Path:
    """`$VLCORE_CACHE`, or `~/.cache/vlcore`."""
    chosen = os.environ.get("VLCORE_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "vlcore"


class FeatureCache:
    """Append-only store of one feature row per key, for one tower.

    The folder `<root>/<first 32 digits of the fingerprint>` holds `meta.json`, `keys.bin` (32 bytes a row) and
    `features.bin` (`width` little-endian float32 a row). A row exists once its key is whole: features reach the
    disk before their keys, so a crash leaves at most a tail without keys, which the next writer cuts off.
    Several processes may share a cache; they append in turn and never store a key twice.

    Args:
        root: folder of all caches, such as `default_cache_root()`.
        fingerprint: of the tower: weights, and preprocessing or tokeniser.
        width: size W of a feature.

    Raises:
        FingerprintMismatchError: if the folder was written with another version, fingerprint, width or dtype.
        VlcoreError: if its `meta.json` is unreadable.
    """

    def __init__(self, root: Path | str, fingerprint: str, width: int) -> None:
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,200}", fingerprint):
            raise ConfigurationError(f"fingerprint={fingerprint!r}: a hash in hexadecimal digits is needed.")
        if width < 1:
            raise ConfigurationError(f"width={width}: a feature has 1 value or more.")
        self.fingerprint = fingerprint
        self.width = width
        self.folder = Path(root) / fingerprint[:32]
        self._keys_path = self.folder / "keys.bin"
        self._features_path = self.folder / "features.bin"
        self._row_bytes = width * np.dtype(FEATURE_DTYPE).itemsize
        self._rows: dict[bytes, int] = {}
        self._count = 0
        self._features: NDArray[np.float32] = np.zeros((0, width), dtype=FEATURE_DTYPE)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_meta()
        self._refresh()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Keys without a row, each once, in the given order."""
        self._refresh()
        return [key for key in dict.fromkeys(keys) if key not in self._rows]

    def append(self, keys: Sequence[bytes], features: NDArray[np.floating], names: Sequence[str] | None = None) -> None:
        """Store rows and return when they are on the disk; keys that have a row already are left as they are.

        Args:
            keys: N keys of 32 bytes.
            features: `[N, width]` finite floats.
            names: what each row belongs to (record id, text), for the error; the key's digits by default.

        Raises:
            VlcoreError: if a value is NaN or infinite (nothing is stored), or another writer does not finish.
            ValueError: if shapes or key sizes are wrong.
        """
        rows = np.ascontiguousarray(features, dtype=FEATURE_DTYPE)
        if rows.shape != (len(keys), self.width):
            raise ValueError(f"features have shape {features.shape}, expected ({len(keys)}, {self.width})")
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"every key must have {KEY_BYTES} bytes")
        self._refuse_not_finite(keys, rows, names)
        with exclusive_lock(self.folder / "lock", f"The feature cache {self.folder}"):
            self._refresh()
            first_seen: dict[bytes, int] = {}
            for row, key in enumerate(keys):
                if key not in self._rows:
                    first_seen.setdefault(key, row)
            order = list(first_seen.values())
            if not order:
                return
            # A torn tail of a killed writer lies behind the whole rows; writing starts where they end.
            _write_at(self._features_path, self._count * self._row_bytes, rows[order].tobytes())
            _write_at(self._keys_path, self._count * KEY_BYTES, b"".join(first_seen))
            sync(self.folder)
            self._refresh()

    def rows(self, keys: Sequence[bytes]) -> NDArray[np.float32]:
        """Features of keys, in their order.

        Returns:
            `[N, width]` float32: a read-only view of the mapped file where the rows lie in this order (as after a
            first run), else a copy.

        Raises:
            VlcoreError: if a key has no row.
        """
        index = self._places(keys)
        if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
            return self._features[index[0] : index[0] + len(index)]
        return self._features[index]

    def stream(self, keys: Sequence[bytes]) -> FeatureRows:
        """Features of keys `[N, width]` that stay on disk, whatever their order there.

        Raises:
            VlcoreError: if a key has no row.
        """
        return FeatureRows(self._features_path, self.width, self._places(keys))

    def _places(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """Row of each key in the file."""
        if any(key not in self._rows for key in keys):
            self._refresh()
        try:
            return np.fromiter((self._rows[key] for key in keys), dtype=np.int64, count=len(keys))
        except KeyError as error:
            raise VlcoreError(
                f"The feature cache {self.folder} has no row for the key {error.args[0].hex()}. Encode it first."
            ) from None

    def _refuse_not_finite(self, keys: Sequence[bytes], rows: NDArray[np.float32], names: Sequence[str] | None) -> None:
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad) == 0:
            return
        named = ", ".join(names[row] if names is not None else keys[row].hex()[:16] for row in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise VlcoreError(
            f"The tower's features of {named}{more} hold NaN or infinite values; none of these {len(rows)} rows was "
            f"stored. Run the tower in float32 (half precision overflows), and check its weights."
        )

    def _check_meta(self) -> None:
        path = self.folder / "meta.json"
        current = {"version": _VERSION, "fingerprint": self.fingerprint, "width": self.width, "dtype": "float32"}
        if not path.exists():
            if self._keys_path.exists() or self._features_path.exists():
                raise VlcoreError(f"{path} is missing beside stored features. Delete the folder; it is made anew.")
            write_text(path, json.dumps(current, indent=1) + "\n")
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            values = {name: stored[name] for name in current}
        except (ValueError, KeyError, TypeError) as error:
            raise VlcoreError(f"{path} cannot be read ({error!r}). Delete the folder; it is made anew.") from error
        for name, value in current.items():
            if values[name] != value:
                raise FingerprintMismatchError(
                    f"The feature cache {self.folder}", name, values[name], value, "Delete the folder or use another."
                )

    def _refresh(self) -> None:
        """Take in rows that were appended since the last look, by this or another process."""
        count = self._count
        stored = min(_size(self._keys_path) // KEY_BYTES, _size(self._features_path) // self._row_bytes)
        if stored <= count:
            return
        with self._keys_path.open("rb") as handle:
            handle.seek(count * KEY_BYTES)
            data = handle.read((stored - count) * KEY_BYTES)
        for row in range(count, stored):
            self._rows[data[(row - count) * KEY_BYTES : (row - count + 1) * KEY_BYTES]] = row
        # A plain array over the map: slices of numpy's memmap class drag its bookkeeping along.
        mapped = np.memmap(self._features_path, dtype=FEATURE_DTYPE, mode="r", shape=(stored, self.width))
        self._features = mapped.view(np.ndarray)
        self._count = stored


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write_at(path: Path, offset: int, data: bytes) -> None:
    """Cut a file at `offset`, write `data` there and wait for the disk."""
    with path.open("r+b" if path.exists() else "w+b") as handle:
        handle.truncate(offset)
        handle.seek(offset)
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
