"""The page over real HTTP: every question, who may ask, and that names stay data."""

from __future__ import annotations

import io
import re
import shutil
import socket
from collections import Counter
from functools import partial
from urllib.parse import quote, urljoin, urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import arboretum_tools as at
from arboretum_tools.browsing.marks import Marks
from arboretum_tools.browsing.predictions import class_names
from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.photos.photo_ids import read_photo_ids
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.tiny import COUNTS, MARKUP, tiny_image, tiny_split, tiny_store, with_markup

PHOTOS = sum(map(sum, COUNTS.values()))

QUESTIONS = [
    "about",
    "overview",
    "overview?band=few&license=&license=CC-BY",
    "taxa",
    "taxa?parent=" + quote('["Animalia"]'),
    "search?q=rav",
    "photos?count=5&order=mixed",
    "places?degrees=1",
    "marks",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_an_answer(ask, question):
    answer = ask(f"/api/{question}")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("application/json")


def test_the_overview_counts_what_is_there(ask, split):
    found = ask("/api/overview").json
    assert (found["photos"], found["stored"], found["classes"]) == (PHOTOS, PHOTOS - 2, 4)
    assert dict(map(tuple, found["facets"]["part"])) == {part: sum(n) for part, n in COUNTS.items()}
    assert dict(map(tuple, found["facets"]["status"])) == {"ok": PHOTOS - 2, "gone": 1, "pending": 1}
    assert [count for _, count in found["by_place"]] == [sum(n) for n in zip(*COUNTS.values(), strict=True)]
    assert ask("/api/about").json["tail"] == split.class_counts
    head, *rest = zip(*COUNTS.values(), strict=True)
    assert sorted(found["bands"]) == [
        ["few", sum(map(sum, rest)), sum(COUNTS["train"][1:]), 3],
        ["medium", sum(head), COUNTS["train"][0], 1],
    ]


@pytest.mark.parametrize("facet", ["part", "license", "life_stage", "status", "observer"])
def test_each_value_of_a_facet_filters_to_its_count(ask, facet):
    values = ask("/api/overview").json["facets"][facet]
    assert len(values) > 1
    for value, count in values:
        assert ask(f"/api/photos?{facet}={quote(value or '')}&count=1").json["total"] == count


def test_band_label_places_and_lineage_filter(ask):
    total = [sum(n) for n in zip(*COUNTS.values(), strict=True)]
    assert ask("/api/photos?band=medium").json["total"] == total[0]
    assert ask("/api/photos?label=2").json["total"] == total[2]
    assert ask("/api/photos?places=1,2").json["total"] == total[1] + total[2]
    assert ask("/api/photos?lineage=" + quote('["Plantae"]')).json["total"] == total[2]


def test_pages_hold_every_photo_once_in_either_order(ask, split):
    ids = {i for part in split.parts for i in split.part(part)["photo_id"].to_pylist()}
    orders = []
    for order in ("class", "mixed"):
        pages = [ask(f"/api/photos?start={s}&count=30&order={order}").json for s in range(0, PHOTOS, 30)]
        seen = [photo["photo_id"] for page in pages for photo in page["photos"]]
        assert len(seen) == PHOTOS
        assert set(seen) == ids
        orders.append(seen)
    assert orders[0] != orders[1]
    labels = [photo["label"] for photo in ask(f"/api/photos?count={PHOTOS}").json["photos"]]
    assert labels == sorted(labels)


def test_the_tree_leads_from_kingdoms_to_classes(ask):
    (animals, plants) = ask("/api/taxa").json
    assert (animals["name"], plants["name"]) == ("Animalia", "Plantae")
    path = ["Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus"]
    found = ask("/api/taxa?parent=" + quote(str(path).replace("'", '"'))).json
    assert [(one["name"], one["label"]) for one in found] == [("Turdus migratorius", 0), ("Turdus merula", 1)]


def test_search_finds_common_and_scientific_names_without_accents(ask):
    assert [one["name"] for one in ask("/api/search?q=raven").json] == ["Corvus corax"]
    assert [one["name"] for one in ask("/api/search?q=rose").json] == ["Laelia rosea"]
    ranks = [(one["rank"], one["name"]) for one in ask("/api/search?q=turd").json]
    assert ranks[:2] == [("family", "Turdidae"), ("genus", "Turdus")]
    assert ("class", "Turdus merula") in ranks
    assert ask("/api/search?q=%27%3B%20DROP").json == []


def test_a_photo_says_all_that_is_known(ask, split):
    row = split.part("test").to_pylist()[0]
    found = ask(f"/api/photo/{row['photo_id']}").json
    assert found["part"] == "test"
    assert found["status"] == "ok"
    assert found["taxon"]["genus"] == split.classes.to_pylist()[row["label"]]["genus"]
    assert ask("/api/photo/5").status == 404


def test_thumbnails_and_images_are_those_of_the_photo(ask):
    photos = ask(f"/api/photos?count={PHOTOS}").json["photos"]
    stored = next(photo for photo in photos if photo["status"] == "ok")
    lost = next(photo for photo in photos if photo["status"] != "ok")
    whole = ask(f"/image/{stored['row']}")
    assert whole.body == tiny_image(stored["photo_id"])
    assert whole.headers["content-type"] == "image/jpeg"
    small = Image.open(io.BytesIO(ask(f"/thumb/96/{stored['row']}").body))
    assert small.format == "JPEG"
    assert small.size == (32, 24)
    assert ask(f"/thumb/96/{lost['row']}").status == 404
    assert ask(f"/image/{lost['row']}").status == 404
    assert ask(f"/thumb/97/{stored['row']}").status == 404
    assert ask("/thumb/96/999999").status == 404


def test_a_photo_that_is_pruned_while_the_page_is_open_is_served_no_more(ask, page):
    photos = [one for one in ask(f"/api/photos?count={PHOTOS}").json["photos"] if one["status"] == "ok"]
    shards = {one["photo_id"]: ask(f"/api/photo/{one['photo_id']}").json["shard"] for one in photos}
    withdrawn = photos[0]
    elsewhere = next(one for one in photos if shards[one["photo_id"]] != shards[withdrawn["photo_id"]])
    paths = [f"/image/{withdrawn['row']}", f"/thumb/96/{withdrawn['row']}"]
    # The thumbnail is kept, and the tar is open.
    answers = [ask(path) for path in paths]
    assert [(answer.status, answer.headers["cache-control"]) for answer in answers] == [(200, "no-store")] * 2
    at.prune_store(page.source.store.path, [withdrawn["photo_id"]])
    for path in [*paths, f"/api/photo/{withdrawn['photo_id']}"]:
        answer = ask(path)
        assert answer.status == 410
        assert answer.json["error"] == "the store has changed since this page was opened; start browse again"
    assert ask(f"/image/{elsewhere['row']}").body == tiny_image(elsewhere["photo_id"])
    assert ask(f"/api/photo/{elsewhere['photo_id']}").json["status"] == "ok"


def test_positions_are_no_finer_than_a_tenth_of_a_degree(tmp_path, split, asking):
    train = split.part("train")
    place = train.schema.get_field_index("latitude")
    train = train.set_column(place, "latitude", [[12.3456] * train.num_rows])
    place = train.schema.get_field_index("longitude")
    train = train.set_column(place, "longitude", [[-98.7654] * train.num_rows])
    placed = at.Split(split.name, split.classes, {"train": train}, split.meta)
    tiny_store(tmp_path / "images", split)
    with at.browse(placed, images=tmp_path / "images", port=0, open=False, marks=tmp_path / "m.csv") as page:
        ask = asking(page.url)
        photo = ask("/api/photos?count=1").json["photos"][0]["photo_id"]
        answers = [ask(f"/api/photo/{photo}"), ask("/api/places?degrees=1"), ask("/api/overview")]
    assert [answers[0].json[name] for name in ("latitude", "longitude")] == [12.3, -98.8]
    assert answers[1].json["cells"] == [[12, -99, train.num_rows]]
    assert not any(b"3456" in answer.body or b"7654" in answer.body for answer in answers)


# -- marks


def _post(ask, page, body, **headers):
    origin = page.url.rstrip("/")
    return ask(
        "/api/marks", "POST", body, **{"Content_Type": "application/json", "Origin": origin, **headers}
    )


def test_marks_are_kept_in_a_file_that_selections_take(ask, page, tmp_path):
    photos = ask("/api/photos?count=3").json["photos"]
    ids = [photo["photo_id"] for photo in photos]
    assert not (tmp_path / "marks.csv").exists()
    assert _post(ask, page, {"photo_ids": ids[:2], "reason": "wrong label"}).status == 200
    assert _post(ask, page, {"photo_ids": ids[2:], "reason": "poor quality"}).status == 200
    assert sorted(read_photo_ids(tmp_path / "marks.csv")) == sorted(ids)
    assert ask("/api/photos?mark=wrong+label").json["total"] == 2
    _post(ask, page, {"photo_ids": ids[:1], "reason": None})
    assert ask("/api/photos?mark=wrong+label").json["total"] == 1
    assert sorted(Marks(tmp_path / "marks.csv").all()) == sorted(ids[1:])


def test_only_photos_that_are_shown_can_be_marked_and_for_known_reasons(ask, page, tmp_path):
    assert _post(ask, page, {"photo_ids": [1, 2], "reason": "other"}).json["marks"] == []
    photo = ask("/api/photos?count=1").json["photos"][0]["photo_id"]
    assert _post(ask, page, {"photo_ids": [photo], "reason": MARKUP}).status == 400
    for body in (
        "[]",
        "{",
        '{"photo_ids": [1e400], "reason": "other"}',
        '{"photo_ids": 1, "reason": null}',
        '{"photo_ids": ["x"], "reason": null}',
    ):
        assert _post(ask, page, body).status == 400
    assert not (tmp_path / "marks.csv").exists()


def test_marks_of_another_page_are_kept(ask, page, tmp_path, split, asking):
    ids = [photo["photo_id"] for photo in ask("/api/photos?count=3").json["photos"]]
    file = tmp_path / "marks.csv"
    with at.browse(split, images=tmp_path / "images", port=0, open=False, marks=file) as second:
        assert _post(ask, page, {"photo_ids": ids[:1], "reason": "other"}).status == 200
        assert _post(asking(second.url), second, {"photo_ids": ids[1:2], "reason": "other"}).status == 200
        assert _post(ask, page, {"photo_ids": ids[2:], "reason": "other"}).status == 200
    assert sorted(Marks(file).all()) == sorted(ids)


def test_a_list_of_marks_that_has_become_something_else_is_left_alone(ask, page, tmp_path):
    photo = ask("/api/photos?count=1").json["photos"][0]["photo_id"]
    (tmp_path / "marks.csv").write_text("important notes\n")
    answer = _post(ask, page, {"photo_ids": [photo], "reason": "other"})
    assert answer.status >= 400
    assert "not a list of marked photos" in answer.json["error"]
    assert (tmp_path / "marks.csv").read_text() == "important notes\n"


def test_it_answers_to_the_loopback_address_that_it_was_given(tmp_path, split, asking):
    tiny_store(tmp_path / "images", split)
    with at.browse(split, images=tmp_path / "images", host="127.0.0.2", port=0, open=False) as page:
        assert page.url.startswith("http://127.0.0.2:")
        assert asking(page.url)("/api/about").status == 200
        port = page.url.split(":")[2].strip("/")
        assert asking(page.url)("/api/about", Host=f"evil.example:{port}").status == 403


def test_a_file_that_is_no_list_of_marks_is_left_alone(tmp_path, split):
    file = tmp_path / "thesis.csv"
    file.write_text("photo_id,chapter\n1,2\n")
    tiny_store(tmp_path / "images", split)
    with pytest.raises(BadInputError, match="not a list of marked photos"):
        at.browse(split, images=tmp_path / "images", port=0, open=False, marks=file)
    assert file.read_text() == "photo_id,chapter\n1,2\n"


# -- who may ask


def test_it_listens_on_loopback_and_answers_to_its_own_names_alone(ask, page):
    port = page.url.split(":")[2].strip("/")
    assert page.url.startswith("http://127.0.0.1:")
    assert ask("/api/about", Host=f"localhost:{port}").status == 200
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1", ""):
        assert ask("/api/about", Host=host).status == 403, host
        assert ask("/", Host=host).status == 403
    others = [a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in {other for other in others if not other.startswith("127.")}:
        with socket.socket() as connection:
            assert connection.connect_ex((address, int(port))) != 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
    ],
)
def test_changes_are_taken_from_the_page_alone(ask, page, tmp_path, headers):
    photo = ask("/api/photos?count=1").json["photos"][0]["photo_id"]
    assert _post(ask, page, {"photo_ids": [photo], "reason": "other"}, **headers).status == 403
    assert ask("/api/marks", "POST", {}, Content_Type="application/json").status == 403
    assert not (tmp_path / "marks.csv").exists()


def test_elsewhere_it_answers_to_whoever_has_the_token(tmp_path, split, asking):
    tiny_store(tmp_path / "images", split)
    with at.browse(
        split, images=tmp_path / "images", host="0.0.0.0", port=0, open=False, marks=tmp_path / "m.csv"
    ) as page:
        ask = asking(page.url.replace("0.0.0.0", "127.0.0.1"))
        token = page.url.partition("token=")[2]
        assert len(token) >= 32
        for path in (
            "/",
            "/api/about",
            "/image/0",
            "/static/frame/app.js",
            "/?token=",
            "/?token=x",
            "/?token=%C3%A9",
        ):
            assert ask(path).status == 403, path
        welcome = ask(f"/?token={token}")
        assert welcome.status == 303
        assert "token" not in welcome.headers["location"]
        cookie = welcome.headers["set-cookie"]
        assert re.search("HttpOnly", cookie)
        assert re.search("SameSite=Strict", cookie)
        assert ask("/api/about", Cookie=cookie.split(";")[0]).status == 200
        assert ask("/api/about", Cookie="arboretum_token=x").status == 403


ELSEWHERE = [
    "/static/../server.py",
    "/static/..%2fserver.py",
    "/static/%2e%2e/server.py",
    "/static//etc/passwd",
    "/../../etc/passwd",
    "/static/server.py",
    "/static/frame/../../server.py",
    "/static/frame/%2e%2e/index.html",
    "/api/photo/..%2f..%2fetc%2fpasswd",
    "/api/photo/1%00",
    "/image/../../marks.csv",
    "/thumb/96/-1",
    "/thumb/96/1.5",
    "/image/99999999999999999999",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_part_of_an_address_is_a_path(ask, path):
    answer = ask(path)
    assert answer.status == 404
    assert b"import" not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "query",
    [
        "photos?band=huge",
        "photos?label=x",
        "photos?label=99999999999999999999",
        "photos?places=1",
        "photos?lineage=[1]",
        "photos?lineage=" + "[" * 5000,
        "photos?lineage=%5B%22%5Cud800%22%5D",
        "photos?start=-1",
        "photos?count=100000",
        "photos?order=photo_id%20DESC",
        "photos?colour=red",
        "overview?cell=1,2",
        "places?degrees=x",
        "confusion",
        "predictions",
        "pair",
    ],
)
def test_bad_questions_are_told_so(ask, query):
    answer = ask(f"/api/{query}")
    assert answer.status == 400
    assert answer.json["error"]


def test_values_are_never_sql(ask):
    for value in ("' OR 1=1 --", "'; DROP TABLE photos; --", "\x00", "%", "\\"):
        for facet in ("license", "observer", "part", "error", "month", "mark"):
            assert ask(f"/api/photos?{facet}={quote(value)}").json["total"] == 0
    assert ask("/api/overview").json["photos"] == PHOTOS


def test_every_answer_forbids_what_comes_from_elsewhere(ask):
    for path in ("/", "/static/frame/app.js", "/api/about", "/api/photo/5", "/nothing"):
        headers = ask(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_names_nothing_outside(ask):
    queue = re.findall(r'(?:src|href)="(/static/[a-z_./]+)"', ask("/").body.decode())
    seen = set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = ask(name)
        assert answer.status == 200, name
        text = answer.body.decode()
        addresses = set(re.findall(r"https?://[a-z0-9.]+", text))
        assert addresses <= {"https://www.inaturalist.org", "http://www.w3.org"}, name
        assert "innerHTML" not in text
        assert "insertAdjacentHTML" not in text
        queue += [urljoin(name, other) for other in re.findall(r'from "([a-z_./]+)"', text)]
    assert {"/static/frame/app.js", "/static/styles/style.css", "/static/views/predictions.js"} <= seen


# -- what can be shown


def test_markup_in_names_is_answered_as_data(tmp_path, split, asking):
    tiny_store(tmp_path / "images", split)
    with at.browse(
        with_markup(split), images=tmp_path / "images", port=0, open=False, marks=tmp_path / "m.csv"
    ) as page:
        ask = asking(page.url)
        for question in QUESTIONS:
            answer = ask(f"/api/{question}")
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("application/json")
        assert MARKUP not in ask("/").body.decode()
        assert ask("/api/photos?count=1").json["photos"][0]["observer_name"].startswith(MARKUP)


def test_predictions_are_told_beside_the_truth(tmp_path, split, asking):
    tiny_store(tmp_path / "images", split)
    test = split.part("test")
    labels = test["label"].to_numpy()
    guess = labels.copy()
    guess[labels == 3] = 1
    scores = np.full((len(labels), 4), 0.02)
    scores[np.arange(len(labels)), guess] = 0.94
    np.savez(tmp_path / "p.npz", photo_id=test["photo_id"].to_numpy(), scores=scores)
    with at.browse(
        split,
        images=tmp_path / "images",
        predictions=tmp_path / "p.npz",
        port=0,
        open=False,
        marks=tmp_path / "m.csv",
    ) as page:
        ask = asking(page.url)
        found = ask("/api/predictions").json
        assert (found["photos"], found["right"]) == (12, 9)
        assert found["classes"][0] | {"band": ""} == {
            "label": 3,
            "photos": 3,
            "right": 0,
            "band": "",
            "taken_for": [1, 3],
        }
        assert found["pairs"] == [{"labels": [1, 3], "wrong": [0, 3]}]
        assert {error["confidence"] for error in found["errors"]} == {0.94}
        assert len(found["shown"]) == 3
        table = ask("/api/confusion?rank=family").json
        crow, thrush = table["names"].index(["Corvidae", None]), table["names"].index(["Turdidae", None])
        assert table["table"][crow][thrush] == 3
        names = ask("/api/confusion").json["names"]
        assert sorted(names) == sorted(found["names"].values())
        assert any(common for _, common in names)
        pair = ask("/api/pair?first=1&second=3").json
        assert len(pair["wrong"]["second_as_first"]) == 3
        assert {photo["part"] for photo in pair["examples"][0]} == {"train"}
        assert ask("/api/confusion?rank=x").status == 400


def test_a_common_name_of_two_classes_names_neither():
    larva, adult = (
        {"name": f"Danaus plexippus ({stage})", "common_name": "Monarch"} for stage in ("larva", "adult")
    )
    owl = {"name": "Strix aluco", "common_name": "Tawny Owl"}
    assert class_names([larva, adult, owl]) == [
        ["Danaus plexippus (larva)", None],
        ["Danaus plexippus (adult)", None],
        ["Strix aluco", "Tawny Owl"],
    ]


def test_a_photo_names_the_splits_that_it_is_in(tmp_path, split, asking):
    store = tiny_store(tmp_path / "images", split)
    split.save(tmp_path / "splits" / "mine")
    shutil.copytree(tmp_path / "splits" / "mine", tmp_path / "splits" / "another")
    (tmp_path / "splits" / "another" / "val.parquet").write_bytes(b"no parquet")
    (tmp_path / "splits" / "notes").mkdir()
    with at.browse(
        tmp_path / "splits" / "mine", images=store.path, port=0, open=False, marks=tmp_path / "m.csv"
    ) as page:
        ask = asking(page.url)
        for part, splits in (("test", ["mine", "another"]), ("val", ["mine"])):
            photo = split.part(part)["photo_id"][0].as_py()
            assert ask(f"/api/photo/{photo}").json["splits"] == [[name, part] for name in splits]


def test_two_models_are_told_apart_by_band_class_and_photo(tmp_path, split, asking):
    store = tiny_store(tmp_path / "images", split)
    test = split.part("test")
    ids, labels = test["photo_id"].to_pylist(), test["label"].to_pylist()
    wrong = {"a": [i for i, label in zip(ids, labels, strict=True) if label == 3][:2], "b": ids[:1]}
    files = []
    for name, some in wrong.items():
        files.append(tmp_path / name / "labels.csv")
        files[-1].parent.mkdir()
        rows = (
            f"{i},{(label + 1) % 4 if i in some else label}\n" for i, label in zip(ids, labels, strict=True)
        )
        files[-1].write_text("photo_id,label\n" + "".join(rows))
    open_page = partial(at.browse, split, images=store.path, port=0, open=False, marks=tmp_path / "m.csv")
    with open_page(predictions=files) as page:
        ask = asking(page.url)
        # Files of one name are told apart by their folders.
        assert ask("/api/about").json["predictions"] == [str(file) for file in files]
        found = ask("/api/comparison").json
        assert found["counts"] == [len(ids) - 3, 1, 2, 0]
        assert [band for band, *_ in found["bands"]] == ["medium", "few"]
        assert [sum(counts) for counts in zip(*(row[1:] for row in found["bands"]), strict=True)] == [
            9,
            1,
            2,
            0,
        ]
        assert found["classes"][0] == {"label": 3, "band": "few", "counts": [1, 0, 2, 0]}
        only_a, only_b = found["photos"]
        assert [one["photo_id"] for one in only_a["some"]] == wrong["b"]
        assert {one["photo_id"]: one["predicted"] for one in only_b["some"]} == dict.fromkeys(wrong["a"], 0)
        assert set(found["shown"]) == {str(i) for some in wrong.values() for i in some}
        of_class = ask("/api/comparison?label=3").json["photos"]
        assert [side["number"] for side in of_class] == [0, 2]
        assert ask("/api/predictions?model=0").json["right"] == len(ids) - 2
        assert ask("/api/predictions?model=1").json["right"] == len(ids) - 1
        assert ask("/api/predictions?model=2").status == 400
    with open_page(predictions=files[0]) as page:
        assert asking(page.url)("/api/comparison").status == 400
    with pytest.raises(UsageError, match="3 files of predictions are too many"):
        open_page(predictions=[*files, files[0]])


def test_observers_are_found_by_the_words_of_their_names(ask, split):
    names = Counter(name for part in split.parts for name in split.part(part)["observer_name"].to_pylist())
    name, photos = names.most_common(1)[0]
    found = [one for one in ask(f"/api/search?q={quote(name[:4].upper())}").json if one["rank"] == "observer"]
    assert name in {one["name"] for one in found}
    assert found[0]["n"] == photos
    assert ask(f"/api/photos?observer={quote(name)}&count=1").json["total"] == photos
    assert ask("/api/search?q=nobody-is-called-so").json == []


def test_predictions_of_anything_but_a_split_are_refused(tmp_path, split):
    store = tiny_store(tmp_path / "images", split)
    with pytest.raises(UsageError, match="those of a split"):
        at.browse(store, predictions="p.csv", open=False, port=0, marks=tmp_path / "m.csv")


def test_a_store_without_a_catalogue_is_shown_without_names(tmp_path, split, monkeypatch, asking):
    monkeypatch.chdir(tmp_path)
    tiny_store(tmp_path / "images", split)
    with at.browse("images", port=0, open=False) as page:
        found = asking(page.url)("/api/overview").json
    assert (found["photos"], found["classes"]) == (PHOTOS, 0)


def test_an_export_is_shown_as_its_attribution_says(tmp_path, split, asking):
    store = tiny_store(tmp_path / "images", split)
    at.export(split, images=store.path, to=tmp_path / "lists", format="lists")
    with at.browse(
        tmp_path / "lists", images=store.path, port=0, open=False, marks=tmp_path / "m.csv"
    ) as page:
        found = asking(page.url)("/api/overview").json
    credits_ = pq.read_table(tmp_path / "lists" / "ATTRIBUTION.parquet")
    assert (found["photos"], found["stored"]) == (credits_.num_rows, credits_.num_rows)


def test_a_photo_tried_twice_is_shown_once_as_stored(tmp_path, asking):
    split = tiny_split()
    ids = split.part("train")["photo_id"].to_pylist()
    tiny_store(tmp_path / "images", split, gone=ids[:1])
    with StoreWriter.create(tmp_path / "images", StoreConfig(size="small")) as writer:
        writer.add_image(ids[0], tiny_image(ids[0]))
    with at.browse(split, images=tmp_path / "images", port=0, open=False, marks=tmp_path / "m.csv") as page:
        ask = asking(page.url)
        assert ask("/api/overview").json["photos"] == PHOTOS
        assert ask(f"/api/photo/{ids[0]}").json["status"] == "ok"


@pytest.mark.parametrize("what", ["nowhere", "."])
def test_what_is_nothing_to_show_is_refused(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match="no split, image store or export"):
        at.browse(what, open=False)


def test_a_port_that_is_taken_is_named(tmp_path, split, page):
    port = int(page.url.split(":")[2].strip("/"))
    with pytest.raises(BadInputError, match=f"127.0.0.1:{port}"):
        at.browse(split, images=tmp_path / "images", port=port, open=False, marks=tmp_path / "m.csv")


def test_a_host_that_has_no_address_is_named(tmp_path, split, monkeypatch):
    def refuse(*_args, **_named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(BadInputError, match=r"at nowhere\.invalid:0: Name or service not known"):
        at.browse(split, images=tmp_path / "images", host="nowhere.invalid", port=0, open=False)


NO_QUESTIONS = {
    "a long query": b"GET /api/photos?x=" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
    "a length of 20 digits": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 20 + b"\r\n\r\n",
    "chunks that are none": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "no text": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "no method": b"GET\r\n\r\n",
}


@pytest.mark.parametrize("what", NO_QUESTIONS)
def test_what_is_no_question_is_answered_by_400_and_told_nobody_else(page, ask, caplog, what):
    parts = urlsplit(page.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(NO_QUESTIONS[what])
        assert connection.recv(100).split(b" ")[1] == b"400"
    assert not caplog.records
    assert ask("/api/about").status == 200


def test_nothing_is_left_in_the_temporary_folder(tmp_path, split, monkeypatch):
    spare = tmp_path / "tmp"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    tiny_store(tmp_path / "images", split)
    with at.browse(split, images=tmp_path / "images", port=0, open=False, marks=tmp_path / "m.csv") as page:
        page.ready()
        assert list(spare.glob("arboretum-browse-*"))
    assert not list(spare.glob("arboretum-browse-*"))
