"""Train whole, then killed at several places and resumed, and print a digest of everything; run as a program."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[3] / "core" / "tasks"), str(Path(__file__).parent)]

import torch
from interrupted_run import Kill, digest
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from small_rs_m_clip import make_anchored_task
from small_towers import small_trainer

from vlcore_remote_sensing.captions.multilingual_datamodule import MultilingualDataModule


def run(manifest, folder, name, kill=None, resume=False):
    """One run in a process of its own; returns whether it came to its end."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    os.setpgid(0, 0)
    seed_everything(3, verbose=False)
    callbacks = [ModelCheckpoint(folder / name, filename="last", enable_version_counter=False, every_n_train_steps=2)]
    callbacks += [] if kill is None else [Kill(*kill)]
    task = make_anchored_task(
        {"image_head": "residual_mlp"},
        anchor="squared_distance",
        teacher_momentum_schedule="cosine",
        teacher_warmup_epochs=3,
        teacher_temperature=0.07,
        warmup=3,
    )
    data = MultilingualDataModule(str(manifest), val_split="test", batch_size=2, cache_features=False, num_workers=0)
    trainer = small_trainer(folder, max_epochs=3, callbacks=callbacks, enable_checkpointing=True)
    last = folder / name / "last.ckpt"
    trainer.fit(task, datamodule=data, ckpt_path=last if resume and last.exists() else None)
    (folder / f"{name}.json").write_text(json.dumps(digest(task)))
    sys.stdout.flush()
    os._exit(0)


def main(manifest: Path, folder: Path) -> None:
    """All runs."""
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        row["texts"] = [{"text": text, "lang": lang} for text, lang in zip(row["texts"], ("en", "pt"), strict=True)]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(manifest, folder, "whole")
    for hook, step in (("backward", 3), ("gradients", 7), ("epoch end", 4), ("batch", 1)):
        name = f"{hook} {step}"
        assert not run(manifest, folder, name, kill=(hook, step)), f"{name} was not killed"
        assert run(manifest, folder, name, resume=True)
    print(json.dumps({path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
