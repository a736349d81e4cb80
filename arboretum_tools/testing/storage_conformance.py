"""What every storage of a store does, as a test class: subclass it and give it a fixture `filled`.

class TestFolder(StorageTests):
@pytest.fixture
def filled(self, tmp_path):
for name, data in FILES.items(): ...
return Folder(tmp_path)
"""

from __future__ import annotations

import pickle
import re

import pytest

from arboretum_tools.errors import StoreError
from arboretum_tools.store.storage import Storage
from arboretum_tools.store.storage.lock import ALONE, Task

#: What the fixture `filled` holds: a tar (in name), an index, a plan, and what a store says of itself.
FILES = {
    "shard-000000.tar": bytes(range(256)) * 1_000,
    "shard-000000.parquet": b"rows",
    "requests/0123456789ab.json": b"{}",
    "store.json": b'{"size": "medium"}',
}

_TAR, _DATA = "shard-000000.tar", FILES["shard-000000.tar"]
_PLACES = [(1_024, 5_000), (100_000, 1), (200_000, 30_000)]


class StorageTests:
    """Names, whole files, pieces of files, what is not there; what is put, and who may."""

    def test_files_are_found_by_name(self, filled: Storage) -> None:
        """Files are found by name."""
        assert sorted(filled.names(re.compile(r"shard-.*"))) == ["shard-000000.parquet", _TAR]
        assert filled.names(re.compile(r".*\.json"), "requests") == ["0123456789ab.json"]
        assert filled.names(re.compile(r".*\.json")) == ["store.json"]
        assert filled.names(re.compile(".*"), "elsewhere") == []
        assert filled.exists()
        assert filled.holds_anything()
        assert filled.holds_anything(but=("shard",))
        assert not filled.holds_anything(but=("shard", "store", "requests"))

    @pytest.mark.parametrize("name", FILES)
    def test_a_file_is_read_whole(self, filled: Storage, name: str) -> None:
        """A file is read whole."""
        assert filled.has(name)
        assert filled.read(name) == FILES[name]
        assert filled.size(name) == len(FILES[name])
        assert filled.version(name) == filled.version(name) != ""
        (path,) = filled.local([name])
        assert path.read_bytes() == FILES[name]
        assert path.name == name.rpartition("/")[2]
        assert filled.where(name).startswith(filled.location)

    def test_what_is_not_there_is_not_found(self, filled: Storage) -> None:
        """What is not there is not found."""
        assert not filled.has("shard-000009.tar")
        assert not filled.has("requests")
        for ask in (filled.read, filled.size, filled.version):
            with pytest.raises(FileNotFoundError):
                ask("shard-000009.tar")
        with pytest.raises(FileNotFoundError):
            filled.open("shard-000009.tar").read(0, 1)

    def test_pieces_of_a_file_are_read(self, filled: Storage) -> None:
        """Pieces of a file are read."""
        file = filled.open(_TAR)
        assert list(file.read(512, 512, 10)) == [_DATA[512:1_024], _DATA[1_024:1_034]]
        expected = [(_DATA[at - 512 : at], _DATA[at : at + size]) for at, size in _PLACES]
        assert list(file.read_many(_PLACES, 512)) == expected
        assert list(file.read_many([], 512)) == []

    def test_pieces_are_read_into_memory(self, filled: Storage) -> None:
        """Pieces are read into memory."""
        before, into = bytearray(512), [memoryview(bytearray(size)) for _, size in _PLACES]
        reads = filled.open(_TAR).read_into(_PLACES, before, into)
        for (at, size), memory, read in zip(_PLACES, into, reads, strict=True):
            assert read == 512 + size
            assert (bytes(before), bytes(memory)) == (_DATA[at - 512 : at], _DATA[at : at + size])

    def test_a_file_that_ends_too_soon_gives_less(self, filled: Storage) -> None:
        """A file that ends too soon gives less."""
        file, end = filled.open(_TAR), len(_DATA)
        assert list(file.read(end - 512, 512, 100)) == [_DATA[-512:], b""]
        assert list(file.read_many([(end - 10, 100)], 512)) == [(_DATA[-522:-10], _DATA[-10:])]
        memory = memoryview(bytearray(100))
        assert list(file.read_into([(end - 10, 100)], bytearray(512), [memory])) == [522]
        assert list(file.read(end + 512, 512, 100)) == [b"", b""]

    def test_what_is_put_is_whole_and_stays_what_it_is(self, filled: Storage) -> None:
        """What is put is whole and stays what it is."""
        with filled.lock(ALONE, print) as (held, _):
            for name, data in (("shard-000001.tar", b"images"), ("requests/00112233aabb.parquet", b"rows")):
                file = held.scratch / f".{name.rpartition('/')[2]}"
                file.write_bytes(data)
                held.put(file, name)
                assert (held.read(name), held.size(name)) == (data, len(data))
                assert filled.fresh().read(name) == data
            assert held.reserve(2, 1) == 2
            assert list(held.left_behind()) == []
            assert held.version("shard-000001.tar") != held.version("shard-000000.tar")
            held.remove("shard-000001.tar")
            held.remove("shard-000001.tar")
            assert not held.has("shard-000001.tar")

    def test_one_writes_at_a_time(self, filled: Storage) -> None:
        """One writes at a time."""
        with filled.lock(ALONE, print):
            for task in (ALONE, Task(0, 2)):
                with (
                    pytest.raises(StoreError, match="another command writes into"),
                    filled.lock(task, print),
                ):
                    pass
        with filled.lock(Task(0, 2), print) as (_, let_in):
            if let_in is not None:
                let_in()
            with filled.lock(Task(1, 2), print):
                pass
            for task in (ALONE, Task(0, 2), Task(0, 3)):
                with (
                    pytest.raises(StoreError, match="another command writes into"),
                    filled.lock(task, print),
                ):
                    pass

    def test_it_goes_to_other_processes(self, filled: Storage) -> None:
        """It goes to other processes."""
        other = pickle.loads(pickle.dumps(filled))  # noqa: S301 - our own bytes
        assert other.location == filled.location
        assert other.read("store.json") == FILES["store.json"]
