"""The folder as a storage, by the tests that every storage passes; and what only a folder can be."""

import re

import pytest

from arboretum_tools.errors import StoreError
from arboretum_tools.store import ImageStore
from arboretum_tools.store.storage import storage_at
from arboretum_tools.store.storage.folder import Folder
from arboretum_tools.testing.storage_conformance import FILES, StorageTests


class TestFolder(StorageTests):
    @pytest.fixture
    def filled(self, tmp_path):
        for name, data in FILES.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(data)
        return storage_at(tmp_path)


def test_a_file_is_put_whole_and_is_gone_from_where_it_was(tmp_path):
    folder, file = Folder(tmp_path), tmp_path / ".index.partial-1"
    file.write_bytes(b"rows")
    folder.put(file, "requests/0123456789ab.parquet")
    assert not file.exists()
    assert folder.read("requests/0123456789ab.parquet") == b"rows"
    folder.remove("requests/0123456789ab.parquet")
    folder.remove("requests/0123456789ab.parquet")
    assert folder.names(re.compile(".*"), "requests") == []


def test_nothing_is_put_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "requests").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_bytes(b"rows")
    with pytest.raises(StoreError, match="symbolic link"):
        Folder(tmp_path / "store").put(tmp_path / "file", "requests/0123456789ab.json")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_has_the_name_of_a_file_and_is_none_is_refused(tmp_path):
    (tmp_path / "shard-000000.tar").mkdir()
    with pytest.raises(StoreError, match="not a regular file"):
        Folder(tmp_path).names(re.compile(r"shard-.*"))
    assert Folder(tmp_path).names(re.compile(r"store.*")) == []


def test_a_store_means_the_same_place_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path.relative_to(tmp_path) / "images")
    assert folder.location == "images"
    assert folder.absolute() == str(tmp_path / "images")
    with pytest.raises(StoreError, match="images is not an image store"):
        ImageStore.open(folder)
