"""The notebook's way in: load a model directory, embed, search, classify, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.decode import DecodeReport
from vlcore.encoders.inference import ImageInference
from vlcore.errors import ConfigurationError
from vlcore.retrieval.images import ImageLike, image_batches
from vlcore.retrieval.precision import best_device, half_precision, unit_rows
from vlcore.retrieval.prompts import PLAIN, PromptSet
from vlcore.retrieval.texts import TextEmbedder
from vlcore.retrieval.zero_shot import ZeroShotResult, label_embeddings, label_probabilities
from vlcore.types import ImagePreprocess

if TYPE_CHECKING:
    from vlcore.hub.model_card import ModelCard
    from vlcore.models.dual_encoder import DualEncoder
    from vlcore.retrieval.evaluate import EvaluationResult
    from vlcore.retrieval.index import Index


def load(path_or_hub_id: Path | str, device: str | torch.device | None = None) -> Model:
    """Load a model directory, offline.

    Args:
        path_or_hub_id: folder that training wrote, or a Hugging Face hub id whose repository is one.
        device: `cuda`, `mps`, `cpu`, …; chosen by what is there if left out.

    Raises:
        ModelDirectoryError: if a part is missing or changed.
        ConfigurationError: if it is a fusion model (see `vlcore.retrieval.rerank.Reranker`), or made for another task.

    Example:
        >>> model = vlcore.load("runs/flickr8k/model")  # doctest: +SKIP
        >>> model.embed_texts(["two dogs in the snow"]).shape  # doctest: +SKIP
        (1, 256)
    """
    from vlcore.hub.model_directory import load_model_directory
    from vlcore.models.dual_encoder import DualEncoder
    from vlcore.models.headed_towers import HeadedTowers

    loaded = load_model_directory(Path(path_or_hub_id))
    if isinstance(loaded.model, HeadedTowers):
        raise ConfigurationError(
            f"{path_or_hub_id} was made for another task and has no embeddings to search by: {loaded.card.purpose}"
        )
    if not isinstance(loaded.model, DualEncoder):
        raise ConfigurationError(
            f"{path_or_hub_id} holds a fusion model, which reads images and texts together and has no embeddings to "
            f"search by. Give it as --rerank beside the model that made the index."
        )
    return Model(loaded.model, loaded.fingerprint, card=loaded.card, path=loaded.path, device=device)


class Model:
    """An aligned pair of towers, ready to use.

    Embeddings are float32 of unit norm and do not depend on the batch size beyond rounding. On CUDA the towers
    run in bfloat16 (float16 on older cards); projections and norms stay in float32.

    Args:
        network: the towers and heads.
        fingerprint: of weights and preprocessing; stored beside every vector made.
        card: where the model comes from, or None.
        path: model directory, or None.
        device: where to run; chosen if left out.
    """

    def __init__(
        self,
        network: DualEncoder,
        fingerprint: str,
        *,
        card: ModelCard | None = None,
        path: Path | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.device = best_device() if device is None else torch.device(device)
        self.network = network.to(self.device).eval()
        self.fingerprint = fingerprint
        self.card = card
        self.path = path
        self._images = ImageInference(self.network.image_encoder)
        self._texts = TextEmbedder(self.network, self.device)

    @property
    def embedding_size(self) -> int:
        """D."""
        size: int = self.network.embedding_size
        return size

    @property
    def preprocess(self) -> ImagePreprocess:
        """Geometry of the image tower."""
        preprocess: ImagePreprocess = self.network.image_encoder.preprocess
        return preprocess

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied with before the softmax of zero-shot classification."""
        return float(self.network.logit_scale.detach().exp())

    def embed_images(
        self,
        images: Sequence[ImageLike],
        batch_size: int = 64,
        progress: bool = False,
        on_bad_image: Literal["raise", "replace"] = "raise",
        report: DecodeReport | None = None,
    ) -> NDArray[np.float32]:
        """Embed images, one row each, in their order.

        Args:
            images: paths, PIL images, or arrays `[H, W, 3]` RGB or `[H, W]` grey, uint8; may be mixed.
            batch_size: images per forward pass.
            progress: show a bar on standard error.
            on_bad_image: `raise`, or `replace` an image that cannot be decoded by a grey one, counted in `report`.
                Leaving rows out would shift them against your list; use `embed` or an index for that.
            report: counts decoded and replaced images.

        Returns:
            `[N, D]` float32.

        Raises:
            ImageDecodeError: if an image cannot be decoded and `on_bad_image` is `raise`.
        """
        if on_bad_image not in ("raise", "replace"):
            raise ConfigurationError(
                f"on_bad_image={on_bad_image!r}: embed_images returns one row per image; choose 'raise' or 'replace'."
            )
        if isinstance(images, str | Path):
            raise ConfigurationError(f"embed_images takes a list of images; write embed_images([{str(images)!r}]).")
        out = np.empty((len(images), self.embedding_size), dtype=np.float32)
        row = 0
        for pixels in image_batches(images, self.preprocess, batch_size, progress, on_bad_image, report):
            out[row : row + len(pixels)] = self.embed_pixels(pixels)
            row += len(pixels)
        return out

    @torch.inference_mode()
    def embed_pixels(self, images: Tensor) -> NDArray[np.float32]:
        """Embed preprocessed images `[B, 3, H, W]` uint8 as `[B, D]`."""
        with half_precision(self.device):
            features = self._images(images)
        return unit_rows(self.network.project_images(features.float()))

    def embed_texts(self, texts: Sequence[str], progress: bool = False) -> NDArray[np.float32]:
        """Embed texts, one row each, in their order; equal texts get equal rows.

        Args:
            texts: words in any order of length; they are sorted and padded as little as possible.
            progress: show a bar on standard error.

        Returns:
            `[N, D]` float32.

        Warns:
            UserWarning: if texts are longer than the tower reads; their ends have no effect.
        """
        return self._texts.embed(texts, progress)

    def count_truncated(self, texts: Sequence[str]) -> int:
        """How many of these texts are longer than the text tower reads."""
        return self._texts.count_truncated(texts)

    def similarity(self, images: Sequence[ImageLike], texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosine of every image with every text, `[N, M]`, -1..1."""
        scores: NDArray[np.float32] = self.embed_images(images) @ self.embed_texts(texts).T
        return scores

    def zero_shot(
        self, images: Sequence[ImageLike], labels: Sequence[str], prompts: PromptSet | str | None = None
    ) -> ZeroShotResult:
        """Tell which label fits each image best.

        Args:
            images: as for `embed_images`.
            labels: class names.
            prompts: a prompt set or its name (`plain`, `photo`, `aerial`, or a plugin's); the bare label if left out.
        """
        vectors = label_embeddings(self, labels, PLAIN if prompts is None else prompts)
        return ZeroShotResult(list(labels), label_probabilities(self.embed_images(images), vectors, self.logit_scale))

    def index(self, source: Path | str, path: Path | str, **options: Any) -> Index:
        """Make images searchable, or bring their index up to date.

        Args:
            source: a manifest, or a folder of images.
            path: folder of the index.
            options: of `vlcore.retrieval.build_index.build_index`.
        """
        from vlcore.data.manifest import open_manifest
        from vlcore.retrieval.build_index import build_index

        return build_index(self, open_manifest(source), path, **options)[0]

    def evaluate(
        self,
        manifest: Path | str,
        split: str | None = "test",
        floors: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> EvaluationResult:
        """Score the model on a manifest; options as of `vlcore.retrieval.evaluate.evaluate`."""
        from vlcore.data.manifest import open_manifest
        from vlcore.retrieval.evaluate import evaluate

        return evaluate(self, open_manifest(manifest, lang=options.get("lang")), split=split, floors=floors, **options)
