"""Names of splits, and lists of files that say which image is in which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from vlcore.errors import ManifestError, Problem
from vlcore_remote_sensing.readers.text_lines import text_lines

SPLITS = ("train", "val", "test")
_OTHER_NAMES = {"valid": "val", "validation": "val"}


def split_name(name: str | None) -> str | None:
    """The usual name of a split: `valid` and `validation` are `val`; others stay."""
    return None if name is None else _OTHER_NAMES.get(name, name)


def read_split_lists(folders: Iterable[Path], suffix: str) -> Mapping[str, tuple[str, str]]:
    """Read the lists of a data set, such as `eurosat-train.txt`, `eurosat-val.txt` and `eurosat-test.txt`.

    Args:
        folders: where they may lie; the first one with such files counts.
        suffix: of the files; what stands before the first comma of a line is the name.

    Returns:
        Split and place by name; empty where there are no lists.

    Raises:
        ManifestError: if a name is in two splits, two lists are for one split, or a line is not UTF-8.
    """
    for folder in folders:
        lists = {split: _lists(folder, split, suffix) for split in SPLITS}
        if any(lists.values()):
            return _read(folder, lists)
    return {}


def _lists(folder: Path, split: str, suffix: str) -> list[Path]:
    found = (folder / f"{split}{suffix}", *sorted(folder.glob(f"*-{split}{suffix}")))
    return [path for path in found if path.is_file()]


def _read(folder: Path, lists: Mapping[str, list[Path]]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    problems = []
    for split, paths in lists.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(Problem(f"split {split!r}", f"has several lists: {names}. Keep those of one data set."))
            continue
        for path in paths:
            for number, line in enumerate(text_lines(path), start=1):
                name, place = line.partition(",")[0].strip(), f"{path.name}, line {number}"
                if name in found and found[name][0] != split:
                    problems.append(Problem(place, f"{name!r} is also on {found[name][1]}. Remove one of them."))
                elif name:
                    found[name] = (split, place)
    if problems:
        raise ManifestError(folder, problems)
    return found
