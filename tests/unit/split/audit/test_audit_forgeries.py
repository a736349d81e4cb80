"""A forged split of the bundled sample whose hashes were computed anew does not pass the audit.

By its files alone where they contradict each other, else against the catalogue.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import shutil
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_metadata.schema import CLASSES
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import SplitError, UsageError
from arboretum_tools.split import open_split
from arboretum_tools.split.against_catalog import against_catalog
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_split

COUNTED = [column.name for column in CLASSES.columns if column.counted]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    split = make_split(open_catalog(catalog_path()), lt_ratio=5, val_per_class=2, test_per_class=3)
    return split.save(tmp_path_factory.mktemp("sample") / "s")


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "s")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def shown_as(value):
    """A value in the lines of the hash over all columns, by the words of the data dictionary."""
    if value is None:
        return "\\N"
    if isinstance(value, float):
        return str(struct.unpack("<q", struct.pack("<d", value))[0])
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return value.translate(escapes) if isinstance(value, str) else str(value)


class Forged:
    """The rows and split.json of a split, to be changed."""

    def __init__(self, folder):
        self.folder = folder
        self.meta = json.loads((folder / "split.json").read_text())
        self.schemas, self.rows = {}, {}
        for name in ("train", "val", "test", "classes"):
            table = pq.read_table(folder / f"{name}.parquet")
            self.schemas[name], self.rows[name] = table.schema, table.to_pylist()

    @property
    def criteria(self):
        return self.meta["recipe"]["selection"]["any_of"]

    def encounters(self, label, name):
        """Different observations or observers of a class in a part; a photo without one is one."""
        kind, _, part = name.partition("s_")
        values = [row[f"{kind}_id"] for row in self.rows[part] if row["label"] == label]
        known = [value for value in values if value is not None]
        return len(set(known)) + len(values) - len(known) if known or not values else None

    def save(self):
        """Writes it all with every hash computed anew, as a careful forger would."""
        columns = ("label", "class_key", "n_train", "n_val", "n_test")
        for row in self.rows["classes"]:
            row.update({name: self.encounters(row["label"], name) for name in row if name in COUNTED})
        for name, rows in self.rows.items():
            if name != "classes":
                rows.sort(key=lambda row: (row["label"], row["photo_id"]))
            pq.write_table(
                pa.Table.from_pylist(rows, schema=self.schemas[name]), self.folder / f"{name}.parquet"
            )
            shown = columns if name == "classes" else ("photo_id", "label")
            lines = "".join("\t".join(str(row[one]) for one in shown) + "\n" for row in rows)
            self.meta["sha256"][name] = sha256(lines)
            lines = ["\t".join(shown_as(row[one]) for one in row if one not in COUNTED) for row in rows]
            whole = sha256("".join(f"{line}\n" for line in lines))
            if name == "classes":
                self.meta["classes_sha256_all"] = whole
            else:
                self.meta["rows_sha256"][name] = whole
        self.meta["recipe_sha256"] = sha256(canonical(self.meta["recipe"]))
        covered = ["recipe_sha256", "group_by", "sha256", "rows_sha256", "classes_sha256_all"]
        # A photo of the sample is in two observations.
        covered.append("joined_sha256")
        self.meta["split_sha256"] = sha256(canonical({name: self.meta[name] for name in covered}))
        (self.folder / "split.json").write_text(json.dumps(self.meta))


def swap_parts(f):
    f.rows["val"], f.rows["test"] = f.rows["test"], f.rows["val"]
    for row in f.rows["classes"]:
        row["n_val"], row["n_test"] = row["n_test"], row["n_val"]
    recipe, counts = f.meta["recipe"], f.meta["counts"]
    for message, a, b in ((recipe, "val_per_class", "test_per_class"), (counts, "val", "test")):
        message[a], message[b] = message[b], message[a]


def claim(**criteria):
    return lambda f: [one.update(criteria) for one in f.criteria]


def other_kingdom(f):
    for row in f.rows["classes"]:
        row["class_key"] = "Fungi|" + row["class_key"].partition("|")[2]


def exchange_columns(f):
    for row in f.rows["classes"]:
        row["family"], row["order"] = row["order"], row["family"]


def roll_names(f):
    rows = f.rows["classes"]
    names = [(row["name"], row["scientific_name"]) for row in rows]
    for row, (name, scientific) in zip(rows, names[1:] + names[:1], strict=True):
        row["name"], row["scientific_name"] = name, scientific


def invent_ids(f):
    for number, row in enumerate(f.rows["test"]):
        row["photo_id"], row["observation_id"] = 700_000_000 + number, 800_000_000 + number


def cherry_pick(f):
    """The photos of test and of train trade places, as many as there are of test."""
    for label in {row["label"] for row in f.rows["test"]}:
        test = [row for row in f.rows["test"] if row["label"] == label]
        train = [row for row in f.rows["train"] if row["label"] == label]
        for one, other in zip(test, train, strict=False):
            kept = dict(one)
            one.update(other)
            other.update(kept)


def forge_capacities(f):
    for row in f.rows["classes"]:
        row["n_selected"] = row["n_available"] = row["n_train"] * 1000


def overwrite(f):
    for one in f.criteria:
        one.update(license=["CC-BY"], life_stage=["adult"])
    for part in ("train", "val", "test"):
        for row in f.rows[part]:
            row.update(license="CC0", life_stage="juvenile")


HOLD_OUT, SELECTION = "drawn: hold-out by the seed", "rows obey the selection"


@pytest.mark.parametrize(
    ("forge", "broken"),
    [
        (swap_parts, HOLD_OUT),
        (lambda f: f.meta["recipe"].update(seed=7), HOLD_OUT),
        (claim(license=["CC0"]), SELECTION),
        (claim(taxa=["kingdom:Plantae"]), SELECTION),
        (claim(life_stage=["adult"]), SELECTION),
        (claim(since=dt.date(2030, 1, 1).isoformat()), SELECTION),
        (claim(bbox=[0, 0, 0.001, 0.001]), SELECTION),
        (overwrite, SELECTION),
        (other_kingdom, "class keys and names"),
        (roll_names, "class keys and names"),
        (exchange_columns, "lineages nest"),
        (invent_ids, HOLD_OUT),
        (cherry_pick, HOLD_OUT),
        (forge_capacities, "drawn: train by the seed"),
    ],
)
def test_a_forgery_with_its_hashes_computed_anew_is_seen(folder, forge, broken):
    forged = Forged(folder)
    forge(forged)
    forged.save()
    names = {check.name for check in audit_split(folder).broken}
    assert broken in names
    assert not any(name.startswith("hash") for name in names)


def test_what_was_not_forged_is_kept(folder):
    Forged(folder).save()
    audit = audit_split(folder)
    assert audit.ok, audit.broken


def other_observer(f):
    f.rows["test"][0]["observer_name"] = "somebody else"


def other_common_name(f):
    f.rows["classes"][0]["common_name"] = "Dodo"


@pytest.mark.parametrize("forge", [other_observer, other_common_name])
def test_a_forgery_that_contradicts_nothing_is_seen_by_the_hash_that_was_published(folder, forge):
    forged = Forged(folder)
    published = forged.meta["split_sha256"]
    forge(forged)
    forged.save()
    assert audit_split(folder).ok
    audit = audit_split(folder, expect=published)
    assert not audit.ok
    assert not audit.broken
    assert audit.as_expected.outcome == "broken"
    assert published in audit.as_expected.detail


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("rows_sha256", "hash of all columns of train"),
        ("classes_sha256_all", "hash of all columns of classes"),
        ("split_sha256", "split_sha256"),
    ],
)
def test_a_hash_that_was_taken_out_is_a_broken_promise(folder, key, name):
    meta = json.loads((folder / "split.json").read_text())
    del meta[key]
    (folder / "split.json").write_text(json.dumps(meta))
    assert name in {check.name for check in audit_split(folder).broken}


def test_what_is_expected_must_be_a_hash(folder):
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        audit_split(folder, expect="abc")


def exchange_classes(f):
    """The photos of two classes with as many in every part are labelled as the other's."""
    counts = {}
    for row in f.rows["classes"]:
        counts.setdefault((row["n_train"], row["n_val"], row["n_test"]), []).append(row["label"])
    one, other = next(labels for labels in counts.values() if len(labels) > 1)[:2]
    for part in ("train", "val", "test"):
        for row in f.rows[part]:
            row["label"] = {one: other, other: one}.get(row["label"], row["label"])


def other_capacity(f):
    f.rows["classes"][-1]["n_available"] += 1


def other_photo(f):
    """A train photo becomes one of the catalogue that the recipe would have drawn later."""
    photos = {row["photo_id"] for part in ("train", "val", "test") for row in f.rows[part]}
    row = f.rows["train"][0]
    key = f.rows["classes"][row["label"]]["class_key"].partition("|")[2]
    same = [
        one
        for one in pq.read_table(catalog_path()).to_pylist()
        if f"{one['genus']} {one['species']}" == key and one["photo_id"] not in photos
    ]
    row.update({name: value for name, value in same[0].items() if name in row})


COLUMNS, NAMES = "catalogue: columns of photos", "catalogue: names of classes"
DRAWN, CAPACITIES = "catalogue: drawn", "catalogue: capacities"


@pytest.mark.parametrize(
    ("forge", "broken"),
    [
        (other_observer, COLUMNS),
        (other_common_name, NAMES),
        (invent_ids, "catalogue: photos"),
        (other_capacity, CAPACITIES),
        (other_photo, DRAWN),
        (cherry_pick, DRAWN),
        (lambda f: f.meta["recipe"].update(seed=7), DRAWN),
        (claim(quality_grade="needs_id"), DRAWN),
        (claim(min_photos=40), CAPACITIES),
    ],
)
def test_what_its_files_cannot_show_the_catalogue_does(folder, forge, broken):
    forged = Forged(folder)
    forge(forged)
    forged.save()
    found = against_catalog(folder, open_catalog(catalog_path()))
    assert broken in {check.name for check in found if check.outcome == "broken"}


def test_every_column_of_a_photo_is_compared_with_the_catalogue(folder):
    forged = Forged(folder)
    numbers = ["observation_id", "observer_id", "width", "height"]
    others = {**dict.fromkeys(["ext", "observer_name", "license", "life_stage"], "other")}
    others |= {**dict.fromkeys(numbers, 1), "observed_on": dt.date(1999, 1, 1), "latitude": 0.5}
    for row, (name, value) in zip(forged.rows["train"], others.items(), strict=False):
        row[name] = value
    forged.save()
    found = {check.name: check for check in against_catalog(folder, open_catalog(catalog_path()))}
    assert found[COLUMNS].outcome == "broken"
    told = found[COLUMNS].detail.partition(": ")[2].split(", ")
    assert sorted(told) == sorted(f"{name} of 1 photo" for name in others)


def test_a_part_that_cannot_be_read_is_an_error_of_the_split_and_not_of_the_catalogue(folder):
    table = pq.read_table(folder / "train.parquet")
    place = table.schema.get_field_index("observer_id")
    named = pa.array([f"observer {number}" for number in range(len(table))])
    pq.write_table(table.set_column(place, "observer_id", named), folder / "train.parquet")
    with pytest.raises(SplitError, match=r"train\.parquet cannot be read"):
        against_catalog(folder, open_catalog(catalog_path()))


def test_two_classes_of_equal_count_that_were_exchanged_are_seen(tmp_path):
    split = make_split(open_catalog(catalog_path()), profile="balanced", val_per_class=2, test_per_class=3)
    folder = split.save(tmp_path / "s")
    forged = Forged(folder)
    published = forged.meta["split_sha256"]
    exchange_classes(forged)
    forged.save()
    assert audit_split(folder, expect=published).as_expected.outcome == "broken"
    found = against_catalog(folder, open_catalog(catalog_path()))
    broken = {check.name for check in found if check.outcome == "broken"}
    assert {"catalogue: photos", "catalogue: classes exchanged"} <= broken


def test_what_was_not_forged_agrees_with_its_catalogue(folder):
    assert {check.outcome for check in against_catalog(folder, open_catalog(catalog_path()))} == {"kept"}


@pytest.fixture
def later(original, tmp_path):
    """The catalogue later: a test photo is gone, and a whole class has another name; and these classes."""
    rows = pq.read_table(catalog_path()).to_pylist()
    split = open_split(original)
    gone = split.part("test")["photo_id"][0].as_py()
    lost, renamed = split.classes["class_key"][0].as_py(), split.classes["scientific_name"][1].as_py()
    for row in rows:
        if f"{row['genus']} {row['species']}" == renamed:
            row.update(species="nova", scientific_name=f"{row['genus']} nova")
    folder = tmp_path / "later"
    folder.mkdir()
    kept = [row for row in rows if row["photo_id"] != gone]
    pq.write_table(pa.Table.from_pylist(kept), folder / "p.parquet")
    return open_catalog(folder), {lost, split.classes["class_key"][1].as_py()}


def test_what_changed_since_is_counted_and_not_called_forged(folder, later):
    found = {check.name: check for check in against_catalog(folder, later[0])}
    assert "broken" not in {check.outcome for check in found.values()}, found
    photos = found["catalogue: photos"]
    assert photos.outcome == "not promised"
    renamed = open_split(folder).classes.to_pylist()[1]
    count = renamed["n_train"] + renamed["n_val"] + renamed["n_test"]
    assert photos.detail.startswith(f"1 photo is not in the catalogue, {count} are in another class")


def test_a_forgery_is_seen_in_a_later_catalogue_too(folder, later):
    catalog, changed = later
    forged = Forged(folder)
    untouched = {row["label"] for row in forged.rows["classes"] if row["class_key"] not in changed}
    test, val = (
        next(row for row in forged.rows[part] if row["label"] == max(untouched)) for part in ("test", "val")
    )
    kept = dict(test)
    test.update(val)
    val.update(kept)
    forged.save()
    found = {check.name: check for check in against_catalog(folder, catalog)}
    assert found["catalogue: drawn"].outcome == "broken"
    assert set(found["catalogue: drawn"].examples) == {str(test["photo_id"]), str(val["photo_id"])}


def test_a_report_keeps_what_an_earlier_run_found_with_a_catalogue(folder):
    found = audit_split(folder)
    more = against_catalog(folder, open_catalog(catalog_path()))
    dataclasses.replace(found, checks=(*found.checks, *more)).save()
    report = json.loads(audit_split(folder).save().read_text())
    assert {check["name"] for check in report["earlier"]} == {check.name for check in more}
    again = json.loads(audit_split(folder).save().read_text())
    assert again["earlier"] == report["earlier"]
    # Of another split nothing is taken over.
    meta = json.loads((folder / "split.json").read_text())
    (folder / "split.json").write_text(json.dumps({**meta, "split_sha256": "0" * 64}))
    assert json.loads(audit_split(folder).save().read_text())["earlier"] == []
