"""Our tar entries are read by everyone else's readers."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.store import StoreConfig, StoreWriter
from arboretum_tools.store.shards import tar

names = st.text(
    st.characters(codec="ascii", exclude_characters="\0/", exclude_categories=("Cc",)),
    min_size=1,
    max_size=100,
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.tuples(names, st.binary(max_size=1100)), max_size=5))
def test_tarfile_reads_what_we_write(members):
    whole = b"".join(tar.header(n, len(b)) + b + tar.padding(len(b)) for n, b in members) + tar.END
    assert len(whole) == sum(tar.entry_bytes(len(b)) for _, b in members) + len(tar.END)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        # tarfile drops slashes at the end of a name; there are none here.
        assert [(m.name, archive.extractfile(m).read()) for m in archive] == members
        assert {(m.mode, m.uid, m.gid, m.mtime, m.type) for m in archive} <= {(0o644, 0, 0, 0, b"0")}


@settings(deadline=None, derandomize=True, max_examples=100)
@given(names, st.integers(0, tar.MAX_SIZE))
def test_a_header_says_the_name_and_size_that_were_put_in(name, size):
    assert tar.parse(tar.header(name, size)) == (name, size)


def test_headers_that_tarfile_writes_are_read():
    info = tarfile.TarInfo("123.jpg")
    info.size, info.mtime, info.uname = 4711, 1_700_000_000, "someone"
    assert tar.parse(info.tobuf(tarfile.USTAR_FORMAT)) == ("123.jpg", 4711)


@pytest.mark.parametrize("at", [0, 5, 124, 130, 150, 156, 257, 300])
def test_a_damaged_header_is_refused(at):
    block = bytearray(tar.header("123.jpg", 4711))
    block[at] ^= 0x41
    with pytest.raises(ValueError):
        tar.parse(bytes(block))


@pytest.mark.parametrize("block", [b"", bytes(512), bytes(511), b"\xff" * 512])
def test_what_is_no_header_is_refused(block):
    with pytest.raises(ValueError):
        tar.parse(block)


@pytest.mark.parametrize(
    ("name", "size"), [("", 1), ("a" * 101, 1), ("a\0b", 1), ("ä", 1), ("a", -1), ("a", 8**11)]
)
def test_what_does_not_fit_into_a_header_is_refused(name, size):
    with pytest.raises(ValueError):
        tar.header(name, size)


def test_webdataset_reads_a_shard(tmp_path, image):
    webdataset = pytest.importorskip("webdataset")
    photos = {n: image(n, ("jpeg", "png", "gif", "webp")[n % 4]) for n in range(1, 9)}
    with StoreWriter.create(tmp_path / "images", StoreConfig()) as writer:
        for photo_id, data in photos.items():
            writer.add_image(photo_id, data)
    found = {
        int(sample["__key__"]): next(v for k, v in sample.items() if not k.startswith("__"))
        for sample in webdataset.WebDataset(str(tmp_path / "images" / "shard-000000.tar"), shardshuffle=False)
    }
    assert found == photos


def test_a_header_agrees_with_its_own_name_and_size_and_with_no_other():
    block = tar.header("123.jpg", 4_567)
    assert tar.agrees(block, b"123.", 4_567)
    assert not tar.agrees(block, b"12.", 4_567)
    assert not tar.agrees(block, b"123.", 4_568)
    assert not tar.agrees(block[:-1], b"123.", 4_567)
    assert not tar.agrees(bytes(512), b"123.", 4_567)
    assert not tar.agrees(block.replace(b"ustar", b"tsuar"), b"123.", 4_567)
    directory = block[:156] + b"5" + block[157:]
    assert not tar.agrees(directory, b"123.", 4_567)
