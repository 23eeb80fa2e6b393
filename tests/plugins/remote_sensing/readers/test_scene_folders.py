from __future__ import annotations

import pytest
from reader_trees import scene_folders, touch

from vlcore.errors import ConfigurationError, ManifestError
from vlcore_remote_sensing.readers.scene_folders import read_scene_folders
from vlcore_remote_sensing.readers.scene_names import readable_scene, readable_scenes


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AnnualCrop", "annual crop"),  # EuroSAT
        ("SeaLake", "sea lake"),
        ("baseball_diamond", "baseball diamond"),  # RESISC45
        ("StorageTanks", "storage tanks"),  # AID
        ("footballField", "football field"),  # WHU-RS19
        ("wastewater_treatment_plant", "wastewater treatment plant"),  # PatternNet
        ("airplane", "airplane"),
        ("GPSStation", "gps station"),
    ],
)
def test_class_names_become_words(name, words):
    assert readable_scene(name) == words


def test_the_letters_of_rsscn7_go_and_others_stay():
    names = ["aGrass", "bField", "cIndustry", "dRiverLake", "eForest", "fResident", "gParking"]
    words = ["grass", "field", "industry", "river lake", "forest", "resident", "parking"]
    assert list(readable_scenes(names).values()) == words
    assert readable_scenes(["aGrass", "footballField"])["aGrass"] == "a grass"


def test_scenes_without_lists_have_no_split(tmp_path):
    first, second, third = read_scene_folders(scene_folders(tmp_path) / ".")
    assert [record.id for record in (first, second, third)] == [
        "AnnualCrop/AnnualCrop_1.jpg",
        "AnnualCrop/AnnualCrop_2.jpg",
        "SeaLake/SeaLake_1.jpg",
    ]
    assert (first.labels, first.meta, first.split, first.texts) == (
        {"label": "annual crop"},
        {"class": "AnnualCrop"},
        None,
        (),
    )


@pytest.mark.parametrize("beside", [True, False])
def test_lists_say_the_split(tmp_path, beside):
    folder = scene_folders(tmp_path)
    lists = tmp_path if beside else folder
    (lists / "eurosat-train.txt").write_text("AnnualCrop_1.jpg\n")
    (lists / "eurosat-val.txt").write_text("AnnualCrop_2.jpg\n\n")
    (lists / "eurosat-test.txt").write_text("SeaLake_1.jpg")
    assert [record.split for record in read_scene_folders(folder)] == ["train", "val", "test"]


def test_lists_that_do_not_fit_are_told(tmp_path):
    folder = scene_folders(tmp_path)
    (folder / "eurosat-train.txt").write_text("AnnualCrop_1.jpg\nGone_1.jpg\n")
    with pytest.raises(ManifestError, match=r"eurosat-train\.txt, line 2: the image 'Gone_1' is in no class folder"):
        read_scene_folders(folder)
    (folder / "eurosat-test.txt").write_text("AnnualCrop_1.jpg\n")
    with pytest.raises(ManifestError, match=r"eurosat-test\.txt, line 1: 'AnnualCrop_1.jpg' is also on eurosat-train"):
        read_scene_folders(folder)
    (folder / "eurosat-test.txt").write_bytes(b"\xff.jpg\n")
    with pytest.raises(ManifestError, match=r"eurosat-test\.txt: 1 problem(.|\n)*line 1: byte 1 \(0xFF\) is not UTF-8"):
        read_scene_folders(folder)
    (folder / "eurosat-test.txt").unlink()
    (folder / "resisc45-train.txt").write_text("AnnualCrop_1.jpg\n")
    with pytest.raises(ManifestError, match=r"split 'train': has several lists: eurosat-train.txt, resisc45-train"):
        read_scene_folders(folder)
    touch(folder, "SeaLake/AnnualCrop_1.jpg")
    (folder / "resisc45-train.txt").unlink()
    (folder / "eurosat-train.txt").write_text("AnnualCrop_1.jpg\n")
    with pytest.raises(ManifestError, match=r"the image 'AnnualCrop_1' is in 2 class folders"):
        read_scene_folders(folder)


def test_other_files_are_counted(tmp_path):
    folder = touch(scene_folders(tmp_path), "SeaLake/Thumbs.db", "SeaLake/readme.txt")
    with pytest.warns(UserWarning, match="left out 2 files that do not end in the suffix of an image"):
        assert len(read_scene_folders(folder)) == 3


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = scene_folders(tmp_path)
    touch(tmp_path, "secret.jpg")
    (folder / "SeaLake" / "SeaLake_9.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(ManifestError, match="is a link that leads out"):
        read_scene_folders(folder)


def test_a_folder_without_classes_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="has no class folders"):
        read_scene_folders(touch(tmp_path, "a.jpg"))
