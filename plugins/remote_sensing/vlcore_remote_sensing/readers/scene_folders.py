"""Reader of scene data sets with one folder a class: EuroSAT RGB, RESISC45, AID, WHU-RS19, RSSCN7, PatternNet.

Layout: `<class>/<image>`, such as `AnnualCrop/AnnualCrop_1.jpg`; beside the class folders or their folder optional
lists of file names, `<data set>-train.txt`, `…-val.txt` and `…-test.txt`, as TorchGeo publishes them for EuroSAT and
RESISC45.

Source: P. Helber et al., arXiv 1709.00029 (EuroSAT); G. Cheng et al., arXiv 1703.00121 (RESISC45); G.-S. Xia et al.,
arXiv 1608.05167 (AID); W. Zhou et al., arXiv 1706.03424 (PatternNet).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, collect_records
from vlcore.data.readers.paths import IMAGE_SUFFIXES
from vlcore.data.record import Record
from vlcore.errors import ConfigurationError, ManifestError, Problem
from vlcore_remote_sensing.readers.left_out import report_left_out
from vlcore_remote_sensing.readers.scene_names import readable_scenes
from vlcore_remote_sensing.readers.splits import read_split_lists


def read_scene_folders(path: Path | str) -> list[Record]:
    """Read scenes; files that are no images are left out, and a warning says how many.

    Args:
        path: folder of the class folders.

    Returns:
        Records without texts, with the class in words as `label` and its folder in the meta `class`; the split where
        lists say it.

    Raises:
        ConfigurationError: if there are no class folders.
        ManifestError: if a list names an image that is not there, or one image for two splits.
    """
    folder = Path(path)
    return read_class_folders(folder, IMAGE_SUFFIXES, (folder, folder.parent), {})


def read_class_folders(
    folder: Path,
    suffixes: frozenset[str],
    list_folders: Sequence[Path],
    meta: Mapping[str, Any],
    check: Callable[[Row, str], None] | None = None,
) -> list[Record]:
    """Read class folders of files with certain suffixes.

    Args:
        folder: of the class folders.
        suffixes: in lower case, that mark an image.
        list_folders: where lists of the splits may lie.
        meta: of every record.
        check: is given the row and the name of each image; raises `RowError` if it cannot be used.

    Raises:
        ConfigurationError: if there are no class folders.
        ManifestError: as `read_scene_folders`.
    """
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    if not classes:
        raise ConfigurationError(f"{folder} has no class folders. Give the folder with one folder a class.")
    left_out: Counter[str] = Counter()
    names = []
    for scene in classes:
        for entry in sorted((folder / scene).iterdir()):
            if entry.suffix.lower() in suffixes:
                names.append(f"{scene}/{entry.name}")
            else:
                left_out[f"files that do not end in {_listed(suffixes)}"] += 1
    # The lists name files without their folder, and those of EuroSAT say .jpg for the multi-spectral .tif too.
    lists = {Path(name).stem: value for name, value in read_split_lists(list_folders, ".txt").items()}
    _require_listed(folder, lists, Counter(Path(name).stem for name in names))
    labels = readable_scenes(classes)

    def record(row: Row) -> Record:
        name = row.get("image", str)
        if check is not None:
            check(row, name)
        scene, _, file = name.rpartition("/")
        split, _ = lists.get(Path(file).stem, (None, ""))
        return Record(
            id=name,
            image=row.image(name),
            split=split,
            labels={"label": labels[scene]},
            meta={"class": scene, **meta},
        )

    records = collect_records(folder, ((f"file {name}", {"image": name}) for name in names), folder, record)
    report_left_out(folder, left_out)
    return records


def _require_listed(folder: Path, lists: Mapping[str, tuple[str, str]], stems: Counter[str]) -> None:
    """Every line of a list must stand for exactly one file."""
    problems = []
    for stem, (_, place) in lists.items():
        if stems[stem] == 0:
            message = f"the image {stem!r} is in no class folder. Restore the file or remove the line."
            problems.append(Problem(place, message))
        elif stems[stem] > 1:
            message = f"the image {stem!r} is in {stems[stem]} class folders. Give the files names of their own."
            problems.append(Problem(place, message))
    if problems:
        raise ManifestError(folder, problems)


def _listed(suffixes: frozenset[str]) -> str:
    return ", ".join(sorted(suffixes)) if len(suffixes) < 4 else "the suffix of an image"
