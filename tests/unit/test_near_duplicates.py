"""What is taken for nearly the same, and what is not. No threshold was chosen on these drawings."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from arboretum_tools.near_duplicates import near_duplicate_pairs
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.store import ImageStore
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.copies import HOW, KINDS, copies


@pytest.fixture
def pairs_of(tmp_path):
    def found(photos):
        with StoreWriter.create(tmp_path / "images", StoreConfig(size="small")) as writer:
            for photo_id, data in photos.items():
                writer.add_image(photo_id, data)
        pairs = near_duplicate_pairs(ImageStore.open(tmp_path / "images"), PhotoIds.of(photos))
        return {*zip(pairs["photo_id"].to_pylist(), pairs["other_id"].to_pylist(), strict=True)}

    return found


def bird(corners, *, exposure=1.0):
    """One bird before a background that goes from one color to another, down and to the right."""
    weight = np.mgrid[:240, :240].sum(0)[..., None] / 480
    pixels = (1 - weight) * corners[0] + weight * np.array(corners[1])
    image = Image.fromarray(pixels.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    pen.ellipse((70, 90, 160, 150), fill=(150, 70, 40))
    pen.ellipse((140, 70, 180, 110), fill=(40, 40, 40))
    pen.polygon([(80, 110), (30, 160), (90, 140)], fill=(90, 60, 40))
    pen.polygon([(178, 86), (200, 92), (178, 98)], fill=(240, 160, 20))
    out = io.BytesIO()
    bright = np.clip(np.asarray(image, np.float32) * exposure, 0, 255)
    Image.fromarray(bright.astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def test_a_bird_before_another_background_is_another_photo(pairs_of):
    meadow, dusk = ((200, 220, 120), (90, 140, 60)), ((90, 110, 180), (220, 200, 220))
    assert pairs_of({1: bird(meadow), 2: bird(dusk), 3: bird(meadow, exposure=0.8)}) == {(1, 3)}


def test_of_two_birds_of_one_outline_the_paler_one_is_another(pairs_of):
    """Their correlation is 1."""
    sky = Image.new("RGB", (240, 240), (150, 180, 220))
    photos = {}
    for photo_id, grey in ((1, 30), (2, 110)):
        image = sky.copy()
        ImageDraw.Draw(image).polygon(
            [(90, 120), (120, 105), (150, 125), (122, 118)], fill=(grey, grey, grey)
        )
        out = io.BytesIO()
        image.save(out, "JPEG", quality=92)
        photos[photo_id] = out.getvalue()
    assert pairs_of(photos) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_found(kind, pairs_of):
    picture = KINDS[kind](2001)
    pairs = pairs_of({1: picture} | dict(enumerate(copies(picture, 2001).values(), start=2)))
    assert len([pair for pair in pairs if pair[0] == 1]) >= 0.8 * len(HOW)
