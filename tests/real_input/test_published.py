"""The chain on a published file of the metadata, which is not ours to commit.

    ARBORETUM_REAL_SAMPLE=arboretum_sample.parquet pytest -m real_input

The figures are those of the 874-row sample that the authors publish: all Arachnida, exact duplicates, http
addresses, upper-case extensions.
"""

import os
from pathlib import Path

import pytest

import arboretum_tools as at
from arboretum_tools.errors import InfeasibleSplitError, UnknownTaxonError
from arboretum_tools.testing.origin import Origin

pytestmark = pytest.mark.real_input


def test_the_chain_on_published_rows(tmp_path, monkeypatch):
    sample = Path(os.environ["ARBORETUM_REAL_SAMPLE"]).absolute()
    monkeypatch.chdir(tmp_path)
    catalog = at.open_catalog(sample)
    assert (catalog.defects.rows, catalog.defects.exact_duplicates, len(catalog)) == (874, 2, 872)
    assert catalog.num_classes == 214
    with pytest.raises(UnknownTaxonError):
        catalog.select("Aves")
    spiders = catalog.select("Araneae")
    parts = {"val_per_class": 1, "test_per_class": 1}
    with pytest.raises(InfeasibleSplitError) as caught:
        at.make_split(spiders, lt_ratio=100, **parts)
    assert caught.value.largest_ratio == 51
    split = at.make_split(spiders, lt_ratio=20, **parts)
    assert (split.num_classes, sum(split.class_counts)) == (57, 340)
    with Origin(sample) as origin:
        report = at.download(spiders, size="thumb", origin=origin.url)
    assert dict(report.by_status) == {
        "ok": 777,
        "gone": 0,
        "forbidden": 0,
        "invalid": 0,
        "failed": 0,
        "withdrawn": 0,
        "pending": 0,
    }
    for form in ("webdataset", "hf"):
        assert at.export(split, to=form, format=form).photos == {"train": 340, "val": 57, "test": 57}
    train = at.load_subset(split)
    assert train.class_counts == split.class_counts
