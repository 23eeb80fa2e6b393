"""Scenes and tiles: zero-shot scene accuracy on RSICD, and heat maps of large, awkward and real scenes."""

from __future__ import annotations

import os
import resource
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import data_root, run_case, save, timed

PROMPT_SETS = ("plain", "aerial", "remote_sensing/aerial", "remote_sensing/captions")
FOLDS = 5
SIDE = 10_980  # pixels of a Sentinel-2 scene
BATCHES = (1, 7, 64)
WORKERS = (1, 2)


def _rsicd(cache: str) -> tuple[Any, Any, Any]:
    """Towers, encoded training split, encoded test split; labels in words."""
    from dataclasses import replace

    from vlcore.align.data import Towers, encode_records
    from vlcore.data.decode import DecodeReport
    from vlcore.data.manifest import open_manifest
    from vlcore.encoders import build_image_encoder, build_text_encoder
    from vlcore_remote_sensing.readers.scene_names import readable_scene

    records = [
        replace(record, labels={"label": readable_scene(record.labels["label"])})
        for record in open_manifest(data_root() / "remote_sensing" / "rsicd" / "captions.jsonl")
    ]
    towers = Towers(
        build_image_encoder("starter/efficientnet_lite0"), build_text_encoder("starter/minilm_layers"), Path(cache)
    )
    options: dict[str, Any] = {"batch_size": 64, "on_bad_image": "raise", "report": DecodeReport(), "progress": False}
    train, test = (
        encode_records([record for record in records if record.split == split], towers, **options)
        for split in ("train", "test")
    )
    return towers, train, test


def zero_shot(seed: int, cache: str) -> dict[str, Any]:
    """Scene accuracy over the 30 labels; chosen on training images only, the test split is scored once."""
    import torch

    from vlcore.align.closed_form import UNTUNED, choose_closed_form, closed_form_heads
    from vlcore.align.features import group_folds
    from vlcore.metrics.bootstrap import bootstrap_interval
    from vlcore.retrieval.prompts import prompt_set

    towers, train, test = _rsicd(cache)
    labels = sorted({record.labels["label"] for record in train.records})
    truth = {
        name: np.array([labels.index(record.labels["label"]) for record in part.records])
        for name, part in (("train", train), ("test", test))
    }
    sentences = {name: [prompt_set(name).fill(label) for label in labels] for name in PROMPT_SETS}  # [C, T] of each set
    encoded = {
        name: towers.encode_texts([text for row in rows for text in row]).reshape(len(labels), len(rows[0]), -1)
        for name, rows in sentences.items()
    }

    @torch.inference_mode()
    def predicted(heads: Any, images: Any, name: str) -> Any:
        image_head, text_head = (head.eval() for head in heads)
        normalise = torch.nn.functional.normalize
        words = normalise(normalise(text_head(encoded[name]), dim=-1).mean(1), dim=-1)
        return (normalise(image_head(torch.from_numpy(images)), dim=-1) @ words.T).argmax(1).numpy()

    folds = group_folds(train.features.groups, FOLDS, seed)
    settings, _ = choose_closed_form(train.features, folds[:3])
    held_out: dict[str, list[float]] = {name: [] for name in PROMPT_SETS}
    for fold in folds:
        heads = closed_form_heads(train.features.subset(fold.kept), settings)
        for name in PROMPT_SETS:
            guess = predicted(heads, train.features.image[fold.held_out], name)
            held_out[name].append(float((guess == truth["train"][fold.held_out]).mean()))
    chosen = max(PROMPT_SETS, key=lambda name: np.mean(held_out[name]))
    right = predicted(closed_form_heads(train.features, settings), test.features.image, chosen) == truth["test"]
    floor = predicted(closed_form_heads(train.features, UNTUNED), test.features.image, "plain") == truth["test"]
    probe = _linear_probe(train.features.image, truth["train"], test.features.image) == truth["test"]
    ends = bootstrap_interval(
        lambda weights: (weights @ right.astype(np.float64) / weights.sum(1))[:, None],
        len(right),
        repeats=1000,
        seed=seed,
    )
    return {
        "seed": seed,
        "accuracy": float(right.mean()),
        "interval_95": np.asarray(ends).ravel().tolist(),
        "prompts": chosen,
        "held_out": {name: float(np.mean(values)) for name, values in held_out.items()},
        "untuned_closed_form": float(floor.mean()),
        "linear_probe": float(probe.mean()),
        "majority": float((truth["test"] == np.bincount(truth["train"]).argmax()).mean()),
        "chance": 1 / len(labels),
    }


def _linear_probe(images: Any, labels: Any, others: Any) -> Any:
    """Ridge regression on one-hot labels, its ridge from a held-out fifth: what the image tower knows with labels."""
    centre, spread = images.mean(0), images.std(0) + 1e-6
    x, y = (images - centre) / spread, np.eye(labels.max() + 1)[labels]
    order = np.random.default_rng(0).permutation(len(x))
    kept, held = order[len(x) // 5 :], order[: len(x) // 5]

    def weights(rows: Any, ridge: float) -> Any:
        gram = x[rows].T @ x[rows] / len(rows)
        return np.linalg.solve(gram + ridge * np.eye(x.shape[1]), x[rows].T @ (y[rows] - y.mean(0)) / len(rows))

    best = max(
        (0.1, 1.0, 10.0, 100.0), key=lambda ridge: ((x[held] @ weights(kept, ridge)).argmax(1) == labels[held]).mean()
    )
    return (((others - centre) / spread) @ weights(order, best) + y.mean(0)).argmax(1)


def make_model(folder: str, cache: str) -> dict[str, Any]:
    """A model aligned on RSICD's training images by the closed form."""
    from vlcore.align.run import align
    from vlcore.data.manifest import open_manifest

    manifest = open_manifest(data_root() / "remote_sensing" / "rsicd" / "captions.jsonl")
    made = align(manifest, Path(folder), method="closed_form", cache=Path(cache), bootstrap=10, progress=False)
    return {"fingerprint": made.model.fingerprint}


def write_scene(path: str, side: int) -> dict[str, Any]:
    """A scene in the form of Sentinel-2: four bands of 16 bits, blocks of 512, deflate."""
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    random = np.random.default_rng(0)
    fields = random.integers(200, 3000, (4, side // 60 + 1, side // 60 + 1), dtype=np.uint16)
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "nodata": 0}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=4,
        dtype="uint16",
        crs="EPSG:32632",
        transform=from_origin(600_000, 5_000_040, 10, 10),
        **options,
    ) as file:
        for number, name in enumerate(("B02", "B03", "B04", "B08"), start=1):
            file.set_band_description(number, name)
        columns = np.arange(side) // 60
        for row in range(0, side, 512):
            rows = np.arange(row, min(row + 512, side)) // 60
            block = fields[:, rows][:, :, columns] + random.integers(0, 60, (4, len(rows), side), dtype=np.uint16)
            file.write(block, window=Window(0, row, side, len(rows)))
    return {"bytes": Path(path).stat().st_size}


def large_scene(model: str, scene: str, folder: str) -> dict[str, Any]:
    """Seconds of the first and of another prompt on one scene, and the greatest memory of the process."""
    import vlcore_remote_sensing as remote_sensing

    os.environ["VLCORE_CACHE"] = folder
    loaded = remote_sensing.open_model(model)
    output = Path(folder) / "heat.tif"
    options: dict[str, Any] = {"radiometry": "sentinel-2-harmonised"}
    heat, first = timed(lambda: loaded.heatmap(scene, "a river", output, **options))
    _, second = timed(lambda: loaded.heatmap(scene, "farmland", output, **options))
    return {
        "windows": heat.tags["VLCORE_WINDOWS"],
        "cells": list(heat.valid.shape),
        "first_seconds": first,
        "second_seconds": second,
        "second_share": second / first,
        "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def invariance(model: str, scene: str) -> dict[str, Any]:
    """Largest difference of a map over batch sizes and numbers of workers."""
    import vlcore_remote_sensing as remote_sensing

    loaded = remote_sensing.open_model(model)
    maps = {
        f"batch {batch}, workers {workers}": loaded.heatmap(
            scene, "a river", radiometry="sentinel-2-harmonised", batch_size=batch, workers=workers, cache=None
        ).similarity
        for batch in BATCHES
        for workers in WORKERS
    }
    first = next(iter(maps.values()))
    return {name: float(np.abs(values - first).max()) for name, values in maps.items()}


def real_files(model: str) -> dict[str, Any]:
    """What becomes of every shared GeoTIFF: a map whose place agrees with GDAL's, or the error."""
    import rasterio

    import vlcore_remote_sensing as remote_sensing
    from vlcore.errors import VlcoreError

    loaded = remote_sensing.open_model(model)
    named = {"data__1985.tif": 4, "data__2020.tif": 4, "terratorch__segmentation_test_0_input.tif": 10}
    order = ["blue", "green", "red", "nir", *(f"x{number}" for number in range(6))]
    outcome: dict[str, Any] = {}
    for path in sorted((data_root() / "remote_sensing" / "geotiff").glob("*.tif")):
        names = order[: named[path.name]] if path.name in named else None
        try:
            heat = loaded.heatmap(path, "a river", band_names=names, cache=None)
        except VlcoreError as error:
            outcome[path.name] = {"error": str(error).replace(str(path), path.name)}
            continue
        with rasterio.open(path) as file:
            own_grid = heat.crs == file.crs
            across = round(heat.transform.a / file.transform.a) if own_grid else 0
            down = round(heat.transform.e / file.transform.e) if own_grid else 0
            expected = file.transform * file.transform.scale(across, down) if own_grid else None
        outcome[path.name] = {
            "crs": heat.crs.to_string()[:40],
            "cells": list(heat.valid.shape),
            "valid": float(heat.valid.mean()),
            "finite": bool(np.isfinite(heat.similarity[0][heat.valid > 0.5]).all()),
            "transform_difference": None
            if expected is None
            else float(np.abs(np.subtract(tuple(heat.transform), tuple(expected))).max()),
        }
    return outcome


def main(seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """All of it; the large scene is written to a temporary folder (0.7 GB)."""
    warnings.simplefilter("ignore")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        cache, model = f"{temporary}/cache", f"{temporary}/rsicd"
        result["zero_shot"] = [
            run_case("benchmarks.remote_sensing:zero_shot", seed=seed, cache=cache) for seed in seeds
        ]
        for run in result["zero_shot"]:
            low, high = run["interval_95"]
            print(
                f"  zero-shot, seed {run['seed']}: {run['accuracy']:.3f} ({low:.3f} to {high:.3f}) with "
                f"{run['prompts']}; untuned {run['untuned_closed_form']:.3f}, linear probe {run['linear_probe']:.3f}, "
                f"majority {run['majority']:.3f}, chance {run['chance']:.3f}"
            )
        run_case("benchmarks.remote_sensing:make_model", folder=model, cache=cache)
        for name, side in (("small", 2_000), ("large", SIDE)):
            run_case("benchmarks.remote_sensing:write_scene", path=f"{temporary}/{name}.tif", side=side)
        result["invariance"] = run_case(
            "benchmarks.remote_sensing:invariance", model=f"{model}/model", scene=f"{temporary}/small.tif"
        )
        print(f"  largest difference over batch sizes and workers: {max(result['invariance'].values()):.2g}")
        result["large_scene"] = run_case(
            "benchmarks.remote_sensing:large_scene",
            model=f"{model}/model",
            scene=f"{temporary}/large.tif",
            folder=f"{temporary}/maps",
        )
        large = result["large_scene"]
        print(
            f"  {SIDE:,} x {SIDE:,}: {large['first_seconds']:.0f} s, another prompt {large['second_seconds']:.2f} s "
            f"({100 * large['second_share']:.2f} %), peak {large['peak_rss_gib']:.2f} GiB"
        )
        result["real_files"] = run_case("benchmarks.remote_sensing:real_files", model=f"{model}/model")
        maps = [values for values in result["real_files"].values() if "error" not in values]
        differences = [values["transform_difference"] for values in maps if values["transform_difference"] is not None]
        print(
            f"  real files: {len(maps)} maps, {len(result['real_files']) - len(maps)} refused; largest difference of a "
            f"transform {max(differences):.2g}"
        )
    save("remote_sensing", result)
