"""Label maps of images by an exported network. Needs onnxruntime, numpy and pillow.

python predict.py IMAGE ... [--output DIR] [--model model_int8.onnx]
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=Path("predictions"), help="folder of the label maps")
    parser.add_argument("--model", default="model.onnx", help="file beside this one")
    arguments, folder = parser.parse_args(), Path(__file__).parent
    classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))["classes"]
    session = onnxruntime.InferenceSession(folder / arguments.model, providers=["CPUExecutionProvider"])
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = result_files(arguments.images, arguments.output)
    broken = 0
    for path in arguments.images:
        try:
            image = read_image(path)
        except Exception as error:  # Pillow has many errors
            print(f"{path}: is no image that can be read ({' '.join(str(error).split())})", file=sys.stderr)
            broken += 1
            continue
        labels, scores = (values[0] for values in session.run(None, {"image": image[None]}))
        labels = labels.astype(np.uint8 if len(classes) <= 256 else np.uint16)
        Image.fromarray(labels).save(results[path])
        found = {number: labels == number for number in np.unique(labels).tolist()}
        told = [f"{classes[n]} {100 * at.mean():.1f} % (score {scores[at].mean():.2f})" for n, at in found.items()]
        print(f"{path}: {', '.join(told)}")
    if broken:
        sys.exit(f"{broken} of {len(arguments.images)} images cannot be read")


def read_image(path: Path) -> np.ndarray:
    """RGB image (H, W, 3) uint8, turned as its EXIF says; grey images of 16 bits are scaled to 8."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image).astype(np.int64) + 128) // 257).clip(0, 255).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def result_files(images: list[Path], folder: Path) -> dict[Path, Path]:
    """The file for the label map of each image; the ending stays in the name where two images have the same stem."""
    stems = Counter(path.stem for path in set(images))
    found = {path: folder / f"{path.stem if stems[path.stem] == 1 else path.name}.png" for path in images}
    if len(set(found.values())) < len(found):
        sys.exit("two images have the same name; predict them one by one, with different --output folders")
    if taken := {path.resolve() for path in images} & {result.resolve() for result in found.values()}:
        sys.exit(f"{min(taken)}: the label map would replace this image; name another --output folder")
    return found


if __name__ == "__main__":
    main()
