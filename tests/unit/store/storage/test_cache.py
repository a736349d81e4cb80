"""What was read from object storage, kept on this machine within a bound."""

import os
import pickle
import sys
import time

import pytest

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.store import open_store
from arboretum_tools.store.storage.cache import Cache


def test_a_piece_is_given_back_for_its_own_version_and_place_alone(tmp_path):
    cache = Cache(tmp_path / "cache")
    assert cache.piece("a 1", 512, 3) is None
    cache.keep_piece("a 1", 512, b"abc")
    assert cache.piece("a 1", 512, 3) == b"abc"
    for version, offset, size in (("a 2", 512, 3), ("a 1", 0, 3), ("a 1", 512, 2)):
        assert cache.piece(version, offset, size) is None
    assert pickle.loads(pickle.dumps(cache)).piece("a 1", 512, 3) == b"abc"


def test_a_whole_object_is_fetched_once_under_its_name(tmp_path):
    cache, fetched = Cache(tmp_path), []

    def fetch(path):
        fetched.append(path)
        path.write_bytes(b"rows")

    first = cache.file("a 1", "shard-000007.parquet", fetch)
    assert cache.file("a 1", "shard-000007.parquet", fetch) == first
    assert (first.name, first.read_bytes(), len(fetched)) == ("shard-000007.parquet", b"rows", 1)
    assert cache.file("a 2", "shard-000007.parquet", fetch) != first


def test_what_was_not_fetched_whole_is_not_kept(tmp_path):
    def fetch(path):
        path.write_bytes(b"half")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        Cache(tmp_path).file("a", "shard-000000.parquet", fetch)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_was_used_longest_ago_goes_first_and_whole_files_in_use_stay(tmp_path):
    cache = Cache(tmp_path)
    index = cache.file("index", "shard-000000.parquet", lambda path: path.write_bytes(bytes(600)))
    old = cache.file("old", "shard-000001.parquet", lambda path: path.write_bytes(bytes(600)))
    now = time.time()
    os.utime(index, (now - 1_000, now - 1_000))
    os.utime(old, (now - 100_000, now - 100_000))
    for number in range(4):
        cache.keep_piece("images", number, bytes(90))
        (piece,) = tmp_path.rglob(f"{number}-90")
        os.utime(piece, (now - 100 + number, now - 100 + number))
    assert cache.piece("images", 0, 90) is not None  # used just now
    Cache(tmp_path, 800).trim()
    assert (index.exists(), old.exists()) == (True, False)
    assert [cache.piece("images", number, 90) is not None for number in range(4)] == [
        True,
        False,
        False,
        True,
    ]


def test_a_cache_of_no_bytes_keeps_no_pieces(tmp_path):
    Cache(tmp_path).keep_piece("a", 0, b"abc")
    cache = Cache(tmp_path, 0)
    cache.keep_piece("b", 0, b"abc")
    assert cache.piece("a", 0, 3) is cache.piece("b", 0, 3) is None


def test_the_environment_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBORETUM_CACHE", str(tmp_path))
    monkeypatch.setenv("ARBORETUM_CACHE_BYTES", "5000")
    assert Cache.of_user() == Cache(tmp_path, 5_000)
    monkeypatch.delenv("ARBORETUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert str(Cache.of_user().folder) == "/var/cache/arboretum"
    monkeypatch.setenv("ARBORETUM_CACHE_BYTES", "5 GB")
    with pytest.raises(UsageError, match="not a number of bytes"):
        Cache.of_user()


def test_without_the_extra_an_address_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(BadInputError, match="s3://bucket/images is object storage") as caught:
        open_store("s3://bucket/images")
    assert ".[cloud]" in caught.value.hint
