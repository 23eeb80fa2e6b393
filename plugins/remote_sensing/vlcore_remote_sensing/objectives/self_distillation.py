"""Self-distillation without labels: a student sees parts of an image and says what its teacher said of the whole."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vlcore.errors import ConfigurationError


class SelfDistillation(nn.Module):
    """DINO's loss (arXiv 2104.14294, eq. 1 and 3, algorithm 1).

    With the teacher's outputs `t_g` of G global views, the student's outputs `s_v` of V views of which the first G are
    the same ones, and the centre c, the mean over images and over all pairs of different views g and v of

        -softmax((t_g - c) / teacher temperature) . log softmax(s_v / student temperature)

    The centre, a moving mean of the teacher's outputs, keeps one output from winning always; the teacher's low
    temperature keeps all from being alike. It is part of a task's state, so a run that is resumed finds it as it was.

    Args:
        outputs: K, width of the projection heads.
        student_temperature: of the student's softmax.
        teacher_temperature: of the teacher's softmax after its warm-up; above 0.07 training becomes unstable.
        warmup_temperature: of the teacher's softmax in the first epoch.
        warmup_epochs: epochs in which the teacher's temperature goes from the one to the other in equal steps.
        centre_momentum: share of the old centre that stays in a step.

    Raises:
        ConfigurationError: if a number is out of its range.
    """

    centre: Tensor

    def __init__(
        self,
        outputs: int,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        warmup_temperature: float = 0.04,
        warmup_epochs: int = 0,
        centre_momentum: float = 0.9,
    ) -> None:
        super().__init__()
        temperatures = {
            "student_temperature": student_temperature,
            "teacher_temperature": teacher_temperature,
            "warmup_temperature": warmup_temperature,
        }
        for name, value in temperatures.items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"{name}={value}: choose a number above 0, such as 0.04.")
        if warmup_epochs < 0:
            raise ConfigurationError(f"warmup_epochs={warmup_epochs}: choose 0 for no warm-up, or more.")
        if not 0 <= centre_momentum < 1:
            raise ConfigurationError(f"centre_momentum={centre_momentum}: choose 0 to below 1, such as 0.9.")
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.warmup_temperature = warmup_temperature
        self.warmup_epochs = warmup_epochs
        self.centre_momentum = centre_momentum
        self.register_buffer("centre", torch.zeros(outputs))

    def temperature(self, epoch: int) -> float:
        """The teacher's temperature in an epoch, counted from 0."""
        if epoch >= self.warmup_epochs:
            return self.teacher_temperature
        share = epoch / max(1, self.warmup_epochs - 1)
        return self.warmup_temperature + share * (self.teacher_temperature - self.warmup_temperature)

    def forward(self, student: Tensor, teacher: Tensor, epoch: int = 0) -> Tensor:
        """Loss of B images.

        Args:
            student: `[V, B, K]`, the G global views first.
            teacher: `[G, B, K]`; no gradient goes to it.
            epoch: counted from 0, for the teacher's temperature.

        Raises:
            ConfigurationError: if there is no pair of different views.
        """
        views, targets = len(student), len(teacher)
        if targets < 1 or views < max(2, targets):
            raise ConfigurationError(
                f"{views} views of the student and {targets} of the teacher: the student needs at least two, and the "
                f"teacher's are the first of them."
            )
        # Half precision keeps too few digits of a softmax over tens of thousands of outputs.
        with torch.autocast(student.device.type, enabled=False):
            said = ((_full(teacher.detach()) - self.centre) / self.temperature(epoch)).softmax(dim=-1)
            guessed = (_full(student) / self.student_temperature).log_softmax(dim=-1)
            agreement = torch.einsum("gbk,vbk->gv", said, guessed)  # [G, V]
        different = torch.ones_like(agreement).fill_diagonal_(0)
        return -(agreement * different).sum() / ((views - 1) * targets * student.shape[1])

    @torch.no_grad()
    def update_centre(self, teacher: Tensor, processes: dist.ProcessGroup | None = None) -> None:
        """Move the centre towards the mean of the teacher's outputs; call after the loss of the same batch.

        Args:
            teacher: `[G, B, K]` of this process.
            processes: whose images make up the batch, equally many in each; None for this one alone.
        """
        mean = _full(teacher).mean(dim=(0, 1))
        if processes is not None:
            dist.all_reduce(mean, group=processes)
            mean /= dist.get_world_size(processes)
        self.centre.lerp_(mean.to(self.centre.dtype), 1 - self.centre_momentum)


def _full(outputs: Tensor) -> Tensor:
    return outputs if outputs.dtype == torch.float64 else outputs.float()
