"""What is kept out of a split: read from files of every kind, written down, made again, and proved."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import RecipeError, SelectionError, SplitError
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split import open_split
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.drawing.exclusion import Exclusion, read_exclusion
from arboretum_tools.split.make import make_family, make_split, whole
from arboretum_tools.split.reproduce import remake_split

ARGUMENTS = {"lt_ratio": 5, "val_per_class": 2, "test_per_class": 3}
#: A UUID's number has 63 bits: more than a float holds.
BIG = 2**62 + 1


def used(split, column="photo_id"):
    return {value for part in split.parts for value in split.part(part)[column].to_pylist()}


def test_files_of_every_kind_say_what_is_kept_out(tmp_path):
    def text(name, content):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    def parquet(name, **columns):
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    photos = Exclusion.of(photos=[3, 7])
    assert read_exclusion(text("a.txt", "7\n3\n\n7\n")) == photos
    assert read_exclusion(text("a.csv", "label,photo_id\n0,7\n1,3\n")) == photos
    both = Exclusion.of(photos=[3, 7], observations=[5, BIG])
    assert read_exclusion(text("b.tsv", f"photo_id\tobservation_id\n3\t5\n7\t{BIG}\n3\t\n")) == both
    assert read_exclusion(parquet("b.parquet", photo_id=[7, 3, 3], observation_id=[5, None, BIG])) == both
    seen = parquet("c.parquet", observation_id=[BIG, 5, None], class_key=["x", "y", "z"])
    assert read_exclusion(seen) == Exclusion.of(observations=[5, BIG])
    keys = ["Animalia|Turdus merula", "Animalia|genus|Picus", "Animalia|Turdus merula|adult"]
    expected = Exclusion.of(classes=["Animalia|Turdus merula"], taxa=["Animalia>genus:Picus"])
    assert read_exclusion(parquet("d.parquet", class_key=keys)) == expected
    assert read_exclusion(text("e.txt", "Turdus merula\ngenus:Picus\n")).taxa == (
        "Turdus merula",
        "genus:Picus",
    )
    assert read_exclusion(text("e.csv", "taxon,note\nAves,x\n")).taxa == ("Aves",)
    together = read_exclusion([tmp_path / "a.txt", tmp_path / "c.parquet", tmp_path / "e.csv"])
    assert together.counts == {"photos": 2, "observations": 2, "classes": 0, "taxa": 1}
    assert Exclusion.from_table(together.to_table()) == together
    assert together.sha256 == Exclusion.from_table(together.to_table()).sha256 != photos.sha256


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "photo_id\n7\nx\n", r"a\.csv, line 3: 'x' is no photo_id"),
        ("b.csv", "observation_id\n-3\n", "line 2: '-3' is no observation_id"),
        ("c.csv", f"photo_id\n{2**63}\n", "is no photo_id"),
        ("d.txt", "\n", "names nothing"),
        ("d.csv", "photo_id,reason\n,\n", "names nothing"),
        ("g.csv", "id\n7\n", "none of the columns photo_id, observation_id, class_key, taxon"),
        ("g.csv", "reason,Photo\nblurred,7\n", "none of the columns photo_id"),
        ("e.parquet", "no parquet", "cannot be read"),
        ("f.csv", "class_key\nTurdus\n", "not a class_key"),
    ],
)
def test_a_file_that_says_nothing_is_one_error(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(RecipeError, match=message):
        read_exclusion(tmp_path / name)


def test_files_that_are_not_there_or_lack_the_columns(tmp_path):
    with pytest.raises(RecipeError, match=r"^there is no file .*nowhere\.txt"):
        read_exclusion(tmp_path / "nowhere.txt")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(RecipeError, match="none of the columns photo_id"):
        read_exclusion(tmp_path / "x.parquet")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SplitError, match="not a split"):
        read_exclusion(tmp_path / "folder")


def test_the_photos_and_observations_of_a_split_are_kept_out(birds_with_observers, tmp_path):
    first = make_split(birds_with_observers, benchmark="balanced", test_per_class=3)
    folder = first.save(tmp_path / "benchmark")
    split = make_split(birds_with_observers, **ARGUMENTS, exclude=folder)
    assert not used(split) & used(first)
    assert not used(split, "observation_id") & used(first, "observation_id")
    free = make_split(birds_with_observers, **ARGUMENTS)
    assert used(free, "observation_id") & used(first, "observation_id")
    observations = used(first, "observation_id")
    everything = birds_with_observers.select().to_arrow().to_pylist()
    of_them = [row for row in everything if row["observation_id"] in observations]
    assert split.meta["counts"]["excluded"] == len(of_them) > first.part("test").num_rows
    assert split.meta["excluded"] == {
        "photos": first.part("test").num_rows,
        "observations": len(observations),
        "classes": 0,
        "taxa": 0,
    }
    assert split.meta["recipe"]["exclude"] == read_exclusion(folder).sha256
    assert "exclude" not in free.meta["recipe"]
    saved = split.save(tmp_path / "s")
    assert str(tmp_path) not in (saved / "split.json").read_text()
    assert open_split(saved).excluded == split.excluded
    audit = audit_split(saved, exclude=[folder])
    assert audit.ok, audit.broken
    assert not audit_split(free.save(tmp_path / "free"), exclude=[folder]).ok


KINDS = {
    "photos": (Exclusion.of(photos=range(1, 101)), lambda row: row["photo_id"] <= 100),
    "observations": (Exclusion.of(observations=range(20)), lambda row: row["observation_id"] < 20),
    "classes": (Exclusion.of(classes=["Animalia|Turdus merula"]), lambda row: row["species"] == "merula"),
    "taxa": (
        Exclusion.of(taxa=["Turdus", "Picus viridis", "No one"]),
        lambda row: row["genus"] in ("Turdus", "Picus"),
    ),
    "several": (
        Exclusion.of(photos=[500], taxa=["Animalia>genus:Sialia"]),
        lambda row: row["genus"] == "Sialia" or row["photo_id"] == 500,
    ),
}


@pytest.mark.parametrize(("exclusion", "gone"), KINDS.values(), ids=KINDS)
def test_each_kind_is_kept_out_and_made_again_and_proved(birds_with_observers, tmp_path, exclusion, gone):
    rows = birds_with_observers.select().to_arrow().to_pylist()
    split = whole(birds_with_observers, exclude=exclusion)
    assert used(split) == {row["photo_id"] for row in rows if not gone(row)}
    folder = make_split(birds_with_observers, **ARGUMENTS, exclude=exclusion).save(tmp_path / "s")
    audit = audit_split(folder)
    assert audit.ok, audit.broken
    assert {"hash of what is kept out", "kept out: excluded.parquet"} <= {c.name for c in audit.checks}
    made = remake_split(folder, birds_with_observers)
    assert made.same
    assert made.split.meta == open_split(folder).meta


def test_a_family_keeps_out_the_same(birds_with_observers):
    exclusion = Exclusion.of(photos=range(1, 101))
    for member in make_family(birds_with_observers, lt_ratios=[2, 4], exclude=exclusion):
        assert min(used(member)) > 100
        assert member.meta["counts"]["excluded"] == 100


def test_a_store_and_what_is_kept_out_are_told_apart(birds_with_observers, tmp_path):
    held = PhotoIds.of([i for i in range(1, 626) if i % 5])
    exclusion = Exclusion.of(photos=range(1, 101))
    split = make_split(birds_with_observers, **ARGUMENTS, store=held, exclude=exclusion)
    assert split.left_out["photo_id"].to_pylist() == list(range(105, 626, 5))
    assert split.meta["counts"]["excluded"] == 100
    assert split.meta["counts"]["not_in_store"] == 105
    folder = split.save(tmp_path / "s")
    assert audit_split(folder).ok
    made = remake_split(folder, birds_with_observers)
    assert made.same
    assert made.split.meta == split.meta


def test_species_of_an_unseen_benchmark_are_kept_out_whole(birds_with_observers, tmp_path):
    unseen = make_split(birds_with_observers, benchmark="unseen", test_per_class=3)
    folder = unseen.save(tmp_path / "unseen")
    assert read_exclusion(folder).classes == ("Animalia|Dryocopus martius",)
    split = make_split(birds_with_observers, lt_ratio=2, exclude=folder)
    assert "Animalia|Dryocopus martius" not in split.classes["class_key"].to_pylist()
    saved = split.save(tmp_path / "s")
    assert audit_split(saved, exclude=[folder]).ok


def test_what_lies_beside_a_split_json_must_be_what_was_kept_out(birds_with_observers, tmp_path):
    exclusion = Exclusion.of(photos=range(1, 101))
    folder = make_split(birds_with_observers, **ARGUMENTS, exclude=exclusion).save(tmp_path / "s")
    (tmp_path / "alone").mkdir()
    alone = shutil.copy(folder / "split.json", tmp_path / "alone")
    with pytest.raises(RecipeError, match=r"made with --exclude, and .*is not there") as caught:
        remake_split(alone, birds_with_observers)
    assert "name the same files with --exclude" in caught.value.hint
    assert remake_split(alone, birds_with_observers, exclude=exclusion).same
    with pytest.raises(RecipeError, match="not what was kept out then"):
        remake_split(alone, birds_with_observers, exclude=Exclusion.of(photos=[1]))
    free = make_split(birds_with_observers, **ARGUMENTS).save(tmp_path / "free")
    with pytest.raises(RecipeError, match="without --exclude"):
        remake_split(free, birds_with_observers, exclude=exclusion)


def test_what_the_catalogue_cannot_answer(birds_with_observers, write_catalog, photos, taxa, tmp_path):
    from arboretum_tools.catalog import open_catalog

    bare = open_catalog(write_catalog(photos(taxa["robin"], *range(1, 40))))
    with pytest.raises(SelectionError, match="no column observation_id"):
        whole(bare, exclude=Exclusion.of(observations=[1]))
    split = whole(bare, exclude=Exclusion.of(photos=[2], observations=[1]))
    assert used(split) == {1, *range(3, 40)}
    with pytest.raises(
        RecipeError, match="the catalogue has no taxon 'No one', 'Nobody'; nothing was written"
    ):
        whole(birds_with_observers, exclude=Exclusion.of(taxa=["No one", "Nobody"]))


def test_a_broken_promise_is_seen(birds_with_observers, tmp_path):
    exclusion = Exclusion.of(photos=range(1, 101), taxa=["Picus viridis"])
    good = make_split(birds_with_observers, **ARGUMENTS, exclude=exclusion).save(tmp_path / "s")
    own = "kept out: excluded.parquet"

    def outcomes(folder):
        return {check.name: check.outcome for check in audit_split(folder).checks}

    def with_excluded(name, more):
        folder = shutil.copytree(good, tmp_path / name)
        table = pq.read_table(folder / "excluded.parquet")
        changed = pa.Table.from_pylist([*table.to_pylist(), more], schema=table.schema)
        pq.write_table(changed, folder / "excluded.parquet")
        return outcomes(folder)

    inside = pq.read_table(good / "train.parquet")["photo_id"][0].as_py()
    changed = with_excluded("a", {"kind": "photo", "id": inside, "name": None})
    assert changed["hash of what is kept out"] == changed[own] == "broken"
    assert with_excluded("b", {"kind": "taxon", "id": None, "name": "genus:Turdus"})[own] == "broken"
    assert with_excluded("c", {"kind": "x", "id": 1, "name": None})["what is kept out"] == "broken"
    folder = shutil.copytree(good, tmp_path / "d")
    (folder / "excluded.parquet").unlink()
    assert outcomes(folder)[own] == "broken"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "301\n302\n303\n"),
        ("o.csv", "observation_id\n1001\n"),
        ("t.txt", "turdus pilaris\n"),
        ("m.txt", "Nobody at all\n301\n"),
        ("w.txt", "# please remove\nhttps://www.inaturalist.org/photos/302?size=large\n"),
        ("w.txt", "https://www.inaturalist.org/observations/1001\n"),
        ("w.csv", "url,x\ns3://inaturalist-open-data/photos/303/original.jpg,1\n"),
        ("w.csv", "photo_id\nhttps://www.inaturalist.org/photos/304\n"),
        ("t.csv", "taxon\nAnimalia>genus:Turdus\n"),
        ("c.csv", "class_key\nAnimalia|Turdus pilaris\n"),
    ],
)
def test_the_audit_reads_every_kind_of_file(birds_with_observers, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    split = whole(birds_with_observers).save(tmp_path / "whole")
    (check,) = audit_split(split, exclude=[tmp_path / name]).broken
    assert check.name == f"kept out: {name}"
    without = whole(birds_with_observers, exclude=tmp_path / name).save(tmp_path / "without")
    assert audit_split(without, exclude=[tmp_path / name]).ok
    message = json.loads((without / "split.json").read_text())
    assert message["counts"]["excluded"] > 0
    with pytest.raises(SplitError, match="there is no file"):
        audit_split(split, exclude=[tmp_path / "nowhere"])


def test_names_that_the_catalogue_does_not_know_are_told_of(bird_catalog):
    told = []
    catalog = open_catalog(bird_catalog().path, on_event=told.append)
    known = Exclusion.of(taxa=["Turdus merula"]).photos_of(catalog.select())
    assert told == []
    some = Exclusion.of(taxa=["Turdus merula", "https://museum.example/photos/7", "Nothing at all"])
    assert some.photos_of(catalog.select()) == known
    (note,) = told
    assert note.text == (
        "to keep out: 2 lines passed over, being neither a photo nor a taxon of the catalogue: "
        "'Nothing at all', 'https://museum.example/photos/7'"
    )


def test_each_line_of_a_text_says_for_itself_what_it_names(tmp_path):
    lines = [
        "Danaus plexippus",
        "9000001045",
        "https://www.inaturalist.org/photos/5",
        "https://static.inaturalist.org/photos/6/medium.jpg?1545",
        "https://www.inaturalist.org/observations/8",
        str(2**63),
    ]
    expected = Exclusion.of(photos=[9000001045, 5, 6], observations=[8], taxa=[lines[0], lines[5]])
    for order in (lines, lines[::-1]):
        (tmp_path / "list.txt").write_text("\n".join(order))
        assert read_exclusion(tmp_path / "list.txt") == expected
    (tmp_path / "urls.csv").write_text(f"reason,photo_url\nblurred,{lines[2]}\n")
    assert read_exclusion(tmp_path / "urls.csv") == Exclusion.of(photos=[5])
    for name in ("photo_id", "photo_url"):
        pq.write_table(pa.table({name: [lines[2]]}), tmp_path / "urls.parquet")
        assert read_exclusion(tmp_path / "urls.parquet") == Exclusion.of(photos=[5])


@pytest.mark.parametrize("strict", ["the benchmark", "the split"])
@pytest.mark.parametrize("rank", ["species", "genus"])
def test_the_stricter_of_both_groupings_is_kept(birds_with_observers, tmp_path, strict, rank):
    """No photo of a person of a class is in one split, where another photo of them is in the other."""
    groups = ("observer-per-species", "observation")
    theirs, ours = groups if strict == "the benchmark" else groups[::-1]
    benchmark = make_split(
        birds_with_observers, benchmark="balanced", test_per_class=2, group_by=theirs, rank=rank
    )
    other = benchmark.save(tmp_path / "benchmark")
    arguments = {**ARGUMENTS, "lt_ratio": 2, "num_classes": 2, "group_by": ours, "rank": rank}
    split = make_split(birds_with_observers, **arguments, exclude=other)
    folder = split.save(tmp_path / "s")

    def people(one):
        keys = one.classes["class_key"].to_pylist()
        tables = [one.part(part) for part in one.parts]
        pairs = [zip(t["label"].to_pylist(), t["observer_id"].to_pylist(), strict=True) for t in tables]
        return {(keys[label], person) for both in pairs for label, person in both if person is not None}

    assert people(benchmark)
    assert not people(benchmark) & people(split)
    assert audit_split(folder, exclude=[other]).ok
    (folder / "excluded.parquet").unlink()
    assert remake_split(folder, birds_with_observers, exclude=[other]).same
    without = make_split(birds_with_observers, **arguments).save(tmp_path / "without")
    assert people(open_split(without)) & people(benchmark)
    assert "kept out: benchmark" in {check.name for check in audit_split(without, exclude=[other]).broken}
