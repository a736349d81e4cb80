"""What shows the same is in one part: every leak that was found is planted here, and no split has it."""

import io
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.errors import RecipeError
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.drawing.joined import components
from arboretum_tools.split.files.manifest import open_split
from arboretum_tools.split.make import make_split
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter

ASKED = {"lt_ratio": 5, "val_per_class": 3, "test_per_class": 6}


def parts_of(split, photos):
    """The parts that some photos are in; one that is in none is left out."""
    where = {photo: part for part in split.parts for photo in split.part(part)["photo_id"].to_pylist()}
    return {where[photo] for photo in photos if photo in where}


def addressed(rows, number=lambda photo: photo - 5):
    """Rows of which every tenth has the address of another photo, written in one of two ways."""
    forms = (
        "https://inaturalist-open-data.s3.amazonaws.com/photos/{}/medium.jpg",
        "https://static.inaturalist.org/photos/{}/large.jpeg?1545",
    )
    for row in rows:
        row["photo_url"] = None
        if row["photo_id"] % 10 == 0:
            row["photo_url"] = forms[row["photo_id"] % 20 // 10].format(number(row["photo_id"]))
    return rows


def audited(split, folder, **arguments):
    audit = audit_split(split.save(folder), **arguments)
    assert audit.ok, audit.broken
    return {check.name: check.detail for check in audit.checks}


@pytest.mark.parametrize("layout", ["raw", "built"])
@pytest.mark.parametrize("group_by", ["photo", "observation", "observer-per-species"])
def test_photos_of_one_address_are_in_one_part(bird_catalog, tmp_path, group_by, layout, bird_photos):
    rows = addressed(bird_photos())
    catalog = bird_catalog(rows)
    if layout == "built":
        catalog = open_catalog(build_catalog(catalog.path, tmp_path / "built").path)
    genus = {row["photo_id"]: (row["genus"], row["species"]) for row in rows}
    pairs = [(photo - 5, photo) for photo in genus if photo % 10 == 0]
    same = [pair for pair in pairs if genus[pair[0]] == genus[pair[1]]]
    other = [pair for pair in pairs if genus[pair[0]] != genus[pair[1]]]
    split = make_split(catalog, **ASKED, group_by=group_by)
    assert all(len(parts_of(split, pair)) < 2 for pair in same)
    assert all(not parts_of(split, pair) for pair in other)
    assert split.meta["joined"] == {"address": len(pairs)}
    assert split.meta["counts"].get("image_in_two_classes", 0) == 2 * len(other)
    details = audited(split, tmp_path / "split")
    assert details["parts disjoint by address"] == "no address is in two parts"
    again = remake_split(tmp_path / "split", catalog)
    assert again.same


def test_an_address_of_another_photo_is_seen_by_the_audit(bird_catalog, tmp_path):
    folder = make_split(bird_catalog(), **ASKED, group_by="photo").save(tmp_path / "s")
    test, train = (pq.read_table(folder / f"{part}.parquet") for part in ("test", "train"))
    rows = train.to_pylist()
    rows[0]["url"] = f"https://static.inaturalist.org/photos/{test['photo_id'][0]}/medium.jpg"
    pq.write_table(type(train).from_pylist(rows, schema=train.schema), folder / "train.parquet")
    broken = {check.name: check for check in audit_split(folder).broken}
    assert broken["parts disjoint by address"].examples == (str(test["photo_id"][0]),)


@pytest.mark.parametrize("source", ["raw", "built", "joined"])
def test_one_photo_in_two_observations_joins_them(bird_catalog, tmp_path, source, bird_photos):
    rows = bird_photos()
    # The first photo of every other observation is in the observation before it as well.
    shared = [
        row | {"observation_id": row["observation_id"] - 1}
        for row in rows
        if row["observation_id"] % 2 and row["photo_id"] % 2
    ]
    catalog = bird_catalog([*rows, *shared])
    if source == "built":
        catalog = open_catalog(build_catalog(catalog.path, tmp_path / "built").path)
    elif source == "joined":
        # Observations come by a join, as from Open Data.
        bare = bird_catalog([{k: v for k, v in row.items() if k != "observation_id"} for row in rows], "bare")
        catalog = open_catalog(build_catalog([bare.path, catalog.path], tmp_path / "built").path)
    split = make_split(catalog, **ASKED, group_by="observation")
    of = {row["photo_id"]: row["observation_id"] // 2 for row in rows}
    for pair in set(of.values()):
        assert len(parts_of(split, [photo for photo, own in of.items() if own == pair])) < 2
    assert split.meta["joined"] == {"photo": len(shared)}
    audited(split, tmp_path / "split")
    assert remake_split(tmp_path / "split", catalog).same


@pytest.mark.parametrize("rank", ["genus", "family"])
def test_a_photo_of_two_genera_without_epithet_is_in_none(bird_catalog, rank, bird_photos):
    rows = bird_photos()
    of_genus = [row | {"species": None, "scientific_name": row["genus"]} for row in rows[:100]]
    also = [
        row | {"order": "Piciformes", "family": "Picidae", "genus": "Picus", "scientific_name": "Picus"}
        for row in of_genus
    ]
    split = make_split(bird_catalog([*rows[100:], *of_genus, *also]), **ASKED, rank=rank)
    assert not parts_of(split, [row["photo_id"] for row in of_genus])
    assert split.meta["counts"]["selected"] == len(rows) - 100


def noise(number):
    """A picture of 16 x 16 random fields, so that no two show the same."""
    fields = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(fields).resize((96, 96), Image.Resampling.NEAREST).save(out, "JPEG")
    return out.getvalue()


def store_of(path, rows, same):
    """A store of all photos; those of `same` have the bytes of the photo that it names."""
    with StoreWriter.create(path, StoreConfig(size="small"), shard_photos=200) as writer:
        for row in rows:
            writer.add_image(row["photo_id"], noise(same.get(row["photo_id"], row["photo_id"])))
    return path


@pytest.mark.parametrize("group_by", ["photo", "observation", "observer-per-species"])
def test_photos_of_the_same_bytes_are_in_one_part(bird_catalog, tmp_path, group_by, bird_photos):
    rows = bird_photos()
    same = {photo: photo - 100 for photo in range(101, 300, 7)} | {300: 1, 420: 5, 301: 5}
    store = store_of(tmp_path / "images", rows, same)
    catalog = bird_catalog(rows)
    split = make_split(catalog, **ASKED, group_by=group_by, store=store)
    for photo, first in same.items():
        assert len(parts_of(split, [photo, first])) < 2
    # One image of two species: neither it nor a copy of it is drawn.
    assert not parts_of(split, [5, 301, 420])
    listed = [row for row in split.joined.to_pylist() if row["left_out"]]
    assert {(row["photo_id"], row["other_id"]) for row in listed} == {(5, 301), (5, 420)}
    images = store if group_by == "photo" else None  # A second and third look at the pixels shows no more.
    details = audited(split, tmp_path / "split", images=images)
    assert "by sha256" in details["parts disjoint by joined group"]
    # Without the store the list beside the split says what it knew; without the list nothing is guessed.
    assert remake_split(tmp_path / "split", catalog).same
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tmp_path / "split" / "split.json", alone)
    with pytest.raises(RecipeError, match=r"joined\.parquet"):
        remake_split(alone / "split.json", catalog)


def test_a_store_that_held_everything_needs_no_list_of_what_it_lacked(bird_catalog, tmp_path, bird_photos):
    rows = bird_photos()
    catalog = bird_catalog(rows)
    split = make_split(catalog, **ASKED, store=store_of(tmp_path / "images", rows, {}))
    folder = split.save(tmp_path / "split")
    (folder / "left_out.parquet").unlink()
    assert split.joined is None
    assert remake_split(folder / "split.json", catalog).same


def test_a_forged_list_of_joined_groups_is_seen(bird_catalog, tmp_path, bird_photos):
    rows = addressed(bird_photos())
    folder = make_split(bird_catalog(rows), **ASKED).save(tmp_path / "s")
    pairs = pq.read_table(folder / "joined.parquet")
    pq.write_table(pairs.slice(1), folder / "joined.parquet")
    broken = {check.name for check in audit_split(folder).broken}
    assert {"hash of joined groups", "split_sha256"} <= broken
    (folder / "joined.parquet").unlink()
    assert "parts disjoint by joined group" in {check.name for check in audit_split(folder).broken}


def test_a_catalogue_without_such_pairs_gives_the_split_that_it_gave(bird_catalog, tmp_path):
    split = make_split(bird_catalog(), **ASKED)
    folder = split.save(tmp_path / "s")
    assert "joined" not in split.meta
    assert not (folder / "joined.parquet").exists()
    assert open_split(folder).joined is None


@pytest.mark.parametrize("group_by", ["photo", "observation", "observer-per-species"])
@pytest.mark.parametrize("benchmark", ["balanced", "life-stage"])
def test_a_benchmark_has_no_image_in_two_classes_and_joins_what_shows_the_same(
    bird_catalog, tmp_path, bird_photos, benchmark, group_by
):
    """Each tenth photo has the address of one before it, of the same class or of another one."""
    rows = addressed(bird_photos(), lambda photo: photo - 12 if photo > 20 else photo + 12)
    catalog = bird_catalog(rows)
    asked = {"benchmark": benchmark, "group_by": group_by}
    asked |= {"stages": "adult=6,juvenile=6"} if benchmark == "life-stage" else {"test_per_class": 8}
    split = make_split(catalog, **asked)

    def class_of(photo):
        row = rows[photo - 1]
        return row["species"], row["life_stage"] if benchmark == "life-stage" else None

    def drawable(photo):
        return benchmark != "life-stage" or rows[photo - 1]["life_stage"] is not None

    pairs = [(p, p - 12 if p > 20 else p + 12) for p in range(10, len(rows) + 1, 10)]
    pairs = [pair for pair in pairs if all(map(drawable, pair))]
    other = [pair for pair in pairs if class_of(pair[0]) != class_of(pair[1])]
    assert other
    taken = set(split.part("test")["photo_id"].to_pylist())
    assert not taken & {photo for pair in other for photo in pair}
    assert split.meta["joined"]["address"] >= len(pairs) - 1
    listed = split.joined.to_pylist()
    assert any(not row["left_out"] for row in listed) == (benchmark == "balanced" or len(other) < len(pairs))
    audited(split, tmp_path / "split")
    assert remake_split(tmp_path / "split", catalog).same


def test_a_copy_of_a_photo_that_is_kept_out_is_kept_out(bird_catalog, tmp_path, bird_photos):
    catalog = bird_catalog(addressed(bird_photos(), lambda photo: photo - 12 if photo > 20 else photo + 12))
    asked = {"benchmark": "balanced", "test_per_class": 20, "group_by": "observation"}
    folder = make_split(catalog, **asked).save(tmp_path / "benchmark")
    tested = set(open_split(folder).part("test")["photo_id"].to_pylist())
    copies = {one for p in range(30, 620, 10) for one in (p, p - 12) if tested & {p, p - 12}} - tested
    assert copies
    split = make_split(catalog, profile="natural", val_per_class=0, test_per_class=2, exclude=folder)
    assert not parts_of(split, tested | copies)
    audited(split, tmp_path / "split", exclude=[folder])
    assert remake_split(tmp_path / "split", catalog).same


def test_joined_observations_of_a_benchmark_are_one_group_of_its_test(bird_catalog, bird_photos):
    """All observations of a species share an address: however many there are, they are one group."""
    rows = bird_photos()
    first = {}
    for row in rows:
        start = first.setdefault(row["species"], row["photo_id"])
        row["photo_url"] = None
        if row["species"] == "pilaris" and row["photo_id"] % 2:
            row["photo_url"] = f"https://static.inaturalist.org/photos/{start}/large.jpg"
    asked = {"benchmark": "balanced", "test_per_class": 4, "group_by": "observation"}
    catalog = bird_catalog(rows)
    assert "Animalia|Turdus pilaris" in make_split(catalog, **asked).classes["class_key"].to_pylist()
    split = make_split(catalog, **asked, min_test_groups=2)
    assert "Animalia|Turdus pilaris" not in split.classes["class_key"].to_pylist()
    assert "Animalia|Turdus merula" in split.classes["class_key"].to_pylist()


def test_components_are_the_same_in_any_order():
    pairs = [(1, 2), (3, 4), (2, 3), (8, 9)]
    for order in (pairs, pairs[::-1]):
        found = components(order)
        assert sorted(found[1]) == sorted(found[4]) == [1, 2, 3, 4]
        assert sorted(found[8]) == [8, 9]


def test_what_is_nearly_the_same_stays_together(bird_catalog, tmp_path, bird_photos):
    """Mirrored and cropped copies of photos of other observations."""
    from arboretum_tools.testing.copies import copies, scene

    rows = [row for row in bird_photos() if row["genus"] in ("Picus", "Dryocopus")]
    first = rows[0]["photo_id"]
    with StoreWriter.create(tmp_path / "images", StoreConfig(size="small"), shard_photos=200) as writer:
        for row in rows:
            photo = row["photo_id"] - first
            of = photo % 20 if photo < 40 else photo
            picture = scene(of)
            how = "mirrored" if photo % 2 else "crop"
            writer.add_image(row["photo_id"], copies(picture, of)[how] if 20 <= photo < 40 else picture)
    catalog = bird_catalog(rows)
    asked = {"lt_ratio": 2, "val_per_class": 3, "test_per_class": 6}
    plain = make_split(catalog, **asked, store=tmp_path / "images")
    images = tmp_path / "images"
    audit = audit_split(plain.save(tmp_path / "plain"), images=images, near_duplicates=True)
    assert [check.name for check in audit.broken] == ["parts disjoint by near-duplicate"]
    listed = audit.near_duplicates.to_pylist()
    split = make_split(catalog, **asked, store=tmp_path / "images", near_duplicates=True)
    pairs = {(first + photo, first + photo + 20) for photo in range(20)}
    assert {(row["photo_id"], row["other_id"]) for row in listed} <= pairs
    assert all(row["mirrored"] == (row["photo_id"] - first) % 2 for row in listed)
    assert split.meta["joined"]["near-duplicate"] >= 18
    assert split.meta["recipe"]["near_duplicates"]
    audited(split, tmp_path / "split", images=tmp_path / "images")
    assert remake_split(tmp_path / "split", catalog).same
    with pytest.raises(RecipeError, match="--images"):
        make_split(catalog, **asked, near_duplicates=True)
