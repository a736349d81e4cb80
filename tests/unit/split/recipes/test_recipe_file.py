"""Recipe files take every criterion of `Criteria`, without a list of them kept by hand."""

from dataclasses import fields
from pathlib import Path

import pytest

from arboretum_tools.errors import RecipeError, UsageError
from arboretum_tools.photos.criteria import Criteria
from arboretum_tools.split.recipes.recipe_file import preset_values, read_recipe

_VALUES = {
    "taxa": '["Aves"]',
    "exclude_taxa": '["Corvidae"]',
    "rarity": '["rare"]',
    "min_photos": "3",
    "max_photos": "9",
    "life_stage": '["adult"]',
    "life_stage_unknown": '"include"',
    "license": '["CC-BY"]',
    "iucn": '["EN"]',
    "quality_grade": '"research"',
    "bbox": "[-10, 35, 30, 60]",
    "since": "2020-01-31",
    "until": '"2021-01-31"',
    "photos_per_observation": "1",
    "limit": "100",
}


def test_every_criterion_is_a_key(tmp_path: Path) -> None:
    # A list of photos or observations is a file, and recipes hold no paths.
    assert set(_VALUES) == {field.name for field in fields(Criteria)} - {"photo_ids", "observation_ids"}
    path = tmp_path / "recipe.toml"
    path.write_text("".join(f"{key.replace('_', '-')} = {value}\n" for key, value in _VALUES.items()))
    assert set(read_recipe(path).selection) == set(_VALUES)


@pytest.mark.parametrize(
    "line",
    ["iucn = 3", "life-stage-unknown = 1", "limit = true", 'limit = "5"', "bbox = [1, 2]", "since = 2020"],
)
def test_a_value_of_another_kind_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(line)
    with pytest.raises(RecipeError, match=line.split()[0]):
        read_recipe(path)


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("r.toml", "seeds = [0, 1, 2]", "give --seeds"),
        ("r.toml", 'exclude = "x"', "hold no paths: give --exclude"),
        ("r.toml", "taxa = Aves", 'quotation marks: taxa = "Aves"'),
        ("split.json", '{"recipe": {}}', "with --from"),
    ],
)
def test_what_is_wrong_in_a_recipe_has_a_hint_of_its_own(
    tmp_path: Path, name: str, text: str, hint: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError) as error:
        read_recipe(tmp_path / name)
    assert hint in error.value.hint


def test_closed_lists_are_compared_without_case() -> None:
    typed = Criteria(
        rarity=("RARE",), life_stage=("Adult",), license=("cc-by", "Open"), iucn=("en",), quality_grade="Any"
    )
    exact = Criteria(
        rarity=("rare",), life_stage=("adult",), license=("CC-BY", "open"), iucn=("EN",), quality_grade="any"
    )
    assert typed == exact


def test_a_preset_that_is_not_known_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="arboretum-40m"):
        preset_values("arboretum-41m")
