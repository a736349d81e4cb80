"""The drawn photos: of the right size and format, distinct, repeatable, and alike within a species."""

import csv
import io
import re
import time

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from arboretum_metadata import sample
from arboretum_metadata.vocab import GROUPS, PHOTO_SIZES
from arboretum_tools.testing import drawing
from arboretum_tools.testing.drawing.canvas import Dice
from arboretum_tools.testing.drawing.figures import figures
from arboretum_tools.testing.drawing.looks import _table, traits
from arboretum_tools.testing.subjects import UNNAMED, Photo, Subject

ROBIN = Photo(
    Subject("Erithacus rubecula", "Aves", "Aves", "Passeriformes", "Muscicapidae"), "jpg", 2048, 1536
)

ORDERS = {
    "Aves": ["Passeriformes", "Anseriformes", "Pelecaniformes", "Strigiformes", "Accipitriformes"],
    "Insecta": ["Lepidoptera", "Odonata", "Hymenoptera", "Orthoptera", "Coleoptera"],
    "Arachnida": ["Araneae", "Scorpiones", "Opiliones", "Ixodida"],
    "Reptilia": ["Testudines", "Squamata", "Crocodylia"],
    "Plantae": ["Asterales", "Fagales"],
    "Fungi": ["Agaricales", "Polyporales"],
    "Mollusca": ["Stylommatophora"],
}
CLASSES = {
    "Plantae": ["Magnoliopsida", "Pinopsida"],
    "Fungi": ["Agaricomycetes", "Lecanoromycetes"],
    "Mollusca": ["Gastropoda", "Bivalvia", "Cephalopoda"],
}
FAMILIES = {"Reptilia": ["", "Viperidae"], "Mollusca": ["", "Limacidae"]}
SUBJECTS = [
    Subject("Genus species", group, class_name, order, family)
    for group in GROUPS
    for class_name in CLASSES.get(group, [group])
    for order in ORDERS[group]
    for family in FAMILIES.get(group, [""])
]


def opened(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


@pytest.mark.parametrize(
    "subject", SUBJECTS, ids=lambda s: f"{s.group}-{s.class_name}-{s.order}-{s.family}".rstrip("-")
)
def test_every_build_of_every_group_is_drawn_on_its_surroundings(subject):
    photo = Photo(subject, "jpg", 800, 600)
    image = drawing.draw(photo, 5, "thumb")
    other = drawing.draw(
        Photo(Subject("Aliud nomen", subject.group, subject.class_name, subject.order), "jpg", 800, 600),
        5,
        "thumb",
    )
    assert image.size == (100, 75)
    assert min(ImageStat.Stat(image).stddev) > 8
    assert ImageChops.difference(image, other).getbbox() is not None


@pytest.mark.parametrize(
    ("ext", "image_format"),
    [("jpg", "JPEG"), ("jpeg", "JPEG"), ("png", "PNG"), ("gif", "GIF"), ("webp", "WEBP")],
)
def test_the_extension_gives_the_format(ext, image_format):
    assert opened(drawing.render(ROBIN, 1, "thumb", ext)).format == image_format


@pytest.mark.parametrize("size", [size for size in PHOTO_SIZES if size != "square"])
def test_the_long_edge_is_that_of_the_size(size):
    assert opened(drawing.render(ROBIN, 1, size, "jpg")).size == (
        PHOTO_SIZES[size],
        PHOTO_SIZES[size] * 3 // 4,
    )


def test_square_is_cropped_and_portrait_stays_portrait():
    assert opened(drawing.render(ROBIN, 1, "square", "jpg")).size == (75, 75)
    upright = Photo(ROBIN.subject, "jpg", 1536, 2048)
    assert opened(drawing.render(upright, 1, "small", "jpg")).size == (180, 240)


def test_an_extreme_shape_still_has_both_sides():
    assert min(drawing.draw(Photo(ROBIN.subject, "jpg", 1, 30_000), 1, "square").size) == 75
    assert drawing.draw(Photo(ROBIN.subject, "jpg", 1, 30_000), 1, "thumb").size == (1, 100)


def test_one_photo_has_the_same_bytes_each_time_and_two_never():
    assert drawing.render(ROBIN, 1, "small", "jpg") == drawing.render(ROBIN, 1, "small", "jpg")
    assert len({drawing.render(ROBIN, photo_id, "thumb", "jpg") for photo_id in range(300)}) == 300


def test_a_photo_of_an_unknown_thing_is_drawn_too():
    assert opened(drawing.render(Photo(UNNAMED, "jpg"), 12, "small", "jpg")).format == "JPEG"


def test_photos_of_one_species_share_its_colours():
    cardinal = Photo(
        Subject("Cardinalis cardinalis", "Aves", "Aves", "Passeriformes", "Cardinalidae"), "jpg", 800, 600
    )
    raven = Photo(Subject("Corvus corax", "Aves", "Aves", "Passeriformes", "Corvidae"), "jpg", 800, 600)

    def redness(photo, photo_id):
        pixels = drawing.draw(photo, photo_id, "thumb").crop((30, 15, 70, 60)).resize((20, 20)).tobytes()
        channels = zip(pixels[0::3], pixels[1::3], pixels[2::3], strict=True)
        return sum(red > 1.8 * green and red > 1.8 * blue for red, green, blue in channels)

    for photo_id in range(20):
        assert redness(cardinal, photo_id) > 40 + redness(raven, photo_id)


MONARCH = Subject("Danaus plexippus", "Insecta", "Insecta", "Lepidoptera", "Nymphalidae")
LADY_BEETLE = Subject("Coccinella septempunctata", "Insecta", "Insecta", "Coleoptera", "Coccinellidae")


def middle_of(subject, photo_id):
    """Colours of the middle of a photo, where the figure is."""
    pixels = (
        drawing.draw(Photo(subject, "jpg", 800, 600), photo_id, "small").crop((85, 55, 155, 125)).tobytes()
    )
    return list(zip(pixels[0::3], pixels[1::3], pixels[2::3], strict=True))


def test_a_monarch_is_orange_with_black():
    for photo_id in range(20):
        pixels = middle_of(MONARCH, photo_id)
        orange = sum(r > 1.3 * g and g > 1.3 * b for r, g, b in pixels)
        black = sum(max(pixel) < 75 for pixel in pixels)
        blue = sum(b > r for r, g, b in pixels)
        assert orange > 0.3 * len(pixels)
        assert black > 0.03 * len(pixels)
        assert orange > 1.5 * blue  # of the surroundings


def test_a_lady_beetle_is_red_with_dark_spots():
    for photo_id in range(20):
        pixels = middle_of(LADY_BEETLE, photo_id)
        red = sum(r > 1.8 * g and r > 1.8 * b for r, g, b in pixels)
        dark = sum(max(pixel) < 75 for pixel in pixels)
        assert red > 0.25 * len(pixels)
        assert dark > 0.05 * len(pixels)


def test_species_of_the_sample_are_told_apart_on_photos_not_seen():
    with (sample.catalog_path().parent / "species.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["photos"]) >= 20]
    groups = {group.name for group in GROUPS.values()}
    species = [
        Subject(
            row["scientific_name"],
            next(row[rank] for rank in ("class", "phylum", "kingdom") if row[rank] in groups),
            row["class"],
            row["order"],
            row["family"],
        )
        for row in rows
    ]

    def features(subject, photo_id):
        image = drawing.draw(Photo(subject, "jpg", 800, 600), photo_id, "thumb").crop((20, 8, 80, 68))
        flipped = ImageOps.mirror(image)
        both = ImageChops.add(image, flipped, scale=2)
        coarse = np.asarray(both.resize((6, 6)), dtype=float).ravel()
        cells = np.asarray(image) // 52
        codes = (cells[..., 0] * 25 + cells[..., 1] * 5 + cells[..., 2]).ravel()
        return np.concatenate([coarse / 40, np.sqrt(np.bincount(codes, minlength=125))])

    centroids = [
        np.mean([features(s, 100 * i + k) for k in range(12)], axis=0) for i, s in enumerate(species)
    ]
    hits = []
    for i, s in enumerate(species):
        for k in range(4):
            seen = features(s, 50_000 + 100 * i + k)
            hits.append(int(np.argmin([np.abs(seen - c).sum() for c in centroids])) == i)
    assert len(species) > 50
    # Chance is below 2 %; pose, light and ground differ from photo to photo, so a centroid is not perfect.
    assert np.mean(hits) > 0.4, np.mean(hits)


def test_a_taxon_that_the_table_does_not_know_has_a_look_of_its_own():
    unlisted = [
        Subject(f"Genus species{number}", "Insecta", "Insecta", "Lepidoptera", "Nymphalidae")
        for number in range(30)
    ]
    looks = {traits(subject).colour("wing") for subject in unlisted}
    assert len(looks) == 30


def words_of(figure):
    """Every name in the statements of a figure."""
    statements = figures()[figure]
    texts = [text for one in statements for text in (*one.words, *one.options.values())]
    return set(re.findall(r"(?<!#)\b[a-z_]+\b", " ".join(texts)))


def test_the_table_names_figures_colours_and_numbers_that_are_drawn():
    drawn = set().union(*map(words_of, figures()))
    for taxon, (figure, colours, build) in _table().items():
        assert traits(Subject(taxon)).figure in figures()
        named = {word.partition("=")[0] for word in f"{colours} {build}".split()}
        # These are of the taxon as a whole.
        named -= {"hue_from", "hue_to", "swing"}
        assert named <= (words_of(figure) if figure else drawn), taxon


def test_the_figures_name_nothing_that_is_neither_declared_nor_in_the_table():
    known = {word.partition("=")[0] for row in _table().values() for word in f"{row[1]} {row[2]}".split()}
    for figure, statements in figures().items():
        kinds = ("let", "whole", "roll", "set", "colour")
        declared = {key for one in statements if one.kind in kinds for key in one.options}
        frames = {one.words[0] for one in statements if one.kind == "frame"}
        assert words_of(figure) <= known | declared | frames | {*"xyisuwkcr", "spine", "moss"}, figure


def test_drawing_is_quick():
    drawing.render(ROBIN, 0, "small", "jpg")
    started = time.process_time()
    for photo_id in range(40):
        drawing.render(ROBIN, photo_id, "small", "jpg")
    # About 2 ms per photo on a slow core; the bound leaves room for a busy machine.
    assert (time.process_time() - started) / 40 < 0.02


def test_dice_give_the_same_numbers_everywhere():
    dice = Dice("vector", 1)
    assert [round(dice.number(), 4) for _ in range(3)] == [0.4451, 0.9261, 0.9824]
    assert all(0 <= dice.number() < 1 for _ in range(200))
