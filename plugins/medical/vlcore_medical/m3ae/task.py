"""Pre-training of an M3AE."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.tasks.fusion.monitor import MatchingMonitor
from vlcore.types import PairBatch
from vlcore_medical.m3ae.build import build_m3ae, load_m3ae
from vlcore_medical.m3ae.defects import Defect, chosen_defects
from vlcore_medical.m3ae.masking_choice import build_masking
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.patch_masking import check_share
from vlcore_medical.m3ae.shape import SizeName
from vlcore_medical.m3ae.step import TERMS, Hiding, M3AEStep, TermName, summed
from vlcore_medical.m3ae.training_task import M3AEMatchingTask


class M3AETask(M3AEMatchingTask):
    """Pre-trains an M3AE on images with texts (arXiv 2209.07098, section 3.2): the losses of three passes are added.

    Words are guessed with the image whole, pixels with the text whole; the two are never hidden at once. With
    `defects=released` the recipe is that of the published code.

    Logged: `train/loss`, and `train/<term>` of every objective; `val/mean_recall`, per cent, of the matching head over
    the first 64 validation images with one caption each.

    Args:
        size: `base` is the paper's; `small` and `tiny` have random weights.
        text_encoder: name of a text tower of BERT's family: its tokeniser, and with `text_weights` its weights.
        text_weights: begin with that tower's weights.
        image_weights: folder or hub id of a CLIP that the image tower begins with; random if left out.
        image_size: pixels of a side, in place of the size's own.
        max_tokens: that texts are cut at.
        objectives: weight of each term: `masked_language`, `masked_image`, `matching`.
        text_masking: hide single word pieces (`token`), or a `whole_word`; left out, whole words, or what the defect
            `masking_over_padding` says.
        hidden_patches: share of an image's patches that is hidden.
        normalise_pixels: guess each patch's pixels relative to their own mean and variance.
        defects: of the released code that are to be repeated, or `released` for all of them; none by default.
        dropout: of texts and fusion.
        learning_rate: peak, of the two towers.
        fusion_factor: of the learning rate of fusion and heads.
        weight_decay: of matrices.
        warmup: steps if a whole number, share of all steps if a fraction below 1.
        start_from: model directory to go on from; size and towers are then its own.
        model: in place of all that describes one.
    """

    def __init__(
        self,
        size: SizeName = "base",
        text_encoder: str = "transformers/FacebookAI/roberta-base",
        text_weights: bool = False,
        image_weights: str | None = None,
        image_size: int | None = None,
        max_tokens: int = 64,
        objectives: dict[TermName, float] | None = None,
        text_masking: Literal["token", "whole_word"] | None = None,
        hidden_patches: float = 0.75,
        normalise_pixels: bool = True,
        defects: Literal["released"] | list[Defect] | None = None,
        dropout: float = 0.1,
        learning_rate: float = 1e-5,
        fusion_factor: float = 5.0,
        weight_decay: float = 0.01,
        warmup: int | float = 0.1,
        start_from: str | None = None,
        model: M3AEModel | None = None,
    ) -> None:
        weights: dict[TermName, float] = objectives or dict.fromkeys(TERMS, 1.0)
        repeated = chosen_defects(defects or [])
        _check_objectives(weights)
        check_share(hidden_patches)
        if start_from is not None and model is None:
            model = load_m3ae(start_from)
        elif model is None:
            model = build_m3ae(
                size,
                text_encoder,
                image_size=image_size,
                image_weights=image_weights,
                text_weights=text_weights,
                max_tokens=max_tokens,
                drop_image_block="dropped_image_block" in repeated,
                dropout=dropout,
            )
        for name in TERMS:
            model.network.require(name)
        super().__init__(
            model,
            learning_rate,
            fusion_factor,
            fusion_factor,
            weight_decay,
            warmup,
            decay_image_norms="decayed_image_norms" in repeated,
        )
        self.save_hyperparameters(ignore=["model"])
        self.objectives = weights
        self.hiding = Hiding(
            build_masking(text_masking, model, over_padding="masking_over_padding" in repeated),
            hidden_patches,
            normalise_pixels,
            "matching_negatives" in repeated,
        )
        # A plain dataclass is no module: its buffers would stay on the processor.
        self.text_masking = self.hiding.words
        _let_learn(model, weights)
        self._matching = MatchingMonitor()

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        step = M3AEStep(self.model, batch, self.hiding)
        losses = {name: TERMS[name](step) for name in self.objectives}
        for name, loss in losses.items():
            self.log(f"train/{name}", loss.detach(), batch_size=len(batch), on_step=False, on_epoch=True)
        total = summed(losses, self.objectives)
        self.log("train/loss", total.detach(), batch_size=len(batch), on_step=False, on_epoch=True, prog_bar=True)
        return total


def _check_objectives(weights: dict[TermName, float]) -> None:
    if wrong := [name for name in weights if name not in TERMS]:
        raise ConfigurationError(f"objectives: there is no {wrong[0]!r}; there are {', '.join(TERMS)}.")
    if bad := [name for name, weight in weights.items() if not 0 < weight < float("inf")]:
        raise ConfigurationError(f"objectives: {bad[0]} has the weight {weights[bad[0]]}; leave it out to have none.")
    if "matching" not in weights:
        raise ConfigurationError(
            f"objectives: {', '.join(weights)} do not say which image belongs to which text, so nothing could be "
            f"validated. Add matching."
        )


def _let_learn(model: M3AEModel, weights: dict[TermName, float]) -> None:
    """Heads of objectives that are not there stay as they are."""
    network = model.network
    heads: dict[TermName, list[torch.nn.Module | None]] = {
        "masked_language": [network.masked_language, network.words],
        "masked_image": [network.masked_image],
        "matching": [network.matching],
    }
    for name, parts in heads.items():
        for part in parts:
            if part is not None:
                part.requires_grad_(name in weights)
