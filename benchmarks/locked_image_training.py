"""Ten epochs with a locked image tower (LiT): vlcore caches its features, open_clip's `--lock-image` does not.

Same pretrained EfficientNet-Lite0, same text tower, same batches in the same order, same optimiser: the loss curves are
compared first. vlcore's time includes the caching pass. Caching excludes image augmentation, so neither side has any.

Every pair has an image of its own, a crop of a photo: photos with five captions each would be encoded once by vlcore,
and their captions would be positives of each other, which `ClipLoss` does not know.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import THREADS, data_root, ratio, run_case, save, timed
from benchmarks.image_embedding import ARCHITECTURE

EPOCHS, BATCH, WIDTH = 10, 64, 1280
RATE, BETAS = 5e-4, (0.9, 0.98)
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (1.0, 1.0))
MANIFEST, ORDER = "captions.jsonl", "order.json"
MODEL: dict[str, Any] = {
    "embed_dim": WIDTH,
    "vision_cfg": {
        "timm_model_name": ARCHITECTURE,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "none",
        "image_size": 224,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 256, "heads": 4, "layers": 4},
}


def _root() -> Path:
    return data_root() / "general" / "flickr8k"


def _write_pairs(folder: Path, pairs: int) -> None:
    """Real captions, five a photo, each with another corner (or the middle) of the photo: nine tenths of its sides."""
    from PIL import Image

    lines: list[str] = []
    for line in (_root() / "captions.jsonl").read_text().splitlines():
        record = json.loads(line)
        with Image.open(_root() / record["image"]) as photo:
            width, height = photo.size
            for (right, down), text in zip(CORNERS, record["captions"]["en"], strict=True):
                if len(lines) == pairs:
                    break
                left, top = int(width * 0.1 * right), int(height * 0.1 * down)
                crop = photo.crop((left, top, left + int(width * 0.9), top + int(height * 0.9)))
                name = f"{len(lines):05d}.jpg"
                crop.save(folder / name, quality=95)
                lines.append(json.dumps({"image": name, "text": text}) + "\n")
    (folder / MANIFEST).write_text("".join(lines))


def _peer() -> Any:
    """open_clip's model: pretrained image tower, random text tower, the same in every process."""
    import open_clip

    from benchmarks.image_embedding import _timm_state

    torch.manual_seed(0)
    model = open_clip.CLIP(**MODEL)
    model.visual.trunk.load_state_dict(_timm_state())
    return model


def open_clip_training(folder: str) -> dict[str, Any]:
    """open_clip: locked tower, its transform and tokenizer, `ClipLoss`, a DataLoader with two workers."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    root = Path(folder)
    rows = [json.loads(line) for line in (root / MANIFEST).read_text().splitlines()]
    order = json.loads((root / ORDER).read_text())
    model = _peer()
    model.lock_image_tower(unlocked_groups=0)
    model.train()
    # Its freeze_bn_stats would replace timm's fused norms by ones without their activation, and the features explode.
    model.visual.eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    transform = image_transform_v2(
        PreprocessCfg(size=224, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize_mode="shortest"),
        is_train=False,
    )

    class Pairs(Dataset[Any]):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            row = rows[index]
            return transform(Image.open(root / row["image"])), tokenizer([row["text"]])[0]

    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=RATE, betas=BETAS, weight_decay=0.0, fused=True)
    objective = open_clip.ClipLoss()

    def train() -> list[float]:
        losses = []
        for images, texts in DataLoader(Pairs(), batch_sampler=order, num_workers=THREADS):
            image, text, scale = model(images, texts)
            loss = objective(image, text, scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    losses, seconds = timed(train)
    return {"seconds": seconds, "losses": losses}


def vlcore_training(folder: str) -> dict[str, Any]:
    """vlcore: `AlignmentTask` and `ManifestDataModule` as `vlcore fit` runs them, with an empty feature cache."""
    from lightning.pytorch import Callback, Trainer

    from benchmarks.image_embedding import _timm_state, _tower
    from vlcore.data.datamodule import ManifestDataModule
    from vlcore.encoders import build_text_encoder
    from vlcore.encoders.timm import TimmEncoder
    from vlcore.heads.identity import IdentityHead
    from vlcore.models.dual_encoder import DualEncoder
    from vlcore.tasks.alignment import AlignmentTask

    image_encoder = TimmEncoder(ARCHITECTURE, replace(_tower().preprocess, resize_to=224))
    image_encoder.network.load_state_dict(_timm_state())
    image_encoder.set_trainable("none")
    batches: list[list[int]] = []
    losses: list[Any] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            batches.append(batch.image_index.tolist())
            losses.append(outputs["loss"])

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        text_encoder = build_text_encoder(f"open_clip/{_saved(_peer(), work / 'peer')}", trainable="all")
        model = DualEncoder(image_encoder, text_encoder, IdentityHead(WIDTH), IdentityHead(WIDTH))
        task = AlignmentTask(
            model=model, learning_rate=RATE, weight_decay=0.0, betas=BETAS, schedule="constant", warmup=0
        )
        data = ManifestDataModule(
            str(Path(folder) / MANIFEST),
            batch_size=BATCH,
            val_fraction=0.0,
            cache_dir=str(work / "cache"),
            num_workers=0,
        )
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=EPOCHS,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=work,
            callbacks=[Watch()],
        )
        _, seconds = timed(lambda: trainer.fit(task, datamodule=data))
    return {"seconds": seconds, "losses": [float(loss) for loss in losses], "order": batches}


def _saved(model: Any, folder: Path) -> Path:
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir()
    preprocess = {
        "size": [224, 224],
        "mode": "RGB",
        "mean": list(open_clip.OPENAI_DATASET_MEAN),
        "std": list(open_clip.OPENAI_DATASET_STD),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    }
    config = {"model_cfg": MODEL, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


def main(repeats: int = 1, pairs: int = 5000) -> None:
    """Compare loss curves first, then time. One run of open_clip takes most of an hour, hence one repeat."""
    runs: dict[str, list[dict[str, Any]]] = {"vlcore": [], "open_clip": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_pairs(folder, pairs)
        for repeat in range(repeats):
            # vlcore goes first: open_clip reads its batches in the same order.
            own = run_case("benchmarks.locked_image_training:vlcore_training", folder=name)
            order = json.dumps(own.pop("order"))
            print(f"  {repeat + 1}/{repeats} vlcore: {own['seconds']:.2f} s", flush=True)
            (folder / ORDER).write_text(order)
            peer = run_case("benchmarks.locked_image_training:open_clip_training", folder=name)
            print(f"  {repeat + 1}/{repeats} open_clip: {peer['seconds']:.2f} s", flush=True)
            runs["vlcore"].append(own)
            runs["open_clip"].append(peer)
    curves = {side: torch.tensor(of_side[0]["losses"]) for side, of_side in runs.items()}
    steps = len(curves["vlcore"])
    difference = float((curves["vlcore"] - curves["open_clip"]).abs().max())
    means = {side: curve.reshape(EPOCHS, -1).mean(1).tolist() for side, curve in curves.items()}
    speed = ratio(runs, "open_clip", "vlcore")
    print(
        f"  {steps} steps, largest difference of a loss {difference:.2g}; {speed['median']:.1f} x faster with caching"
    )
    for side, curve in means.items():
        print(f"  {side}, mean loss of every epoch: {' '.join(f'{loss:.4f}' for loss in curve)}")
    equality = {"steps": steps, "largest_loss_difference": difference, "epoch_losses": means}
    settings = {"pairs": pairs, "epochs": EPOCHS, "batch": BATCH}
    save("locked_image_training", {**settings, "equality": equality, "speedup": speed, "runs": runs})
