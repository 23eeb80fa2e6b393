"""A tiny tree in the true layout of every data set; each function writes one and returns what its reader is given."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile


def touch(root, *names):
    """Write files that stand for images."""
    for name in names:
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"image")
    return root


def write_json(path, value):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_csv(path, rows, encoding="utf-8"):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_text(text.getvalue(), encoding=encoding)
    return path


def karpathy_image(name, *captions, split="train", first=0):
    sentences = [
        {"tokens": text.split(), "raw": text, "imgid": 0, "sentid": first + number}
        for number, text in enumerate(captions)
    ]
    sentids = [sentence["sentid"] for sentence in sentences]
    return {"filename": name, "imgid": 0, "sentids": sentids, "sentences": sentences, "split": split}


def karpathy(root):
    touch(root, "RSICD_images/airport_1.jpg", "RSICD_images/00623.jpg")
    images = [karpathy_image("airport_1.jpg", "a plane .", "two planes ."), karpathy_image("00623.jpg", "a sea .")]
    return write_json(root / "dataset_rsicd.json", {"images": images, "dataset": "rsicd"})


def rsitmd(root, images=None):
    images = images or [karpathy_image("baseballfield_452.tif", "a field ."), karpathy_image("park_1.tif", "trees .")]
    touch(root / "images", *(image["filename"] for image in images))
    return write_json(root / "dataset_RSITMD.json", {"images": images, "dataset": "RSITMD"})


def nwpu_image(name, split="train", **captions):
    raw = {"raw": "one plane .", **{f"raw_{number}": f"plane {number} ." for number in range(1, 5)}}
    return {"filename": name, "imgid": 0, "split": split, **raw, **captions, "sentids": 0}


def nwpu_captions(root, classes=None):
    classes = classes or {"airplane": [nwpu_image("airplane_001.jpg")], "sea_ice": [nwpu_image("sea_ice_001.jpg")]}
    for scene, images in classes.items():
        touch(root / "NWPU_images" / scene, *(image["filename"] for image in images))
    return write_json(root / "dataset_nwpu.json", classes)


def amfmn(root):
    folder = touch(root / "rsicd_precomp", "airport_1.jpg", "airport_2.jpg", "00623.jpg")
    captions = [f"caption {number} ." for number in range(10)]
    (folder / "train_caps.txt").write_text("\n".join(captions) + "\n")
    (folder / "train_filename.txt").write_text("airport_1.jpg\nairport_2.jpg\n")
    (folder / "test_caps.txt").write_text("".join(f"sea {number} .\n" for number in range(5)))
    (folder / "test_filename.txt").write_text("00623.jpg\n" * 5)
    (folder / "val_caps_verify.txt").write_text("not read\n")
    return folder


def scene_folders(root):
    return touch(root / "2750", "AnnualCrop/AnnualCrop_1.jpg", "AnnualCrop/AnnualCrop_2.jpg", "SeaLake/SeaLake_1.jpg")


def write_raster(path, bands):
    import numpy as np
    import rasterio

    path.parent.mkdir(exist_ok=True, parents=True)
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": bands, "dtype": "uint16"}
    # Any grid: a raster without one makes rasterio warn.
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(10, 0, 0, 0, -10, 0)) as raster:
        raster.write(np.ones((bands, 4, 4), np.uint16))


def eurosat_ms(root):
    for name in ("Forest/Forest_1.tif", "Forest/Forest_2.tif", "River/River_1.tif"):
        write_raster(root / "ds/images/remote_sensing/otherDatasets/sentinel_2/tif" / name, 13)
    return root


def skyscript(root):
    touch(root, "images2/a198234555_CH_19.jpg", "images7/renamed.jpg")
    rows = [
        ("filepath", "title", "title_multi_objects"),
        ("images2/a198234555_CH_19.jpg", "a solar farm", "a solar farm, a road and a wood"),
        ("images7/renamed.jpg", "a park", "a park"),
    ]
    return write_csv(root / "SkyScript_train_top30pct_filtered_by_CLIP_openai.csv", rows)


def skyscript_benchmark(root):
    touch(root, "images/1.jpg", "images/2.jpg")
    (root / "classnames.txt").write_text("bare land\nbaseball field\n")
    rows = [("filepath", "label"), ("images/1.jpg", "baseball field"), ("images/2.jpg", "0")]
    return write_csv(root / "aid_img_txt_pairs_test.csv", rows)


def write_tar(path, members):
    path.parent.mkdir(exist_ok=True, parents=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def rs5m_sample(key, caption):
    return [
        (f"{key}.img_name", f"name {key}.jpg".encode()),
        (f"{key}.img_content", f"image {key}".encode()),
        (f"{key}.caption", caption.encode()),
    ]


def rs5m(root):
    write_tar(root / "train/pub11-train-0000.tar", [*rs5m_sample("000", "a  bay ."), *rs5m_sample("001", "a field .")])
    write_tar(root / "val/rs3-val-0000.tar", rs5m_sample("000", "a port in winter, UTM zone 32 ."))
    return root


def rs5m_captions(root):
    touch(root, "a.jpg", "b.jpg")
    rows = [("img_name", "caption"), ("a.jpg", "first ."), ("b.jpg", "sea ."), ("a.jpg", "second .")]
    return write_csv(root / "rs5m_eval.csv", rows)


def rsvqa_parts():
    """Images, questions and answers of a split, each list indexed by id; image 0 and question 1 are inactive."""
    images = [{"id": 0, "active": False}, {"id": 1, "active": True, "questions_ids": [0, 2]}]
    questions = [
        {"id": 0, "img_id": 1, "type": "presence", "question": "Is there a road?", "answers_ids": [2], "active": True},
        {"id": 1, "active": False},
        {"id": 2, "img_id": 1, "type": "count", "question": "How many roads?", "answers_ids": [0], "active": True},
    ]
    answers = [
        {"id": 0, "queston_id": 2, "answer": "7", "active": True},
        {"id": 1, "active": False},
        {"id": 2, "queston_id": 0, "answer": "yes", "active": True},
    ]
    return images, questions, answers


def rsvqa(root, parts=None, prefix="LR", split="train", folder="Images_LR"):
    touch(root / folder, "1.tif")
    for name, rows in zip(("images", "questions", "answers"), parts or rsvqa_parts(), strict=True):
        write_json(root / f"{prefix}_split_{split}_{name}.json", {name: rows})
    return root


def rsivqa(root):
    touch(root, "00433.jpg")
    path = root / "rsicd_vqa.txt"
    path.write_text("00433.jpg:Is there a bridge?yes\n00433.jpg:How many boats? really?12\n")
    return path


def llava_json(root):
    touch(root, "images/P0003.png")
    turns = [
        {"from": "human", "value": "<image>\nWhere is the ship? [refer]"},
        {"from": "gpt", "value": "{<12><3><40><44>|<90>}"},
    ]
    rows = [{"id": "P0003", "image": "images/P0003.png", "conversations": turns}] * 2
    return write_json(root / "GeoChat_Instruct.json", rows)


PATCH = "S2A_MSIL2A_20170613T101031_87_48"
PATCH_2 = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57"


def band_files(patch):
    bands = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12"
    return [f"{patch}_{band}.tif" for band in bands.split()]


def bigearthnet_1(root, labels=("Airports", "Rice fields", "Sea and ocean", "Vineyards")):
    folder = root / "BigEarthNet-v1.0" / PATCH
    touch(folder, *band_files(PATCH))
    write_json(folder / f"{PATCH}_labels_metadata.json", {"labels": list(labels), "projection": "…"})
    return root


def bigearthnet_2(root, rows=None):
    import pyarrow as pa
    import pyarrow.parquet as pq

    touch(root / "BigEarthNet-S2" / PATCH_2.removesuffix("_26_57") / PATCH_2, *band_files(PATCH_2))
    rows = rows or [{"patch_id": PATCH_2, "labels": ["Arable land"], "split": "validation", "country": "Austria"}]
    pq.write_table(pa.Table.from_pylist(rows), root / "metadata.parquet")
    return root


def air_slt(root):
    touch(root / "imgs", "0.jpg")
    square = [[10.5, 20.0], [30, 20], [30, 40], [10, 40]]
    rows = [
        {"caption": "there is a green pond .\n", "jpg_name": "0.jpg", "points": [square]},
        {"caption": "some cars .", "jpg_name": "0.jpg", "points": [square, [*square, [9, 30.25]]]},
    ]
    write_json(root / "annotations" / "anno.json", rows)
    return root


def translation(sentid, source, text, lang="pt", kind="mt", **changes):
    row = {"dataset": "rsicd", "imgid": 0, "sentid": sentid, "lang": lang, "text": text, "kind": kind}
    return {
        **row,
        "mt_model": "m",
        "mt_revision": "1",
        "src_sha1": hashlib.sha1(source.encode()).hexdigest(),
        **changes,
    }


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def captions_side_files(root):
    touch(root, "airport_1.jpg", "00623.jpg")
    images = [
        karpathy_image("airport_1.jpg", "a plane .", "two  planes ."),
        karpathy_image("00623.jpg", "a sea .", split="test", first=2),
    ]
    write_lines(
        root / "captions.pt.jsonl",
        [translation(2, "a sea .", "um mar ."), translation(0, "a plane .", "um avião .")],
    )
    write_lines(
        root / "captions.zh-Hans.jsonl",
        [translation(1, "two planes .", "两架飞机", lang="zh-Hans", kind="human", mt_model=None)],
    )
    return write_json(root / "dataset_rsicd.json", {"images": images, "dataset": "rsicd"})


TREES = {
    "air_slt": air_slt,
    "amfmn": amfmn,
    "bigearthnet": bigearthnet_1,
    "captions_side_files": captions_side_files,
    "eurosat_ms": eurosat_ms,
    "karpathy": karpathy,
    "llava_json": llava_json,
    "nwpu_captions": nwpu_captions,
    "rs5m": rs5m,
    "rs5m_captions": rs5m_captions,
    "rsitmd": rsitmd,
    "rsivqa": rsivqa,
    "rsvqa": rsvqa,
    "scene_folders": scene_folders,
    "skyscript": skyscript,
    "skyscript_benchmark": skyscript_benchmark,
}
"""By name of the reader."""
