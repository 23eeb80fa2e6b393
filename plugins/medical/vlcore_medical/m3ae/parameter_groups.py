"""Learning rates of towers, fusion and heads."""

from __future__ import annotations

from typing import Any

from torch import nn

from vlcore_medical.m3ae.model import M3AEModel


def m3ae_parameter_groups(
    model: M3AEModel,
    learning_rate: float,
    weight_decay: float,
    fusion_factor: float,
    head_factor: float,
    decay_image_norms: bool = False,
) -> list[dict[str, Any]]:
    """Groups for an optimiser, empty ones left out.

    Args:
        model: to be trained.
        learning_rate: of the two towers.
        weight_decay: of matrices and larger tensors; biases and norms do not decay.
        fusion_factor: of the fusion's learning rate, with its projections and poolers.
        head_factor: of the heads'.
        decay_image_norms: let the scales of the image tower's norms decay too, as the released code does.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        module, _, tensor = name.rpartition(".")
        is_image_scale = name.startswith("image_encoder.") and module in norms and tensor == "weight"
        decays = parameter.ndim >= 2 or (decay_image_norms and is_image_scale)
        rate = learning_rate * _factor(name, fusion_factor, head_factor)
        groups.setdefault((rate, weight_decay if decays else 0.0), []).append(parameter)
    return [{"params": parameters, "lr": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()]


def _factor(name: str, fusion_factor: float, head_factor: float) -> float:
    towers = ("image_encoder.", "network.stream.text_embedding.", "network.stream.text_tower.")
    if name.startswith(towers):
        return 1.0
    return fusion_factor if name.startswith("network.stream.") else head_factor
