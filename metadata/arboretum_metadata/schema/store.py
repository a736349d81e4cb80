"""Tables of an image store."""

from __future__ import annotations

from arboretum_metadata.schema.columns import Column, Table

REQUEST = Table(
    name="request plan",
    path="<store>/requests/<id>.parquet",
    order="photo_id ascending",
    meaning="One row per photo that was asked for: what one `arboretum download` set out to fetch.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column("ext", "string", "Extension in the photo's address, case kept."),
        Column(
            "url", "string", "Address of the photo, only where id and ext do not give it; else null.", True
        ),
    ),
)

INDEX = Table(
    name="shard index of an image store",
    path="<store>/shard-NNNNNN.parquet",
    order="photo_id ascending",
    meaning="One row per photo that was tried, failures too. A shard is finished when its index exists.",
    columns=(
        Column("photo_id", "int64", "iNaturalist's number of the photo."),
        Column(
            "status",
            "string",
            "ok, gone (404/410), forbidden (403), invalid (not a whole image, or too many pixels), failed, "
            "withdrawn (taken out of the store; a tombstone).",
        ),
        Column("http_status", "int32", "Last HTTP status; null where no answer came.", True),
        Column("error", "string", "Why it is not ok, in words; null for ok.", True),
        Column(
            "attempts",
            "int32",
            "Requests made for this photo in this run. One that is sent again because its connection, kept "
            "from the photo before, had just been closed by the host counts once.",
        ),
        Column(
            "url",
            "string",
            "Address that was asked last, before any --origin override; of an imported file `file:` and its "
            "path below the folder, percent-encoded.",
        ),
        Column("member", "string", "Name in the tar, `<photo_id>.<ext>`; null unless ok.", True),
        Column("offset", "int64", "First byte of the image in the tar; null unless ok.", True, "byte"),
        Column("size_bytes", "int64", "Length of the image in the tar; null unless ok.", True, "byte"),
        Column("sha256", "string", "SHA-256 of the image in the tar, hex; null unless ok.", True),
        Column(
            "source_bytes", "int64", "Length of the body as received; null where none came.", True, "byte"
        ),
        Column("source_sha256", "string", "SHA-256 of the body as received; null where none came.", True),
        Column("etag", "string", "ETag as sent, without quotes; null where none came.", True),
        Column("width", "int32", "Width of the image in the tar, from its header.", True, "pixel"),
        Column("height", "int32", "Height of the image in the tar, from its header.", True, "pixel"),
        Column("format", "string", "jpeg, png, gif or webp, by the bytes; null unless ok.", True),
        Column("fetched_at", "timestamp[us, UTC]", "When the photo reached this state."),
    ),
)
