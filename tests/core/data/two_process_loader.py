"""Train in two processes, resume in the middle of an epoch, then try it in one; run as a program."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback
from small_towers import register, small_data, small_task, small_trainer

from vlcore.errors import CheckpointError


class Log(Callback):
    """Pairs of every step of this process; a checkpoint after the third."""

    def __init__(self, name, folder):
        self.name, self.folder, self.steps = name, folder, []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.steps.append(list(zip(batch.image_index.tolist(), batch.text_key.tolist(), strict=True)))

    def on_train_batch_end(self, trainer, *rest):
        if self.name == "whole" and trainer.global_step == 3:
            trainer.save_checkpoint(self.folder / "third.ckpt", weights_only=False)

    def on_train_end(self, trainer, pl_module):
        digest = hashlib.sha256()
        for parameter in pl_module.parameters():
            digest.update(parameter.detach().numpy().tobytes())
        seen = {"steps": self.steps, "weights": digest.hexdigest()}
        (self.folder / f"{self.name}_{trainer.global_rank}.json").write_text(json.dumps(seen))


def fit(manifest, folder, name, resume=None, **options):
    """One run."""
    task = small_task(image_trainable="all", text_trainable="all", learning_rate=0.01)
    data = small_data(manifest, batch_size=3, num_workers=1)
    trainer = small_trainer(folder, max_epochs=3, callbacks=[Log(name, folder)], **options)
    trainer.fit(task, datamodule=data, ckpt_path=resume)


def main(manifest: Path, folder: Path) -> None:
    """Three runs."""
    torch.set_num_threads(1)
    register()
    two = {"strategy": "ddp_fork", "devices": 2}
    fit(manifest, folder, "whole", **two)
    fit(manifest, folder, "rest", resume=folder / "third.ckpt", **two)
    try:
        fit(manifest, folder, "one", resume=folder / "third.ckpt")
    except CheckpointError as error:
        print(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
