"""Encoded bytes to RGB pixels: right for every ordinary file, a named error for every other."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from vlcore.data.pixels import NEEDS_DOMAIN_READER, RefusedImageError, cut, orientation, to_rgb, upright
from vlcore.data.record import ImageRef
from vlcore.errors import ImageDecodeError

OnBadImage = Literal["raise", "skip", "replace"]
"""What to do with an image that cannot be decoded: stop, leave it out, or put a grey image in its place."""

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, in pixels: twice Pillow's default warning limit, 512 MiB of RGB."""

# Pillow knows more, but some start other programs (EPS) and none of the rest is used for photographs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA")


@dataclass
class DecodeReport:
    """Counts what became of the images of a run; one report may be shared by several threads.

    Attributes:
        decoded: images decoded.
        skipped: bad images left out.
        replaced: bad images that stand as grey images.
        problems: `(id, place, reason)` of the first bad images, at most `SHOWN`.
    """

    SHOWN = 100

    decoded: int = 0
    skipped: int = 0
    replaced: int = 0
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add_decoded(self, count: int = 1) -> None:
        """Count images that were decoded."""
        with self._lock:
            self.decoded += count

    def add_bad(self, error: ImageDecodeError, policy: OnBadImage) -> None:
        """Count a bad image under the policy `skip` or `replace` and keep its id, place and reason."""
        with self._lock:
            if policy == "skip":
                self.skipped += 1
            else:
                self.replaced += 1
            if len(self.problems) < self.SHOWN:
                self.problems.append((error.sample_id, error.place, error.reason))

    @property
    def bad(self) -> int:
        """Images that could not be decoded."""
        return self.skipped + self.replaced

    def summary(self) -> str:
        """One line of counts, then one line for each bad image that was kept."""
        lines = [f"{self.decoded:,} images decoded, {self.skipped:,} skipped, {self.replaced:,} replaced by grey"]
        lines += [f"  {sample_id} ({place}): {reason}" for sample_id, place, reason in self.problems]
        if self.bad > len(self.problems):
            lines.append(f"  … and {self.bad - len(self.problems):,} more")
        return "\n".join(lines)


def decode_image(ref: ImageRef, *, sample_id: str) -> NDArray[np.uint8]:
    """Read and decode the image of a record.

    Returns:
        `[H, W, 3]` uint8 RGB, writable and contiguous; see `decode_bytes`.

    Raises:
        ImageDecodeError: if the file cannot be read or decoded.
    """
    return decode_bytes(read_image_bytes(ref, sample_id), sample_id, str(ref), window=ref.window)


def read_image_bytes(ref: ImageRef, sample_id: str) -> bytes:
    """Read the encoded bytes of a record's image.

    Raises:
        ImageDecodeError: if the file is missing or unreadable, or if it is a span of a video.
    """
    if ref.frames is not None:
        raise ImageDecodeError(sample_id, str(ref), f"frames {ref.frames} of a video need the reader of a plugin")
    try:
        try:
            from vlcore.data.source import read_bytes
        except ModuleNotFoundError:
            return ref.path.read_bytes()
        return read_bytes(ref)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        # Other system errors (too many open files, no memory) are no property of the image and stay what they are.
        raise ImageDecodeError(sample_id, str(ref), f"it cannot be read ({error.strerror or error})") from error


def decode_bytes(
    data: bytes, sample_id: str, place: str, *, window: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8]:
    """Decode an encoded image to 8-bit RGB as a person would see it.

    EXIF rotation is applied. Transparency is laid on white. 16-bit grey is scaled so that full range becomes
    255 (65535, or what the bits per sample of a TIFF allow). CMYK JPEGs follow Adobe's inverted convention, as in
    browsers. Of an animation the first frame is read. Colour profiles are not applied: towers were trained without.

    Args:
        data: the encoded bytes.
        sample_id: id of the record, for the error.
        place: file and member, for the error.
        window: column, row, width and height of the part to return, counted after rotation.

    Returns:
        `[H, W, 3]` uint8 RGB, writable and contiguous.

    Raises:
        ImageDecodeError: if the bytes are empty, truncated, no image, larger than `MAX_PIXELS`, or hold values
            without an agreed black and white (32-bit, signed or floating point).
    """
    if not data:
        raise ImageDecodeError(sample_id, place, "the file is empty (0 bytes)")
    try:
        pixels = _decode(data)
        if window is not None:
            pixels = cut(pixels, window)
        return np.ascontiguousarray(pixels)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        reason = f"it is no readable image ({len(data):,} bytes that begin with {data[:12]!r})"
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            reason = f"it is a TIFF with a layout of bands or bits that has no RGB reading. {NEEDS_DOMAIN_READER}"
        raise ImageDecodeError(sample_id, place, reason) from error
    except Exception as error:
        # A damaged file can make Pillow raise nearly anything: OSError, SyntaxError, struct.error, KeyError, …
        raise ImageDecodeError(sample_id, place, str(error) or type(error).__name__) from error


def _decode(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data), formats=_known_formats())
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise RefusedImageError(f"{width} x {height} pixels are more than the {MAX_PIXELS:,} that are decoded at once")
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        decoder = _fast_jpeg_decoder()
        if decoder is not None:
            try:
                return upright(decoder(data), orientation(image))
            except RuntimeError:
                pass  # Pillow reads the few it does not (arithmetic coding) and names what is wrong with the others.
    with _strict_pillow():
        image.load()
    return upright(to_rgb(image), orientation(image))


@cache
def _known_formats() -> tuple[str, ...]:
    """The formats that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def _fast_jpeg_decoder() -> Callable[[bytes], NDArray[np.uint8]] | None:
    """Torchvision's JPEG decoder, 1.3 times as fast as Pillow's with equal pixels; None where a build lacks it.

    The operator is called without its Python wrapper, which warns on every call that it moves to torchcodec.
    """
    import torch
    import torchvision.io

    if not hasattr(torch.ops.image, "decode_jpeg"):
        return None
    operator: Any = torch.ops.image.decode_jpeg
    as_rgb = int(torchvision.io.ImageReadMode.RGB.value)

    def decode(data: bytes) -> NDArray[np.uint8]:
        # bytearray: torch asks for writable memory. The operator returns [3, H, W] laid out as [H, W, 3].
        tensor = operator(torch.frombuffer(bytearray(data), dtype=torch.uint8), as_rgb, False)
        pixels: NDArray[np.uint8] = tensor.permute(1, 2, 0).numpy()
        return pixels

    return decode


_strict_lock = threading.Lock()
_strict_depth = 0
_strict_before = False


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Refuse truncated files even where another library of the process allowed Pillow to fill them with grey."""
    global _strict_depth, _strict_before
    with _strict_lock:
        if _strict_depth == 0:
            _strict_before = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _strict_depth += 1
    try:
        yield
    finally:
        with _strict_lock:
            _strict_depth -= 1
            if _strict_depth == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _strict_before
