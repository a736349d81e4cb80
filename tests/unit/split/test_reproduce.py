"""Splits made again from their split.json, and recipes in TOML."""

import json
import shutil

import pytest

from arboretum_tools.errors import RecipeError, SplitError
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.make import make_family, make_split
from arboretum_tools.split.recipes.recipe_file import preset_values, read_recipe
from arboretum_tools.split.reproduce import remake_split


def bird_rows(catalog):
    import pyarrow.parquet as pq

    return pq.read_table(catalog.path).to_pylist()


ARGUMENTS = {"lt_ratio": 10, "val_per_class": 2, "test_per_class": 3}


@pytest.mark.parametrize(
    "select",
    [
        {},
        {"taxa": "Turdidae", "life_stage": "adult"},
        {"taxa": ["Aves"], "exclude_taxa": "Picidae", "min_photos": 50, "limit": 400},
    ],
)
def test_the_same_catalogue_gives_the_same_split(birds_with_observers, bird_catalog, tmp_path, select):
    split = make_split(birds_with_observers.select(**select), **ARGUMENTS)
    split.save(tmp_path / "splits" / "s")
    rows = bird_rows(birds_with_observers)[::-1]
    (tmp_path / "alone").mkdir()
    shutil.copy(tmp_path / "splits" / "s" / "split.json", tmp_path / "alone")
    for source in (tmp_path / "splits" / "s", tmp_path / "alone" / "split.json"):
        made = remake_split(source, bird_catalog(rows, f"again-{source.name}"))
        assert made.same
        assert not made.catalog_changed
        assert made.split.meta == split.meta
        assert made.differences is None


def test_a_member_of_a_family_is_made_again_by_itself(birds_with_observers, tmp_path):
    members = list(make_family(birds_with_observers, lt_ratios=[2, 10]))
    for member in members:
        made = remake_split(member.save(tmp_path / member.name), birds_with_observers)
        assert made.same
        assert made.split.meta["recipe_sha256"] == member.meta["recipe_sha256"]


def test_gone_renamed_and_new_photos_are_counted(birds_with_observers, bird_catalog, tmp_path):
    split = make_split(birds_with_observers, **ARGUMENTS, group_by="photo")
    folder = split.save(tmp_path / "s")
    train = split.part("train").to_pylist()
    gone = {row["photo_id"] for row in train if row["label"] == 0} - {train[0]["photo_id"]}
    gone = set(sorted(gone)[:7])
    renamed = {row["photo_id"] for row in train if row["label"] == 1}
    rows = []
    for row in bird_rows(birds_with_observers):
        if row["photo_id"] in renamed:
            row = row | {"species": "torquatus", "scientific_name": "Turdus torquatus"}
        if row["photo_id"] not in gone:
            rows.append(row)
    made = remake_split(folder, bird_catalog(rows, "later"))
    found = made.differences
    assert not made.same
    assert made.catalog_changed
    assert found.gone == 7
    assert found.renamed == len(renamed)
    assert found.renamings == (("Animalia|Turdus pilaris", "Animalia|Turdus torquatus", len(renamed)),)
    old = {i for part in split.parts for i in split.part(part)["photo_id"].to_pylist()}
    new = {i for part in made.split.parts for i in made.split.part(part)["photo_id"].to_pylist()}
    assert found.new == len(new - old)
    assert found.moved >= len((old - new) - gone - renamed)


def test_a_store_is_replaced_by_the_list_of_what_it_lacked(birds_with_observers, tmp_path):
    held = PhotoIds.of([i for i in range(1, 626) if i % 5])
    folder = make_split(birds_with_observers, **ARGUMENTS, store=held).save(tmp_path / "s")
    assert remake_split(folder, birds_with_observers).same
    (folder / "left_out.parquet").unlink()
    with pytest.raises(RecipeError, match=r"image store.*is not there") as caught:
        remake_split(folder, birds_with_observers)
    assert "left_out.parquet" in caught.value.hint


def test_a_list_of_photos_must_be_given_again(birds_with_observers, tmp_path):
    listed = PhotoIds.of(range(1, 500))
    folder = make_split(birds_with_observers.select(photo_ids=listed), **ARGUMENTS).save(tmp_path / "s")
    assert remake_split(folder, birds_with_observers, photo_ids=listed).same
    with pytest.raises(RecipeError, match="a list of photos"):
        remake_split(folder, birds_with_observers)
    with pytest.raises(RecipeError, match="another list"):
        remake_split(folder, birds_with_observers, photo_ids=PhotoIds.of([1]))


def test_a_list_of_observations_must_be_given_again(birds_with_observers, tmp_path):
    rows = birds_with_observers.rows(
        "SELECT DISTINCT observation_id FROM photos WHERE observation_id % 5 > 0"
    )
    listed = PhotoIds.of([int(number) for (number,) in rows])
    selection = birds_with_observers.select(observation_ids=listed)
    assert "of 250 listed observations" in selection.english
    assert 0 < selection.count() < birds_with_observers.select().count()
    folder = make_split(selection, **ARGUMENTS).save(tmp_path / "s")
    assert remake_split(folder, birds_with_observers, observation_ids=listed).same
    with pytest.raises(RecipeError, match="a list of observations") as caught:
        remake_split(folder, birds_with_observers)
    assert "--observation-ids" in caught.value.hint


def test_a_column_that_came_since_does_not_change_what_auto_meant(bird_catalog, tmp_path):
    with_all = bird_catalog()
    rows = [{**row, "observation_id": None} for row in bird_rows(with_all)]
    split = make_split(bird_catalog(rows, "bare"), **ARGUMENTS)
    assert split.meta["group_by"] == "photo"
    made = remake_split(split.save(tmp_path / "s"), with_all)
    assert made.split.sha256 == split.sha256
    # The rows have the observations now, and say so.
    assert made.differing == tuple(f"rows_sha256 of {part}" for part in split.parts)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda meta: meta["recipe"].update(seed="x"), RecipeError, "seed"),
        (lambda meta: meta["recipe"].update(selection=None), RecipeError, "no selection"),
        (
            lambda meta: meta["recipe"]["selection"]["any_of"][0].update(shell="rm"),
            RecipeError,
            "cannot be read",
        ),
        (lambda meta: meta["recipe"]["selection"]["any_of"][0].update(taxa=3), RecipeError, "another type"),
        (lambda meta: meta.pop("sha256"), SplitError, "lacks"),
    ],
)
def test_a_split_json_that_is_none_is_one_error(birds_with_observers, tmp_path, change, error, message):
    folder = make_split(birds_with_observers, **ARGUMENTS).save(tmp_path / "s")
    meta = json.loads((folder / "split.json").read_text())
    change(meta)
    (folder / "split.json").write_text(json.dumps(meta))
    with pytest.raises(error, match=message):
        remake_split(folder, birds_with_observers)
    with pytest.raises(SplitError, match="cannot be read"):
        remake_split(tmp_path / "nowhere", birds_with_observers)


RECIPE = """
taxa = "Aves"
life-stage = ["adult", "juvenile"]
since = 2020-01-31
lt-ratio = [10, 100]
group_by = "observer-per-species"
name = "birds"
"""


def test_a_recipe_in_toml_is_the_flags(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    found = read_recipe(tmp_path / "r.toml")
    assert found.name == "birds"
    assert found.recipe == {"lt_ratio": [10, 100], "group_by": "observer-per-species"}
    assert found.selection["taxa"] == "Aves"
    assert found.selection["since"].isoformat() == "2020-01-31"
    (tmp_path / "r.toml").write_text('preset = "arboretum-40m"\nmax-per-class = 1000\n')
    found = read_recipe(tmp_path / "r.toml")
    assert found.recipe == {"profile": "natural", "min_per_class": 30, "max_per_class": 1000}
    assert found.selection == preset_values("arboretum-40m").selection
    assert "class:Aves" in found.selection["taxa"]
    assert len(found.selection["taxa"]) == 7


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("lt-ration = 10", "lt-ration", "Did you mean lt-ratio?"),
        ("store = 'images'", "store", "give --images"),
        ("photo-ids = 'x.txt'", "photo-ids", "no paths"),
        ("seed = 'zero'", "seed cannot be 'zero'", ""),
        ("lt-ratio = ['many']", "lt-ratio", ""),
        ("taxa = 3", "taxa is 3", ""),
        ("limit = true", "limit is True", ""),
        ("[recipe]\nseed = 1", "recipe", ""),
        ("preset = 'imagenet'", "no preset", ""),
        ("name = 3", "name is text", ""),
        ("seed = ", "cannot be read", ""),
    ],
)
def test_a_bad_recipe_is_one_error(tmp_path, text, message, hint):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(tmp_path / "r.toml")
    assert hint in caught.value.hint
