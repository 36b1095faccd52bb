"""Writes Parquet files with labels of every kind into the folder `labels` beside it (pyarrow 26.0.1, Pillow)."""

import datetime
import decimal
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

folder = Path(__file__).parent / "labels"
folder.mkdir(exist_ok=True)


def image(i: int) -> dict:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (60 * i, 90, 0)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def write(name: str, columns: dict, names: dict = {}) -> None:
    table = pa.table({"image": [image(i) for i in range(4)], **columns})
    features = {"image": {"_type": "Image"}} | {
        column: {"names": some if isinstance(some, dict) else list(some), "_type": "ClassLabel"} for column, some in names.items()
    }
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})} if names else {})
    pq.write_table(table, folder / f"{name}.parquet")


noon = datetime.datetime(2020, 1, 1, 12)
write(
    "kinds",
    {
        "truth": [False, False, True, True],
        "real": [0.4, 1.6, 0.0, float("nan")],
        "whole": pa.array([0.0, 1.0, 0.0, 1.0], pa.float32()),
        "many": [[0], [1], [0, 1], []],
        "nested": [{"id": i} for i in range(4)],
        "map": pa.array([[("id", i)] for i in range(4)], pa.map_(pa.string(), pa.int64())),
        "time": [noon + datetime.timedelta(days=i) for i in range(4)],
        "day": [noon.date()] * 4,
        "price": [decimal.Decimal("0.5")] * 4,
        "bytes": pa.array([b"\xff", b"\xfe", b"\xff", b"\xfe"], pa.binary()),
        "word": pa.array([b"dog", b"cat", b"dog", b"eel"], pa.binary()),
        "text": ["dog", "cat", "dog", "1"],
        "dictionary": pa.array(["dog", "cat", "dog", "eel"]).dictionary_encode(),
        "long": [2**53, 2**53 + 1, 2**53 + 2, 2**53 + 1],
        "unsigned": pa.array([2**64 - 1, 2**64 - 2, 2**63, 2**64 - 1], pa.uint64()),
        "huge": [2**32, 1, 2**32 + 1, 0],
        "byte": pa.array([0, 1, 2, 1], pa.uint8()),
        "short": pa.array([0, 1, 2, 1], pa.int16()),
        "minus": [0, -1, 1, 0],
        "holes": [0, None, 1, 0],
        "blank": ["dog", "", "cat", "dog"],
        "void": pa.nulls(4),
    },
)
numbers = [0, 1, 2, 1]
write("named", {"label": numbers}, {"label": ["ape", "bee", "cat"]})
write("turned", {"label": [2 - i for i in numbers]}, {"label": ["cat", "bee", "ape"]})
write("bare", {"label": numbers})
write("texts", {"label": ["ape", "bee", "cat", "bee"]})
write("others", {"label": numbers}, {"label": ["ape", "bee", "dog"]})
write("twice", {"label": numbers}, {"label": ["ape", "bee", "ape"]})
write("beyond", {"label": [0, 1, 2, 3]}, {"label": ["ape", "bee", "cat"]})
write("meant", {"id": numbers, "fine_label": numbers, "species": numbers}, {"species": ["ape", "bee", "cat"]})
write("unlabelled", {"id": numbers, "caption": ["a", "b", "c", "d"]})
write("mapped", {"label": numbers}, {"label": {"2": "eel", "0": "cat", "1": "dog"}})
write("gaps", {"label": numbers}, {"label": {"0": "cat", "1": "dog", "3": "eel"}})
columns = [pa.array([image(i) for i in range(4)]), pa.array(numbers), pa.array(numbers[::-1])]
pq.write_table(pa.Table.from_arrays(columns, ["image", "label", "label"]), folder / "double.parquet")
spans = [datetime.timedelta(days=i) for i in range(4)]
write("durations", {"number": numbers, "label": spans})
