"""Corrupts a picture many times as ImageNet-C does, and writes the pictures that come of it."""

import sys
import types
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

# `imagenet_c` loads ImageMagick, which PyPI does not have, for two of its kinds. `imagecorruptions` has these without it.
for name in ("wand", "wand.image", "wand.api", "wand.color"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["wand"].color = sys.modules["wand.color"]
sys.modules["wand.image"].Image = object
sys.modules["wand.api"].library = types.SimpleNamespace(MagickMotionBlurImage=types.SimpleNamespace())

import cv2
import imagecorruptions
import imagecorruptions.corruptions
import imagenet_c
import imagenet_c.corruptions
import numpy
from safetensors.numpy import load_file, save_file
from skimage.filters import gaussian

folder, severities, draws = Path(sys.argv[1]), [int(text) for text in sys.argv[2].split(",")], int(sys.argv[3])


def blurred(image, sigma, multichannel=False, **options):
    """The blur of scikit-image, whose argument for channels has another name now."""
    return gaussian(image, sigma=sigma, channel_axis=-1 if multichannel else None, **options)


frost = Path(imagecorruptions.__file__).parent / "frost"
imagenet_c.corruptions.gaussian = imagecorruptions.corruptions.gaussian = blurred
imagenet_c.corruptions.resource_filename = lambda _, path: str(frost / Path(path).name)

picture = load_file(folder / "input.safetensors")["picture"].astype("uint8")
numpy.random.seed(0)
found = {
    f"frost_{place}": cv2.imread(str(file))[..., ::-1].astype("int32")
    for place, file in enumerate(sorted(frost.iterdir())[:5])
}
for kind in sys.argv[4].split(","):
    module = imagecorruptions if kind in ("motion_blur", "snow") else imagenet_c
    for severity in severities:
        made = [module.corrupt(picture, severity, kind) for _ in range(2 if kind == "glass_blur" else draws)]
        found[f"{kind}_{severity}"] = numpy.stack(made).astype("int32")
save_file({name: numpy.ascontiguousarray(value) for name, value in found.items()}, folder / "output.safetensors")
