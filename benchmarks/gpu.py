"""Training on one GPU in ten minutes: precision, compile, micro-batches, losses, throughput and peak memory.

    python -m benchmarks.gpu             on a machine with a GPU
    python -m benchmarks.gpu --tiny      anywhere, in seconds: shows that it runs

Weights are random and data synthetic: speed and memory do not depend on them. Nothing is compared with a peer here.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.harness import save

CONTEXT = 77
STEPS, WARM_UP = 12, 4


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        model: open_clip configuration.
        batch: pairs of an ordinary step.
        large_batch: pairs of a step in micro-batches.
        micro_batch: pairs that pass through the towers at once in it.
        losses: pairs that the losses alone are measured with.
        width: numbers of an embedding there.
    """

    model: dict[str, Any]
    batch: int
    large_batch: int
    micro_batch: int
    losses: tuple[int, ...]
    width: int


def _clip(width: int, layers: int, image_size: int, patch: int, text_width: int, text_layers: int) -> dict[str, Any]:
    return {
        "embed_dim": 512 if width > 100 else 16,
        "vision_cfg": {
            "image_size": image_size,
            "layers": layers,
            "width": width,
            "patch_size": patch,
            "head_width": 64,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": 49408,
            "width": text_width,
            "heads": max(1, text_width // 64),
            "layers": text_layers,
        },
    }


FULL = Size(_clip(768, 12, 224, 32, 512, 12), 1024, 32_768, 1024, (16_384, 32_768, 65_536, 131_072), 512)
TINY = Size(_clip(64, 2, 32, 16, 64, 2), 8, 32, 8, (64, 128), 16)


def build(model: dict[str, Any]) -> Any:
    """A dual encoder with random weights that learns as a whole."""
    import open_clip
    from safetensors.torch import save_file

    from vlcore.encoders import build_dual_encoder
    from vlcore.models.dual_encoder import DualEncoder

    torch.manual_seed(0)
    network = open_clip.CLIP(**model)
    size = model["vision_cfg"]["image_size"]
    preprocess = {
        "size": [size, size],
        "mode": "RGB",
        "mean": list(open_clip.OPENAI_DATASET_MEAN),
        "std": list(open_clip.OPENAI_DATASET_STD),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = {"model_cfg": model, "preprocess_cfg": preprocess}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_file(state, folder / "open_clip_model.safetensors")
        return DualEncoder.from_towers(build_dual_encoder(f"open_clip/{folder}", trainable="all"))


class Pairs(IterableDataset[Any]):
    """One synthetic batch again and again: the device is measured, not the disk."""

    def __init__(self, pairs: int, image_size: int, tokens: int, steps: int) -> None:
        from vlcore.types import PairBatch

        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(1000, 40_000, (pairs, tokens), generator=generator)
        ids[:, 0], ids[:, -1] = 49_406, 49_407
        self.steps = steps
        self.batch = PairBatch(
            image_index=torch.arange(pairs),
            text_key=torch.arange(pairs),
            images=torch.randint(0, 256, (pairs, 3, image_size, image_size), dtype=torch.uint8, generator=generator),
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            text_lengths=(tokens,) * pairs,
        )

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.steps):
            yield self.batch


class Clock(Callback):
    """Wall seconds of the steps after the warm-up."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.seconds, self.losses = warm_up, 0.0, list[float]()
        self._start = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock behind the warm-up."""
        if batch_idx == self.warm_up:
            synchronise()
            self._start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss on the device."""
        self.losses.append(outputs["loss"])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock when the device is done."""
        synchronise()
        self.seconds = time.perf_counter() - self._start
        self.losses = [float(loss) for loss in self.losses]


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train(model: Any, pairs: int, *, precision: str, tokens: int = 16, steps: int = STEPS, **options: Any) -> Any:
    """Train for some steps and return pairs per second, peak memory and losses."""
    from vlcore.tasks.alignment import AlignmentTask

    warm_up = min(WARM_UP, steps // 3)
    model = copy.deepcopy(model)
    if options.get("objective") == "siglip":
        model.logit_bias = torch.nn.Parameter(torch.tensor([-10.0]))
    task = AlignmentTask(model=model, learning_rate=1e-4, schedule="constant", warmup=0, **options)
    clock = Clock(warm_up)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(
        accelerator="auto",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(task, DataLoader(Pairs(pairs, model.image_encoder.preprocess.size[0], tokens, steps), batch_size=None))
    return {
        "pairs": pairs,
        "tokens": tokens,
        "precision": precision,
        **options,
        "pairs_per_second": pairs * (steps - warm_up) / clock.seconds,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None,
        "first_and_last_loss": [clock.losses[0], clock.losses[-1]],
    }


def loss_alone(name: str, pairs: int, width: int, device: torch.device) -> dict[str, Any]:
    """Forward and backward of one objective on bfloat16 embeddings."""
    from vlcore.objectives.info_nce import InfoNCE
    from vlcore.objectives.siglip import SigLIP

    objective = {"info_nce": InfoNCE, "siglip": SigLIP}[name]()
    generator = torch.Generator().manual_seed(0)
    image, text = (
        torch.nn.functional.normalize(torch.randn(pairs, width, generator=generator), dim=1)
        .to(device, torch.bfloat16)
        .requires_grad_()
        for _ in range(2)
    )
    seconds = []
    for _ in range(3):
        synchronise()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        start = time.perf_counter()
        objective(image, text, 50.0, -10.0).backward()
        synchronise()
        seconds.append(time.perf_counter() - start)
    peak = (torch.cuda.max_memory_allocated() - before) / 2**20 if device.type == "cuda" else None
    return {"objective": name, "pairs": pairs, "seconds": min(seconds), "extra_mib": peak}


def main(tiny: bool = False) -> dict[str, Any]:
    """Measure everything and print it; `--tiny` writes no result file."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not tiny:
        raise SystemExit("There is no GPU here. `python -m benchmarks.gpu --tiny` shows that the benchmark runs.")
    torch.set_float32_matmul_precision("high")
    size = TINY if tiny else FULL
    model = build(size.model)
    runs: list[dict[str, Any]] = []

    def record(values: dict[str, Any]) -> None:
        runs.append(values)
        print("  " + json.dumps(values), flush=True)

    steps = 3 if tiny else STEPS
    record(train(model, size.batch, precision="32-true", steps=steps))
    record(train(model, size.batch, precision="bf16-mixed", steps=steps))
    record(train(model, size.batch, precision="bf16-mixed", tokens=CONTEXT, steps=steps))
    record(train(model, size.batch, precision="bf16-mixed", compile=True, steps=steps))
    record(train(model, size.batch, precision="bf16-mixed", micro_batch_size=size.micro_batch // 4, steps=steps))
    large = {"precision": "bf16-mixed", "steps": 3}
    record(train(model, size.large_batch, micro_batch_size=size.micro_batch, **large))
    record(train(model, size.large_batch, micro_batch_size=size.micro_batch, objective="siglip", **large))
    for pairs in size.losses:
        for name in ("info_nce", "siglip"):
            record(loss_alone(name, pairs, size.width, device))
    result = {"device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu", "runs": runs}
    if not tiny:
        save("gpu", result)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a few small steps on any machine; nothing is saved")
    main(**vars(parser.parse_args()))
