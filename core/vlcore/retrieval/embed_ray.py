"""Embedding on many machines: Ray Data hands shards to workers, each of which writes its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vlcore.data.decode import OnBadImage
from vlcore.data.progress import track
from vlcore.data.record import Record
from vlcore.errors import (
    ConfigurationError,
    FingerprintMismatchError,
    ImageDecodeError,
    MissingDependencyError,
    VlcoreError,
)
from vlcore.retrieval.embedding_shards import Embeddings, ShardWriter, prepare, shards_of
from vlcore.retrieval.model import load

if TYPE_CHECKING:
    from vlcore.data.manifest import Manifest

WAVE_SHARDS = 256
"""Shards whose records are sent out together: a million records at most are in Ray's store at a time."""

RESTARTS = 8
"""Times that a worker which died is started again, and its shard with it."""


def embed_with_ray(
    model: Path | str,
    manifest: Manifest,
    out: Path | str,
    *,
    workers: int | None = None,
    batch_size: int = 64,
    on_bad_image: OnBadImage = "raise",
    device: str | None = None,
    progress: bool = False,
) -> Embeddings:
    """Embed every image of a manifest on the workers of a Ray cluster.

    The folder is the same, to the byte, as `embed` makes on the same kind of hardware with as many threads, and to
    rounding elsewhere: a shard's batches do not depend on who embeds it. A worker that is killed is started again with
    its shard; a driver that is killed finds all written shards when it is run again, with either engine.

    The cluster is that of `RAY_ADDRESS`, or one on this machine for the time of the call. Model, images and `out` have
    to be on a disk that all its machines see under the same paths.

    Args:
        model: model directory.
        manifest: names the images.
        out: folder for the shards.
        workers: processes that embed; by default one per GPU of the cluster, or one per two CPU cores.
        batch_size: images per forward pass.
        on_bad_image: what to do with an image that cannot be decoded.
        device: of every worker; chosen by each if left out.
        progress: show a bar on standard error.

    Raises:
        MissingDependencyError: without Ray.
        ConfigurationError: if there are no workers, or one died again and again.
        FingerprintMismatchError: if the folder holds shards of another model or manifest, or a worker found another
            model under the same path.
        ImageDecodeError: if an image is bad and `on_bad_image` is `raise`.
    """
    if workers is not None and workers < 1:
        raise ConfigurationError(f"workers={workers}: choose at least 1.")
    _require_ray()
    loaded = load(model, "cpu")
    writer, done = prepare(loaded, manifest, Path(out).resolve(), batch_size, on_bad_image)
    if len(done) == writer.count and Embeddings.is_finished(writer.out):
        return Embeddings.open(writer.out)
    source = str(Path(model).resolve()) if Path(model).exists() else str(model)
    with _cluster(workers), track(writer.total, "embedding images", progress) as advance:
        advance(sum(writer.size(number) for number in done))
        missing = ((number, list(records)) for number, records in shards_of(manifest) if number not in done)
        while wave := list(islice(missing, WAVE_SHARDS)):
            for number, note in _embed_wave(wave, writer, source, workers, device):
                done[number] = note
                advance(writer.size(number))
    return writer.finish(done)


class ShardEmbedder:
    """A worker: loads the model once and embeds the shards that it is given.

    Args:
        writer: of the run.
        model: model directory.
        device: to run on.
        threads: of PyTorch; None leaves them.
    """

    def __init__(self, writer: ShardWriter, model: str, device: str | None, threads: int | None) -> None:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self.writer = writer
        self.model = load(model, device)
        if self.model.fingerprint != writer.identity["model"]:
            raise FingerprintMismatchError(
                f"The model {model} of a worker",
                "fingerprint",
                writer.identity["model"],
                self.model.fingerprint,
                "Give all machines the same model directory.",
            )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Embed one shard; an error that a user can act on travels back as a value, for Ray would wrap it."""
        number, records = int(batch["number"][0]), list(batch["records"][0])
        path = self.writer.shard(number)
        result: dict[str, Any]
        try:
            # A worker that died between writing and answering left the shard behind.
            note = self.writer.read(number) if path.is_file() else self._write(number, records)
            result = {"note": note}
        except ImageDecodeError as error:
            result = {"bad": [error.sample_id, error.place, error.reason]}
        except VlcoreError as error:
            result = {"error": str(error)}
        answer = np.empty(1, dtype=object)
        answer[0] = result
        return {"number": np.array([number]), "result": answer}

    def _write(self, number: int, records: list[Record]) -> dict[str, Any]:
        return self.writer.write(number, records, self.model, lambda seen: None)


def _embed_wave(
    wave: list[tuple[int, list[Record]]], writer: ShardWriter, model: str, workers: int | None, device: str | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Embed some shards; yields their numbers and notes as they are done."""
    import ray
    from ray.data import ActorPoolStrategy
    from ray.exceptions import RayError

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call, unused-ignore]
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    on_gpu = gpus > 0 and device in (None, "cuda")
    count = workers or (gpus if on_gpu else max(1, cpus // 2))
    share = max(1, cpus // count)
    tasks = ray.data.from_items(
        [{"number": number, "records": records} for number, records in wave], override_num_blocks=len(wave)
    )
    answers = tasks.map_batches(
        ShardEmbedder,
        batch_size=1,
        compute=ActorPoolStrategy(size=min(count, len(wave))),
        fn_constructor_args=(writer, model, device, None if on_gpu else share),
        num_cpus=0 if on_gpu else share,
        num_gpus=gpus / count if on_gpu else 0,
        max_restarts=RESTARTS,
        max_task_retries=RESTARTS,
    )
    try:
        for row in answers.iter_rows():
            result = row["result"]
            if "bad" in result:
                raise ImageDecodeError(*result["bad"])
            if "error" in result:
                raise ConfigurationError(result["error"])
            yield int(row["number"]), result["note"]
    except RayError as error:
        raise ConfigurationError(
            f"A worker of the Ray cluster failed: {str(error).strip().splitlines()[-1]} What is written is kept; run "
            f"the same command again, with fewer workers or a smaller batch size if memory ran out."
        ) from error


@contextmanager
def _cluster(workers: int | None) -> Iterator[None]:
    """Join the cluster of `RAY_ADDRESS`, or have one on this machine meanwhile; leave one that is there alone."""
    import ray

    if ray.is_initialized():
        yield
        return
    # Uploading the working directory and reporting usage are of no use here.
    options: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:
        options |= {"include_dashboard": False, "num_cpus": max(workers or 1, os.cpu_count() or 1)}
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    ray.init(**options)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def _require_ray() -> None:
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("ray", "ray", "vlcore embed --engine ray") from error
