"""Reader of BraTS: MRI of brain tumours in four modalities, with masks.

Layouts: a folder for each case, such as `BraTS2021_00000/BraTS2021_00000_{t1,t1ce,t2,flair,seg}.nii.gz` or, since 2023,
`BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}.nii.gz`; `.nii` as well.

Source: U. Baid et al., The RSNA-ASNR-MICCAI BraTS 2021 Benchmark, arXiv 2107.02314.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vlcore.data.reader import Row, RowError, collect_records
from vlcore.data.record import Record
from vlcore_medical.readers.tables import require_folder

_NAMES = {
    "t1": "t1",
    "t1n": "t1",
    "t1ce": "t1ce",
    "t1c": "t1ce",
    "t2": "t2",
    "t2w": "t2",
    "flair": "flair",
    "t2f": "flair",
    "seg": "mask",
}
MODALITIES = ("flair", "t1", "t1ce", "t2")
_FILE = re.compile(rf"(?P<case>.+)[_-](?P<name>{'|'.join(_NAMES)})\.nii(\.gz)?", re.IGNORECASE)


def read_brats(path: Path | str) -> list[Record]:
    """Read cases; the patient is the group: since 2023 a case ends in the number of the patient's scan.

    Args:
        path: folder that the folders of the cases lie under, at any depth.

    Returns:
        One record for each case whose image is the FLAIR volume; in `meta` all `modalities` by name (flair, t1, t1ce,
        t2) and, where there is one, the `mask`.

    Raises:
        ConfigurationError: if the folder does not exist.
        ManifestError: listing every case that lacks a modality or has one twice.
    """
    path = Path(path)
    require_folder(path, "the folders of the cases of BraTS")
    cases: dict[str, dict[str, Any]] = {}
    for file in sorted(path.rglob("*.nii*")):
        match = _FILE.fullmatch(file.name)
        if match and match["case"] == file.parent.name:
            place = file.relative_to(path).as_posix()
            case = cases.setdefault(file.parent.relative_to(path).as_posix(), {"case": match["case"]})
            case.setdefault(_NAMES[match["name"].lower()], []).append(place)
    return collect_records(path, ((f"case {place}", values) for place, values in cases.items()), path, _record)


def _record(row: Row) -> Record:
    case = row.get("case", str)
    files = {name: row.get(name, list, []) for name in (*MODALITIES, "mask")}
    if missing := [name for name in MODALITIES if not files[name]]:
        raise RowError(f"the modalities {', '.join(missing)} are missing. Unpack the archive again.")
    if twice := [places for places in files.values() if len(places) > 1]:
        raise RowError(f"{twice[0][0]} and {twice[0][1]} are one modality. Remove one of them.")
    scan = re.fullmatch(r"(BraTS-.+-\d+)-\d{3}", case)
    mask = files.pop("mask")
    return Record(
        id=case,
        image=row.image(files["flair"][0]),
        group=scan[1] if scan else case,
        meta={
            "modalities": {name: places[0] for name, places in files.items()},
            **({"mask": mask[0]} if mask else {}),
        },
    )
