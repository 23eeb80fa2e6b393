"""The reader of surgical frames, on a small tree in the true layout and on the real data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vlcore.data.record import Text
from vlcore.errors import ManifestError
from vlcore_surgical.cholect50 import read_cholect50


def instance(triplet: str) -> dict[str, Any]:
    """One labelled action."""
    instrument, verb, target = triplet.split(",")
    box = [0.1, 0.2, 0.3, 0.4]
    return {
        "triplet": triplet,
        "triplet_id": 1,
        "instrument": instrument,
        "verb": verb,
        "target": target,
        "tool_box": box,
    }


def frame(number: int, *triplets: str, **changes: Any) -> dict[str, Any]:
    """One line of the data set."""
    return {
        "video": "VID68",
        "frame": number,
        "image": f"frames/VID68/{number:06d}.jpg",
        "phase_id": 0,
        "phase": "preparation",
        "instances": [instance(triplet) for triplet in triplets],
        "censored": False,
        "labelled": True,
        **changes,
    }


def tree(folder: Path, *rows: dict[str, Any]) -> Path:
    """Write a data set."""
    (folder / "frames" / "VID68").mkdir(parents=True)
    for row in rows:
        (folder / row["image"]).write_bytes(b"jpeg")
    path = folder / "frames.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_frame_becomes_a_record_grouped_by_video(tmp_path: Path) -> None:
    row = frame(16, "grasper,retract,gallbladder", "hook,dissect,cystic_duct", "grasper,retract,gallbladder")
    (record,) = read_cholect50(tree(tmp_path, row))
    assert record.id == "VID68/000016"
    assert record.group == "VID68"
    assert record.texts == (
        Text("the grasper retracts the gallbladder and the hook dissects the cystic duct", lang="en", kind="action"),
    )
    assert record.labels == {
        "phase": "preparation",
        "instruments": ["grasper", "hook"],
        "triplets": ["grasper,retract,gallbladder", "hook,dissect,cystic_duct"],
    }
    assert record.meta == {"frame": 16, "censored": False}


def test_labelled_frames_without_action_say_so_and_unlabelled_ones_say_nothing(tmp_path: Path) -> None:
    path = tree(tmp_path, frame(1), frame(2, labelled=False, phase=None, phase_id=None))
    idle, unlabelled = read_cholect50(path)
    assert [text.text for text in idle.texts] == ["no instrument acts"]
    assert idle.labels["instruments"] == []
    assert (unlabelled.texts, unlabelled.labels, unlabelled.group) == ((), {}, "VID68")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": None}, "line 2: 'phase' is missing"),
        ({"frame": "16"}, "line 2: 'frame' is '16'. It must be a whole number."),
        ({"frame": True}, "line 2: 'frame' is True. It must be a whole number."),
        ({"instances": [{"instrument": "hook"}]}, "must have instrument, verb, target as text"),
        ({"instances": ["hook,cut,liver"]}, "must have instrument, verb, target as text"),
        ({"instances": [instance("hook,saw,liver")]}, "the verb 'saw' is none of CholecT50's: grasp, "),
        ({"frame": 1}, "the id 'VID68/000001' is also on line 1"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_cholect50(tree(tmp_path, frame(1), frame(2, **changes)))
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_the_real_data(data_root: Path) -> None:
    records = read_cholect50(data_root / "surgical" / "cholect50" / "frames.jsonl")
    assert Counter(record.group for record in records) == {"VID74": 448, "VID68": 266, "VID70": 192, "VID73": 176}
    assert sum(bool(record.texts) for record in records) == 1008
    assert len({record.labels["phase"] for record in records if record.labels}) == 7
    assert "the grasper retracts the gallbladder" in {text.text for record in records for text in record.texts}
