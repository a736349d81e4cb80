"""Options: declared once, and known from there to the functions, the flags, the recipes and the pages."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pkgutil
from collections.abc import Iterable
from typing import Annotated

import pytest
import typer.main
from typer.models import OptionInfo

import arboretum_tools
from arboretum_cli import main
from arboretum_cli.flags import shared, volume
from arboretum_cli.flags.declared import stages_of
from arboretum_tools.errors import RecipeError, UsageError
from arboretum_tools.options import Option, check, declared, documented, takes
from arboretum_tools.options.browse import BrowseOptions, GalleryOptions
from arboretum_tools.options.catalog import (
    AnnotateOptions,
    BuildOptions,
    CatalogStatsOptions,
    ChangesOptions,
    PullOptions,
    TaxonOptions,
)
from arboretum_tools.options.contact_sheet import ContactSheetOptions
from arboretum_tools.options.download import DownloadArguments, ImportOptions
from arboretum_tools.options.evaluation import ComparisonOptions, EvaluationOptions, PartOptions
from arboretum_tools.options.export import ExportOptions, SubsetOptions
from arboretum_tools.options.publish import PublishOptions
from arboretum_tools.options.select import SelectionOptions
from arboretum_tools.options.split import (
    AuditOptions,
    EpisodeOptions,
    FamilyOptions,
    SplitOptions,
    SplitStatsOptions,
    WholeOptions,
)
from arboretum_tools.options.store import MergeOptions, PruneOptions, VerifyOptions
from arboretum_tools.options.training import RunOptions, ZeroShotOptions
from arboretum_tools.split.recipes.recipe_file import read_recipe

#: Every stage: its options, the public functions that take them, the command that has their flags.
STAGES = [
    (SelectionOptions, ("Catalog.select",), "select"),
    (DownloadArguments, ("download", "download_async", "estimate_download", "save_plan"), "download"),
    (ImportOptions, ("import_images",), "import-images"),
    (SplitOptions, ("make_split",), "make-split"),
    (FamilyOptions, ("make_family",), None),
    (WholeOptions, ("split.make.whole",), None),
    (AuditOptions, ("audit_split",), "audit-split"),
    (ExportOptions, ("export",), "export"),
    (SubsetOptions, ("load_subset",), None),
    (EpisodeOptions, ("make_episodes",), "episodes"),
    (PublishOptions, ("publish_split",), "publish"),
    (EvaluationOptions, ("evaluate",), "evaluate"),
    (ComparisonOptions, ("compare_predictions",), None),
    (PartOptions, ("compare_runs",), "compare"),
    (RunOptions, ("train",), "train"),
    (ZeroShotOptions, ("zero_shot",), "zero-shot"),
    (CatalogStatsOptions, ("catalog_stats",), "stats"),
    (SplitStatsOptions, ("split_stats",), "stats"),
    (TaxonOptions, ("describe_taxon",), None),
    (ContactSheetOptions, ("contact_sheet",), "contact-sheet"),
    (BrowseOptions, ("browse",), "browse"),
    (GalleryOptions, ("save_gallery",), "browse"),
    (BuildOptions, ("build_catalog",), "catalog build"),
    (AnnotateOptions, ("annotate_catalog",), "catalog annotate"),
    (ChangesOptions, ("catalog_changes",), "catalog update"),
    (PullOptions, ("catalog.pull.plan_pull",), "catalog pull"),
    (VerifyOptions, ("verify_store",), "verify"),
    (PruneOptions, ("prune_store",), "store prune"),
    (MergeOptions, ("merge_stores",), "store merge"),
]

#: Flags that mean the same in every command that has them, each declared once in `arboretum_cli.flags`.
SHARED = {"--help", "-h"} | {
    name
    for module in (shared, volume)
    for declaration in vars(module).values()
    for mark in getattr(declaration, "__metadata__", ())
    if isinstance(mark, OptionInfo)
    # Typer keeps the first name of an annotation as its default.
    for name in (mark.default, *(mark.param_decls or ()))
}

#: What public functions take by name besides options: how they tell of their progress, things they work on
#: that other stages' flags name, and what only tests set.
NO_OPTIONS = {
    *("on_event", "progress", "catalog", "photo_ids", "observation_ids", "exclude", "name"),
    *("threads", "bucket_photos", "apply", "method", "in_memory"),
}

COMMANDS = {
    **{name: command for name, (command, _) in main.COMMANDS.items()},
    **{
        f"{group} {name}": command
        for group, (_, commands, _) in main.GROUPS.items()
        for name, (command, _) in commands.items()
    },
}


def _flags_of(command):
    found = typer.main.get_command(main.app)
    for name in command.split():
        found = found.commands[name]
    return {flag: p for p in found.params if p.param_type_name == "option" for flag in p.opts}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_no_option_that_is_not_declared(command):
    declared_ones = [entry for stage in stages_of(COMMANDS[command]) for entry in declared(stage)]
    flags = {entry.flag for entry in declared_ones} | {f"-{entry.option.short}" for entry in declared_ones}
    assert set(_flags_of(command)) <= flags | SHARED


@pytest.mark.parametrize(
    "stage", dict.fromkeys(s for command in COMMANDS.values() for s in stages_of(command)), ids=str
)
def test_options_of_a_command_alone_say_what_they_do(stage):
    for entry in declared(stage):
        assert entry.option.help.endswith(".")
        assert entry.option.metavar or entry.kinds == (bool,) or entry.name == "lt_ratios"


def test_a_public_function_has_no_option_that_is_not_declared():
    known = {(name, entry.name) for stage, names, _ in STAGES for name in names for entry in declared(stage)}
    for name in arboretum_tools.__all__:
        function = getattr(arboretum_tools, name)
        if not inspect.isfunction(function):
            continue
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in NO_OPTIONS:
                assert (name, parameter.name) in known, f"{name}({parameter.name})"


#: Values that a recipe may hold, where the default is not one.
WRITTEN = {
    "taxa": ["Aves"],
    "rarity": "rare",
    "life_stage": ["Adult"],
    "life_stage_unknown": "include",
    "license": "CC-BY-4.0",
    "iucn": ["EN"],
    "bbox": [5.0, 45.0, 10.5, 48.0],
    "since": "2020-01-31",
    "until": "2021-01-31",
    "profile": "step",
    "benchmark": "unseen",
    "hybrids": True,
    "near_duplicates": True,
    "stages": "adult=5",
    "pairs": [["A a", "A b"]],
    "split_by": "observer",
    "lt_ratio": [10, 100],
    "name": "mine",
}

each_option = pytest.mark.parametrize(
    ("entry", "functions", "command"),
    [
        pytest.param(entry, functions, command, id=f"{stage.__name__}.{entry.name}")
        for stage, functions, command in STAGES
        for entry in declared(stage)
    ],
)


@each_option
def test_an_option_is_an_argument_of_its_functions_and_documented(entry, functions, command):
    for name in functions:
        function = _public(name)
        default = inspect.signature(function).parameters[entry.name].default
        assert (dataclasses.MISSING if default is inspect.Parameter.empty else default) == entry.value
    documentation = inspect.getdoc(_public(functions[0]))
    assert f"\n    {entry.name}: " in documentation


def _public(name):
    return pkgutil.resolve_name(f"arboretum_tools.{name}")


@pytest.mark.parametrize(
    "entry", [e for stage in (SelectionOptions, SplitOptions) for e in declared(stage)], ids=lambda e: e.name
)
def test_an_option_is_a_key_of_recipes_where_it_belongs(entry, tmp_path):
    written = entry.flag.lstrip("-").replace("pair", "pairs")
    value = WRITTEN.get(entry.name, entry.value or (() if entry.option.many else 7))
    if not entry.option.recipe:
        value = "somewhere"
    text = json.dumps(value)
    (tmp_path / "recipe.toml").write_text(f"{written} = {text}\n")
    if not entry.option.recipe:
        with pytest.raises(RecipeError):
            read_recipe(tmp_path / "recipe.toml")
        return
    found = read_recipe(tmp_path / "recipe.toml")
    values = {**found.selection, **found.recipe, "name": found.name}
    assert values[entry.name] == json.loads(text)


@each_option
def test_an_option_is_a_flag_with_help_and_default(entry, functions, command):
    if command is None:
        return
    flag = _flags_of(command)[entry.flag]
    assert flag.help.startswith(entry.option.help)
    if entry.default_text is not None:
        assert flag.help.endswith(f"[default: {entry.default_text}]")


@each_option
def test_an_option_says_what_it_does_in_sentences(entry, functions, command):
    assert entry.option.help.endswith(".")
    for choice in entry.option.choices:
        assert choice.casefold() in entry.option.help.casefold() or len(entry.option.choices) > 9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hike:
    """A stage like any other."""

    gait: Annotated[str, Option("walk or run.", choices=("walk", "run"))] = "walk"
    hours: Annotated[float, Option("Hours, see --gait.", least=0, most=24)] = 1.0
    people: Annotated[int | None, Option("People.", least=1)] = None
    towns: Annotated[Iterable[str], Option("Towns.", many=True)] = ()
    dogs: Annotated[bool, Option("Take dogs.")] = False

    def __post_init__(self) -> None:
        check(self)


@takes(Hike)
def hike(start: str, options: Hike) -> str:
    """Walks.

    Args:
        start: where.
        options: {options}
    """
    return f"{start} {options}"


def test_values_are_brought_into_their_form():
    hiked = Hike(gait="RUN", hours=2, people=3, towns="Ulm, Bonn,Ulm")
    assert (hiked.gait, hiked.hours, hiked.people, hiked.towns) == ("run", 2.0, 3, ("Ulm", "Bonn"))
    assert type(hiked.hours) is float


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gait": "wlak"}, "unknown gait 'wlak'; known: walk, run\nDid you mean walk?"),
        ({"gait": 3}, "unknown gait 3"),
        ({"hours": 25}, "hours must be 0 to 24, not 25"),
        ({"hours": float("nan")}, "hours must be 0 to 24, not nan"),
        ({"hours": "2"}, "hours is a number, not '2'"),
        ({"hours": True}, "hours is a number, not True"),
        ({"people": 0}, "people must be 1 or more, not 0"),
        ({"people": 1.5}, "people is a whole number, not 1.5"),
        ({"towns": " , "}, "towns is given without a value"),
        ({"towns": [3]}, "towns takes text, not 3"),
        ({"dogs": "yes"}, "dogs is true or false, not 'yes'"),
    ],
)
def test_a_bad_value_is_refused_by_name(wrong, said):
    with pytest.raises(UsageError) as caught:
        Hike(**wrong)
    assert said in str(caught.value)


def test_a_function_shows_the_options_that_it_takes():
    assert list(inspect.signature(hike).parameters) == ["start", "gait", "hours", "people", "towns", "dogs"]
    assert hike("Ulm", gait="run").startswith("Ulm Hike(gait='run'")
    assert "        hours: hours, see `gait`. Default 1.\n" in hike.__doc__
    with pytest.raises(TypeError, match="gate"):
        hike("Ulm", gate="run")


def test_options_of_a_stage_come_before_those_of_the_stage_that_it_extends():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Climb(Hike):
        rope: Annotated[bool, Option("Take a rope.")] = False

    globals()["Climb"] = Climb
    assert [entry.name for entry in declared(Climb)][:2] == ["rope", "gait"]
    assert documented(Climb).startswith("rope: take a rope.")
