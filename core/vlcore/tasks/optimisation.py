"""Optimisers over what learns."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from vlcore.errors import ConfigurationError
from vlcore.tasks.multi_task_adamw import MultiTaskAdamW

OptimizerName = Literal["adamw", "lion", "multi_task_adamw"]
"""AdamW; Lion, which steps by the sign of its momentum; or the one that balances the data sets of a mixture."""

_FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


def build_optimizer(
    module: nn.Module, learning_rate: float, weight_decay: float, betas: tuple[float, float], *, fused: bool = True
) -> AdamW:
    """AdamW (arXiv 1711.05101) over what learns; biases, norms and the temperature do not decay.

    Args:
        module: with frozen and learning parameters.
        learning_rate: peak.
        weight_decay: of matrices and larger tensors.
        betas: decay of the first and second moment.
        fused: use the fused kernel where the parameters' device and type have one.

    Raises:
        ConfigurationError: if nothing learns.
    """
    groups = learning_groups(module, weight_decay)
    parameters = [parameter for group in groups for parameter in group["params"]]
    fused = fused and all(
        parameter.device.type in _FUSED_DEVICES and torch.is_floating_point(parameter) for parameter in parameters
    )
    return AdamW(groups, lr=learning_rate, betas=betas, fused=fused)


def build_lion(module: nn.Module, learning_rate: float, weight_decay: float, betas: tuple[float, float]) -> Optimizer:
    """Lion (arXiv 2302.06675) over what learns; arguments as of `build_optimizer`.

    It wants a learning rate 3 to 10 times smaller than AdamW's, and a weight decay as much larger.
    """
    from timm.optim.lion import Lion

    return Lion(learning_groups(module, weight_decay), lr=learning_rate, betas=betas)


def build_multi_task_optimizer(
    module: nn.Module,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float],
    probabilities: tuple[float, ...],
    weights: tuple[float, ...],
) -> MultiTaskAdamW:
    """MT-AdamW over what learns; arguments as of `build_optimizer` and `MultiTaskAdamW`."""
    groups = learning_groups(module, weight_decay)
    return MultiTaskAdamW(groups, probabilities, weights, learning_rate, betas)


def learning_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups of a module that learns.

    Raises:
        ConfigurationError: if nothing learns.
    """
    groups = parameter_groups(module, weight_decay)
    if not groups:
        raise ConfigurationError(
            "Nothing learns: both towers are frozen and the heads have no parameters. Choose image_trainable or "
            "text_trainable, or heads with weights such as 'residual_mlp'."
        )
    return groups


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Learning parameters in one group that decays and one that does not; empty groups are left out."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # Biases and the scales of norms are vectors, temperature and logit bias are scalars.
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
