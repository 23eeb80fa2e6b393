"""Two processes, one of which gets NaN features in the second step; run as a program."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback
from small_towers import register, small_data, small_task, small_trainer

from vlcore.errors import NonFiniteGradientsError


class Poison(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 1 and trainer.global_rank == 1:
            batch.image_features[0] = float("nan")


def main(manifest: Path, folder: Path) -> None:
    """Each process writes what stopped it."""
    torch.set_num_threads(1)
    register()
    trainer = small_trainer(folder, callbacks=[Stopped(folder), Poison()], strategy="ddp_fork", devices=2)
    try:
        trainer.fit(small_task(), datamodule=small_data(manifest, batch_size=4))
    except BaseException as error:
        if "NonFiniteGradientsError" not in repr(error) and not isinstance(error, NonFiniteGradientsError):
            raise


class Stopped(Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_exception(self, trainer, pl_module, exception):
        (self.folder / f"stopped_{trainer.global_rank}.json").write_text(json.dumps(str(exception)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
