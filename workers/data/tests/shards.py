"""Opens frame shards with pyarrow, polars, DuckDB and datasets, and checks that all see the same images.

    python shards.py FOLDER        prints rows, and the digest of all pixels as PIL decodes them
"""

import hashlib, io, pathlib, sys

import datasets, duckdb, polars, pyarrow.parquet
from PIL import Image

folder = pathlib.Path(sys.argv[1])
shards = sorted(str(path) for path in folder.glob("shard-*.parquet"))


def digest(rows):
    """Returns the number of rows and a digest of what they hold, in order."""
    whole, count = hashlib.sha256(), 0
    for video_id, frame_index, pts_nanos, height, width, image in sorted(rows, key=lambda row: row[:2]):
        if isinstance(image, dict):
            assert image["path"] is None
            image = Image.open(io.BytesIO(image["bytes"]))
        assert image.size == (width, height), (image.size, width, height)
        whole.update(f"{video_id} {frame_index} {pts_nanos} ".encode() + image.convert("RGB").tobytes())
        count += 1
    return count, whole.hexdigest()


COLUMNS = ["video_id", "frame_index", "pts_nanos", "height", "width", "image"]
rows_of = lambda rows: [tuple(row[column] for column in COLUMNS) for row in rows]

seen = {
    "pyarrow": digest(rows_of(pyarrow.parquet.read_table(shards).to_pylist())),
    "polars": digest(rows_of(polars.read_parquet(shards).to_dicts())),
    "duckdb": digest(duckdb.sql(f"select {', '.join(COLUMNS)} from read_parquet({shards})").fetchall()),
    "datasets": digest(rows_of(datasets.load_dataset("parquet", data_files=shards, split="train", cache_dir=sys.argv[2]))),
}
assert len(set(seen.values())) == 1, seen
index = pyarrow.parquet.read_table(folder / "index.parquet").to_pylist()
assert sum(row["num_frames"] for row in index) == seen["pyarrow"][0]
print(*seen["pyarrow"])
