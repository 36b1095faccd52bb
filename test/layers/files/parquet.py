"""Writes the Parquet files beside it (pyarrow 26.0.1, Pillow). The pictures are those of `samples` in ImagesContract.ts."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ["ape", "bee", "cat"]
SIDE = 8


def png(i: int, changed: bool) -> bytes:
    step = 99 if changed and i == 5 else 11
    data = bytes((j * (i + 3) + step * i) % 251 for j in range(SIDE * SIDE * 3))
    file = io.BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), data).save(file, "PNG", optimize=True)
    return file.getvalue()


def hugging_face(changed: bool, paths: bool = True) -> pa.Table:
    features = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    images = [{"bytes": png(i, changed), "path": f"{i}.png" if paths else None} for i in range(6)]
    return pa.table({"image": images, "label": [i // 2 for i in range(6)]}, schema=schema)


def plain(changed: bool) -> pa.Table:
    names = [CLASSES[i // 2] for i in range(6)]
    return pa.table({"id": range(6), "picture": [png(i, changed) for i in range(6)], "animal": names})


folder = Path(__file__).parent
for changed in (False, True):
    end = "-changed.parquet" if changed else ".parquet"
    pq.write_table(hugging_face(changed), folder / f"snappy{end}", row_group_size=2, compression="snappy")
    pages = {"write_page_index": True, "data_page_size": 1, "write_batch_size": 2, "use_dictionary": False}
    pq.write_table(plain(changed), folder / f"zstd{end}", compression="zstd", **pages)

# Without paths, a page of the column `image.path` holds nothing.
pq.write_table(hugging_face(False, paths=False), folder / "lz4.parquet", row_group_size=2, compression="lz4")
