"""AdamW for a mixture of data sets, in which none is drowned by another's gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from vlcore.errors import ConfigurationError


class MultiTaskAdamW(Optimizer):
    """MT-AdamW of Uni-Perceiver v2 (arXiv 2211.09808): every step belongs to one data set.

    A step's gradient g is brought to the norm of its data set's weight, `w g / |g|`, so that neither the size of a loss
    nor its scale decides who is heard. Both moments take it divided by the probability s of the data set, `g / s` and
    `g² / s`, so that in the long run each data set counts by its weight, however seldom it is drawn. Then follows the
    usual step of AdamW. (The paper's betas weigh the new gradient; these are PyTorch's, which weigh the old moment.)

    With one data set of weight 1 it is AdamW on gradients of norm 1.

    Args:
        params: parameters, or groups of them.
        probabilities: s of every data set, adding up to 1.
        weights: of every data set.
        lr: learning rate.
        betas: decay of the first and second moment.
        eps: added to the root of the second moment.
        weight_decay: decoupled.

    Attributes:
        dataset: number of the data set whose gradient comes next.
        found_inf: where this is 1, a step changes nothing; as of PyTorch's fused optimisers.

    Raises:
        ConfigurationError: if there is not one probability above 0 and one weight above 0 for every data set.
    """

    takes_found_inf = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        probabilities: Sequence[float],
        weights: Sequence[float],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if len(probabilities) != len(weights) or not math.isclose(sum(probabilities), 1.0, abs_tol=1e-6):
            raise ConfigurationError(
                f"probabilities={list(probabilities)}, weights={list(weights)}: give one of each for every data set, "
                f"the probabilities adding up to 1."
            )
        if min(*probabilities, *weights) <= 0:
            raise ConfigurationError(f"probabilities={list(probabilities)}, weights={list(weights)}: all above 0.")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.probabilities = tuple(probabilities)
        self.weights = tuple(weights)
        self.dataset = 0
        self.found_inf: Tensor | None = None

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step with the gradients of the data set `dataset`; nothing is read back from the device."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        found = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not found:
            return loss
        probability, weight = self.probabilities[self.dataset], self.weights[self.dataset]
        norm = torch.nn.utils.get_total_norm(found)
        if hasattr(norm, "full_tensor"):  # of FSDP: every process has the norm of its own parts
            norm = norm.full_tensor()
        scale = torch.where(norm > 0, weight / norm, 0.0)
        for group in self.param_groups:
            self._step_group(group, scale, probability)
        return loss

    def _step_group(self, group: dict[str, Any], scale: Tensor, probability: float) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not parameters:
            return
        states = [self._state(parameter) for parameter in parameters]
        # 1, or 0 where the step is to change nothing.
        taken = torch.ones_like(scale) if self.found_inf is None else 1 - self.found_inf.to(scale)
        first, second = group["betas"]
        gradients = [
            torch.where(taken > 0, parameter.grad * scale, 0.0).to(parameter.dtype) for parameter in parameters
        ]
        for state in states:
            state["step"] += taken.to(state["step"])
        firsts, seconds = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        # lerp and addcmul with factors that are tensors, so that a step that is not taken multiplies by one.
        torch._foreach_mul_(firsts, 1 - (1 - first) * taken)
        torch._foreach_add_(firsts, gradients, alpha=(1 - first) / probability)
        torch._foreach_mul_(seconds, 1 - (1 - second) * taken)
        torch._foreach_addcmul_(seconds, gradients, gradients, value=(1 - second) / probability)
        # All steps of a group are alike but for parameters that had no gradient in some.
        for parameter, state in zip(parameters, states, strict=True):
            # Before the first step that is taken there is nothing to correct, and nothing to do.
            count = state["step"].clamp(min=1)
            # Powers of a decay near 1 lose digits in float32, which is all that Apple's GPUs have.
            count = count if count.device.type == "mps" else count.double()
            mean = state["exp_avg"] / (1 - first**count)
            deviation = (state["exp_avg_sq"] / (1 - second**count)).sqrt_().add_(group["eps"])
            parameter.mul_(1 - group["lr"] * group["weight_decay"] * taken)
            parameter.sub_(mean.div_(deviation) * (group["lr"] * taken))

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state
