"""No address is asked that the rules on untrusted input (docs/design.md) do not allow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.downloading.network.addresses import is_public
from arboretum_tools.downloading.network.urls import (
    KNOWN_HOSTS,
    OPEN_DATA_HOST,
    STATIC_HOST,
    AddressRefusedError,
    AddressRules,
)
from arboretum_tools.errors import UsageError

RULES = AddressRules()
LOCAL = AddressRules(origin="http://127.0.0.1:8000")


def test_an_address_is_derived_from_id_and_extension_whose_case_is_kept():
    assert RULES.photo(5, "JPG", None, "small") == f"https://{OPEN_DATA_HOST}/photos/5/small.JPG"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (f"http://{OPEN_DATA_HOST}/photos/5/medium.JPG", f"https://{OPEN_DATA_HOST}/photos/5/small.JPG"),
        (
            f"https://{STATIC_HOST}/photos/5/original.jpeg?156",
            f"https://{STATIC_HOST}/photos/5/small.jpeg?156",
        ),
        (
            f"HTTPS://{OPEN_DATA_HOST.upper()}:443/photos/5/square.png#x",
            f"https://{OPEN_DATA_HOST}/photos/5/small.png",
        ),
        (f"http://{STATIC_HOST}:80/photos/5/thumb.jpg", f"https://{STATIC_HOST}/photos/5/small.jpg"),
    ],
)
def test_a_stored_address_is_asked_over_https_in_the_size_of_the_store(url, asked):
    assert RULES.photo(5, "jpg", url, "small") == asked


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://static.inaturalist.org/photos/5/medium.jpg", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("/photos/5/medium.jpg", "scheme ''"),
        ("https://example.org/photos/5/medium.jpg", "example.org is not an allowed host"),
        ("https://static.inaturalist.org.evil.example/photos/5/medium.jpg", "not an allowed host"),
        ("https://evil.example#@static.inaturalist.org/photos/5/medium.jpg", "not an allowed host"),
        ("https://user:word@static.inaturalist.org/photos/5/medium.jpg", "user info"),
        ("https://static.inaturalist.org@evil.example/photos/5/medium.jpg", "user info"),
        ("https://static.inaturalist.org:8443/photos/5/medium.jpg", "port 8443"),
        ("http://static.inaturalist.org:443/photos/5/medium.jpg", "port 443"),
        ("https://static.inaturalist.org:x/photos/5/medium.jpg", "not an address"),
        ("http://127.0.0.1/photos/5/medium.jpg", "127.0.0.1 is not an allowed host"),
        ("http://[::1]/photos/5/medium.jpg", "not an allowed host"),
        ("http://169.254.169.254/latest/meta-data", "not an allowed host"),
        ("http://localhost/photos/5/medium.jpg", "not an allowed host"),
        ("https://static.inaturalist.org/photos/5/medium.jpg\r\nX: y", "control characters"),
        ("https://static.inaturalist.org/photos/5/medium.jpg x", "spaces"),
        ("https://static.inaturalist.org/observations/5", "not the address of an iNaturalist photo"),
        ("https://static.inaturalist.org/photos/5/huge.jpg", "not the address of an iNaturalist photo"),
    ],
)
def test_addresses_that_are_never_asked(url, why):
    for rules in (RULES, LOCAL):
        with pytest.raises(AddressRefusedError, match=why):
            rules.photo(5, "jpg", url, "small")


@pytest.mark.parametrize("ext", ["exe", "jpg/../../x", "", "jpg?x", "jpg\n", "ſvg"])
def test_an_extension_that_is_none_of_a_photo_is_never_asked(ext):
    with pytest.raises(AddressRefusedError, match="not an extension"):
        RULES.photo(5, ext, None, "small")


def test_a_photo_id_below_one_is_never_asked():
    with pytest.raises(AddressRefusedError):
        RULES.photo(0, "jpg", None, "small")


def test_a_host_that_the_user_allows_is_asked_as_the_address_says():
    rules = AddressRules(allow_hosts=frozenset({"Images.Example.org"}))
    assert (
        rules.photo(5, "jpg", "http://images.example.org/a/b.jpg", "small")
        == "http://images.example.org/a/b.jpg"
    )
    assert rules.photo(5, "jpg", "https://images.example.org/photos/5/medium.jpg", "small").endswith(
        "/small.jpg"
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "10.0.0.1", "2130706433", "127.1", "a/b", "a:80", "", "-a", "ü"]
)
def test_an_address_in_place_of_a_host_name_is_not_allowed(host):
    with pytest.raises(UsageError, match="not the name of a host"):
        AddressRules(allow_hosts=frozenset({host}))


def test_the_origin_replaces_scheme_host_and_port_and_nothing_else():
    asked = LOCAL.photo(5, "JPG", f"https://{STATIC_HOST}/photos/5/medium.JPG?1", "small")
    assert asked == f"https://{STATIC_HOST}/photos/5/small.JPG?1"
    assert LOCAL.target(asked) == "http://127.0.0.1:8000/photos/5/small.JPG?1"
    assert RULES.target(asked) == asked


@pytest.mark.parametrize(
    "origin",
    [
        "127.0.0.1:8000",
        "ftp://x",
        "http://",
        "http://a/b",
        "http://a?b",
        "http://u@a",
        "http://a:x",
        "http://a b",
        "x",
    ],
)
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(UsageError, match="not an origin"):
        AddressRules(origin=origin)


@pytest.mark.parametrize(
    ("rules", "asked", "location", "leads_to"),
    [
        (
            RULES,
            f"https://{STATIC_HOST}/photos/5/small.jpg",
            "small.jpeg",
            f"https://{STATIC_HOST}/photos/5/small.jpeg",
        ),
        (RULES, f"https://{STATIC_HOST}/a", f"https://{OPEN_DATA_HOST}/b", f"https://{OPEN_DATA_HOST}/b"),
        (RULES, f"https://{STATIC_HOST}/a", f"//{OPEN_DATA_HOST}/b", f"https://{OPEN_DATA_HOST}/b"),
        (
            LOCAL,
            "http://127.0.0.1:8000/photos/5/small.jpg",
            "/photos/6/small.jpg",
            f"https://{OPEN_DATA_HOST}/photos/6/small.jpg",
        ),
    ],
)
def test_redirects_that_are_followed(rules, asked, location, leads_to):
    assert rules.redirect(asked, location) == leads_to


@pytest.mark.parametrize(
    ("rules", "asked", "location"),
    [
        (RULES, f"https://{STATIC_HOST}/a", f"http://{STATIC_HOST}/a"),
        (RULES, f"https://{STATIC_HOST}/a", "https://example.org/a"),
        (RULES, f"https://{STATIC_HOST}/a", "http://127.0.0.1/a"),
        (RULES, f"https://{STATIC_HOST}/a", "file:///etc/passwd"),
        (RULES, f"https://{STATIC_HOST}/a", f"https://u@{STATIC_HOST}/a"),
        (RULES, f"https://{STATIC_HOST}/a", "http://["),
        (RULES, f"https://{STATIC_HOST}/a", "https://[::1]:x/a"),
        (LOCAL, "http://127.0.0.1:8000/a", "//["),
        (LOCAL, "http://127.0.0.1:8000/a", "http://127.0.0.1:8001/a"),
        (LOCAL, "http://127.0.0.1:8000/a", "http://169.254.169.254/a"),
    ],
)
def test_redirects_that_are_never_followed(rules, asked, location):
    with pytest.raises(AddressRefusedError):
        rules.redirect(asked, location)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.@:\[\]/\\%]{0,40}/photos/5/medium.jpg"))
def test_whatever_the_metadata_say_only_known_hosts_are_asked(url):
    try:
        asked = RULES.photo(5, "jpg", url, "small")
    except AddressRefusedError:
        return
    assert asked.startswith(tuple(f"https://{host}/" for host in KNOWN_HOSTS))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(max_size=40) | st.from_regex(r"(https?:)?//[a-z0-9.@:\[\]/\\%\xff]{0,40}"), st.booleans())
def test_whatever_a_redirect_says_only_known_hosts_are_asked(location, local):
    rules, asked = (LOCAL, "http://127.0.0.1:8000/a") if local else (RULES, f"https://{STATIC_HOST}/a")
    try:
        there = rules.redirect(asked, location)
    except AddressRefusedError:
        return
    assert there.startswith(tuple(f"https://{host}/" for host in KNOWN_HOSTS))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("::", False),
        ("::10.0.0.1", False),
        ("fec0::1", False),
        ("2002:a00:1::1", False),
        ("2002:808:808::1", True),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::8.8.8.8", True),
    ],
)
def test_which_addresses_are_public(address, public):
    assert is_public(address) is public


@pytest.mark.parametrize(
    "start",
    [
        "s3://inaturalist-open-data",
        "https://s3.amazonaws.com/inaturalist-open-data",
        "http://s3.us-east-1.amazonaws.com/inaturalist-open-data",
        "https://s3-us-west-2.amazonaws.com/inaturalist-open-data",
        "https://inaturalist-open-data.s3.us-east-1.amazonaws.com",
        "https://inaturalist-open-data.s3.dualstack.us-east-1.amazonaws.com",
    ],
)
def test_the_bucket_is_known_under_each_of_its_names(start):
    asked = RULES.photo(5, "jpg", f"{start}/photos/5/original.jpeg", "small")
    assert asked == f"https://{OPEN_DATA_HOST}/photos/5/small.jpeg"


@pytest.mark.parametrize(
    "url",
    [
        "s3://another-bucket/photos/5/medium.jpg",
        "https://s3.amazonaws.com/another-bucket/photos/5/medium.jpg",
        "https://s3.amazonaws.com.evil.example/inaturalist-open-data/photos/5/medium.jpg",
        "https://inaturalist-open-data.s3.evil.amazonaws.com/photos/5/medium.jpg",
    ],
)
def test_other_buckets_and_hosts_that_look_alike_are_refused(url):
    with pytest.raises(AddressRefusedError):
        RULES.photo(5, "jpg", url, "small")


STATIC, BUCKET = f"https://{STATIC_HOST}/photos/5", f"https://{OPEN_DATA_HOST}/photos/5"


@pytest.mark.parametrize(
    ("url", "others"),
    [
        # A photo that has moved to the bucket, which knows no time.
        (
            f"{STATIC}/small.jpg?156",
            [f"{BUCKET}/small.jpg", f"{STATIC}/small.jpeg?156", f"{BUCKET}/small.jpeg"],
        ),
        (f"{STATIC}/small.JPG", [f"{BUCKET}/small.JPG", f"{STATIC}/small.jpg", f"{BUCKET}/small.jpg"]),
        (f"{STATIC}/small.png?156", [f"{BUCKET}/small.png"]),
        (f"{BUCKET}/small.jpeg?156", [f"{BUCKET}/small.jpg?156"]),
        (f"{BUCKET}/small.gif", []),
        ("https://example.org/photos/5/small.jpg", []),
    ],
)
def test_where_else_a_photo_may_lie(url, others):
    assert RULES.others(url) == others


def test_no_address_of_an_origin_is_asked_twice():
    assert LOCAL.others(f"{STATIC}/small.jpg") == [f"{STATIC}/small.jpeg"]
    assert LOCAL.others(f"{STATIC}/small.jpg?1") == RULES.others(f"{STATIC}/small.jpg?1")
