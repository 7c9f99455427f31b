"""Label maps of images by an exported network. Needs onnxruntime, numpy and pillow.

python predict.py IMAGE ... [--output DIR] [--model model_int8.onnx]
"""

import argparse
import json
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
    for path in arguments.images:
        image = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        labels, scores = (values[0] for values in session.run(None, {"image": image[None]}))
        labels = labels.astype(np.uint8 if len(classes) <= 256 else np.uint16)
        Image.fromarray(labels).save(arguments.output / f"{path.stem}.png")
        found = {number: labels == number for number in np.unique(labels).tolist()}
        told = [f"{classes[n]} {100 * at.mean():.1f} % (score {scores[at].mean():.2f})" for n, at in found.items()]
        print(f"{path}: {', '.join(told)}")


if __name__ == "__main__":
    main()
