from __future__ import annotations

import pytest
from reader_trees import nwpu_captions, nwpu_image, write_json

from vlcore.errors import ManifestError
from vlcore_remote_sensing.readers.nwpu_captions import read_nwpu_captions


def test_five_captions_in_order_and_the_class_in_words(tmp_path):
    first, second = read_nwpu_captions(nwpu_captions(tmp_path))
    assert [text.text for text in first.texts] == ["one plane .", *(f"plane {number} ." for number in range(1, 5))]
    assert (first.id, first.labels, first.split) == ("airplane/airplane_001.jpg", {"label": "airplane"}, "train")
    assert first.image.path == tmp_path / "NWPU_images" / "airplane" / "airplane_001.jpg"
    assert second.labels == {"label": "sea ice"}


def test_odd_characters_are_decomposed(tmp_path):
    classes = {"airplane": [nwpu_image("airplane_111.jpg", raw="\uff41 \ufb01eld\u00a0of ②  planes")]}
    (record,) = read_nwpu_captions(nwpu_captions(tmp_path, classes))
    assert record.texts[0].text == "a field of 2 planes"
    assert record.id == "airplane/airplane_111.jpg"  # which another loader skips


def test_bad_images_are_listed_by_class_and_place(tmp_path):
    classes = {
        "airplane": [nwpu_image("airplane_001.jpg", raw_2=" "), nwpu_image("airplane_002.jpg", raw_4=None)],
        "beach": [nwpu_image("beach_001.jpg"), nwpu_image("beach_001.jpg"), nwpu_image("gone.jpg")],
    }
    path = nwpu_captions(tmp_path, classes)
    (tmp_path / "NWPU_images" / "beach" / "gone.jpg").unlink()
    write_json(path, {**classes, "chaparral": [7, {"raw": "x"}]})
    with pytest.raises(ManifestError) as caught:
        read_nwpu_captions(path)
    message = str(caught.value)
    for part in (
        "airplane, image 1 (airplane_001.jpg): 'raw_2' has no words. Write a caption.",
        "airplane, image 2 (airplane_002.jpg): 'raw_4' is missing",
        "beach, image 2 (beach_001.jpg): the id 'beach/beach_001.jpg' is also on beach, image 1",
        "beach, image 3 (gone.jpg): the image 'beach/gone.jpg' is not in",
        "chaparral, image 1: is 7. It must be a JSON object.",
        "chaparral, image 2: 'filename' is missing",
    ):
        assert part in message


def test_names_that_lead_out_are_refused(tmp_path):
    path = write_json(tmp_path / "dataset_nwpu.json", {"..": [nwpu_image("a.jpg")], "b": [nwpu_image("/etc/passwd")]})
    with pytest.raises(ManifestError) as caught:
        read_nwpu_captions(path)
    assert str(caught.value).count("leads out of") + str(caught.value).count("is not in") == 2


@pytest.mark.parametrize("value", [[], {"airplane": {}}])
def test_another_file_is_told(tmp_path, value):
    with pytest.raises(ManifestError, match=r'does not hold \{"<class>": \[\.\.\.\], …\}'):
        read_nwpu_captions(write_json(tmp_path / "dataset_nwpu.json", value))
