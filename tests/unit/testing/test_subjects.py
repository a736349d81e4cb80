"""What the origin server knows of a catalogue."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import FIRST_PHOTO_ID, catalog_path
from arboretum_tools.errors import CatalogError
from arboretum_tools.testing.subjects import Subject, read_subjects


def written(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_the_sample_is_known_photo_by_photo():
    subjects = read_subjects(catalog_path())
    rows = pq.read_table(catalog_path() / "photos.parquet").to_pylist()
    assert len(subjects) == len({row["photo_id"] for row in rows})
    for row in rows[:50]:
        photo = subjects.find(row["photo_id"])
        assert photo is not None
        assert photo.subject.name == row["scientific_name"]
        assert (photo.ext, photo.width, photo.height) == (row["ext"], row["width"] or 0, row["height"] or 0)


@pytest.mark.parametrize("photo_id", [0, -5, 1, FIRST_PHOTO_ID - 1, 2**63, 10**30])
def test_an_id_that_is_no_photo_is_not_found(photo_id):
    assert read_subjects(catalog_path()).find(photo_id) is None


def test_both_spellings_and_the_extension_of_the_address_are_read(tmp_path):
    path = written(
        tmp_path / "a.parquet",
        photo_id=[7],
        scientificName=["Argiope bruennichi"],
        kingdom=["Animalia"],
        **{"class": ["Arachnida"], "order": ["Araneae"]},
        photo_url=["http://example.org/photos/7/medium.JPG"],
    )
    photo = read_subjects(path).find(7)
    assert photo is not None
    assert photo.ext == "JPG"
    assert photo.subject == Subject("Argiope bruennichi", "Arachnida", "Arachnida", "Araneae", "")


def test_files_of_a_folder_are_read_together_and_others_left_out(tmp_path):
    written(tmp_path / "one" / "a.parquet", photo_id=[3, 1], scientific_name=["A a", "B b"])
    written(tmp_path / "b.parquet", photo_id=[2], scientific_name=["C c"], ext=["png"])
    written(tmp_path / "taxa.parquet", taxon_id=[1])
    subjects = read_subjects(tmp_path)
    found = [subjects.find(photo_id) for photo_id in (1, 2, 3)]
    assert [(photo.subject.name, photo.ext) for photo in found if photo] == [
        ("B b", "jpg"),
        ("C c", "png"),
        ("A a", "jpg"),
    ]


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(CatalogError, match="no Parquet file with a photo_id column"):
        read_subjects(tmp_path)


def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(CatalogError, match=r"broken\.parquet cannot be read"):
        read_subjects(tmp_path)
