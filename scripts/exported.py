"""Runs the models of a folder on the images there, and writes what they give."""

import json
import sys
from pathlib import Path

import numpy
import onnxruntime

folder = Path(sys.argv[1])
images = numpy.fromfile(folder / "images.bin", "float32").reshape(json.loads(sys.argv[2]))
results = {}
for file in sorted(folder.glob("*.onnx")):
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for count in (len(images), 1):
        outputs = session.run(None, {"images": images[:count]})
        results[f"{file.stem}, {count} images"] = {
            output.name: values.ravel().tolist() for output, values in zip(session.get_outputs(), outputs)
        }
    results[file.stem] = session.get_modelmeta().custom_metadata_map
(folder / "results.json").write_text(json.dumps({"version": onnxruntime.__version__, "results": results}))
