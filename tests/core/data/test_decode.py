"""Every kind of file that real folders hold: read right, or refused with its id and the reason."""

from __future__ import annotations

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from vlcore.data import decode
from vlcore.data.decode import DecodeReport, decode_bytes, decode_image
from vlcore.data.record import ImageRef
from vlcore.errors import ImageDecodeError


def photo(height=48, width=64, seed=0):
    """Smooth colours, so that JPEG keeps them within a few grey levels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image, format, **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()


def read(data):
    return decode_bytes(data, "r1", "a.img")


def difference(first, second):
    return int(np.abs(first.astype(int) - second.astype(int)).max())


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "TGA", "GIF"])
def test_lossless_formats_are_exact(format):
    pixels = photo()
    if format == "GIF":
        pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)
    result = read(encoded(pixels, format))
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous and result.flags.writeable
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("format", ["WEBP", "JPEG2000", "AVIF"])
def test_other_lossy_formats_are_close(format):
    if format not in decode._known_formats():
        pytest.skip(f"this build of Pillow has no {format}")
    options = {"quality": 95} if format != "JPEG2000" else {}
    assert difference(read(encoded(photo(), format, **options)), photo()) <= 24


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True, "quality": 30}])
def test_fast_jpeg_path_equals_pillow(options):
    data = encoded(photo(61, 83), "JPEG", **options)
    assert decode._fast_jpeg_decoder() is not None
    np.testing.assert_array_equal(read(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_without_the_fast_decoder_pillow_gives_the_same(monkeypatch):
    data = encoded(photo(61, 83), "JPEG")
    fast = read(data)
    monkeypatch.setattr(decode, "_fast_jpeg_decoder", lambda: None)
    np.testing.assert_array_equal(read(data), fast)


def test_grey_jpeg_becomes_three_equal_channels():
    grey = photo()[:, :, 0]
    result = read(encoded(grey, "JPEG", quality=95))
    assert result.shape == (48, 64, 3)
    assert difference(result[:, :, 0], result[:, :, 2]) == 0
    assert difference(result[:, :, 0], grey) <= 6


def test_rgb_jpeg_stored_without_colour_transform():
    data = encoded(photo(), "JPEG", quality=95, keep_rgb=True)
    assert difference(read(data), photo()) <= 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(format, orientation):
    stored = Image.fromarray(photo())
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {"quality": 95} if format == "JPEG" else {}
    data = encoded(stored, format, exif=exif, **options)
    stored.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))
    result = read(data)
    assert result.shape == expected.shape
    assert result.flags.c_contiguous
    assert difference(result, expected) <= (16 if format == "JPEG" else 0)


def test_damaged_exif_is_ignored():
    data = encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 40)
    assert read(data).shape == (48, 64, 3)


def test_cmyk_jpeg_of_adobe_has_the_right_colours():
    pixels = photo()
    data = encoded(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data  # written inverted, as Photoshop does
    assert difference(read(data), pixels) <= 16


def test_cmyk_tiff_has_the_right_colours():
    pixels = photo()
    assert difference(read(encoded(Image.fromarray(pixels).convert("CMYK"), "TIFF")), pixels) <= 1


def test_palette_with_and_without_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 200, 30, 90, 80, 70])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(read(encoded(image, "PNG"))[0], [[10, 200, 30], [90, 80, 70]])
    half = read(encoded(image, "PNG", transparency=bytes([0, 255])))
    np.testing.assert_array_equal(half[0], [[255, 255, 255], [90, 80, 70]])


def test_alpha_is_laid_on_white():
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 128]]], dtype=np.uint8)
    result = read(encoded(rgba, "PNG"))
    np.testing.assert_array_equal(result[0, :2], [[200, 0, 0], [255, 255, 255]])
    assert difference(result[0, 2], np.array([227, 127, 127])) <= 1
    grey_alpha = Image.fromarray(np.array([[[40, 255], [40, 0]]], dtype=np.uint8), "LA")
    np.testing.assert_array_equal(read(encoded(grey_alpha, "PNG"))[0, :, 0], [40, 255])


def test_colour_key_of_a_png_is_transparent():
    pixels = np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)
    result = read(encoded(pixels, "PNG", transparency=(1, 2, 3)))
    np.testing.assert_array_equal(result[0], [[255, 255, 255], [4, 5, 6]])


def test_one_bit_is_black_and_white():
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).convert("1")
    np.testing.assert_array_equal(read(encoded(bits, "PNG"))[:, :, 1], [[0, 255], [255, 0]])


VALUES = np.array([[0, 256, 257], [32768, 65279, 65535]], dtype=np.uint16)
SCALED = [[0, 1, 1], [128, 254, 255]]  # round(value / 257)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_by_full_range(format):
    result = read(encoded(Image.fromarray(VALUES), format))
    np.testing.assert_array_equal(result[:, :, 0], SCALED)
    assert difference(result[:, :, 0], result[:, :, 1]) == 0


def test_16_bit_big_endian_tiff_and_pgm():
    tiff = encoded(Image.frombytes("I;16B", (3, 2), VALUES.astype(">u2").tobytes()), "TIFF")
    np.testing.assert_array_equal(read(tiff)[:, :, 0], SCALED)
    pgm = b"P5 3 2 65535\n" + VALUES.astype(">u2").tobytes()
    np.testing.assert_array_equal(read(pgm)[:, :, 0], SCALED)


def test_16_bit_tiff_where_white_is_zero():
    data = encoded(Image.fromarray(VALUES), "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(read(data)[:, :, 0], 255 - np.array(SCALED))


def raw_tiff(width, height, bits, samples, sample_format=1):
    """A little-endian TIFF of one grey strip."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, len(samples)), (339, 3, sample_format)]
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", *(tag[0], tag[1], 1, tag[2])) for tag in tags
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(samples)) + samples + directory + struct.pack("<I", 0)


def test_12_bit_tiff_uses_its_own_full_range():
    # Two 12-bit samples in three bytes, most significant bits first: 0 and 4095.
    result = read(raw_tiff(2, 1, 12, bytes([0x00, 0x0F, 0xFF])))
    np.testing.assert_array_equal(result[0, :, 0], [0, 255])


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.array([[0.1, 7000.0]], dtype=np.float32)),
        Image.fromarray(np.array([[-5, 70000]], dtype=np.int32)),
    ],
)
def test_values_without_black_and_white_need_a_domain_reader(image):
    with pytest.raises(ImageDecodeError, match=r"'r1' \(a\.img\).*reader of its domain"):
        read(encoded(image, "TIFF"))


def test_a_tiff_of_many_bands_names_the_domain_reader():
    samples = bytes(24)
    data = bytearray(raw_tiff(2, 1, 8, samples))
    at = data.index(struct.pack("<HHII", 277, 3, 1, 1))
    data[at : at + 12] = struct.pack("<HHII", 277, 3, 1, 12)
    with pytest.raises(ImageDecodeError, match="reader of its domain"):
        read(bytes(data))


def test_animated_gif_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read(data), np.broadcast_to(np.array([255, 0, 0], np.uint8), (6, 8, 3)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.parametrize("allowed_elsewhere", [False, True])
def test_truncated_files_are_never_half_grey(format, kept, allowed_elsewhere, monkeypatch):
    # Other libraries switch this on for the whole process.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", allowed_elsewhere)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    data = encoded(noise, format)
    with pytest.raises(ImageDecodeError):
        read(data[: int(len(data) * kept)])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is allowed_elsewhere


def test_a_download_that_ends_in_zeros_is_refused():
    data = encoded(photo(200, 300), "JPEG")
    with pytest.raises(ImageDecodeError):
        read(data[: len(data) // 2] + bytes(len(data) // 2))


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", r"empty \(0 bytes\)"), (b"<html>404</html>", "no readable image"), (b"\xff\xd8\xff", "")]
)
def test_empty_and_foreign_files(data, reason):
    with pytest.raises(ImageDecodeError, match=rf"Image of record 'r1' \(a\.img\) cannot be decoded: .*{reason}"):
        read(data)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("side", [14_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side, monkeypatch):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    # Another library may have taken Pillow's own limit away.
    for limit in (Image.MAX_IMAGE_PIXELS, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ImageDecodeError, match="pixels"):
            read(data)


def test_postscript_starts_no_other_program():
    with pytest.raises(ImageDecodeError):
        read(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")


def test_missing_file_names_record_and_path(tmp_path):
    with pytest.raises(ImageDecodeError, match=r"'r7'.*nothing\.jpg.*cannot be read"):
        decode_image(ImageRef(tmp_path / "nothing.jpg"), sample_id="r7")


def test_window_and_frames(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(photo(), "PNG"))
    part = decode_image(ImageRef(path, window=(5, 7, 10, 4)), sample_id="r1")
    np.testing.assert_array_equal(part, photo()[7:11, 5:15])
    with pytest.raises(ImageDecodeError, match="window"):
        decode_image(ImageRef(path, window=(60, 0, 10, 4)), sample_id="r1")
    with pytest.raises(ImageDecodeError, match="plugin"):
        decode_image(ImageRef(path, frames=(0, 3)), sample_id="r1")


def test_real_photos_equal_pillow(data_root):
    for path in sorted((data_root / "general" / "flickr8k" / "images").glob("*.jpg"))[:40]:
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        np.testing.assert_array_equal(decode_image(ImageRef(path), sample_id=path.name), expected)


def test_real_broken_raster_is_refused(data_root):
    path = data_root / "remote_sensing" / "geotiff" / "rasterio__corrupt.tif"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    with pytest.raises(ImageDecodeError):
        decode_image(ImageRef(path), sample_id="corrupt")


def test_report_counts_from_many_threads():
    report = DecodeReport()

    def work():
        for _ in range(100):
            report.add_decoded()
            report.add_bad(ImageDecodeError("r", "p", "why"), "skip")
            report.add_bad(ImageDecodeError("r", "p", "why"), "replace")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (report.decoded, report.skipped, report.replaced, report.bad) == (400, 400, 400, 800)
    assert len(report.problems) == DecodeReport.SHOWN
    assert "400 images decoded, 400 skipped, 400 replaced" in report.summary()
    assert "and 700 more" in report.summary()
