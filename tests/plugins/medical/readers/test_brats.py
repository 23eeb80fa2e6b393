"""The reader of BraTS, on small trees of two years."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.brats import read_brats

OLD = ("t1", "t1ce", "t2", "flair", "seg")
NEW = ("t1n", "t1c", "t2w", "t2f", "seg")


def case(folder: Path, name: str, sign: str, parts: tuple[str, ...], suffix: str = ".nii.gz") -> None:
    """Write the folder of a case."""
    (folder / name).mkdir(parents=True)
    for part in parts:
        (folder / name / f"{name}{sign}{part}{suffix}").write_bytes(b"nifti")


def tree(folder: Path) -> Path:
    """Write two scans of one patient and one of another, which has no mask."""
    for name in ("BraTS-GLI-00000-000", "BraTS-GLI-00000-001"):
        case(folder / "training", name, "-", NEW)
    case(folder / "validation", "BraTS-GLI-00001-000", "-", NEW[:-1])
    (folder / "training" / "BraTS-GLI-00000-000" / "._BraTS-GLI-00000-000-t1n.nii.gz").write_bytes(b"\0")
    return folder


def test_scans_of_one_patient_are_one_group(tmp_path: Path) -> None:
    first, second, third = read_brats(tree(tmp_path))
    assert (first.id, second.id, third.id) == ("BraTS-GLI-00000-000", "BraTS-GLI-00000-001", "BraTS-GLI-00001-000")
    assert first.group == second.group == "BraTS-GLI-00000" != third.group
    home = "training/BraTS-GLI-00000-000/BraTS-GLI-00000-000"
    assert first.meta == {
        "modalities": {
            "flair": f"{home}-t2f.nii.gz",
            "t1": f"{home}-t1n.nii.gz",
            "t1ce": f"{home}-t1c.nii.gz",
            "t2": f"{home}-t2w.nii.gz",
        },
        "mask": f"{home}-seg.nii.gz",
    }
    assert first.image.path == tmp_path / first.meta["modalities"]["flair"]
    assert "mask" not in third.meta


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_the_names_of_earlier_years(tmp_path: Path, suffix: str) -> None:
    case(tmp_path, "BraTS2021_00000", "_", OLD, suffix)
    (record,) = read_brats(tmp_path)
    assert (record.id, record.group) == ("BraTS2021_00000", "BraTS2021_00000")
    assert record.meta["modalities"]["t1ce"] == f"BraTS2021_00000/BraTS2021_00000_t1ce{suffix}"


def test_mistakes_are_named(tmp_path: Path) -> None:
    case(tmp_path, "BraTS2021_00000", "_", ("t1", "seg"))
    case(tmp_path, "BraTS2021_00001", "_", (*OLD, "t2w"))
    case(tmp_path / "a", "BraTS2021_00002", "_", OLD)
    case(tmp_path / "b", "BraTS2021_00002", "_", OLD)
    with pytest.raises(ManifestError) as caught:
        read_brats(tmp_path)
    for part in (
        "case BraTS2021_00000: the modalities flair, t1ce, t2 are missing. Unpack the archive again.",
        "case BraTS2021_00001: BraTS2021_00001/BraTS2021_00001_t2.nii.gz and BraTS2021_00001/BraTS2021_00001_t2w",
        "case b/BraTS2021_00002: the id 'BraTS2021_00002' is also on case a/BraTS2021_00002",
    ):
        assert part in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="holds no rows"):
        read_brats(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_brats(tmp_path / "nowhere")
