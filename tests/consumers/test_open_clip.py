import json
import logging
import re
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.consumers

CAPTIONS = (
    "a photo of Turdus migratorius with common name American Robin.",
    "a photo of Turdus merula.",
)

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


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


@pytest.fixture
def _logging_as_before():
    """open_clip_train gives the root logger files to write to, and every other one a level."""
    loggers = [logging.root, *map(logging.getLogger, logging.root.manager.loggerDict)]
    levels, handlers = [logger.level for logger in loggers], logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers
    for logger in map(logging.getLogger, logging.root.manager.loggerDict):
        logger.setLevel(logging.NOTSET)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("_logging_as_before")
def test_its_own_training_learns_from_shards_and_its_checkpoint_predicts(made, tmp_path, monkeypatch):
    """The command of docs/how-to/train-open-clip.md on one core, with a small model."""
    import open_clip
    from open_clip_train.main import main

    import arboretum_tools as at

    description = tmp_path / "small-clip.json"
    description.write_text(json.dumps(MODEL))
    open_clip.add_model_config(description)
    monkeypatch.chdir(tmp_path)
    shards = sorted(made.webdataset.glob("train-*.tar"))
    pattern = f"{made.webdataset}/train-{{000000..{len(shards) - 1:06d}}}.tar"
    given = {
        "dataset-type": "webdataset",
        "train-data": pattern,
        "model": "small-clip",
        "workers": 1,
        "batch-size": 14,
        "epochs": 6,
        "warmup": 1,
        "lr": 2e-3,
        "log-every-n-steps": 1,
        "logs": tmp_path / "logs",
        "name": "run",
    }
    main([str(one) for name, value in given.items() for one in (f"--{name}", value)])
    log = (tmp_path / "logs" / "run" / "out.log").read_text()
    losses = [float(found) for found in re.findall(r"Contrastive_loss: ([\d.]+)", log)]
    assert len(losses) >= 6 * 4
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    found = at.zero_shot(
        made.split,
        images=made.store.path,
        model=str(description),
        pretrained=tmp_path / "logs" / "run" / "checkpoints" / "epoch_6.pt",
        out=tmp_path / "predicted",
    )
    assert found.evaluation.photos == made.split.part("test").num_rows
