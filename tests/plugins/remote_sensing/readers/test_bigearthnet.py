from __future__ import annotations

import pytest
from reader_trees import PATCH, PATCH_2, band_files, bigearthnet_1, bigearthnet_2, touch

from vlcore.data.reader import RowError
from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.bigearthnet import BANDS, read_bigearthnet
from vlcore_remote_sensing.readers.bigearthnet_labels import CLASSES_19, DROPPED, joined_labels


def test_the_two_nomenclatures():
    joined = [old for olds in CLASSES_19.values() for old in olds]
    assert (len(CLASSES_19), len(joined), len(DROPPED)) == (19, 32, 11)
    assert len({*joined, *DROPPED}) == 43
    assert joined_labels(["Estuaries", "Discontinuous urban fabric", "Continuous urban fabric", "Burnt areas"]) == [
        "Urban fabric",
        "Marine waters",
    ]
    with pytest.raises(RowError, match=r"'Ricefields' is none of BigEarthNet's 43 classes. Did you mean 'Rice fields'"):
        joined_labels(["Ricefields"])


def test_version_1(tmp_path):
    root = bigearthnet_1(tmp_path)
    (record,) = read_bigearthnet(root)
    assert (record.id, record.group, record.split) == (PATCH, "S2A_MSIL2A_20170613T101031", None)
    assert record.labels["labels"] == ["Arable land", "Permanent crops", "Marine waters"]
    assert record.labels["labels_43"] == ["Airports", "Rice fields", "Sea and ocean", "Vineyards"]
    assert list(record.meta["bands"]) == list(BANDS) and len(BANDS) == 12 and "B10" not in BANDS
    assert all((root / name).is_file() for name in record.meta["bands"].values())
    assert record.image.path.name == f"{PATCH}_B04.tif"
    (inside,) = read_bigearthnet(root / "BigEarthNet-v1.0")
    assert inside.meta["bands"]["B01"] == f"{PATCH}/{PATCH}_B01.tif"


def test_lists_of_version_1_say_the_split(tmp_path):
    root = bigearthnet_1(tmp_path)
    (root / "bigearthnet-val.csv").write_text(f"{PATCH},S1B_IW_GRDH\n")
    assert read_bigearthnet(root)[0].split == "val"
    assert read_bigearthnet(root / "BigEarthNet-v1.0")[0].split == "val"
    (root / "bigearthnet-val.csv").write_text(f"{PATCH}\nS2A_gone\n")
    with pytest.raises(ManifestError, match=r"bigearthnet-val\.csv, line 2: the patch 'S2A_gone' is not there"):
        read_bigearthnet(root)


def test_a_patch_whose_classes_were_all_dropped_stays(tmp_path):
    (record,) = read_bigearthnet(bigearthnet_1(tmp_path, ["Airports"]))
    assert (record.labels["labels"], record.labels["labels_43"]) == ([], ["Airports"])


def test_bad_patches_of_version_1_are_listed_together(tmp_path):
    folder = bigearthnet_1(tmp_path, ["Moon"]) / "BigEarthNet-v1.0"
    touch(folder / "P_1_1", *band_files("P_1_1")[1:])
    touch(folder / "P_1_2", *band_files("P_1_2"))
    touch(folder / "P_1_3", *band_files("P_1_3"))
    (folder / "P_1_3" / "P_1_3_labels_metadata.json").write_text("{")
    with pytest.raises(ManifestError) as caught:
        read_bigearthnet(tmp_path)
    message = str(caught.value)
    for part in (
        f"patch {PATCH}: the label 'Moon' is none of BigEarthNet's 43 classes",
        "patch P_1_1: lacks P_1_1_B01.tif. Extract the archive again.",
        "patch P_1_2: has no P_1_2_labels_metadata.json",
        "patch P_1_3: P_1_3_labels_metadata.json, line 1: is not JSON",
    ):
        assert part in message


def test_version_2(tmp_path):
    (record,) = read_bigearthnet(bigearthnet_2(tmp_path))
    assert (record.id, record.split, record.labels) == (PATCH_2, "val", {"labels": ["Arable land"]})
    assert record.group == "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
    assert all((tmp_path / name).is_file() for name in record.meta["bands"].values())


def test_bad_rows_of_version_2_are_listed_together(tmp_path):
    rows = [
        {"patch_id": PATCH_2, "labels": ["Rice fields"], "split": "train"},
        {"patch_id": "S2A_1_2", "labels": ["Pastures"], "split": "train"},
        {"patch_id": "../../..", "labels": ["Pastures"], "split": "train"},
        {"patch_id": None, "labels": ["Pastures"], "split": "train"},
    ]
    with pytest.raises(ManifestError) as caught:
        read_bigearthnet(bigearthnet_2(tmp_path, rows))
    message = str(caught.value)
    for part in (
        f"row 1 ({PATCH_2}): the label 'Rice fields' is none of BigEarthNet's 19 classes",
        "row 2 (S2A_1_2): the folder 'BigEarthNet-S2/S2A/S2A_1_2' cannot be listed",
        "row 3 (../../..): the folder 'BigEarthNet-S2/../../../../../..' cannot be listed (The path",
        "row 4 (None): 'patch_id' is missing",
    ):
        assert part in message


def test_other_folders_and_tables_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"has neither metadata\.parquet nor folders of patches"):
        read_bigearthnet(tmp_path)
    with pytest.raises(ManifestError, match="has no column labels, split; its columns are patch_id"):
        read_bigearthnet(bigearthnet_2(tmp_path, [{"patch_id": "x"}]))
