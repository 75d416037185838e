import copy
from dataclasses import replace

import pytest
import torch

from evonas.config import ScratchConfig
from evonas.errors import InputError
from evonas.training import Checkpoint, Training, TrainingStore
from evonas.training.recipes import settle
from evonas.training.store import training_key

RECORD = Training("plain:3x2:000:333", 1, 2, 12.5, 0.4, 99.0, 1.5)
WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> TrainingStore:
    return TrainingStore(tmp_path / "new" if request.param == "folder" else None)


def test_round_trip(store):
    assert store.get("k") is None and store.weights("k") is None
    store.put("k", RECORD, WEIGHTS)
    stores = [store] if store.folder is None else [store, TrainingStore(store.folder)]
    for other in stores:
        assert other.get("k") == RECORD
        weights = other.weights("k")
        assert set(weights) == set(WEIGHTS)
        assert all(torch.equal(weights[name], WEIGHTS[name]) for name in WEIGHTS)


def test_a_folder_is_made_before_anything_is_trained(store, tmp_path):
    store.check()
    assert store.folder is None or not list(store.folder.iterdir())
    reader = TrainingStore(tmp_path / "read", read_only=True)
    reader.check()
    assert not (tmp_path / "read").exists()


@pytest.mark.parametrize("name", ["file", "file/in"])
def test_a_file_in_place_of_the_folder_is_one_line(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, or in one; give a folder"):
        TrainingStore(tmp_path / name).check()
    with pytest.raises(InputError, match="cannot write /proc/nothing/"):
        TrainingStore("/proc/nothing").check()


def test_forgetting_weights_keeps_records(store):
    store.put("k", RECORD, WEIGHTS)
    store.put("other", RECORD, WEIGHTS)
    for _ in range(2):
        store.forget_weights(["k", "never there"])
        assert store.get("k") == RECORD and store.weights("k") is None
        assert store.weights("other")
    if store.folder:
        assert TrainingStore(store.folder).get("k") == RECORD


def test_what_has_no_weights_has_a_record(store):
    store.put("k", RECORD, {})
    assert store.get("k") == RECORD and store.weights("k") is None


def test_a_folder_is_made_with_its_first_training(tmp_path):
    store = TrainingStore(tmp_path / "a" / "b")
    assert store.checkpoint("k") is not None and not (tmp_path / "a").exists()
    store.put("k", RECORD, WEIGHTS)
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["k.safetensors"]


def test_a_kept_training_has_no_state_left(tmp_path):
    store = TrainingStore(tmp_path)
    store.checkpoint("k").write_bytes(b"state")
    store.checkpoint("other").write_bytes(b"state")
    store.put("k", RECORD, WEIGHTS)
    assert not store.checkpoint("k").exists() and store.checkpoint("other").exists()


def test_a_folder_that_is_only_read_stays_as_it_is(tmp_path):
    TrainingStore(tmp_path).put("k", RECORD, WEIGHTS)
    before = [(p.name, p.read_bytes()) for p in tmp_path.iterdir()]
    store = TrainingStore(tmp_path, read_only=True)
    assert store.checkpoint("new") is None
    store.put("new", RECORD, WEIGHTS)
    assert store.get("new") == RECORD and store.weights("new")
    store.forget_weights(["k", "new"])
    assert store.weights("k") and store.weights("new") is None
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == before


def test_a_copy_is_the_store_itself(store):
    assert copy.deepcopy(store) is store


def test_a_torn_file_is_one_clear_line(tmp_path):
    TrainingStore(tmp_path).put("k", RECORD, WEIGHTS)
    file = tmp_path / "k.safetensors"
    whole = file.read_bytes()
    for keep in (0, 40, -3):
        file.write_bytes(whole[:keep])
        with pytest.raises(InputError, match="no whole checkpoint") as error:
            TrainingStore(tmp_path).get("k")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("values", [{}, {"training": {"network": "x"}}, {"training": None}])
def test_a_file_of_something_else_is_one_clear_line(tmp_path, values):
    Checkpoint({}, values).save(tmp_path / "k.safetensors")
    with pytest.raises(InputError, match="k.safetensors is no record of a training; delete it"):
        TrainingStore(tmp_path).get("k")


CONFIG = settle(ScratchConfig(), side=8, images=1100, device="cpu", threads=2)
DATA = {"name": "digits", "checksum": "0123", "train": 1100, "validation": 350}


def key(network="plain:3x2:000:333", seed=1, config=CONFIG, data=DATA) -> str:
    return training_key(network, seed, config, data)


@pytest.mark.parametrize(
    "other",
    [
        {"network": "plain:3x2:000:335"},
        {"seed": 2},
        {"data": DATA | {"checksum": "4567"}},
        {"data": DATA | {"train": 1000}},
        *(
            {"config": replace(CONFIG, **{name: value})}
            for name, value in {
                "recipe": "trg", "epochs": 3, "batch_size": 32, "lr": 0.01, "momentum": 0.5,
                "weight_decay": 0.1, "warmup": 0.5, "label_smoothing": 0.1, "clip_norm": 1.0,
                "cutout": 1, "half_resolution": 0.5, "ema": 0.5,
            }.items()
        ),
    ],
    ids=str,
)  # fmt: skip
def test_another_result_has_another_key(other):
    assert key(**other) != key()


def test_what_changes_no_result_changes_no_key():
    for name, value in {"at_once": 7, "seeds": 3, "compile": True, "promotion": (1,)}.items():
        assert key(config=replace(CONFIG, **{name: value})) == key()


def test_a_key_is_a_readable_file_name():
    assert key().startswith("plain-3x2-000-333-e15-s1-")
    long = key(network="darts:" + "sep_conv_3x3,0|" * 90)
    assert len(long) < 130 and long.replace("-", "").replace("_", "").isalnum()
    assert key(network="darts:" + "x" * 200) != key(network="darts:" + "x" * 201)
