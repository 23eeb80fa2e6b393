"""Two steps of a fusion model's momentum contrast by one or two processes; run as a program."""

from __future__ import annotations

import sys

import torch
from process_steps import Parts, take_steps
from torch.optim import SGD

from vlcore.tasks.fusion.task import FusionTask
from vlcore.types import PairBatch, VisualTokens


def pairs(first: int, last: int) -> PairBatch:
    """Rows of six pairs in which images 0 and 1, and texts 2 and 5, go together."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(6, 3, 5, generator=generator)
    return PairBatch(
        image_index=torch.tensor([0, 0, 1, 2, 3, 4])[first:last],
        text_key=torch.tensor([10, 11, 12, 13, 14, 12])[first:last],
        input_ids=torch.randint(5, 20, (6, 4), generator=generator)[first:last],
        attention_mask=torch.ones(6, 4, dtype=torch.long)[first:last],
        regions=VisualTokens(features[first:last], torch.ones(last - first, 3, dtype=torch.bool)),
    )


class PlainSteps(FusionTask):
    """Stochastic gradient descent shows the gradient itself; Adam would hide its size."""

    target = ""

    def configure_optimizers(self) -> SGD:
        return SGD(self.model.parameters(), lr=0.1)

    def on_train_end(self) -> None:
        if self.trainer.is_global_zero:
            state = {name: value.detach().clone() for name, value in self.state_dict().items()}
            torch.save({**state, "queued": self.queue.image_index.sort().values}, self.target)


def main(processes: int, bert: str, target: str) -> None:
    """Take two steps and write what the task has become."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = PlainSteps(
        objectives={"contrastive": 1.0},
        text_encoder=f"transformers/{bert}",
        size="tiny",
        dropout=0.0,
        region_width=5,
        embedding_size=8,
        momentum=0.5,
        queue_size=8,
        distillation=0.4,
    )
    task.target = target
    bounds = [(0, 6)] if processes == 1 else [(0, 3), (3, 6)]
    options = {} if processes == 1 else {"strategy": "ddp_fork_find_unused_parameters_true", "devices": processes}
    take_steps(task, Parts(pairs, bounds), target, max_steps=2, **options)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
