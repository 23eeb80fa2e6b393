"""Images read, decoded and resized in the background, in the order they were asked for."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlcore.data.decode import DecodeReport, OnBadImage, decode_bytes, read_image_bytes
from vlcore.data.record import ImageRef
from vlcore.data.transform import write_preprocessed
from vlcore.errors import ConfigurationError, ImageDecodeError
from vlcore.types import ImagePreprocess

REPLACED_KEY = hashlib.sha256(b"vlcore: grey image in place of a bad one").digest()
"""Content key of every replaced image: its features never stand under the key of the bad file."""

GREY = 128
"""Value of every pixel of a replaced image."""

_LOOK_AHEAD = 2  # batches decoded beyond the one that the consumer works on
_GRAIN = 4  # images per task: enough to make the pool's overhead small, few enough to share the work evenly


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Decoded images of one batch; all lists have the length B.

    Attributes:
        ids: of the records.
        positions: place of each image in the input, counted from 0; gaps are skipped images.
        images: `[B, 3, H, W]` uint8, in channels-last memory.
        content_keys: 32 bytes each; see `content_key`.
    """

    ids: list[str]
    positions: list[int]
    images: Tensor
    content_keys: list[bytes]


def content_key(data: bytes, ref: ImageRef) -> bytes:
    """SHA-256 of the encoded bytes, and of the window where only a part of the image is meant."""
    digest = hashlib.sha256(data)
    if ref.window is not None:
        digest.update(f"window {ref.window}".encode())
    return digest.digest()


def default_workers() -> int:
    """Decoding threads: one per core that this process may use, at most 16."""
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


class ImageStream:
    """Iterate over images as ready batches while the next ones are prepared by threads.

    Memory does not grow with the input: it is consumed lazily, a few batches ahead, so it may be an endless
    generator. Each iteration starts anew. Leaving the loop early stops the threads.

    Args:
        refs: `(id, image)` pairs.
        preprocess: of the tower that will read the images.
        batch_size: images per batch; fewer in the last one and where images were skipped.
        workers: decoding threads; None chooses by the number of cores.
        on_bad_image: `raise` an ImageDecodeError, `skip` the image, or `replace` it by a grey one.
        report: counts images and lists bad ones, in input order.

    Raises:
        ConfigurationError: if a number or the policy cannot be used.
    """

    def __init__(
        self,
        refs: Iterable[tuple[str, ImageRef]],
        preprocess: ImagePreprocess,
        batch_size: int = 32,
        workers: int | None = None,
        on_bad_image: OnBadImage = "raise",
        report: DecodeReport | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"batch_size={batch_size}: choose 1 or more.")
        if workers is not None and workers < 1:
            raise ConfigurationError(f"workers={workers}: choose 1 or more, or None for one per core.")
        if on_bad_image not in ("raise", "skip", "replace"):
            raise ConfigurationError(f"on_bad_image={on_bad_image!r}: choose 'raise', 'skip' or 'replace'.")
        self.refs = refs
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.workers = workers or default_workers()
        self.on_bad_image = on_bad_image
        self.report = DecodeReport() if report is None else report

    def __iter__(self) -> Iterator[ImageBatch]:
        """Yield batches in input order.

        Raises:
            ImageDecodeError: for the first bad image under the policy `raise`.
        """
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="vlcore-decode")
        pending: deque[_Job] = deque()
        source = iter(self.refs)
        start = 0
        try:
            while True:
                while len(pending) <= _LOOK_AHEAD and (pairs := list(islice(source, self.batch_size))):
                    pending.append(self._submit(pool, pairs, start))
                    start += len(pairs)
                if not pending:
                    return
                batch = self._collect(pending.popleft())
                if batch.ids:
                    yield batch
        finally:
            # Reached also when the consumer stops early or an image is bad: nothing keeps running behind its back.
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, pairs: list[tuple[str, ImageRef]], start: int) -> _Job:
        job = _Job(pairs, start, np.empty((len(pairs), *self.preprocess.size, 3), dtype=np.uint8))
        for first in range(0, len(pairs), _GRAIN):
            job.tasks.append(pool.submit(self._decode, job, range(first, min(first + _GRAIN, len(pairs)))))
        return job

    def _decode(self, job: _Job, slots: range) -> list[bytes | ImageDecodeError]:
        """Fill some rows of a batch's buffer; runs in a thread."""
        outcomes: list[bytes | ImageDecodeError] = []
        for slot in slots:
            sample_id, ref = job.pairs[slot]
            try:
                data = read_image_bytes(ref, sample_id)
                image = decode_bytes(data, sample_id, str(ref), window=ref.window)
                write_preprocessed(image, self.preprocess, job.pixels[slot])
                outcomes.append(content_key(data, ref))
            except ImageDecodeError as error:
                if self.on_bad_image == "raise":
                    raise
                job.pixels[slot] = GREY
                outcomes.append(error)
            except Exception as error:
                error.add_note(f"while reading the image of record {sample_id!r} ({ref})")
                raise
        return outcomes

    def _collect(self, job: _Job) -> ImageBatch:
        """Wait for a batch, count its images and leave out those that are skipped."""
        outcomes = [outcome for task in job.tasks for outcome in task.result()]
        kept: list[int] = []
        keys: list[bytes] = []
        for slot, outcome in enumerate(outcomes):
            if isinstance(outcome, bytes):
                key = outcome
            else:
                self.report.add_bad(outcome, self.on_bad_image)
                if self.on_bad_image == "skip":
                    continue
                key = REPLACED_KEY
            kept.append(slot)
            keys.append(key)
        self.report.add_decoded(sum(isinstance(outcome, bytes) for outcome in outcomes))
        pixels = job.pixels if len(kept) == len(outcomes) else job.pixels[kept]
        return ImageBatch(
            ids=[job.pairs[slot][0] for slot in kept],
            positions=[job.start + slot for slot in kept],
            images=torch.from_numpy(pixels).permute(0, 3, 1, 2),
            content_keys=keys,
        )


@dataclass
class _Job:
    """A batch in the making."""

    pairs: list[tuple[str, ImageRef]]
    start: int
    pixels: NDArray[np.uint8]  # [B, H, W, 3]
    tasks: list[Future[list[bytes | ImageDecodeError]]] = field(default_factory=list)
