from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.consumers

CAPTIONS = (
    "a photo of Turdus migratorius with common name American Robin.",
    "a photo of Turdus merula.",
)


def arguments(**changes):
    # What open_clip_train.data reads of its command line.
    return SimpleNamespace(
        **{
            "train_data": "",
            "train_data_upsampling_factors": None,
            "train_num_samples": None,
            "val_num_samples": None,
            "dataset_resampled": False,
            "seed": 0,
            "batch_size": 4,
            "workers": 1,
            "world_size": 1,
            "distributed": False,
            "csv_img_key": "filepath",
            "csv_caption_key": "title",
            "csv_separator": "\t",
            "skip_naflex_data": True,
            "use_naflex": False,
            "aug_cfg": {},
        }
        | changes
    )


def test_webdataset_gives_images_with_their_captions_and_its_size_is_found(made):
    pytest.importorskip("webdataset")
    from open_clip_train.data import get_dataset_size, get_wds_dataset

    photos = made.split.part("train").num_rows
    shards = sorted(made.webdataset.glob("train-*.tar"))
    pattern = f"{made.webdataset}/train-{{000000..{len(shards) - 1:06d}}}.tar"
    assert get_dataset_size(pattern) == (photos, len(shards))
    data = get_wds_dataset(
        arguments(train_data=pattern),
        lambda image: image.size[0],
        is_train=True,
        tokenizer=lambda text: [text],
    )
    batches = [batch for _, batch in zip(range(photos // 4), iter(data.dataloader), strict=False)]
    assert len(batches) == photos // 4
    assert {int(width) for widths, _ in batches for width in widths} == {32}
    seen = {text for _, texts in batches for text in texts}
    assert all(text.startswith("a photo of ") and text.endswith(".") for text in seen)
    assert set(CAPTIONS) <= seen


def test_csv_is_read_in_the_folder_of_the_export(made, monkeypatch):
    from open_clip_train.data import CsvDataset

    monkeypatch.chdir(made.csv)
    dataset = CsvDataset(
        "train.csv", lambda image: image.size, "filepath", "title", "\t", lambda texts: texts
    )
    assert len(dataset) == made.split.part("train").num_rows
    found = [dataset[index] for index in range(len(dataset))]
    assert {size for size, _ in found} == {(32, 24)}
    assert set(CAPTIONS) <= {text for (text,) in ((row[1],) for row in found)}
