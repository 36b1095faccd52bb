"""Writes the images in `colour/exact` and the pixels that Pillow makes of each (Pillow 13.0.0, numpy); in `colour/refused`
kinds that Pillow decodes otherwise than libvips does, or not at all.
"""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

W, H = 16, 12
place = Path(__file__).parent / "colour"
folder = place / "exact"
random = np.random.default_rng(0)
y, x = np.mgrid[0:H, 0:W]
smooth = np.stack([x * 17 + y * 3, x * 5 + y * 19 + 60, 255 - x * 9 + y], -1) % 256
rgb = ((3 * smooth + random.integers(0, 256, (H, W, 3))) // 4).astype("uint8")
alpha = ((x * 29 + y * 13) % 256).astype("uint8")
deep = random.integers(0, 65536, (H, W, 4)).astype(">u2")
deep[:, ::2, 0] %= 300

colour, grey = Image.fromarray(rgb), Image.fromarray(rgb[..., 0].copy())
clear = Image.fromarray(np.dstack([rgb, alpha]))
grey_clear = Image.merge("LA", [grey, Image.fromarray(alpha)])
palette = colour.quantize(32)
inks = Image.merge("CMYK", [*colour.split(), Image.fromarray(alpha // 3)])
turned = Image.Exif()
turned[0x112] = 6


def profile(space: bytes) -> bytes:
    """A colour profile; that of grey is sRGB's with another space, which is enough to be found."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    if space == b"GRAY":
        made[16:20] = space
    # Red and blue change places, so that a profile that is applied shows.
    return bytes(made).replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")


def write(name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def save(name: str, image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name.rsplit(".", 1)[1], name.rsplit(".", 1)[1].upper())
    image.save(file, kind, **options)
    write(name, file.getvalue())
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(name: str, kind: int, depth: int, rows: np.ndarray, before: bytes = b"") -> None:
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, kind, 0, 0, 0))
    write(name, b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def tiff(name: str, photometric: int, pixels: np.ndarray, big_endian: bool = False, palette=(), **more: int) -> None:
    order = ">" if big_endian else "<"
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    tags = {
        256: [W], 257: [H], 258: [8 * pixels.itemsize] * samples, 259: [1], 262: [photometric], 273: [0],
        277: [samples], 278: [H], 279: [len(data)],
        **({338: [more["extra"]]} if "extra" in more else {}), **({339: [more["format"]]} if "format" in more else {}),
        **({530: [1, 1]} if photometric == 6 else {}), **({320: palette} if len(palette) > 0 else {}),
    }
    at = 8 + 2 + 12 * len(tags) + 4
    entries, rest = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) > 4:
            entries += struct.pack(f"{order}HHII", tag, 3, len(values), at + len(rest))
            rest += packed
        else:
            entries += struct.pack(f"{order}HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
    where = struct.pack(f"{order}HHI", 273, 3, 1)
    entries = entries.replace(where + bytes(4), where + struct.pack(f"{order}HH", at + len(rest), 0))
    start = b"MM\0*" if big_endian else b"II*\0"
    write(name, start + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + rest + data)


folder.mkdir(parents=True, exist_ok=True)
for old in place.rglob("*.*"):
    old.unlink()

for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
    save(f"{name}.jpg", colour, quality=80, subsampling=subsampling)
save("progressive.jpg", colour, quality=60, progressive=True)
save("grey.jpg", grey, quality=80)
save("rgb.jpg", colour, quality=90, keep_rgb=True)
save("turned.jpg", colour, quality=80, exif=turned)
save("profile.jpg", colour, quality=90, icc_profile=profile(b"RGB "))
save("grey-profile.jpg", grey, quality=90, icc_profile=profile(b"GRAY"))
for name, subsampling in (("", 0), ("-420", 2)):
    content = save(f"cmyk{name}.jpg", inks, quality=90, subsampling=subsampling)
    adobe = content.index(b"Adobe")
    length = struct.unpack(">H", content[adobe - 2:adobe])[0]
    write(f"ycck{name}.jpg", content[:adobe + 11] + b"\2" + content[adobe + 12:])
    write(f"cmyk-bare{name}.jpg", content[:adobe - 4] + content[adobe - 2 + length:])

save("rgb.png", colour)
save("rgba.png", clear)
save("grey.png", grey)
save("grey-alpha.png", grey_clear)
save("grey-key.png", grey, transparency=int(rgb[0, 0, 0]))
save("rgb-key.png", colour, transparency=tuple(int(value) for value in rgb[0, 0]))
save("palette.png", palette)
save("palette-alpha.png", palette, transparency=bytes(i * 8 for i in range(32)))
save("palette-key.png", palette, transparency=3)
save("1.png", colour.convert("1"))
for count in (2, 4, 16):
    save(f"palette-{count}.png", colour.quantize(count))
save("profile.png", colour, icc_profile=profile(b"RGB "))
save("grey-profile.png", grey, icc_profile=profile(b"GRAY"))
save("turned.png", colour, exif=turned)
save("animated.png", colour, save_all=True, append_images=[Image.fromarray(255 - rgb)], duration=100)
png("gamma.png", 2, 8, rgb, chunk(b"gAMA", struct.pack(">I", 100000)))
png("background.png", 6, 8, np.dstack([rgb, alpha]), chunk(b"bKGD", struct.pack(">3H", 255, 0, 0)))
png("grey-16.png", 0, 16, deep[..., 0])
png("grey-16-key.png", 0, 16, deep[..., 0], chunk(b"tRNS", deep[0, 1, 0].tobytes()))
png("grey-alpha-16.png", 4, 16, deep[..., :2])
png("rgb-16.png", 2, 16, deep[..., :3])
png("rgba-16.png", 6, 16, deep)
png("grey-4.png", 0, 4, random.integers(0, 256, (H, W // 2)).astype("uint8"))
png("grey-2-key.png", 0, 2, random.integers(0, 256, (H, W // 4)).astype("uint8"), chunk(b"tRNS", b"\0\1"))

save("palette.gif", palette)
save("grey.gif", grey)
save("interlaced.gif", palette, interlace=1)
save("animated.gif", palette, save_all=True, append_images=[Image.fromarray(255 - rgb)], duration=100)
save("unused-key.gif", palette, transparency=200)

save("lossy.webp", colour, quality=60)
save("lossless.webp", colour, lossless=True)
save("alpha.webp", clear, lossless=True, exact=True)
save("lossy-alpha.webp", clear, quality=60)
save("turned.webp", colour, lossless=True, exif=turned)
save("animated.webp", clear, save_all=True, append_images=[colour.convert("RGBA")], lossless=True, exact=True)

tiff("rgb.tif", 2, rgb)
tiff("rgb-big-endian.tif", 2, rgb, big_endian=True)
tiff("rgba.tif", 2, np.dstack([rgb, alpha]), extra=2)
tiff("rgbx.tif", 2, np.dstack([rgb, alpha]), extra=0)
tiff("rgb-16.tif", 2, deep[..., :3])
tiff("rgb-16-big-endian.tif", 2, deep[..., :3], big_endian=True)
tiff("grey.tif", 1, rgb[..., 0])
tiff("white-is-0.tif", 0, rgb[..., 0])
tiff("grey-16.tif", 1, deep[..., 0])
tiff("cmyk.tif", 5, np.array(inks))
save("grey-alpha.tif", grey_clear)
save("palette.tif", palette)
save("1.tif", colour.convert("1"))
save("fax.tif", colour.convert("1"), compression="group4")
save("lzw.tif", colour, compression="tiff_lzw")
save("deflate.tif", colour, compression="tiff_adobe_deflate")
save("jpeg.tif", colour, compression="jpeg", quality=90)
save("profile.tif", colour, icc_profile=profile(b"RGB "))
save("turned.tif", colour, exif=turned)
save("pages.tif", colour, save_all=True, append_images=[Image.fromarray(255 - rgb)])

expected = {}
for file in sorted(folder.iterdir()):
    image = Image.open(file)
    pixels = image.convert("RGB")
    expected[file.name] = {
        "mode": image.mode,
        "width": pixels.width,
        "height": pixels.height,
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
    }
(place / "exact.json").write_text(json.dumps(expected, indent=1) + "\n")

# What is refused.
folder = place / "refused"
folder.mkdir(exist_ok=True)
save("image.avif", colour, quality=90)
write("image.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"><rect width="8" height="4"/></svg>')
save("key.gif", palette, transparency=3)
partly = bytearray((place / "exact" / "palette.gif").read_bytes())
partly[6:8] = struct.pack("<H", W + 4)
write("partly.gif", bytes(partly))
tiff("premultiplied.tif", 2, np.dstack([rgb, alpha]), extra=1)
tiff("signed.tif", 1, rgb[..., 0].astype("int8"), format=2)
tiff("float.tif", 1, rgb[..., 0].astype("float32"), format=3)
tiff("ycbcr.tif", 6, np.array(colour.convert("YCbCr")))
tiff("icclab.tif", 9, rgb)
tiff("five.tif", 2, np.dstack([rgb, alpha, alpha]), extra=0)
tiff("cmyk-alpha.tif", 5, np.dstack([np.array(inks), alpha]), extra=2)
tiff("palette-8.tif", 3, rgb[..., 0], palette=[i * k % 256 for k in (3, 5, 7) for i in range(256)])
