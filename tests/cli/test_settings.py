"""Settings files, what a command says besides its result, and errors for machines."""

import json
from pathlib import Path

import pytest

from arboretum_metadata.sample import catalog_path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, and no settings of the user's."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return work


def test_the_project_wins_over_the_user_and_the_environment_over_both(
    arboretum, folder, tmp_path, monkeypatch
):
    of_user = tmp_path / "home" / "arboretum" / "arboretum.toml"
    of_user.parent.mkdir(parents=True)
    of_user.write_text('catalog = "theirs"\nsize = "small"\ncontact = "me@example.org"\n')
    Path("arboretum.toml").write_text('catalog = "ours"\nsize = "THUMB"\n')
    monkeypatch.setenv("ARBORETUM_ORIGIN", "http://127.0.0.1:1")

    found = json.loads(arboretum("config", "--json").out)

    assert found["catalog"] == {"value": "ours", "source": "arboretum.toml"}
    assert found["size"] == {"value": "THUMB", "source": "arboretum.toml"}
    assert found["contact"] == {"value": "me@example.org", "source": str(of_user)}
    assert found["origin"] == {"value": "http://127.0.0.1:1", "source": "$ARBORETUM_ORIGIN"}
    assert found["images"] is None
    monkeypatch.setenv("ARBORETUM_CATALOG", "named")
    assert json.loads(arboretum("config", "--json").out)["catalog"]["value"] == "named"


def test_relative_paths_of_a_users_file_are_meant_from_its_folder(arboretum, tmp_path):
    of_user = tmp_path / "home" / "arboretum" / "arboretum.toml"
    of_user.parent.mkdir(parents=True)
    of_user.write_text('images = "photos"\n')
    assert json.loads(arboretum("config", "--json").out)["images"]["value"] == str(of_user.parent / "photos")


def test_commands_take_catalogue_and_licences_from_the_file_and_flags_win(arboretum):
    Path("arboretum.toml").write_text(f'catalog = "{catalog_path()}"\nlicense = ["CC0"]\n')

    by_file = json.loads(arboretum("select", "--taxa", "Aves", "--json").out)
    by_flag = json.loads(arboretum("select", "--taxa", "Aves", "--license", "CC0", "--json").out)
    other = json.loads(arboretum("select", "--taxa", "Aves", "--license", "CC-BY", "--json").out)

    assert by_file["photos"] == by_flag["photos"] > 0
    assert by_file["english"] == by_flag["english"]
    assert "CC0" in by_file["english"]
    assert "CC0" not in other["english"]


def test_a_recipe_is_the_same_for_everyone_whatever_their_settings(arboretum):
    Path("birds.toml").write_text('taxa = "Aves"\nlt-ratio = 20\nval-per-class = 2\ntest-per-class = 3\n')
    common = ("make-split", "--recipe", "birds.toml", "--json", "--catalog", catalog_path())
    without = json.loads(arboretum(*common, "--out", "without").out)
    Path("arboretum.toml").write_text('license = ["CC0"]\n')
    assert json.loads(arboretum(*common, "--out", "with").out)["split_sha256"] == without["split_sha256"]


def test_the_demo_takes_nothing_from_a_file(arboretum):
    Path("arboretum.toml").write_text('images = "elsewhere"\n')
    assert "elsewhere" not in arboretum("demo", "--help").out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("imags = 'x'", "no key 'imags'; known: catalog, images, contact, origin, size, license"),
        ("imags = 'x'", "Did you mean images?"),
        ("catalog = 3", "catalog is 3, which is not a text"),
        ("license = [1]", "which is not a text or a list of texts"),
        ("size = 'huge'", "unknown photo size 'huge'"),
        ("license = 'CC-BX'", "Did you mean CC-BY"),
        ("catalog = ", "are not TOML"),
    ],
)
def test_a_bad_file_is_one_error_that_names_it(arboretum, text, told):
    Path("arboretum.toml").write_text(text)
    outcome = arboretum("select", "--taxa", "Aves")
    assert outcome.code == 3
    assert "arboretum.toml" in outcome.err
    assert told in outcome.err


def test_a_byte_order_mark_is_no_part_of_a_file(arboretum, tmp_path):
    Path("arboretum.toml").write_text(f'catalog = "{catalog_path()}"\n', "utf-8-sig")
    Path("recipe.toml").write_text('taxa = "Mollusca"\nlt-ratio = 2\n', "utf-8-sig")
    small = ("--val-per-class", "1", "--test-per-class", "1", "--out", "split")
    outcome = arboretum("make-split", "--recipe", "recipe.toml", *small)
    assert outcome.code == 0, outcome.err
    # What is split is said first, unless nothing but the result is asked for.
    assert outcome.out.startswith("from the catalogue at ")
    quiet = arboretum("make-split", "--recipe", "recipe.toml", *small, "--quiet")
    assert "from the catalogue" not in quiet.out
    assert quiet.out.splitlines() == [
        *outcome.out.splitlines()[1:-1],
        "split was there already, the same split; nothing written",
    ]


def test_quiet_leaves_the_result_and_the_errors(arboretum):
    common = ("catalog", "build", catalog_path(), "--out", "built")
    outcome = arboretum(*common, "--quiet")
    assert outcome.code == 0
    assert outcome.out
    assert not outcome.err
    assert "there is no catalogue at nowhere" in arboretum("select", "--quiet", "--catalog", "nowhere").err


def test_verbose_shows_every_note_again(arboretum):
    notes = arboretum("stats", "--catalog", catalog_path(), "--verbose").err
    assert notes.count("rows are left out") >= 1


def test_with_json_an_error_is_json_too(arboretum):
    outcome = arboretum("select", "--taxa", "Avess", "--catalog", catalog_path(), "--json")
    error = json.loads(outcome.err.splitlines()[-1])["error"]
    assert outcome.code == error["exit_code"] == 5
    assert error["type"] == "UnknownTaxonError"
    assert "Avess" in error["message"]
    assert error["hint"]
    wrong = arboretum("select", "--taxxa", "Aves", "--json")
    assert json.loads(wrong.err)["error"]["exit_code"] == wrong.code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("license = []", "which is not a text or a list of texts"),
        ('contact = "a\\nX-Evil: 1"', "which is not a text"),
        ('images = "a\\u0000b"', "which is not a text"),
        ("a = " + "[" * 20_000, "are not TOML"),
    ],
    ids=["no-licence", "newline", "nul", "deep"],
)
def test_what_no_setting_can_hold_is_refused_with_the_file_named(arboretum, text, told):
    Path("arboretum.toml").write_text(text)
    outcome = arboretum("config")
    assert outcome.code == 3
    assert "arboretum.toml" in outcome.err
    assert told in outcome.err


def test_a_settings_file_that_leads_nowhere_is_not_passed_over(arboretum):
    """A limit to licences would vanish without a word."""
    Path("arboretum.toml").symlink_to("not-mounted.toml")
    outcome = arboretum("config")
    assert outcome.code == 3
    assert "arboretum.toml" in outcome.err
