"""The demo: what it leaves can be opened; tests/packaging types what it prints, from an installed wheel."""


def test_it_says_that_its_server_has_ended_and_the_python_lines_that_it_prints_run(
    tmp_path, arboretum, monkeypatch
):
    outcome = arboretum("demo", "--out", tmp_path / "d")
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("`arboretum demo --serve` keeps it up, to type along.\n")
    lines = [line.removeprefix(">>> ") for line in outcome.out.splitlines() if line.startswith(">>> ")]
    assert len(lines) == 4
    monkeypatch.chdir(tmp_path / "d")
    (tmp_path / "d" / "contact-sheet.png").unlink()
    exec("\n".join(lines), {})
    assert (tmp_path / "d" / "contact-sheet.png").exists()
