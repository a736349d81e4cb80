"""The reader of indexes over tars: needs torch and webdataset 0.2.96 to 0.2.x; 1.0 has no `wids` any more.

Not webdataset 0.2.86, which the other tests here need: it removes what it was given in place.
"""

import os
from importlib.metadata import version
from urllib.parse import urlparse

import pyarrow.parquet as pq
import pytest

from arboretum_tools.exporting import export
from arboretum_tools.testing.exporter_conformance import hashes
from arboretum_tools.testing.tiny import tiny_image

pytestmark = pytest.mark.consumers


@pytest.mark.parametrize("workers", [0, 2])
def test_a_subset_of_the_tars_is_the_part_and_they_stay_as_they_are(made, labels, tmp_path, workers):
    wids = pytest.importorskip("wids")
    if tuple(map(int, version("webdataset").split(".")[:3])) < (0, 2, 96):
        pytest.skip("this version removes the files that it reads")
    import torch

    before = hashes(made.store.path)
    folder = export(made.split, images=made.store.path, to=tmp_path / "index", index_only=True).path
    for part in made.split.parts:
        rows = pq.read_table(folder / f"{part}.parquet")
        photos = wids.ShardListDataset(
            os.fspath(folder / f"{part}.json"), localname=_in_place, transformations=[_image]
        )
        subset = torch.utils.data.Subset(photos, rows["position"].to_pylist())
        loader = torch.utils.data.DataLoader(subset, batch_size=None, num_workers=workers)
        found = list(loader)
        assert [photo_id for photo_id, _ in found] == rows["photo_id"].to_pylist()
        assert dict(zip(rows["photo_id"].to_pylist(), rows["label"].to_pylist(), strict=True)) == labels(
            made.split, part
        )
        assert all(data == tiny_image(photo_id) for photo_id, data in found)
        photos.close()
    assert hashes(made.store.path) == before


def _in_place(url):
    return urlparse(url).path


def _image(sample):
    return int(sample["__key__"]), sample[".jpg"].read()
