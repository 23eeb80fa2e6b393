"""Folders that appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from vlcore.files import sync


@contextmanager
def whole_folder(target: Path, owned: Collection[str]) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on success it is synced to disk and takes the place of `target`.

    If the body raises, `target` keeps what it held and the new folder is removed. Entries of an old `target` that are
    not `owned` move into the new one. A process killed between the two renames leaves the old folder, whole, as
    `.NAME.….old` beside it.

    Args:
        target: folder to write; may exist.
        owned: names inside an existing `target` that may be replaced and deleted.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    new = target.parent / f".{target.name}.{token}.part"
    old = target.parent / f".{target.name}.{token}.old"
    new.mkdir()
    try:
        yield new
        for path in new.rglob("*"):
            sync(path)
        sync(new)
        _swap(new, target, old)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if old.exists():
        for entry in list(old.iterdir()):
            if entry.name not in owned:
                entry.rename(target / entry.name)
        shutil.rmtree(old)
    sync(target.parent)


def _swap(new: Path, target: Path, old: Path) -> None:
    if not target.exists():
        new.rename(target)
        return
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise
