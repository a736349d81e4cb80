"""What stands in a JPEG before its pixels: segments, among them the one of XMP that says whom to credit.

Bytes and text alone: nothing here decodes an image.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

# XMP specification, part 3: how a segment with a packet begins.
_XMP = b"http://ns.adobe.com/xap/1.0/\0"

#: The largest payload of a segment.
SEGMENT_BYTES = 65_533


def printable(text: str) -> str:
    """Text for a tag: without what cannot be printed, 2,000 characters at most."""
    return "".join(c if c.isprintable() else " " for c in text)[:2_000]


def xmp_segment(
    creator: str | None, rights: str | None, license_url: str | None, source: str, title: str
) -> bytes:
    """A segment of XMP that says whom to credit; arguments as of `images.with_credit`."""

    def alt(name: str, text: str | None) -> str:
        line = f'<rdf:Alt><rdf:li xml:lang="x-default">{escape(printable(text or ""))}</rdf:li></rdf:Alt>'
        return f"<dc:{name}>{line}</dc:{name}>" if text is not None else ""

    made_by = f"<rdf:Seq><rdf:li>{escape(printable(creator or ''))}</rdf:li></rdf:Seq>"
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/">'
        + (f"<dc:creator>{made_by}</dc:creator>" if creator is not None else "")
        + alt("rights", rights)
        + alt("title", title)
        + (f"<dc:source>{escape(source)}</dc:source>" if source else "")
        + (f"<xmpRights:WebStatement>{escape(license_url)}</xmpRights:WebStatement>" if license_url else "")
        + '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    return _XMP + packet.encode()


def with_segments(data: bytes, told: list[bytes]) -> bytes:
    """A JPEG with these as its APP1 segments, behind the one of JFIF, in place of those that it has."""
    kept, at = [b"\xff\xd8"], 2
    head: list[bytes] = []
    # Segments before the first scan: a marker, and a length that counts itself.
    while at + 4 <= len(data) and data[at] == 0xFF and 0xE0 <= data[at + 1] <= 0xEF:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at:end]
        begins = segment[4:]
        if data[at + 1] == 0xE0 and not head:
            head.append(segment)
        elif data[at + 1] != 0xE1 or not begins.startswith((b"Exif\0", _XMP)):
            kept.append(segment)
        at = end
    ours = [b"\xff\xe1" + (len(one) + 2).to_bytes(2, "big") + one for one in told]
    return b"".join([kept[0], *head, *ours, *kept[1:], data[at:]])
