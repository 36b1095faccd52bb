"""Writes the models of teachers that keep numbers in other files, or in other types than 32 bits."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

here = pathlib.Path(__file__).parent
weights = np.random.default_rng(3).integers(-8, 9, (4, 3, 2, 2)).astype(np.float32) / 8
shape = nh.from_array(np.array([0, 4, 4], np.int64), "s")
OFFSET = 64


def save(name, nodes, constants, takes=T.FLOAT, gives=T.FLOAT):
    pixels = h.make_tensor_value_info("pixels", takes, ["b", 3, 4, 4])
    features = h.make_tensor_value_info("features", gives, ["b", 4, 4])
    model = h.make_model(h.make_graph(nodes, "g", [pixels], [features], constants), opset_imports=[h.make_opsetid("", 17)])
    model.ir_version = 9
    (here / name).write_bytes(model.SerializeToString())


def patches(result="features"):
    return [
        h.make_node("Conv", ["pixels", "w"], ["m"], strides=[2, 2]),
        h.make_node("Reshape", ["m", "s"], ["r"]),
        h.make_node("Transpose", ["r"], [result], perm=[0, 2, 1]),
    ]


def elsewhere(name):
    tensor = T(name=name, data_type=T.FLOAT, dims=weights.shape, data_location=T.EXTERNAL)
    for key, value in [("location", "outer.onnx.data"), ("offset", str(OFFSET)), ("length", str(weights.nbytes))]:
        tensor.external_data.add(key=key, value=value)
    return tensor


save("outer.onnx", patches(), [elsewhere("w"), shape])
(here / "outer.onnx.data").write_bytes(bytes(OFFSET) + weights.tobytes())
constant = h.make_node("Constant", [], ["w"])
constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(elsewhere(""))
save("outer_within.onnx", [constant, *patches()], [shape])
save("halves.onnx", patches(), [nh.from_array(weights.astype(np.float16), "w"), shape], T.FLOAT16, T.FLOAT16)
cast = h.make_node("Cast", ["f"], ["features"], to=T.INT8)
save("bytes.onnx", [*patches("f"), cast], [nh.from_array(weights, "w"), shape], gives=T.INT8)
