"""Left and right lung on covid-chestxray: pointing at them on a frozen tower's feature map, and drawing them as masks.

Boxes of the lungs are the places. The words "left lung" and "right lung" decide which is meant; a lung lies at much the
same place in every image, so beside chance stand a map that is the mean of the training boxes of each phrase, and for
masks a model whose text is empty. Train and val are trained on with settings that were fixed before; test is read once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.harness import data_root
from benchmarks.medical.chest_xrays import SEEDS, records
from benchmarks.medical.towers import IMAGE_ENCODER, TEXT_ENCODER, starter_towers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vlcore.data.record import Record

PHRASES = ("left lung", "right lung")
SIDE = 32
EPOCHS = 5
REPEATS = 1000


def annotated() -> tuple[list[Record], NDArray[np.float64], NDArray[np.float64]]:
    """Images with both lungs, boxes `[N, 2, 4]` left, top, right, bottom in pixels, and sizes `[N, 2]`."""
    import numpy as np

    path = data_root() / "medical" / "covid_cxr" / "data.jsonl"
    rows = {row["image"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    names = [phrase.replace(" ", "_") for phrase in PHRASES]
    kept = [record for record in records() if all(rows[record.id]["lungs"].get(name) for name in names)]
    boxes = np.array([[rows[record.id]["lungs"][name] for name in names] for record in kept], dtype=np.float64)
    # COCO: left, top, width, height.
    boxes[..., 2:] += boxes[..., :2]
    return kept, boxes, np.array([rows[record.id]["size"] for record in kept], dtype=np.float64)


def grounding(cache: str) -> dict[str, Any]:
    """Pointing accuracy of the head, of the mean map of training, and of chance."""
    from pathlib import Path

    import numpy as np
    import torch

    from vlcore.align.data import Towers
    from vlcore.data.feature_cache import cache_image_features, cache_text_features
    from vlcore.encoders import build_image_encoder, build_text_encoder
    from vlcore.encoders.token_encoder import TokenEncoder
    from vlcore_medical.metrics.pointing import cells_inside, point
    from vlcore_medical.tasks.grounding import Phrases, boxes_in_view, fit_phrase_map

    tower = build_image_encoder(f"tokens/{IMAGE_ENCODER}")
    assert isinstance(tower, TokenEncoder)
    towers = Towers(tower, build_text_encoder(TEXT_ENCODER), Path(cache))
    kept, boxes, sizes = annotated()
    flat = cache_image_features(kept, tower.preprocess, towers.encode_images, towers.image_cache).rows
    cells = tower.unflatten(torch.tensor(flat)).features
    text = torch.tensor(cache_text_features(PHRASES, towers.encode_texts, towers.text_cache).rows)
    side = int(tower.tokens**0.5)
    seen = boxes_in_view(boxes.reshape(-1, 4), sizes.repeat(2, axis=0), tower.preprocess)
    inside = cells_inside(seen, side, side).reshape(len(kept), 2, -1)
    held_out = np.array([record.split == "test" for record in kept])

    def phrases(chosen: NDArray[np.bool_]) -> Phrases:
        count = int(chosen.sum())
        return Phrases(
            cells[torch.from_numpy(chosen)],
            torch.arange(count).repeat_interleave(2),
            text.repeat(count, 1),
            torch.tensor(inside[chosen], dtype=torch.float32).flatten(0, 1),
        )

    test, places = phrases(held_out), seen.reshape(-1, 2, 4)[held_out].reshape(-1, 4)
    patients = [str(record.group) for record, chosen in zip(kept, held_out, strict=True) if chosen for _ in PHRASES]
    mean_map = inside[~held_out].mean(axis=0)  # [2, R]
    floor = np.tile(mean_map, (int(held_out.sum()), 1)).reshape(-1, side, side)
    answer: dict[str, Any] = {
        "images": {"train": int((~held_out).sum()), "test": int(held_out.sum())},
        "left_out_without_both_lungs": len(records()) - len(kept),
        "mean_map": _mean(point(floor, places).hit, patients),
        "chance": _mean(point(floor, places).chance, patients),
        "head": [],
        "head_with_the_other_phrase": [],
    }
    for seed in SEEDS:
        head = fit_phrase_map(phrases(~held_out), seed=seed)
        with torch.no_grad():
            heat = head(test.cells[test.image], test.text).double().numpy().reshape(-1, side, side)
        answer["head"].append(_mean(point(heat, places).hit, patients))
        swapped = heat.reshape(-1, 2, side, side)[:, ::-1].reshape(-1, side, side)
        answer["head_with_the_other_phrase"].append(_mean(point(swapped, places).hit, patients))
    return answer


def segmentation(cache: str) -> dict[str, Any]:
    """Dice of the text-guided model, of its twin without text, and of the mean mask of training."""
    from dataclasses import replace

    import numpy as np
    import torch

    from vlcore.data.decode import decode_image
    from vlcore.data.transform import apply_preprocess
    from vlcore.types import ImagePreprocess
    from vlcore_medical.metrics.pointing import cells_inside
    from vlcore_medical.metrics.segmentation import dice, outline_distance
    from vlcore_medical.tasks.grounding import boxes_in_view
    from vlcore_medical.tasks.text_guided_segmentation import SETTINGS, draw_masks, fit_text_guided_mask

    kept, boxes, sizes = annotated()
    view = ImagePreprocess((SIDE, SIDE), "squash")
    pixels = [apply_preprocess(decode_image(one.image, sample_id=one.id), view).float().mean(dim=0) for one in kept]
    images = torch.stack(pixels)[:, None]
    images = (images - images.mean(dim=(1, 2, 3), keepdim=True)) / images.std(dim=(1, 2, 3), keepdim=True)
    seen = boxes_in_view(boxes.reshape(-1, 4), sizes.repeat(2, axis=0), view)
    masks = cells_inside(seen, SIDE, SIDE).reshape(len(kept), 2, SIDE, SIDE)
    held_out = np.array([record.split == "test" for record in kept])
    train, test = (torch.from_numpy(np.flatnonzero(held_out == side)) for side in (False, True))
    patients = [str(kept[number].group) for number in test.tolist() for _ in PHRASES]
    reference = masks[held_out].reshape(-1, SIDE, SIDE)
    mean_mask = np.tile(masks[~held_out].mean(axis=0) > 0.5, (len(test), 1, 1))
    settings = replace(SETTINGS, epochs=EPOCHS)
    words = phrase_features(cache, PHRASES)
    answer: dict[str, Any] = {
        "images": {"train": len(train), "test": len(test)},
        "mean_mask": _mean(dice(mean_mask, reference), patients),
    }
    for name, text in (("text_on", words), ("text_off", torch.zeros_like(words))):
        answer[name] = []
        for seed in SEEDS:
            model = fit_text_guided_mask(
                images[train],
                torch.arange(len(train)).repeat_interleave(2),
                text.repeat(len(train), 1),
                torch.tensor(masks[~held_out], dtype=torch.float32).flatten(0, 1),
                settings,
                seed=seed,
            )
            drawn = draw_masks(model, images[test].repeat_interleave(2, dim=0), text.repeat(len(test), 1))
            distance = outline_distance(drawn, reference, (100 / SIDE, 100 / SIDE))
            answer[name].append(
                {
                    **_mean(dice(drawn, reference), patients),
                    "median_hd95_per_cent_of_side": float(np.median(distance)),
                }
            )
    return answer


def phrase_features(cache: str, phrases: Sequence[str]) -> Any:
    """Text features `[P, Wt]` of a few phrases, less their mean and of about unit variance: how they differ."""
    import torch

    from vlcore.data.feature_cache import cache_text_features

    towers = starter_towers(cache)
    text = torch.tensor(cache_text_features(phrases, towers.encode_texts, towers.text_cache).rows)
    text = text - text.mean(dim=0)
    return text / text.std()


def _mean(values: NDArray[np.float64], patients: list[str]) -> dict[str, Any]:
    """Mean in per cent with its interval over patients."""
    import numpy as np

    from vlcore.metrics.bootstrap import Floats, bootstrap_interval, unit_index

    unit = unit_index(patients)
    units = int(unit.max()) + 1
    total, count = np.bincount(unit, weights=values, minlength=units), np.bincount(unit, minlength=units)

    def statistic(weights: Floats) -> Floats:
        return np.asarray((weights @ total) / (weights @ count) * 100)[:, None]

    ends = bootstrap_interval(statistic, units, repeats=REPEATS)[0].tolist()
    return {"mean": float(values.mean() * 100), "interval_95": ends}
