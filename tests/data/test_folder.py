import pytest
import torch

from evonas.data import Augmentation, ImageFiles, ImageTensors, folder, get_data, stream
from evonas.data.stream import decode
from evonas.errors import InputError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_resident(pictures):
    data = get_data("folder", data_dir=pictures)
    assert isinstance(data.train, ImageTensors) and data.class_names == ("ant", "bee", "cat")
    # 90 images: 14 test, 11 of the other 76 validation.
    assert (len(data.train), len(data.validation)) == (65, 11)
    assert data.input_shape == (3, 32, 32)
    assert get_data("folder", data_dir=pictures, image_size=20).input_shape == (3, 20, 20)


def test_decode(tmp_path):
    from PIL import Image

    image = Image.new("RGB", (64, 32))  # wide: the centre is kept
    image.paste((255, 0, 0), (16, 0, 48, 32))
    image.save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png", 32)
    assert pixels.shape == (3, 32, 32) and (pixels[0] == 255).all() and (pixels[1:] == 0).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_equals_resident(pictures, workers):
    resident = get_data("folder", data_dir=pictures)
    streamed = get_data("folder", data_dir=pictures, memory_limit=0, workers=workers)
    assert isinstance(streamed.train, ImageFiles) and not hasattr(streamed.train, "images")
    assert streamed.checksum == resident.checksum
    assert torch.equal(streamed.mean, resident.mean) and torch.equal(streamed.std, resident.std)
    policy = Augmentation(flip=True, cutout=8)
    before = torch.get_rng_state()
    for arguments in (
        {"generator": generator(5)},
        {"generator": generator(5), "augment": policy, "channels_last": True},
        {},
    ):
        state = arguments.get("generator") and arguments["generator"].get_state()
        for part in ("train", "validation"):
            epochs = []
            for data in (resident, streamed):
                if state is not None:
                    arguments["generator"].set_state(state)
                epochs.append(list(getattr(data, part).batches(10, **arguments)))
            assert len(epochs[0]) == len(epochs[1]) > 0
            for (x, y), (a, b) in zip(*epochs, strict=True):
                assert torch.equal(x, a) and torch.equal(y, b)
    assert torch.equal(before, torch.get_rng_state())


def test_only_the_batches_wanted_are_read(pictures, monkeypatch):
    part = get_data("folder", data_dir=pictures, memory_limit=0, workers=0).train
    whole = list(part.batches(10))
    read = []
    once = stream.decode
    monkeypatch.setattr(stream, "decode", lambda path, side: read.append(path) or once(path, side))
    (some,) = part.batches(10, only=[1])
    assert torch.equal(some[0], whole[1][0]) and torch.equal(some[1], whole[1][1])
    assert len(read) == len(some[1])


def test_validation_stays_resident_where_it_alone_fits(pictures):
    data = get_data("folder", data_dir=pictures, memory_limit=20 * 3 * 32 * 32)
    assert isinstance(data.validation, ImageTensors) and isinstance(data.train, ImageFiles)


def test_streamed_take(pictures):
    data = get_data("folder", data_dir=pictures, memory_limit=0)
    part = data.train.take(20)
    first = torch.cat([x for x, _ in part.batches(7)])
    assert torch.equal(first, torch.cat([x for x, _ in data.train.batches(65)])[:20])


def test_statistics_of_a_sample(pictures):
    from dataclasses import replace

    small = replace(folder.FOLDER, statistics_images=16)
    means = [get_data(small, data_dir=pictures, memory_limit=m).mean for m in (None, 0)]
    assert torch.equal(*means)
    assert not torch.equal(means[0], get_data("folder", data_dir=pictures).mean)


def test_checksum_follows_the_files(pictures):
    before = get_data("folder", data_dir=pictures).checksum
    victim = sorted((pictures / "cat").iterdir())[0]
    victim.rename(victim.with_name("zzz.jpg"))
    assert get_data("folder", data_dir=pictures).checksum != before


def _fails(root, message, **arguments):
    with pytest.raises(InputError, match=message) as caught:
        get_data("folder", data_dir=root, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["truncated", "text", "empty"])
def test_broken_image(pictures, kind, workers):
    path = pictures / "ant" / "001.png"
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"hello", "empty": b""}[kind])
    _fails(pictures, f"cannot read the image {path}", workers=workers)


def test_broken_image_in_a_stream(pictures):
    data = get_data("folder", data_dir=pictures, memory_limit=0, workers=2)
    path = data.train.files.root / data.train.files.names[30]
    path.write_bytes(b"gone bad")
    with pytest.raises(InputError, match=f"{path}") as caught:
        list(data.train.batches(10))
    assert "\n" not in str(caught.value)


def test_one_class(pictures, tmp_path):
    (tmp_path / "one" / "ant").mkdir(parents=True)
    _fails(tmp_path / "one", "only one, ant")
    _fails(pictures / "ant", "there is none")


def test_class_without_images(pictures):
    (pictures / "dog" / "more").mkdir(parents=True)
    _fails(pictures, f"{pictures / 'dog'} holds no images")


def test_too_few_images(pictures):
    for name in ("ant", "bee", "cat"):
        for path in sorted((pictures / name).glob("*.??g"))[2:]:
            path.unlink()
    _fails(pictures, "holds 6 images, too few")


def test_no_folder_named(no_folder):
    with pytest.raises(InputError, match="--data-dir or EVONAS_DATA"):
        get_data("folder")


def test_impossible_image_size(pictures):
    _fails(pictures, "image_size=0", image_size=0)


def test_workers_only_where_they_are_worth_it():
    assert stream.default_workers(stream.WORTH_WORKERS - 1) == 0
    assert 1 <= stream.default_workers(stream.WORTH_WORKERS) <= 8


def test_a_link_that_leads_nowhere_is_named(pictures):
    link = pictures / "ant" / "gone.png"
    link.symlink_to(pictures / "nowhere.png")
    try:
        with pytest.raises(InputError, match=r"cannot read the image .*gone\.png \(No such file"):
            get_data("folder", data_dir=pictures)
    finally:
        link.unlink()
