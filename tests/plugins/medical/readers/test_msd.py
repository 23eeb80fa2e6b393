"""The reader of the Medical Segmentation Decathlon, on a small tree in its layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_medical.readers.msd import read_msd


def volume(name: str) -> dict[str, str]:
    """One entry of the list of training."""
    return {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}


def tree(folder: Path, **changed: Any) -> Path:
    """Write a data set, with what archives of a Mac leave beside the volumes."""
    for name in ("imagesTr/liver_1", "labelsTr/liver_1", "imagesTr/liver_2", "labelsTr/liver_2", "imagesTs/liver_3"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.nii.gz").write_bytes(b"nifti")
    (folder / "imagesTr" / "._liver_1.nii.gz").write_bytes(b"\0")
    values = {
        "name": "Liver",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver"},
        "numTraining": 2,
        "numTest": 1,
        "training": [volume("liver_1"), volume("liver_2")],
        "test": ["./imagesTs/liver_3.nii.gz"],
        **changed,
    }
    path = folder / "dataset.json"
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return path


@pytest.mark.parametrize("test", [["./imagesTs/liver_3.nii.gz"], [{"image": "./imagesTs/liver_3.nii.gz"}]])
def test_volumes_and_their_masks(tmp_path: Path, test: Any) -> None:
    first, _, third = read_msd(tree(tmp_path, test=test))
    assert (first.id, first.group, first.split) == ("liver_1", "liver_1", "train")
    assert first.meta == {
        "modality": ["CT"],
        "classes": {"0": "background", "1": "liver"},
        "mask": "labelsTr/liver_1.nii.gz",
    }
    assert first.image.path == tmp_path / "imagesTr" / "liver_1.nii.gz"
    assert (third.id, third.split) == ("liver_3", "test")
    assert "mask" not in third.meta


def test_without_counts_and_without_test(tmp_path: Path) -> None:
    assert len(read_msd(tree(tmp_path, numTraining=None, numTest=None, test=None))) == 2


def test_mistakes_are_named(tmp_path: Path) -> None:
    training = [volume("liver_9"), {"image": "./imagesTr/liver_1.nii.gz"}, volume("../liver"), 7]
    path = tree(tmp_path, training=training, numTraining=4, test=[{"image": 3}])
    with pytest.raises(ManifestError) as caught:
        read_msd(path)
    for part in (
        "training volume 1: the image 'labelsTr/liver_9.nii.gz' is not in",
        "training volume 2: 'label' is missing. It must be text.",
        "training volume 3: The path 'labelsTr/../liver.nii.gz' leads out of",
        "training volume 4: is 7. It must be a JSON object.",
        "test volume 1: 'image' is 3. It must be text.",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"numTraining": 3}, "numTraining: is 3, but 'training' lists 2 volumes. Download the archive again."),
        ({"training": 7}, "the list of each training volume: holds 7 where a list belongs"),
        ({"labels": None}, "does not hold the tables 'modality' and 'labels'"),
    ],
)
def test_another_file_is_told(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_msd(tree(tmp_path, **changed))
    assert message in str(caught.value)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_msd(tmp_path / "nowhere.json")
