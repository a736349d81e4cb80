"""Drawn photos go through buckets on disk and come back in order, whatever the buckets."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_metadata.schema import PART
from arboretum_tools.catalog.building.partitions import MOST_BUCKETS
from arboretum_tools.split.drawing import draw
from arboretum_tools.split.drawing.drawn_parts import DrawnParts
from arboretum_tools.split.make import make_split
from arboretum_tools.tabular.tables import arrow_schema


def batches(rows, size):
    """Rows (photo_id, label, bucket) as batches of a few columns of a part."""
    for start in range(0, len(rows), size):
        ids, labels, buckets = zip(*rows[start : start + size], strict=True)
        yield pa.record_batch(
            {
                "photo_id": pa.array(ids, pa.int64()),
                "label": pa.array(labels, pa.int32()),
                "license": pa.array([None if i % 3 else "CC0" for i in ids], pa.string()),
                "bucket": pa.array(buckets, pa.int32()),
            }
        )


@settings(max_examples=50)
@given(
    ids=st.lists(st.integers(1, 2**62), unique=True, max_size=60),
    split_at=st.integers(1, 60),
    size=st.integers(1, 25),
    rng=st.randoms(use_true_random=False),
)
def test_parts_come_back_by_label_and_photo(ids, split_at, size, rng):
    rows = sorted((rng.randint(0, 4), one) for one in ids)
    dealt = [
        (one, label, position // 7 + 2 * (position >= split_at)) for position, (label, one) in enumerate(rows)
    ]
    last = (len(rows) - 1) // 7 + 3
    first = min((b for _, _, b in dealt[split_at:]), default=last)
    # A bucket belongs to one part.
    dealt = [(one, label, b) for one, label, b in dealt if (b < first) == ((label, one) in rows[:split_at])]
    expected = {
        "train": sorted((label, one) for one, label, b in dealt if b < first),
        "test": sorted((label, one) for one, label, b in dealt if b >= first),
    }
    rng.shuffle(dealt)
    parts = DrawnParts.write({"train": range(first), "test": range(first, last + 1)}, batches(dealt, size))
    assert tuple(parts) == ("train", "test")
    for part, pairs in expected.items():
        table = parts[part]
        assert table.schema == arrow_schema(PART)
        assert list(zip(table["label"].to_pylist(), table["photo_id"].to_pylist(), strict=True)) == pairs
        assert table["license"].to_pylist() == [None if one % 3 else "CC0" for _, one in pairs]
        assert table["latitude"].null_count == parts.num_rows(part) == len(pairs)
        some = [batch.to_pylist() for batch in parts.batches(part, ["license", "label"])]
        assert [tuple(row) for batch in some for row in batch] == [("license", "label")] * len(pairs)


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_small_buckets_change_nothing(bird_catalog, monkeypatch, rows):
    """With buckets of one row there would be more than there may be; classes span many of them."""
    arguments = {"profile": "natural", "val_per_class": 2, "test_per_class": 3, "group_by": "observation"}
    catalog = bird_catalog()
    expected = make_split(catalog, **arguments)
    monkeypatch.setattr(draw, "_BUCKET_ROWS", rows)
    found = make_split(catalog, **arguments)
    assert found.sha256 == expected.sha256
    for part in expected.parts:
        assert found.part(part) == expected.part(part)
        sizes = [batch.num_rows for batch in found.tables.batches(part, ["photo_id"])]
        assert sum(sizes) == found.num_photos(part)
        assert len(sizes) <= MOST_BUCKETS
        # The largest class has 300 photos.
        assert max(sizes) < 300


def test_a_part_without_photos_is_a_table_without_rows():
    parts = DrawnParts.write({"train": range(1), "val": range(1, 2)}, batches([(5, 0, 0)], 10))
    assert (parts.num_rows("val"), parts["val"].schema) == (0, arrow_schema(PART))
    assert list(parts.batches("val", ["label"])) == []
    assert np.array_equal(parts["train"]["photo_id"].to_numpy(), [5])
