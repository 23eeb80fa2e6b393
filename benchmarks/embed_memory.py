"""Memory of `vlcore embed`: 100,000 images must not grow the process beyond what 1,000 do."""

from __future__ import annotations

import json
import resource
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import run_case, save, timed


def embed_many(count: int) -> dict[str, Any]:
    """Embed `count` small images with a tiny random tower; peak memory of the process in MiB."""
    import numpy as np
    from PIL import Image

    from vlcore.data.manifest import open_manifest
    from vlcore.encoders import build_text_encoder
    from vlcore.encoders.timm import TimmEncoder
    from vlcore.heads.linear import LinearHead
    from vlcore.models.dual_encoder import DualEncoder
    from vlcore.retrieval.embed import embed
    from vlcore.retrieval.model import Model
    from vlcore.types import ImagePreprocess

    image_encoder = TimmEncoder("test_resnet", ImagePreprocess((32, 32), resize_to=32)).eval()
    text_encoder = build_text_encoder("starter/minilm")
    network = DualEncoder(
        image_encoder, text_encoder, LinearHead(image_encoder.width, 256), LinearHead(text_encoder.width, 256)
    )
    model = Model(network, "0" * 64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generator = np.random.default_rng(0)
        distinct = 500
        for index in range(distinct):
            pixels = generator.integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.jpg")
        with (folder / "images.jsonl").open("w") as handle:
            for index in range(count):
                handle.write(json.dumps({"id": str(index), "image": f"{index % distinct}.jpg", "text": "noise"}) + "\n")
        manifest = open_manifest(folder / "images.jsonl")
        _, seconds = timed(lambda: embed(model, manifest, folder / "out"))
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main(small: int = 1_000, large: int = 100_000) -> None:
    """Compare the peaks of two runs in processes of their own."""
    runs = {str(count): run_case("benchmarks.embed_memory:embed_many", count=count) for count in (small, large)}
    growth = runs[str(large)]["peak_mib"] - runs[str(small)]["peak_mib"]
    print(f"  {large:,} images take {growth:.0f} MiB more than {small:,}")
    save("embed_memory", {"runs": runs, "growth_mib": growth})
