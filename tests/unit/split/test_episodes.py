"""Few-shot episodes: what they promise, and that an audit which draws them once more finds what is forged."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.errors import InfeasibleSplitError, SplitError, TargetExistsError, UsageError
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.episodes import make_episodes
from arboretum_tools.split.make import make_split
from arboretum_tools.subset import load_subset
from arboretum_tools.testing.tiny import tiny_split, tiny_store

#: Of a split of the bundled sample; it moves only with a new rule.
GOLDEN = "8a8e93cbfabc1f5e5b245168604a47c36e558d6826ddbe751346460dfdc7eace"

FEW = {"ways": 4, "shots": 2, "queries": 3, "episodes": 20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    birds = open_catalog(catalog_path()).select("Aves")
    split = make_split(birds, lt_ratio=5, val_per_class=4, test_per_class=12)
    return split.save(tmp_path_factory.mktemp("sample") / "s")


def outcomes(folder, file):
    found = audit_split(folder, episodes=file).checks
    return {
        check.name.removeprefix("episodes: "): check.outcome for check in found if "episodes" in check.name
    }


KEPT = dict.fromkeys(
    (
        "hash of the rows",
        "of this split",
        "classes and photos",
        "support and query apart",
        "drawn by the seed",
    ),
    "kept",
)


def test_the_golden_hash_never_changes(folder, tmp_path):
    found = make_episodes(folder, to=tmp_path / "e.parquet", **FEW)
    assert found.sha256 == GOLDEN
    assert pq.read_table(found.path).num_rows == 20 * 4 * 5
    assert outcomes(folder, found.path) == KEPT


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("group_by", ["photo", "observation", "observer-per-species"])
def test_episodes_are_those_that_a_second_wording_of_the_rules_draws(bird_catalog, tmp_path, group_by, part):
    split = make_split(bird_catalog(), lt_ratio=2, val_per_class=7, test_per_class=9, group_by=group_by)
    split.save(tmp_path / "s")
    for seed in (0, 5):
        file = tmp_path / f"{seed}.parquet"
        asked = {"ways": 2, "shots": 1, "queries": 2, "episodes": 15, "seed": seed}
        make_episodes(split, to=file, part=part, **asked)
        assert outcomes(tmp_path / "s", file) == KEPT
    one, other = (pq.read_table(tmp_path / f"{seed}.parquet") for seed in (0, 5))
    assert one != other


def test_photos_of_one_address_or_observation_are_in_support_or_query(bird_catalog, bird_photos, tmp_path):
    rows = bird_photos()
    for row in rows:
        # Every fifth photo has the address of the one before, which is often of another observation.
        number = row["photo_id"] - 1 if row["photo_id"] % 5 == 0 else row["photo_id"]
        row["photo_url"] = f"https://inaturalist-open-data.s3.amazonaws.com/photos/{number}/medium.jpg"
    split = make_split(bird_catalog(rows), lt_ratio=1, val_per_class=0, test_per_class=14)
    file = make_episodes(split, to=tmp_path / "e", ways=2, shots=2, queries=4, episodes=80).path
    observation = {row["photo_id"]: row["observation_id"] for row in rows}
    sides = {}
    for row in pq.read_table(file).to_pylist():
        photo = row["photo_id"]
        same = {("observation", observation[photo]), ("address", photo - 1 if photo % 5 == 0 else photo)}
        for one in same:
            sides.setdefault((row["episode"], one), set()).add(row["role"])
    assert sides
    assert {len(roles) for roles in sides.values()} == {1}
    assert outcomes(split.save(tmp_path / "s"), file) == KEPT


def forged(file, change, **stated):
    """The file with other rows, or another statement of how they came to be; its hash left as it was."""
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows)
    meta = json.loads(table.schema.metadata[b"arboretum"]) | stated
    schema = table.schema.with_metadata({b"arboretum": json.dumps(meta).encode()})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)


def repeat_in_query(rows):
    support = next(row for row in rows if row["role"] == "support")
    next(row for row in rows if row["role"] == "query" and row["way"] == support["way"])["photo_id"] = (
        support["photo_id"]
    )


FORGERIES = {
    "support in query": (repeat_in_query, {}, {"hash of the rows", "support and query apart"}),
    "another seed": (lambda rows: None, {"seed": 1}, {"drawn by the seed"}),
    "a row less": (lambda rows: rows.pop(), {}, {"hash of the rows", "classes and photos"}),
    "another class": (
        lambda rows: rows[0].update(label=rows[-1]["label"]),
        {},
        {"classes and photos", "drawn by the seed"},
    ),
    "no seed": (lambda rows: None, {"seed": "0"}, {"episodes"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_forged_is_found(folder, tmp_path, forgery):
    change, stated, broken = FORGERIES[forgery]
    file = make_episodes(folder, to=tmp_path / "e.parquet", **FEW).path
    forged(file, change, **stated)
    assert broken <= {name for name, outcome in outcomes(folder, file).items() if outcome == "broken"}


def test_episodes_of_another_split_are_the_wrong_file_and_no_broken_promise(folder, tmp_path):
    novel = tiny_split({"train": (9, 7, 6)}, name="novel")
    file = make_episodes(novel, to=tmp_path / "e.parquet", part="train", ways=2, shots=1, queries=2).path
    with pytest.raises(SplitError, match=r"these episodes were drawn from novel, not from s\n"):
        audit_split(folder, episodes=file)
    forged(file, lambda rows: None, split="s")
    with pytest.raises(SplitError, match=r"drawn from another split of the name s\n"):
        audit_split(folder, episodes=file)
    assert not (folder / "audit.json").exists()


def test_a_subset_goes_through_the_episodes(tmp_path):
    split = tiny_split({"train": (9, 7, 6)})
    tiny_store(tmp_path / "images", split)
    file = tmp_path / "e.parquet"
    make_episodes(split, to=file, part="train", ways=3, shots=2, queries=3, episodes=7)
    train = load_subset(split, images=tmp_path / "images", part="train")
    pairs = list(train.episodes(file))
    rows = pq.read_table(file).to_pylist()
    assert len(pairs) == 7
    for number, (support, query) in enumerate(pairs):
        for role, found in (("support", support), ("query", query)):
            own = [row for row in rows if (row["episode"], row["role"]) == (number, role)]
            assert found.photo_ids.tolist() == [row["photo_id"] for row in own]
            assert found.labels.tolist() == [row["label"] for row in own]
    assert pairs[0][0][0]["image"].size
    with pytest.raises(SplitError, match="not in this part"):
        next(train[:5].episodes(file))
    with pytest.raises(SplitError, match="cannot be read"):
        next(train.episodes(tmp_path / "images" / "store.json"))


def test_what_cannot_be_asked_for_is_one_clear_error(folder, tmp_path):
    file = tmp_path / "e.parquet"
    with pytest.raises(InfeasibleSplitError, match="are asked for"):
        make_episodes(folder, to=file, ways=500)
    with pytest.raises(UsageError, match="a file holds at most"):
        make_episodes(folder, to=file, episodes=10**9)
    with pytest.raises(UsageError, match="ways must be"):
        make_episodes(folder, to=file, ways=1)
    with pytest.raises(SplitError, match="has no part"):
        make_episodes(folder, to=file, part="other")
    assert not file.exists()
    with pytest.raises(TargetExistsError, match="is being read"):
        make_episodes(folder, to=folder / "e.parquet", **FEW)
    make_episodes(folder, to=file, **FEW)
    with pytest.raises(TargetExistsError, match="there already"):
        make_episodes(folder, to=file, **FEW)
    make_episodes(folder, to=file, **FEW, overwrite=True)
    with pytest.raises(SplitError, match="not a file of episodes"):
        audit_split(folder, episodes=folder / "split.json")
