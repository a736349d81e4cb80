import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import SelectionError
from arboretum_tools.photos.photo_ids import PhotoIds, read_observation_ids, read_photo_ids


def test_equal_sets_are_equal_whatever_their_order():
    assert PhotoIds.of([3, 1, 2, 2]) == PhotoIds.of(pa.array([1, 2, 3]))
    assert PhotoIds.of([3, 1, 2]).array.to_pylist() == [1, 2, 3]
    assert PhotoIds.of([1]) != PhotoIds.of([2])
    assert len(PhotoIds.of([])) == 0


@pytest.mark.parametrize("bad", [[0], [-5], [2**63], ["x"]])
def test_what_is_no_photo_id_is_refused(bad):
    with pytest.raises(SelectionError, match="photo ids"):
        PhotoIds.of(bad)


def test_every_kind_of_file_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("3\n1\n\n2\n")
    (tmp_path / "a.csv").write_text("name,photo_id\nx,3\ny,1\nz,2\n")
    pq.write_table(pa.table({"photo_id": [3, 1, 2], "x": [0, 0, 0]}), tmp_path / "a.parquet")
    for path in tmp_path.iterdir():
        assert read_photo_ids(path).array.to_pylist() == [1, 2, 3]


def test_a_bad_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("1\n2\n3x\n")
    with pytest.raises(SelectionError, match=r"line 3.*3x") as caught:
        read_photo_ids(path)
    assert "one id a line" in caught.value.hint


def test_a_file_that_is_none_is_one_error(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"not parquet")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"photo_id": ["1x"]}), tmp_path / "c.parquet")
    for name in ("a.parquet", "b.parquet", "c.parquet", "none.txt"):
        with pytest.raises(SelectionError, match=name):
            read_photo_ids(tmp_path / name)


def test_a_whole_number_with_a_decimal_point_is_an_id(tmp_path):
    (tmp_path / "a.csv").write_text("photo_id\n12345.0\n7\n")
    pq.write_table(pa.table({"photo_id": [12345.0, 7.0]}), tmp_path / "a.parquet")
    for path in tmp_path.iterdir():
        assert read_photo_ids(path).array.to_pylist() == [7, 12345]


def test_numbers_that_lost_digits_are_all_listed(tmp_path):
    (tmp_path / "a.txt").write_text("12345.6\n1\n1.23457E+08\n")
    pq.write_table(pa.table({"photo_id": [12345.6, 1.0, None]}), tmp_path / "a.parquet")
    with pytest.raises(SelectionError, match=r"line 1: '12345.6'; line 3: '1.23457E\+08'"):
        read_photo_ids(tmp_path / "a.txt")
    with pytest.raises(SelectionError, match=r"row 1: '12345.6'; row 3: 'None'"):
        read_photo_ids(tmp_path / "a.parquet")


BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"
NAMED = [
    "1",
    f"{BUCKET}/2/original.jpg",
    "https://static.inaturalist.org/photos/3/medium.jpeg?154536",
    "s3://inaturalist-open-data/photos/4/original.png",
    "https://www.inaturalist.org/photos/5",
    "http://inaturalist.org/photos/6?size=original",
]


def test_pages_and_addresses_name_photos(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(NAMED))
    (tmp_path / "b.csv").write_text("name;image_url\n" + "".join(f"x;{one}\n" for one in NAMED))
    (tmp_path / "c.csv").write_text("photo_url,name\r\n" + "".join(f"{one},x\r\n" for one in NAMED))
    (tmp_path / "d.tsv").write_text("url\tname\n" + "".join(f"{one}\tx\n" for one in NAMED))
    pq.write_table(pa.table({"url": NAMED}), tmp_path / "e.parquet")
    (tmp_path / "f.csv").write_text(f"photo_id,image_url\n1,{BUCKET}/9/x.jpg\n")  # the id goes first
    found = {path.name: read_photo_ids(path).array.to_pylist() for path in tmp_path.iterdir()}
    assert found.pop("f.csv") == [1]
    assert set(found) == {"a.txt", "b.csv", "c.csv", "d.tsv", "e.parquet"}
    assert all(ids == [1, 2, 3, 4, 5, 6] for ids in found.values())


@pytest.mark.parametrize(
    "address",
    [
        "https://museum.example/photos/55/large.jpg",
        "https://museum.example/?u=https://static.inaturalist.org/photos/56/large.jpg",
        "https://www.inaturalist.org/observations/57",
        "https://inaturalist.org.example/photos/58",
    ],
)
def test_an_address_of_another_host_names_no_photo(tmp_path, address):
    (tmp_path / "a.txt").write_text(f"{BUCKET}/2/original.jpg\n{address}\n")
    with pytest.raises(SelectionError, match="line 2: 'https"):
        read_photo_ids(tmp_path / "a.txt")


def test_any_column_is_named_behind_the_file(tmp_path):
    (tmp_path / "a.csv").write_text("photo_id,mine\n1,8\n2,https://www.inaturalist.org/photos/9\n")
    pq.write_table(pa.table({"photo_id": [1, 2], "mine": [8, 9]}), tmp_path / "a.parquet")
    (tmp_path / "b:mine").write_text("5\n")
    for name in ("a.csv", "a.parquet"):
        assert list(read_photo_ids(f"{tmp_path / name}:mine")) == [8, 9]
        with pytest.raises(SelectionError, match="has no column yours") as caught:
            read_photo_ids(f"{tmp_path / name}:yours")
        assert "photo_id, mine" in caught.value.hint
    assert list(read_photo_ids(tmp_path / "b:mine")) == [5]
    (tmp_path / "c.csv").write_text("mine\n1\nx\n")
    with pytest.raises(SelectionError, match=r"line 3: 'x': not a photo id"):
        read_photo_ids(f"{tmp_path / 'c.csv'}:mine")


PAGES = [
    "11",
    "https://www.inaturalist.org/observations/12",
    "https://uk.inaturalist.org/observations/13?locale=en",
]


@pytest.mark.parametrize("column", ["observation_id", "url", "occurrenceID", "id"])
def test_observations_are_named_by_id_and_page(tmp_path, column):
    (tmp_path / "a.csv").write_text(f"name,{column}\n" + "".join(f"x,{one}\n" for one in PAGES))
    pq.write_table(pa.table({column: PAGES}), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("\n".join(PAGES))
    for path in tmp_path.iterdir():
        assert list(read_observation_ids(path)) == [11, 12, 13]


def test_a_photo_is_no_observation_and_the_other_way_round(tmp_path):
    (tmp_path / "a.txt").write_text("https://www.inaturalist.org/photos/5\n")
    (tmp_path / "b.txt").write_text("https://www.inaturalist.org/observations/5\n")
    with pytest.raises(SelectionError, match="not an observation id"):
        read_observation_ids(tmp_path / "a.txt")
    with pytest.raises(SelectionError, match="not a photo id"):
        read_photo_ids(tmp_path / "b.txt")
