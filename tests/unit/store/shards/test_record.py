"""A record becomes a line of a journal and a row of an index, and neither loses anything of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_metadata.vocab import STATUSES
from arboretum_tools.imaging.image_format import ImageInfo
from arboretum_tools.store.shards.record import IndexBuilder, PhotoRecord

# Whatever a host may send, and JSON has to write otherwise than it is.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# To a second sharp now and then, which has no fraction in ISO 8601.
TIMES = (st.integers(0, 2**32) | st.integers(0, 2**51).map(lambda n: n / 1e6)).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)


@st.composite
def records(draw) -> PhotoRecord:
    photo_id = draw(st.integers(1, 2**60))
    url, etag, fetched_at = draw(TEXT), draw(st.none() | TEXT), draw(TIMES)
    http_status = draw(st.none() | st.integers(100, 999))
    if draw(st.booleans()):
        info = ImageInfo(draw(st.sampled_from(["jpeg", "png"])), draw(st.integers(1, 9)), 7)
        record = PhotoRecord.of_image(
            photo_id, draw(st.binary(max_size=9)), info, url=url, http_status=http_status, etag=etag
        )
        return replace(record, fetched_at=fetched_at)
    came = draw(st.none() | st.integers(1, 9))
    return PhotoRecord(
        photo_id=photo_id,
        status=draw(st.sampled_from(sorted(set(STATUSES) - {"ok", "pending"}))),
        http_status=http_status,
        error=draw(TEXT),
        attempts=draw(st.integers(0, 9)),
        url=url,
        source_bytes=came,
        source_sha256=None if came is None else "0" * 64,
        etag=etag,
        fetched_at=fetched_at,
    )


def in_shard(record: PhotoRecord, offset: int) -> PhotoRecord:
    return record if record.member is None else replace(record, offset=offset)


@given(record=records(), offset=st.integers(512, 2**40))
def test_a_line_of_the_journal_holds_all_of_its_record(record, offset):
    line = record.to_line(offset=offset)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert PhotoRecord.from_line(line) == in_shard(record, offset)
    assert PhotoRecord.from_line(line).to_line() == line


@settings(max_examples=50)
@given(found=st.lists(records(), max_size=5, unique_by=lambda one: one.photo_id))
def test_an_index_holds_all_of_its_records(found):
    index = IndexBuilder()
    for position, record in enumerate(found):
        index.add(record, record.to_line(offset=512 * position))
    rows = [row for batch in index.batches() for row in batch.to_pylist()]
    message = sorted(
        (in_shard(record, 512 * position) for position, record in enumerate(found)),
        key=lambda one: one.photo_id,
    )
    assert rows == [asdict(record) for record in message]
    assert index.images == sum(record.status == "ok" for record in found)
