"""One step of training by one or two processes; run as a program, for forking needs a process without threads."""

from __future__ import annotations

import sys

import torch
from process_steps import Parts, take_steps
from small_towers import register, small_task
from torch.optim import SGD

from vlcore.tasks.alignment import AlignmentTask
from vlcore.types import PairBatch


def pairs(first: int, last: int) -> PairBatch:
    """Rows of six pairs in which images 0 and 1, and texts 2 and 5, go together."""
    generator = torch.Generator().manual_seed(3)
    image, text = torch.randn(6, 6, generator=generator), torch.randn(6, 5, generator=generator)
    return PairBatch(
        image_index=torch.tensor([0, 0, 1, 2, 3, 4])[first:last],
        text_key=torch.tensor([10, 11, 12, 13, 14, 12])[first:last],
        image_features=image[first:last],
        text_features=text[first:last],
    )


class PlainSteps(AlignmentTask):
    """Stochastic gradient descent shows the gradient itself; Adam would hide its size."""

    target = ""

    def configure_optimizers(self) -> SGD:
        return SGD(self.model.parameters(), lr=0.1)

    def on_train_end(self) -> None:
        if self.trainer.is_global_zero:
            torch.save({name: value.detach().clone() for name, value in self.model.named_parameters()}, self.target)


def main(processes: int, target: str) -> None:
    """Take one step and write the parameters."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    register()
    task = PlainSteps(model=small_task(objective="siglip").model, objective="siglip")
    task.target = target
    # Rank 0 has four pairs, rank 1 two: a loss per process would weigh them differently.
    bounds = [(0, 6)] if processes == 1 else [(0, 4), (4, 6)]
    options = {} if processes == 1 else {"strategy": "ddp_fork", "devices": processes}
    take_steps(task, Parts(pairs, bounds), target, max_steps=1, **options)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
