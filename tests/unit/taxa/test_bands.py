import pytest

from arboretum_tools.taxa.bands import BANDS, shot_band


@pytest.mark.parametrize(
    ("n_train", "band"),
    [
        (0, "few"),
        (1, "few"),
        (19, "few"),
        (20, "medium"),
        (100, "medium"),
        (101, "many"),
        (50_000, "many"),
    ],
)
def test_both_ends_of_the_medium_band_belong_to_it(n_train: int, band: str) -> None:
    assert shot_band(n_train) == band


def test_bands_run_from_head_to_tail() -> None:
    order = [BANDS.index(shot_band(n)) for n in range(200, -1, -1)]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2}
