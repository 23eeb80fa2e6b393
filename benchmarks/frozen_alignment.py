"""SAIL, projectors and VLAP against linear heads and the closed form, on frozen starter towers; and whether CKA knows.

Each recipe is its file in `configs/pretraining`, on real photos and tiles. The weights of the best epoch by a held-out
tenth of the training images are scored on the test split once per seed.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import REPOSITORY, THREADS, data_root, save

SETS: dict[str, dict[str, Any]] = {
    "flickr8k": {"manifest": "general/flickr8k/captions.jsonl", "lang": "en"},
    "rsicd": {"manifest": "remote_sensing/rsicd/captions.jsonl"},
}
RECIPES = ("linear", "sail_tiny", "projectors_tiny", "vlap_tiny")
LINEAR = {"image_head": "linear", "text_head": "linear", "embedding_size": 256, "weight_decay": 0.1}
PAIRS = [
    (f"starter/{image}", f"starter/{text}")
    for image in ("efficientnet_lite0", "efficientnet_lite2")
    for text in ("minilm", "minilm_layers")
]


def _configuration(recipe: str) -> dict[str, Any]:
    import yaml

    name = "sail_tiny" if recipe == "linear" else recipe
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "configs" / "pretraining" / f"{name}.yaml").read_text())
    if recipe == "linear":
        towers = {key: value for key, value in found["model"]["init_args"].items() if key.endswith("_encoder")}
        found["model"]["init_args"] = {**towers, **LINEAR}
        found["data"]["init_args"] |= {"captions": "all", "batch_size": 512}
        found["trainer"]["max_epochs"] = 20
    return found


def train(recipe: str, source: str, seed: int, cache: Path) -> dict[str, Any]:
    """Train one recipe on one set, and score it."""
    from lightning.pytorch import Trainer, seed_everything
    from lightning.pytorch.callbacks import ModelCheckpoint

    from vlcore.data.datamodule import ManifestDataModule
    from vlcore.tasks.alignment import AlignmentTask

    found, start = _configuration(recipe), time.perf_counter()
    seed_everything(seed, verbose=False)
    options = {**found["data"]["init_args"], **SETS[source], "seed": seed, "cache_dir": str(cache)}
    options |= {"manifest": str(data_root() / SETS[source]["manifest"]), "lang": SETS[source].get("lang")}
    task, data = AlignmentTask(**found["model"]["init_args"]), ManifestDataModule(**options)
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="val/mean_recall", mode="max")
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=found["trainer"]["max_epochs"],
            callbacks=[best],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        trainer.fit(task, datamodule=data)
        (scores,) = trainer.test(task, datamodule=data, ckpt_path=best.best_model_path, verbose=False)
        assert best.best_model_score is not None
        chosen_by = float(best.best_model_score)
    return {
        "seed": seed,
        "test_mean_recall": scores["test/mean_recall"],
        "validation_mean_recall": chosen_by,
        "seconds": time.perf_counter() - start,
    }


def compare_cka(cache: Path, sets: Sequence[str]) -> list[dict[str, Any]]:
    """CKA of the training pairs of every pair of towers, and the held-out recall of its closed form (no test split)."""
    from vlcore.align.closed_form import choose_closed_form
    from vlcore.align.data import Towers, encode_records
    from vlcore.align.features import group_folds
    from vlcore.data.decode import DecodeReport
    from vlcore.data.manifest import open_manifest
    from vlcore.encoders import build_image_encoder, build_text_encoder
    from vlcore.metrics.cka import linear_cka

    rows = []
    for source in sets:
        options = SETS[source]
        manifest = open_manifest(data_root() / options["manifest"], lang=options.get("lang"))
        records = [record for record in manifest if record.split == "train"]
        for image, text in PAIRS:
            towers = Towers(build_image_encoder(image).eval(), build_text_encoder(text).eval(), cache)
            encoded = encode_records(
                records, towers, batch_size=64, on_bad_image="raise", report=DecodeReport(), progress=False
            ).features
            sides = encoded.image[encoded.image_of_text], encoded.text
            _, candidate = choose_closed_form(encoded, group_folds(encoded.groups, 3, 0))
            rows.append(
                {
                    "set": source,
                    "image_encoder": image,
                    "text_encoder": text,
                    "cka": linear_cka(*sides),
                    "cka_biased": linear_cka(*sides, debiased=False),
                    "held_out_mean_recall": candidate.mean,
                }
            )
            print(f"  {source} {image} {text}: CKA {rows[-1]['cka']:.3f}, held out {candidate.mean:.1f}", flush=True)
    return rows


def main(seeds: tuple[int, ...] = (0, 1, 2), sets: Sequence[str] = tuple(SETS)) -> None:
    """All recipes on all sets; results are saved after every seed."""
    import torch

    torch.set_num_threads(THREADS)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {source: {recipe: [] for recipe in RECIPES} for source in sets}
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(temporary)
        cka = compare_cka(cache, sets)
        for seed in seeds:
            for source in sets:
                for recipe in RECIPES:
                    run = train(recipe, source, seed, cache)
                    runs[source][recipe].append(run)
                    print(f"  seed {seed} {source} {recipe}: {run['test_mean_recall']:.1f} ", end="")
                    print(f"(validation {run['validation_mean_recall']:.1f}), {run['seconds']:.0f} s", flush=True)
            save(
                "frozen_alignment",
                {"seeds": seeds[: seeds.index(seed) + 1], "summary": _summary(runs), "runs": runs, "cka": cka},
            )


def _summary(runs: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds."""
    return {
        source: {
            recipe: {
                "mean": statistics.mean(scores),
                "std": statistics.stdev(scores) if len(scores) > 1 else None,
            }
            for recipe, several in of_set.items()
            if (scores := [run["test_mean_recall"] for run in several])
        }
        for source, of_set in runs.items()
    }


if __name__ == "__main__":
    main()
