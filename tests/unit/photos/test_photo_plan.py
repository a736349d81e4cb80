"""A plan is the same file wherever it came from, and says where it came from."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_metadata.schema import CLASSES, PART, REQUEST
from arboretum_tools import make_split, open_catalog
from arboretum_tools.errors import SplitError, StoreError, UsageError
from arboretum_tools.photos import photo_plan
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store import plans
from arboretum_tools.tabular.tables import arrow_schema, provenance_of

SOURCE = {"kind": "selection", "english": "birds", "criteria": {"taxa": ["Aves"]}}


def batch(rows) -> pa.RecordBatch:
    ids, exts, urls = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.record_batch([list(ids), list(exts), list(urls)], schema=arrow_schema(REQUEST))


def plan(*batches) -> photo_plan.PhotoPlan:
    return photo_plan.PhotoPlan(lambda: [batch(rows) for rows in batches], SOURCE)


rows = st.lists(
    st.tuples(
        st.integers(1, 2**63 - 1),
        st.sampled_from(["jpg", "JPG", "png"]),
        st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    ),
    unique_by=lambda row: row[0],
    max_size=12,
).map(sorted)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(rows, st.integers(0, 12))
def test_the_id_is_the_hash_of_the_rows_as_text_however_they_are_batched(tmp_path_factory, rows, cut):
    folder = tmp_path_factory.mktemp("plans")
    saved = photo_plan.write(plan(rows[:cut], rows[cut:]), folder)
    text = "".join(f"{photo_id}\t{ext}\t{url or ''}\n" for photo_id, ext, url in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert saved.id == digest[:12]
    assert saved.photos == len(rows)
    message = json.loads((folder / f"{saved.id}.json").read_text())
    assert message == {"id": saved.id, "photos": len(rows), "sha256": digest, "source": SOURCE}
    assert sorted(path.name for path in folder.iterdir()) == [f"{saved.id}.json", f"{saved.id}.parquet"]
    assert pa.parquet.read_table(saved.path).to_pylist() == [
        {"photo_id": photo_id, "ext": ext, "url": url} for photo_id, ext, url in rows
    ]
    assert provenance_of(saved.path)["source"] == SOURCE


def test_a_plan_is_kept_once(tmp_path):
    first = plans.keep(photo_plan.write(plan([(1, "jpg", None)]), tmp_path / "a"), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "requests").iterdir()}
    second = plans.keep(photo_plan.write(plan([(1, "jpg", None)]), tmp_path / "b"), tmp_path)
    assert first == second
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "requests").iterdir()} == before
    plans.keep(photo_plan.write(plan([(2, "jpg", None)]), tmp_path / "c"), tmp_path)
    assert [p.photos for p in plans.saved(tmp_path)] == [1, 1]
    assert first in plans.saved(tmp_path)


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
@pytest.mark.parametrize("keep", [0, 40, -8])
def test_a_damaged_plan_is_kept_anew_by_the_same_download(tmp_path, suffix, keep):
    asked = plan([(1, "jpg", None), (2, "jpg", None)])
    (tmp_path / "images").mkdir()
    kept = plans.keep(photo_plan.write(asked, tmp_path / "first"), tmp_path / "images")
    damaged = kept.path.with_suffix(suffix)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:keep])
    again = plans.keep(photo_plan.write(asked, tmp_path / "second"), tmp_path / "images")
    assert damaged.read_bytes() == whole
    assert [found.id for found in plans.saved(tmp_path / "images")] == [again.id]


def test_a_folder_without_plans_has_none(tmp_path):
    assert plans.saved(tmp_path) == []


def test_a_damaged_plan_is_told(tmp_path):
    kept = plans.keep(photo_plan.write(plan([(1, "jpg", None)]), tmp_path / "a"), tmp_path)
    kept.path.with_suffix(".json").write_text("{}")
    with pytest.raises(StoreError, match=f"{kept.id}.json cannot be read"):
        plans.saved(tmp_path)


@pytest.mark.parametrize(
    "batches",
    [
        ([(2, "jpg", None), (1, "jpg", None)],),
        ([(2, "jpg", None)], [(2, "jpg", None)]),
        ([(0, "jpg", None)],),
    ],
)
def test_rows_out_of_order_are_never_written(tmp_path, batches):
    with pytest.raises(AssertionError):
        photo_plan.write(plan(*batches), tmp_path)
    assert list(tmp_path.iterdir()) == []


def split_of(**parts: list[int]) -> Split:
    def table(ids: list[int]) -> pa.Table:
        columns = {name: [None] * len(ids) for name in PART.names}
        columns |= {"photo_id": ids, "label": [0] * len(ids), "ext": ["jpg"] * len(ids)}
        return pa.table(columns, schema=arrow_schema(PART))

    return Split(
        name="birds",
        classes=arrow_schema(CLASSES).empty_table(),
        tables={part: table(ids) for part, ids in parts.items()},
        meta={"recipe": {"profile": "exp"}, "sha256": dict.fromkeys(parts, "0")},
    )


def test_a_split_asks_for_all_its_parts_or_for_some(tmp_path):
    split = split_of(train=[5, 1, 9], test=[4, 7])

    def ids(plan: photo_plan.PhotoPlan) -> list[int]:
        return [n for batch in plan.batches() for n in batch["photo_id"].to_pylist()]

    assert ids(split.plan()) == [1, 4, 5, 7, 9]
    assert ids(split.plan(["test"])) == [4, 7]
    assert split.plan().source["english"] == "the split birds (train, test)"
    assert photo_plan.write(split.plan(), tmp_path).photos == 5
    with pytest.raises(SplitError, match="no part 'val'"):
        split.plan(["val"])


def test_a_selection_asks_for_its_photos(tmp_path, write_catalog, photos, taxa):
    catalog = open_catalog(write_catalog([*photos(taxa["robin"], 7, 3), *photos(taxa["moth"], 5)]))
    selection = catalog.select("Aves")
    made = selection.plan()
    assert [row["photo_id"] for rows in made.batches() for row in rows.to_pylist()] == [3, 7]
    assert made.source == {
        "kind": "selection",
        "english": selection.english,
        "criteria": selection.recipe(),
    }
    assert photo_plan.write(made, tmp_path).photos == 2


def test_what_has_photos_says_of_what_kinds_they_are(write_catalog, photos, taxa):
    rows = [*photos(taxa["robin"], 1, 2, width=40, height=30), *photos(taxa["moth"], 3, width=50)]
    selection = open_catalog(write_catalog(rows)).select()
    split = make_split(selection, profile="natural", val_per_class=0, test_per_class=0)
    for source in (selection, split):
        assert photo_plan.source_of(source) is source
        assert source.count_classes() == 2
        assert sorted(source.count_by("width", "height"), key=str) == [(40, 30, 2), (50, None, 1)]
    known = plan([(1, "jpg", None)])
    assert photo_plan.source_of(known).plan() is known
    assert known.count_classes() is None
    assert list(known.count_by("license")) == []


@pytest.mark.parametrize("what", [[1, 2, 3], "Aves", None])
def test_what_cannot_be_downloaded_is_told(what):
    with pytest.raises(UsageError, match=f"a {type(what).__name__} cannot be downloaded"):
        photo_plan.source_of(what)
