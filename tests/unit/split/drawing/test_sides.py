"""Splits by place, time and person against their rules (docs/design.md), written down once more."""

import datetime as dt
import json
import math
import shutil
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.errors import InfeasibleSplitError, RecipeError, SelectionError, UsageError
from arboretum_tools.split.against_catalog import against_catalog
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.make import make_family, make_split
from arboretum_tools.split.recipes.split_by import parse_rule
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.stable_key import key

GENERA = ["Ab", "Bc", "Cd"]
EPOCH = dt.date(1970, 1, 1)

#: Positions around the corners of cells of 1 degree, at the date line and at a pole; some within 1 km.
PLACES = [
    (10.5, 20.5),
    (10.999, 20.5),
    (11.001, 20.5),
    (11.02, 20.5),
    (59.9995, 30.998),
    (59.9995, 31.012),
    (0.0, -180.0),
    (0.001, 180.0),
    (0.001, 179.998),
    (90.0, 5.0),
    (89.998, 100.0),
    (-33.3, 77.7),
    (45.2, 7.1),
    (46.2, 7.1),
    (None, None),
]
DAYS = [None, *(dt.date(2019, 12, 30) + dt.timedelta(days=n) for n in range(6)), dt.date(1969, 5, 1)]


def photo(number, genus, observation, observer, place, day):
    return {
        "photo_id": number,
        "ext": "jpg",
        "kingdom": "Animalia",
        "phylum": None,
        "class": "Aves",
        "order": "O",
        "family": "F",
        "genus": genus,
        "species": "alba",
        "scientific_name": None,
        "common_name": None,
        "observation_id": observation,
        "observer_id": observer,
        "latitude": place[0],
        "longitude": place[1],
        "observed_on": day,
    }


@st.composite
def catalogues(draw):
    """Three species with photos in observations of 1 to 3; a few observations are of two species."""
    chance = st.integers(0, 15)
    # Of these no column is empty, and no class has enough of them.
    rows = [photo(2**40, "Zz", 2**40, 9, (1.5, 1.5), DAYS[1])]
    for observation in range(1, draw(st.integers(20, 50))):
        place, day = draw(st.sampled_from(PLACES)), draw(st.sampled_from(DAYS))
        observer = draw(st.sampled_from([None, 1, 2, 3, 5_000_000_000]))
        genus = draw(st.sampled_from(GENERA))
        for _ in range(draw(st.integers(1, 3))):
            # Now and then a photo of another species, place or day, or without an observation.
            genus_of = genus if draw(chance) else draw(st.sampled_from(GENERA))
            own_day = day if draw(chance) else draw(st.sampled_from(DAYS))
            number = len(rows) + draw(st.sampled_from([0, 2**33]))
            rows.append(
                photo(number, genus_of, observation if draw(chance) else None, observer, place, own_day)
            )
    return rows


def written(rows, folder, *, built):
    folder.mkdir(parents=True)
    types = {"observation_id": pa.int64(), "observer_id": pa.int64(), "observed_on": pa.date32()}
    types |= {"latitude": pa.float64(), "longitude": pa.float64(), "photo_id": pa.int64()}
    names = list(rows[0])
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "p.parquet")
    return open_catalog(build_catalog(folder, folder.parent / "built").path if built else folder)


def unit_of(row, kind, value):
    """The cell, day or observer of a photo as a number; None where it has none."""
    if kind == "observer":
        return row["observer_id"]
    if kind == "time":
        return None if row["observed_on"] is None else 2**31 + (row["observed_on"] - EPOCH).days
    if row["latitude"] is None:
        return None
    longitude = -180.0 if row["longitude"] == 180 else row["longitude"]
    down = min(math.floor((row["latitude"] + 90) / value), round(180 / value) - 1)
    return down * 2**32 + math.floor((longitude + 180) / value)


def dealt(units, wish, kind, value):
    """The part of every unit; units are photos by unit."""
    part = {}
    if kind == "time":
        first = 2**31 + (value - EPOCH).days
        part = {unit: "test" for unit in units if unit >= first}
    waiting = sorted(
        (unit for unit in units if unit not in part), key=lambda u: (key(u, "side", wish["seed"]), u)
    )
    total = sum(units[unit] for unit in waiting)
    for name, share in (("test", wish.get("test_share", 0)), ("val", wish.get("val_share", 0))):
        photos = 0
        while waiting and 100 * photos < share * total:
            unit = waiting.pop(0)
            part[unit], photos = name, photos + units[unit]
    return part | dict.fromkeys(waiting, "train")


def metres(one, other):
    (y, x), (v, u) = ([math.radians(row[name]) for name in ("latitude", "longitude")] for row in (one, other))
    half = math.sin((v - y) / 2) ** 2 + math.cos(y) * math.cos(v) * math.sin((u - x) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(min(1, half)))


def expected(rows, wish, kind, value):
    """The photos of the parts, by class and part, as docs/design.md has it."""
    unit = {row["photo_id"]: unit_of(row, kind, value) for row in rows}
    photos = defaultdict(int)
    for one in unit.values():
        if one is not None:
            photos[one] += 1
    side_of = dealt(photos, wish, kind, value)
    side = {photo: side_of.get(one) for photo, one in unit.items()}
    groups = defaultdict(list)
    for row in rows:
        known = row["observation_id"] is not None
        groups[(0, row["observation_id"]) if known else (1, row["photo_id"])].append(row)
    rank = {"test": 0, "val": 1, "train": 2}

    def by_encounter(row, other):
        return (
            kind == "region"
            and row["observer_id"] is not None
            and row["observed_on"] is not None
            and None not in (side[row["photo_id"]], side[other["photo_id"]])
            and row["observer_id"] == other["observer_id"]
            and row["observed_on"] == other["observed_on"]
            and rank[side[other["photo_id"]]] < rank[side[row["photo_id"]]]
            and metres(row, other) <= 1000
        )

    kept, no_side, between, aside = defaultdict(lambda: defaultdict(list)), 0, 0, 0
    for members in groups.values():
        sides = {side[row["photo_id"]] for row in members}
        classes = {row["genus"] for row in members}
        if None in sides:
            no_side += len(members)
        elif len(sides) > 1:
            between += len(members)
        elif len(classes) > 1 and sides != {"train"}:
            aside += len(members)
        elif any(by_encounter(row, other) for row in members for other in rows):
            between += len(members)
        else:
            for row in members:
                kept[row["genus"]][sides.copy().pop()].append(row["photo_id"])
    parts = {}
    for genus, own in kept.items():
        full = all(len(own[part]) >= wish[f"{part}_per_class"] for part in ("test", "val"))
        if full and own["train"]:
            parts[genus] = {"train": set(own["train"])}
            for part in ("test", "val"):
                order = sorted(own[part], key=lambda one: (key(one, "train", wish["seed"]), one))
                parts[genus][part] = set(order[: wish[f"{part}_per_class"]])
    return parts, between


#: Rules as they are asked for, and what they are cut by.
RULES = {
    "region:1": ("region", 1.0),
    "region:30": ("region", 30.0),
    "time:2020-01-01": ("time", dt.date(2020, 1, 1)),
    "observer": ("observer", None),
}


@st.composite
def wishes(draw, text):
    kind, value = RULES[text]
    wish = {
        "split_by": text,
        "seed": draw(st.integers(0, 3)),
        "test_per_class": draw(st.integers(1, 2)),
        "val_per_class": draw(st.integers(0, 1)),
    }
    if kind != "time":
        wish["test_share"] = draw(st.integers(1, 49))
    if wish["val_per_class"]:
        wish["val_share"] = draw(st.integers(1, 49))
    return kind, value, wish


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("built", [False, True])
def test_every_part_is_what_the_rules_say(tmp_path_factory, built, rule):
    made = []

    @settings(max_examples=6 if built else 12, derandomize=True, phases=[Phase.generate])
    @given(rows=catalogues(), asked=wishes(rule))
    def against_the_rules(rows, asked):
        kind, value, wish = asked
        folder = tmp_path_factory.mktemp("sides")
        catalog = written(rows, folder / "catalog", built=built)
        parts, between = expected(rows, wish, kind, value)
        try:
            split = make_split(catalog, profile="natural", group_by="observation", **wish)
        except InfeasibleSplitError:
            assert not parts
            return
        found = {
            name: {
                part: set(
                    split.part(part)
                    .filter(pa.compute.equal(split.part(part)["label"], label))["photo_id"]
                    .to_pylist()
                )
                for part in split.parts
            }
            for label, name in enumerate(split.classes["genus"].to_pylist())
        }
        assert found == {genus: {part: own[part] for part in split.parts} for genus, own in parts.items()}
        assert split.meta["sides"]["between_sides"] == between
        counts = split.meta["counts"]
        selected = counts["selected"]
        assert selected == len(rows)
        assert selected == sum(
            n for name, n in counts.items() if name not in ("selected", "classes_left_out")
        )
        saved = split.save(folder / "split")
        assert [(c.name, c.detail, c.examples) for c in audit_split(saved).broken] == []
        made.append(split)
        shutil.rmtree(folder)

    against_the_rules()
    assert made


def species(genus, number, photos):
    """Photos of a species around the border of two cells, each an observation of its own."""
    return [
        photo(1000 * number + n, genus, 1000 * number + n, 1, (n / 32 - 1, 10.5), DAYS[1] + dt.timedelta(n))
        for n in range(photos)
    ]


@pytest.mark.parametrize(
    ("metres_apart", "observer", "days", "kept"),
    [(900, 1, 0, False), (1100, 1, 0, True), (900, 2, 0, True), (900, 1, 1, True)],
)
def test_an_encounter_across_a_border_is_left_out_of_the_later_side(
    tmp_path, metres_apart, observer, days, kept
):
    rows = species("Ab", 1, 60) + species("Bc", 2, 60)
    # A pair across the equator, one of each species, in a place where nobody else was.
    day, degrees = dt.date(2020, 5, 5), metres_apart / 111_195
    rows += [
        photo(5001, "Ab", 5001, 1, (degrees / 2, 10.7), day),
        photo(5002, "Bc", 5002, observer, (-degrees / 2, 10.7), day + dt.timedelta(days)),
    ]
    catalog = written(rows, tmp_path / "catalog", built=False)
    wish = {"profile": "natural", "test_per_class": 2, "val_per_class": 0, "test_share": 30}
    split = make_split(catalog, split_by="region:1", **wish)
    trained = set(split.part("train")["photo_id"].to_pylist()) & {5001, 5002}
    assert len(trained) == kept
    assert split.meta["sides"]["between_sides"] == (not kept)
    assert audit_split(split.save(tmp_path / "split")).ok


@pytest.fixture(scope="module")
def sample():
    return open_catalog(catalog_path())


#: Of a split of the bundled sample each. They move only with a new format_version.
GOLDEN = {
    "region:10": "b88bdf40aeac3462758327f528c99ec751d15f561068dca84c76c4fdb2e08967",
    "time:2022-01-01": "6a6f7053e1b9ae98d2bf0765365796df6c1432827d885556ab199c08c695e6f2",
    "observer": "04f9272585f0e6300b0f24ce33972af72df4178f00152e6b02d3726aada405ba",
}
ASKED = {"lt_ratio": 5, "val_per_class": 2, "test_per_class": 4}


@pytest.mark.parametrize("rule", GOLDEN)
def test_the_golden_hashes_never_change_without_a_new_format_version(sample, rule, tmp_path):
    split = make_split(sample, split_by=rule, **ASKED)
    assert split.sha256["train"] == GOLDEN[rule]
    folder = split.save(tmp_path / "s")
    assert remake_split(folder, sample).same
    assert {check.outcome for check in against_catalog(folder, sample)} == {"kept"}
    built = open_catalog(build_catalog(sample.path, tmp_path / "built").path)
    assert make_split(built, split_by=rule, **ASKED).sha256 == split.sha256


def test_a_set_over_seeds_has_one_class_list_and_deals_other_cells(sample):
    sets = list(
        make_family(
            sample, split_by="region:5", seeds=(0, 1), lt_ratios=[5], val_per_class=2, test_per_class=4
        )
    )
    keys = [split.classes["class_key"].to_pylist() for split in sets]
    assert keys[0] == keys[1]
    assert sets[0].class_counts == sets[1].class_counts
    cells = [
        {
            (y // 5, x // 5)
            for y, x in zip(
                *(split.part("test")[n].to_pylist() for n in ("latitude", "longitude")), strict=True
            )
        }
        for split in sets
    ]
    assert cells[0] != cells[1]


def rewritten(folder, part, change):
    table = pq.read_table(folder / f"{part}.parquet")
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / f"{part}.parquet")


def restated(folder, change):
    meta = json.loads((folder / "split.json").read_text())
    change(meta)
    (folder / "split.json").write_text(json.dumps(meta))


def move_into_a_test_cell(folder):
    there = pq.read_table(folder / "test.parquet").to_pylist()[0]
    place = {name: there[name] for name in ("latitude", "longitude")}
    rewritten(folder, "train", lambda rows: rows[0].update(place))


def repeat_an_encounter(folder):
    there = pq.read_table(folder / "test.parquet").to_pylist()
    known = next(row for row in there if row["observer_id"] and row["observed_on"])
    where = {name: known[name] for name in ("observer_id", "observed_on", "latitude", "longitude")}
    rewritten(folder, "train", lambda rows: rows[3].update(where))


FORGERIES = {
    "a photo moved": (move_into_a_test_cell, "region:10", "sides: dealt by the rule"),
    "no position": (
        lambda folder: rewritten(folder, "val", lambda rows: rows[0].update(latitude=None)),
        "region:10",
        "sides: every photo has latitude and longitude",
    ),
    "an encounter": (repeat_an_encounter, "region:10", "sides: no encounter in two parts"),
    "another seed": (
        lambda folder: restated(folder, lambda meta: meta["recipe"].update(seed=3)),
        "observer",
        "sides: dealt by the rule",
    ),
    "another date": (
        lambda folder: restated(folder, lambda meta: meta["recipe"].update(split_by="time:2022-06-01")),
        "time:2022-01-01",
        "sides: dealt by the rule",
    ),
    "a share": (
        lambda folder: restated(folder, lambda meta: meta["recipe"].update(test_share=60)),
        "observer",
        "sides: shares",
    ),
    "no numbers": (lambda folder: restated(folder, lambda meta: meta.pop("sides")), "observer", "sides"),
    "no rule": (
        lambda folder: restated(folder, lambda meta: meta["recipe"].update(split_by="region:0")),
        "region:10",
        "sides",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_breaks_the_rule_is_found_by_the_files_alone(sample, tmp_path, forgery):
    forge, rule, check = FORGERIES[forgery]
    folder = make_split(sample, split_by=rule, **ASKED).save(tmp_path / "s")
    forge(folder)
    assert check in {one.name for one in audit_split(folder).broken}


def test_numbers_of_sides_that_are_not_the_catalogues_are_found_against_it(sample, tmp_path):
    folder = make_split(sample, split_by="observer", **ASKED).save(tmp_path / "s")
    restated(folder, lambda meta: meta["sides"]["photos"].update(test=900))
    found = {check.name: check.outcome for check in against_catalog(folder, sample)}
    assert found["catalogue: drawn"] == "broken"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split_by": "region:7"}, UsageError, "180 is a multiple of it"),
        ({"split_by": "region:nan"}, UsageError, "180 is a multiple of it"),
        ({"split_by": "region"}, UsageError, "needs a cell size in degrees that divides 180"),
        ({"split_by": "time:"}, UsageError, "needs the first day of test"),
        ({"split_by": "time:soon"}, UsageError, "first day of test"),
        ({"split_by": "observer:2"}, UsageError, "region:DEGREES, time:DATE or observer"),
        ({"split_by": "observer", "test_per_class": 0}, RecipeError, "has a test part"),
        ({"split_by": "observer", "test_share": 60, "val_share": 40}, RecipeError, "nothing is left"),
        ({"split_by": "time:2022-01-01", "test_share": 5}, RecipeError, "the date says"),
        ({"split_by": "observer", "val_per_class": 0, "val_share": 5}, RecipeError, "no validation part"),
        ({"test_share": 5}, RecipeError, "--test-share needs --split-by"),
        ({"val_share": 5}, RecipeError, "--val-share needs --split-by"),
        ({"split_by": "observer", "benchmark": "unseen"}, RecipeError, "has not both"),
        ({"split_by": "time:1990-01-01"}, InfeasibleSplitError, "no photo is left for train and val"),
        ({"split_by": "region:90", "test_share": 80}, InfeasibleSplitError, "no photo is left for train"),
    ],
)
def test_what_cannot_be_asked_for_is_one_clear_error(sample, arguments, error, message):
    with pytest.raises(error, match=message):
        make_split(sample, **arguments)


def test_a_catalogue_without_places_says_what_brings_them(tmp_path):
    rows = [
        {k: v for k, v in row.items() if k not in ("latitude", "longitude")} for row in species("Ab", 1, 9)
    ]
    with pytest.raises(SelectionError, match="no column latitude"):
        make_split(written(rows, tmp_path / "c", built=False), split_by="region:1")


def test_a_grid_has_one_spelling():
    assert str(parse_rule(" Region: 1.0 ")) == "region:1"
    assert str(parse_rule("region:0.5")) == "region:0.5"
    assert str(parse_rule("time:2022-01-01")) == "time:2022-01-01"
    assert parse_rule("region:0.0333333333").degrees == 180 / 5400
