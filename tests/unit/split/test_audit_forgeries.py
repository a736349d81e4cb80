"""A forged split of the bundled sample whose hashes were computed anew does not pass the audit."""

import datetime as dt
import hashlib
import json
import shutil
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import UsageError
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_split


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

    def save(self):
        """Writes it all with every hash computed anew, as a careful forger would."""
        columns = ("label", "class_key", "n_train", "n_val", "n_test")
        for name, rows in self.rows.items():
            if name != "classes":
                rows.sort(key=lambda row: (row["label"], row["photo_id"]))
            pq.write_table(
                pa.Table.from_pylist(rows, schema=self.schemas[name]), self.folder / f"{name}.parquet"
            )
            shown = columns if name == "classes" else ("photo_id", "label")
            lines = "".join("\t".join(str(row[one]) for one in shown) + "\n" for row in rows)
            self.meta["sha256"][name] = sha256(lines)
            whole = sha256("".join("\t".join(map(shown_as, row.values())) + "\n" for row in rows))
            if name == "classes":
                self.meta["classes_sha256_all"] = whole
            else:
                self.meta["rows_sha256"][name] = whole
        self.meta["recipe_sha256"] = sha256(canonical(self.meta["recipe"]))
        covered = ("recipe_sha256", "group_by", "sha256", "rows_sha256", "classes_sha256_all")
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
    broken = audit_split(folder, expect=published).broken
    assert [check.name for check in broken] == ["split_sha256 as expected"]
    assert published in broken[0].detail


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
