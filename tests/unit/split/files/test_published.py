"""Published splits: counts, ratio and bands as published, and the tools that speak of them."""

import json
from collections import Counter

import numpy as np
import pytest

from arboretum_tools.errors import RecipeError, SplitError
from arboretum_tools.evaluation import evaluate
from arboretum_tools.split import open_split
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.files.published import import_split
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.split.stats import split_stats


def places_counts():
    """365 counts with the published sum, ends and bands of Places-LT (Liu et al. 2019)."""
    few = [5 + i % 15 for i in range(71)]
    medium = [20 + i % 81 for i in range(163)]
    left = 62_500 - 4_980 - sum(few) - sum(medium)
    many = [left // 130 + (i < left % 130) for i in range(130)]
    counts = [4_980, *many, *medium, *few]
    assert (len(counts), sum(counts), min(counts)) == (365, 62_500, 5)
    return counts


def write_lists(folder, counts, name="Places_LT"):
    order = np.random.default_rng(0).permutation(len(counts))  # published labels follow no count
    lines = {"train": [], "val": [], "test": []}
    for label, position in enumerate(order.tolist()):
        names = f"data_256/{'abc'[label % 3]}/place_{label}/indoor"
        lines["train"] += [f"{names}/{n:08}.jpg {label}" for n in range(counts[position])]
        lines["val"] += [f"val_256/Places365_val_{label * 20 + n:08}.jpg {label}" for n in range(2)]
        lines["test"] += [f"val_256/Places365_test_{label * 20 + n:08}.jpg {label}" for n in range(3)]
    files = []
    for part, rows in lines.items():
        files.append(folder / f"{name}_{part}.txt")
        files[-1].write_text("\n".join(rows) + "\n")
    return files


def test_places_lt_comes_out_as_published(tmp_path):
    split = import_split(write_lists(tmp_path, places_counts()))
    stats = split_stats(split)
    assert split.name == "places-lt"
    assert (stats.classes, stats.largest, stats.smallest, stats.photos["train"]) == (365, 4980, 5, 62_500)
    assert {name: band.classes for name, band in stats.bands.items()} == {
        "many": 131, "medium": 163, "few": 71
    }  # fmt: skip
    assert split.classes["name"].to_pylist()[:2] == ["a/place_0/indoor", "b/place_1/indoor"]
    loaded = open_split(split.save(tmp_path / "s"))
    assert loaded.files == split.files
    audit = audit_split(tmp_path / "s")
    assert audit.ok, audit.broken
    assert {c.name: c.outcome for c in audit.checks}["counts equal the profile"] == "not promised"
    paths = dict(zip(*(loaded.files[name].to_pylist() for name in ("photo_id", "path")), strict=True))
    for part in loaded.parts:
        rows = loaded.part(part).slice(0, 5).to_pylist()
        published = (tmp_path / f"Places_LT_{part}.txt").read_text().splitlines()
        assert all(f"{paths[row['photo_id']]} {row['label']}" in published for row in rows)


def test_a_published_split_is_evaluated_without_a_lineage(tmp_path):
    split = import_split(write_lists(tmp_path, [120, 50, 10]))
    test = split.part("test")
    np.savez(tmp_path / "p.npz", photo_id=test["photo_id"].to_numpy(), label=np.zeros(9, int))
    found = evaluate(split, tmp_path / "p.npz")
    assert found.top1.overall.value == 1 / 3
    assert list(found.ranks) == ["category"]
    assert (found.mistake_severity, found.mistakes) == (None, 6)


def test_validation_photos_that_are_the_test_photos_are_a_leak_that_the_audit_sees(tmp_path):
    files = write_lists(tmp_path, [30, 20], "iNaturalist18")
    files[2].write_text(files[1].read_text())
    folder = import_split(files).save(tmp_path / "s")
    with pytest.raises(RecipeError, match="was imported") as caught:
        remake_split(folder, None)
    assert "iNaturalist18_val.txt" in caught.value.hint
    (check,) = audit_split(folder).broken
    assert check.name == "parts disjoint by photo"
    assert check.detail == "4 photos appear more than once"


def competition(images, categories, key="category_id"):
    rows = [{"id": i, "file_name": name, "width": 800, "height": 600} for i, (name, _) in enumerate(images)]
    return {
        "info": {},
        "images": rows,
        "annotations": [{"id": i, "image_id": i, key: c} for i, (_, c) in enumerate(images)],
        "categories": categories,
    }


IMAGES = [(f"train_val/{c}/{n}.jpg", c) for c, size in ((3, 4), (7, 2)) for n in range(size)]
YEARS = {
    "2017": [
        {"id": 3, "name": "Turdus merula", "supercategory": "Aves"},
        {"id": 7, "name": "Quercus alba", "supercategory": "Plantae"},
    ],
    "2021": [
        {
            "id": 3, "name": "Turdus merula", "common_name": "Blackbird", "supercategory": "Birds",
            "kingdom": "Animalia", "phylum": "Chordata", "class": "Aves", "order": "Passeriformes",
            "family": "Turdidae", "genus": "Turdus", "specific_epithet": "merula",
        },
        {"id": 7, "name": "Quercus alba", "kingdom": "Plantae", "supercategory": "Plants"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("year", YEARS)
def test_the_competitions_of_inaturalist_are_read(tmp_path, year):
    (tmp_path / f"train{year}.json").write_text(json.dumps(competition(IMAGES, YEARS[year])))
    val = competition([("train_val/3/90.jpg", 3), ("train_val/7/91.jpg", 7)], YEARS[year])
    (tmp_path / f"val{year}.json").write_text(json.dumps(val))
    split = import_split(sorted(tmp_path.glob("*.json")))
    assert split.parts == ("train", "val")
    assert split.class_counts == [4, 2]
    assert split.classes["scientific_name"].to_pylist() == ["Turdus merula", "Quercus alba"]
    assert list(split_stats(split).groups) == ["Aves", "Plantae"]
    assert split.part("train")["width"].to_pylist() == [800] * 6
    assert Counter(split.part("val")["label"].to_pylist()) == {0: 1, 1: 1}
    if year == "2021":
        assert split.classes.slice(0, 1).to_pylist()[0]["order"] == "Passeriformes"


def test_the_names_of_2018_come_from_its_categories(tmp_path):
    hidden = [
        {"id": 0, "name": "0", "supercategory": "Aves"},
        {"id": 1, "name": "1", "supercategory": "Fungi"},
    ]
    images = [(f"t/{c}/{n}.jpg", c) for c in (0, 1) for n in range(3)]
    (tmp_path / "train2018.json").write_text(json.dumps(competition(images, hidden)))
    names = [{"id": 0, "name": "Turdus merula", "class": "Aves"}, {"id": 1, "name": "Amanita muscaria"}]
    (tmp_path / "categories.json").write_text(json.dumps(names))
    split = import_split(tmp_path.glob("*.json"))
    assert split.name == "2018"
    assert split.classes["name"].to_pylist() == ["Turdus merula", "Amanita muscaria"]
    assert split.classes["kingdom"].to_pylist() == [None, "Fungi"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x_train.txt", "a.jpg\n", "line 1.*not `path label`"),
        ("x_train.txt", "a.jpg 0\nb.jpg -1\n", "line 2"),
        ("x_train.txt", "a/a.jpg 0\nb/b.jpg 2\n", "2 labels and none is 1"),
        ("x.txt", "a.jpg 0\n", "does not say which part"),
        ("train_val.txt", "a.jpg 0\n", "does not say which part"),
        ("train.json", "{", "not JSON"),
        ("train.json", "{}", "lacks 'images'"),
        ("train.json", '{"images": [], "annotations": [{"image_id": 1}]}', "lacks"),
        ("train.json", '{"images": 3}', "what it says is none"),
        ("categories.json", "[]", "no list of photos"),
    ],
)
def test_what_is_no_published_split_is_one_error(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SplitError, match=message):
        import_split([tmp_path / name])
    with pytest.raises(SplitError, match="cannot be read"):
        import_split([tmp_path / "nowhere_train.txt"])


def test_it_is_imported_from_the_command_line(tmp_path, monkeypatch, capsys):
    from arboretum_cli.main import app
    from arboretum_cli.printing import errors

    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path, [120, 50, 10], "ImageNet_LT")
    files = [f"ImageNet_LT_{part}.txt" for part in ("train", "val", "test")]
    assert errors.run(app, ["make-split", "--import", *files]) == 0
    assert "3 classes, 120 to 10 train photos, ratio 12; 1 many, 1 medium, 1 few" in capsys.readouterr().out
    assert open_split("splits/imagenet-lt").num_classes == 3
    assert errors.run(app, ["make-split", "--import", *files]) == 0
    assert "nothing written" in capsys.readouterr().out
    assert errors.run(app, ["make-split", *files]) == 2
    assert errors.run(app, ["make-split", "--import", files[0], "--seed", "1"]) == 2


def test_an_imported_split_is_never_downloaded(tmp_path, monkeypatch, capsys):
    from arboretum_cli.main import app
    from arboretum_cli.printing import errors

    split = import_split(write_lists(tmp_path, [120, 50, 10]))
    with pytest.raises(SplitError, match="ids are numbers of ours"):
        split.plan()
    folder = split.save(tmp_path / "split")
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry-run"]):
        assert errors.run(app, ["download", "--split", str(folder), "--images", "images", *more]) == 3
        assert "was imported" in capsys.readouterr().err
    assert not (tmp_path / "images").exists()


UNSEEN = """filenumber,scientific_name,kingdom,phylum,class,order,family,genus,species,common_name,path
11,Aix sponsa,Animalia,Chordata,Aves,Anseriformes,Anatidae,Aix,sponsa,Wood Duck,/unseen/Aves/11.jpg
12,Aix sponsa,Animalia,Chordata,Aves,Anseriformes,Anatidae,Aix,sponsa,Wood Duck,/unseen/Aves/12.jpg
13,Aix galericulata,Animalia,Chordata,Aves,Anseriformes,Anatidae,Aix,galericulata,,/unseen/Aves/13.jpg
"""
STAGES = """inat21_filename,scientificName,kingdom,phylum,class,order,family,genus,species,life_stages
21,Actias luna,Animalia,Arthropoda,Insecta,Lepidoptera,Saturniidae,Actias,luna,Adult
22,Actias luna,Animalia,Arthropoda,Insecta,Lepidoptera,Saturniidae,Actias,luna,Egg
"""
ALIKE = """path,pair,scientific_name,class_options,idx
/c/C4_Euschistus_servus/f6.jpg,C4,Euschistus servus,Euschistus servus!Halyomorpha halys,0
/c/C4_Halyomorpha_halys/91.jpg,C4,Halyomorpha halys,Euschistus servus!Halyomorpha halys,1
"""


def benchmark(folder, name, text):
    (folder / name).write_text(text)
    split = import_split([folder / name])
    split.save(folder / f"split-{name}")
    assert audit_split(folder / f"split-{name}").ok
    return split


def test_the_benchmarks_of_arboretum_are_read_as_they_were_published(tmp_path):
    unseen = benchmark(tmp_path, "unseen.csv", UNSEEN)
    assert unseen.parts == ("test",)
    assert unseen.classes["name"].to_pylist() == ["Aix sponsa", "Aix galericulata"]
    assert unseen.classes["species"].to_pylist() == ["sponsa", "galericulata"]
    assert unseen.files["path"].to_pylist()[0] == "/unseen/Aves/11.jpg"
    wrong = evaluate(unseen, np.array([1, 1, 0]))
    assert wrong.ranks["genus"].accuracy.value == 1
    assert wrong.top1.overall.value == 0

    stages = benchmark(tmp_path, "stages.csv", STAGES)
    assert stages.classes["name"].to_pylist() == ["Actias luna (adult)", "Actias luna (egg)"]
    assert stages.part("test")["life_stage"].to_pylist() == ["adult", "egg"]
    confused = evaluate(stages, np.array([1, 1]))
    assert confused.ranks["species"].accuracy.value == 1
    assert confused.ranks["life stage"].accuracy.value == 0.5

    alike = benchmark(tmp_path, "alike.csv", ALIKE)
    (pair,) = evaluate(alike, np.array([1, 1])).pairs
    assert pair.names == ("Euschistus servus", "Halyomorpha halys")
    assert pair.swapped.value == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has not the columns of a published benchmark"),
        ("path,scientific_name\n,A a\n", "line 2: a row without photo or species"),
        ("path,scientific_name,idx\nx.jpg,A a,one\n", "line 2: .* bad idx"),
    ],
)
def test_what_is_no_benchmark_is_one_error(tmp_path, text, message):
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(SplitError, match=message):
        import_split([tmp_path / "b.csv"])


def test_photos_of_a_published_benchmark_are_kept_out(tmp_path):
    from arboretum_tools.split.drawing.exclusion import read_exclusion

    for name, text in (("unseen.csv", UNSEEN), ("stages.csv", STAGES), ("alike.csv", ALIKE)):
        (tmp_path / name).write_text(text)
    assert read_exclusion(tmp_path / "unseen.csv").photos == (11, 12, 13)
    assert read_exclusion(tmp_path / "stages.csv").photos == (21, 22)
    with pytest.raises(RecipeError, match="names photos by UUID alone"):
        read_exclusion(tmp_path / "alike.csv")


LISTS = "a/1.jpg 0\na/2.jpg 0\nb/3.jpg 1\n"
TWO_IMAGES = [{"id": 1, "file_name": "a/1.jpg"}, {"id": 2, "file_name": "b/2.jpg"}]
TWO_ANNOTATIONS = [{"image_id": 1, "category_id": 0}, {"image_id": 2, "category_id": 1}]
TABLE = "scientific_name,path,idx\n"
HOSTILE = {
    "no photo": ({"train.txt": "\n\n"}, "no photo is listed in train.txt"),
    "a table of no photo": ({"test.csv": TABLE}, "no photo is listed"),
    "a label of 5,000 digits": ({"train.txt": f"a/1.jpg {'9' * 5000}\n"}, "is not `path label`"),
    "a label beyond 32 bits": ({"train.txt": "a/1.jpg 2147483648\n"}, "is not `path label`"),
    "a label beyond 64 bits": ({"test.csv": f"{TABLE}A b,1.jpg,{10**20}\n"}, "line 2: a row without"),
    "a field without an end": (
        {"test.csv": f"{TABLE}A b,{'x' * 200_000},0\n"},
        "cannot be read: field larger",
    ),
    "no images": ({"train.json": {"images": None}}, "what it says is none: 'NoneType' object is not"),
    "an image that is none": (
        {"train.json": {"images": TWO_IMAGES[:1], "annotations": TWO_ANNOTATIONS, "categories": []}},
        "it lacks 2",
    ),
    "half a character": (
        {"train.json": {"images": [{"id": 1, "file_name": "\ud800"}], "annotations": TWO_ANNOTATIONS[:1]}},
        "is no text: .*ud800",
    ),
    "half a character in a name": (
        {"train.txt": LISTS, "categories.json": [{"id": 0, "name": "A\udfff"}]},
        "is no text: .*udfff",
    ),
    **{
        f"the category {value}": ({"train.txt": LISTS, "categories.json": [{"id": value}]}, "is not a label")
        for value in ("x", None, [1], 1e300, -1, float("inf"))
    },
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_values_are_one_error(tmp_path, what):
    files, message = HOSTILE[what]
    for name, content in files.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(SplitError, match=message):
        import_split([tmp_path / name for name in files])


def test_paths_from_the_root_and_others_share_no_folder(tmp_path):
    (tmp_path / "train.txt").write_text("/a/1.jpg 0\nb/2.jpg 1\n")
    assert import_split([tmp_path / "train.txt"]).classes["name"].to_pylist() == ["/a", "b"]
