"""A forged split of the bundled sample whose hashes were computed anew does not pass the audit."""

import datetime as dt
import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_split


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    split = make_split(open_catalog(catalog_path()), lt_ratio=5, val_per_class=2, test_per_class=3)
    return split.save(tmp_path_factory.mktemp("sample") / "s")


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "s")


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
        columns = ("label", "class_key", "n_train", "n_val", "n_test")
        for name, rows in self.rows.items():
            if name != "classes":
                rows.sort(key=lambda row: (row["label"], row["photo_id"]))
            pq.write_table(
                pa.Table.from_pylist(rows, schema=self.schemas[name]), self.folder / f"{name}.parquet"
            )
            shown = columns if name == "classes" else ("photo_id", "label")
            lines = "".join("\t".join(str(row[one]) for one in shown) + "\n" for row in rows)
            self.meta["sha256"][name] = hashlib.sha256(lines.encode()).hexdigest()
        message = json.dumps(self.meta["recipe"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        self.meta["recipe_sha256"] = hashlib.sha256(message.encode()).hexdigest()
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
