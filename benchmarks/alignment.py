"""`vlcore align` on real photos and tiles: scores, and seconds of the whole route, cold and with the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import REPOSITORY, data_root, save

SETS = {
    "flickr8k": ("general/flickr8k", ["--lang", "en"]),
    "rsicd": ("remote_sensing/rsicd", ["--prompts", "aerial"]),
}


def _route(name: str, folder: Path, cache: Path, seed: int) -> dict[str, Any]:
    """One run of the command in a process of its own."""
    source, options = SETS[name]
    manifest = data_root() / source / "captions.jsonl"
    command = [sys.executable, "-m", "vlcore", "align", str(manifest), "-o", str(folder), "--cache", str(cache)]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--seed", str(seed), *options],
        cwd=REPOSITORY,
        env=dict(os.environ, HF_HUB_OFFLINE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    result = json.loads((folder / "evaluation.json").read_text())
    standard, tolerant = (result["retrieval"][variant] for variant in ("standard", "duplicate_tolerant"))
    return {
        "seed": seed,
        "seconds": seconds,
        "mean_recall": standard["mean_recall"],
        "interval": standard["interval"]["mean_recall"],
        "text_to_image": standard["text_to_image"],
        "image_to_text": standard["image_to_text"],
        "duplicate_tolerant_mean_recall": tolerant["mean_recall"],
        "chance": standard["chance"]["mean_recall"],
        "closed_form_floor": standard["floor"]["closed_form"]["mean_recall"],
        "zero_shot": None if result["zero_shot"] is None else result["zero_shot"]["accuracy"],
        "stages": done.stdout[done.stdout.rfind("Seconds:") :].splitlines()[0],
    }


def main(seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Seed 0 twice: once cold, once with the cache; the other seeds with the cache."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for name in SETS:
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            runs[name] = [_route(name, root / "cold", root / "cache", seeds[0])]
            runs[name] += [_route(name, root / f"seed{seed}", root / "cache", seed) for seed in seeds]
        cold, *warm = runs[name]
        recalls = [run["mean_recall"] for run in warm]
        print(
            f"  {name}: mean recall {recalls}, duplicate-tolerant {warm[0]['duplicate_tolerant_mean_recall']:.1f}, "
            f"floor {cold['closed_form_floor']:.1f}, chance {cold['chance']:.1f}; cold {cold['seconds']:.0f} s, "
            f"with the cache {warm[0]['seconds']:.0f} s"
        )
    save("alignment", {"runs": runs})
