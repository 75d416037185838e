"""Single networks trained alone, several at once, and on from where they were stopped."""

import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evonas.config import ScratchConfig
from evonas.data import from_tensors
from evonas.errors import InputError
from evonas.training import Checkpoint, TrainingDiverged, evaluate_network, train_network
from evonas.training import scratch as module
from evonas.training.pool import JobPool, do_several
from evonas.training.recipes import settle
from evonas.training.scratch import new_network

CPU = torch.device("cpu")
NETWORK = "3x4:100:353"


@pytest.fixture(scope="module")
def config():
    given = ScratchConfig(epochs=2, batch_size=32)
    return settle(given, side=8, images=200, device="cpu", threads=1)


@pytest.fixture
def make(chains):
    def made(text=NETWORK, seed=1):
        return new_network(partial(chains.build, chains.encode(text)), CPU, seed=seed)

    return made


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def numbers(trained):
    return trained.error, trained.loss, trained.training_accuracy


@pytest.fixture(autouse=True)
def nothing_global(request):
    """Generators and the number of threads are those of the caller, whatever is trained."""
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    yield
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert torch.get_num_threads() == threads
    # Also of threads that are new.
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [threads]


# -- one network ------------------------------------------------------------------------------


def test_first_weights_are_those_of_a_seed(make):
    one, again, other = make().state_dict(), make().state_dict(), make(seed=2).state_dict()
    assert same(one, again) and not same(one, other)


def test_a_network_with_given_weights(chains, make):
    weights = make(seed=3).state_dict()
    build = partial(chains.build, chains.encode(NETWORK))
    assert same(new_network(build, CPU, weights=weights).state_dict(), weights)


def test_a_training_is_that_of_its_seed(make, few_digits, config):
    first, again = (train_network(make(), few_digits, config, seed=4) for _ in range(2))
    assert numbers(first) == numbers(again) and same(first.weights, again.weights)
    other = train_network(make(), few_digits, config, seed=5)
    assert not same(first.weights, other.weights)


def test_it_learns_and_tells_how_well(make, few_digits, config):
    net = make("3x4:111:333")
    trained = train_network(net, few_digits, replace(config, epochs=30), seed=1)
    assert trained.error < 45 and trained.training_accuracy > 55 and trained.seconds > 0
    assert not net.training and same(trained.weights, net.state_dict())
    assert numbers(trained)[:2] == evaluate_network(net, few_digits.validation)
    fitted = 100 - evaluate_network(net, few_digits.train)[0]
    assert trained.training_accuracy == fitted


def test_training_accuracy_is_of_the_first_images(make, few_digits, config, monkeypatch):
    monkeypatch.setattr(module, "FITTED_IMAGES", 50)
    net = make()
    trained = train_network(net, few_digits, config)
    assert trained.training_accuracy == 100 - evaluate_network(net, few_digits.train.take(50))[0]


@pytest.mark.parametrize("batch", [7, 512])
def test_an_evaluation_is_a_plain_loop(make, few_digits, monkeypatch, batch):
    monkeypatch.setattr(module, "EVALUATION_BATCH", batch)
    net = make()
    error, loss = evaluate_network(net, few_digits.validation)
    assert not net.training
    wrong, total = 0, 0.0
    with torch.no_grad():
        for images, labels in few_digits.validation.batches(1):
            logits = net(images)
            wrong += int(logits.argmax() != labels)
            total += float(F.cross_entropy(logits, labels))
    assert error == wrong and loss == pytest.approx(total / 100, rel=1e-5)  # of 100 images


def test_a_trained_network_that_is_no_number_is_one_line(make, few_digits):
    net = make()
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match="trained network is nan; give a smaller --scratch"):
        evaluate_network(net, few_digits.validation)


def test_divergence_is_one_line_that_names_the_option(make, few_digits, config):
    with pytest.raises(TrainingDiverged, match="; give a smaller --scratch.lr") as error:
        train_network(make(), few_digits, replace(config, lr=1e30, clip_norm=0.0))
    assert "\n" not in str(error.value) and "--training" not in str(error.value)


def shapes(net):
    seen = []
    net.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].shape[-1]) if net.training else None
    )
    return seen


def test_the_first_steps_see_images_of_half_the_side(make, few_digits, config):
    net = make()
    seen = shapes(net)
    train_network(net, few_digits, replace(config, half_resolution=0.5))
    assert seen == [4] * 6 + [8] * 6


def test_a_square_is_hidden_in_each_training_image(make, config):
    """White images: whatever is not white was cut out; nothing is, where they are scored."""
    rng = np.random.default_rng(0)
    images = np.full((120, 1, 8, 8), 255, np.uint8)
    images[:, :, 0, 0] = 0
    data = from_tensors(images, rng.integers(0, 10, 120), num_classes=10)
    hidden = {}
    for side in (0, 3):
        net = make()
        seen = {True: [], False: []}
        net.register_forward_pre_hook(
            lambda module, inputs, seen=seen: seen[module.training].append(inputs[0].clone())
        )
        train_network(net, data, replace(config, cutout=side, batch_size=20))
        # Cut out is the mean colour, which is 0 once images are normalised.
        hidden[side] = [int((part == 0).sum(dim=(1, 2, 3)).max()) for part in seen[True]]
        assert not any((part == 0).any() for part in seen[False])
    assert set(hidden[0]) == {0} and max(hidden[3]) == 9


def test_trg_pads_with_black_and_steps_without_nesterov(make, few_digits, config, monkeypatch):
    made = []

    class Watched(module.Trainer):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            made.append(self)

    monkeypatch.setattr(module, "Trainer", Watched)
    trg = settle(ScratchConfig(recipe="trg", epochs=1), side=8, images=200, device="cpu", threads=1)
    for each in (trg, config):
        train_network(make(), few_digits, each)
    assert [t.optimizer.param_groups[0]["nesterov"] for t in made] == [False, True]
    assert [t.data.augmentation.mode for t in made][0] == "zero"
    assert made[1].data.augmentation.mode == few_digits.train.augmentation.mode
    assert [t.data.augmentation.cutout for t in made] == [4, 0]
    assert few_digits.train.augmentation.cutout == 0


# -- stopped and gone on with -----------------------------------------------------------------


def stop_after(steps):
    """A stop flag that lets so many steps pass."""
    asked = iter(range(steps))
    return lambda: next(asked, None) is None


@pytest.mark.parametrize(
    "settings", [{}, {"ema": 0.8}, {"half_resolution": 0.5, "cutout": 2, "recipe": "trg"}], ids=str
)
@pytest.mark.parametrize("steps", [1, 8, 16])
def test_a_training_goes_on_bit_for_bit(
    make, few_digits, config, tmp_path, monkeypatch, settings, steps
):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
    config = replace(config, epochs=3, **settings)
    path = tmp_path / "new" / "k.part"
    whole = train_network(make(), few_digits, config, seed=4)
    stopped = train_network(
        make(), few_digits, config, seed=4, checkpoint=path, stop=stop_after(steps)
    )
    assert stopped is None and path.exists() == (steps >= 6)
    told = []
    again = train_network(
        make(seed=9 if path.exists() else 1),  # first weights are those of the checkpoint
        few_digits, config, seed=4, checkpoint=path, on_step=lambda n, _: told.append(n),
    )  # fmt: skip
    assert sum(told) == 18 - (steps + 1) // 6 * 6
    assert numbers(again) == numbers(whole) and same(again.weights, whole.weights)
    # Whoever keeps the result removes the state.
    assert path.exists()
    seconds = Checkpoint.load(path, tensors=False).values["seconds"]
    assert 0 < seconds <= again.seconds
    once_more = train_network(make(), few_digits, config, seed=4, checkpoint=path)
    assert numbers(once_more) == numbers(whole) and same(once_more.weights, whole.weights)


def test_seconds_are_those_of_all_processes(make, few_digits, config, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "k.part"
    given = partial(train_network, make(), few_digits, config, checkpoint=path)
    given(stop=stop_after(6))
    saved = Checkpoint.load(path)
    Checkpoint(saved.tensors, saved.values | {"seconds": 1000.0}).save(path)
    assert 1000 < given().seconds < 1100
    assert 1000 < Checkpoint.load(path, tensors=False).values["seconds"] < 1100
    # Of an evonas that did not write them.
    Checkpoint(saved.tensors, {k: v for k, v in saved.values.items() if k != "seconds"}).save(path)
    assert given().seconds < 100


def test_a_short_training_writes_no_state(make, few_digits, config, tmp_path):
    train_network(make(), few_digits, config, checkpoint=tmp_path / "k.part")
    assert not list(tmp_path.iterdir())


def test_an_average_of_the_weights_is_what_remains(make, few_digits, config):
    raw = []

    class Noted(nn.Module):
        """Notes its weights after each step: before the next one, and at the first evaluation."""

        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, images):
            if self.training:
                raw.append({k: v.clone() for k, v in self.net.state_dict().items()})
            return self.net(images)

    plain = train_network(make(), few_digits, config, seed=4)
    averaged = train_network(Noted(make()), few_digits, replace(config, ema=0.5), seed=4)
    mean = {}
    for state in [*raw[1:], dict(plain.weights)]:
        for name, value in state.items():
            if value.is_floating_point():
                mean[name] = value if name not in mean else 0.5 * mean[name] + 0.5 * value
    for name, value in mean.items():
        torch.testing.assert_close(averaged.weights[f"net.{name}"], value)
    assert averaged.loss != plain.loss


# -- several at once --------------------------------------------------------------------------


def train_all(make, data, config, texts, at_once):
    def job(text, stop):
        return train_network(make(text), data, config, seed=3, stop=stop)

    jobs = [partial(job, text) for text in texts]
    return {texts[place]: done for place, done in do_several(jobs, at_once=at_once, device=CPU)}


TEXTS = ["3x2:000:333", "4x4:1010:3553", "3x3:111:777"]


def test_a_result_depends_on_no_other_job(make, few_digits, config):
    alone = {text: train_network(make(text), few_digits, config, seed=3) for text in TEXTS}
    for at_once, order in ((1, TEXTS), (3, TEXTS), (2, TEXTS[::-1]), (3, TEXTS[:1])):
        for text, done in train_all(make, few_digits, config, order, at_once).items():
            assert numbers(done) == numbers(alone[text]) and same(done.weights, alone[text].weights)


def test_the_last_job_has_no_more_threads_than_the_first(two_threads):
    def job(stop):
        return torch.get_num_threads()

    for at_once, share in ((1, 2), (2, 1), (5, 1)):
        done = list(do_several([job] * 3, at_once=at_once, device=CPU))
        assert [threads for _, threads in done] == [share] * 3
        assert torch.get_num_threads() == 2


def test_results_come_as_they_end_with_the_place_of_their_job():
    first = threading.Event()

    def late(stop):
        first.wait(10)
        return "late"

    def soon(stop):
        return "soon"

    done = do_several([late, soon], at_once=2, device=CPU)
    assert next(done) == (1, "soon")
    first.set()
    assert list(done) == [(0, "late")]


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_has_ended_is_told_without_waiting(at_once):
    go, ended = threading.Event(), threading.Barrier(2 if at_once > 1 else 1)

    def late(stop):
        return go.wait(10)

    def soon(stop):
        ended.wait(10)
        return "soon"

    with JobPool(at_once, CPU) as pool:
        assert pool.ended_by_now() is None
        pool.submit("soon", soon)
        pool.submit("late", late)
        if at_once == 1:  # jobs are done as their results are asked for
            assert pool.ended_by_now() is None and pool.ended() == ("soon", "soon")
        else:
            ended.wait(10)
            assert pool.ended() == ("soon", "soon")
        assert pool.ended_by_now() is None and len(pool) == 1
        go.set()
        assert pool.ended() == ("late", True) and pool.ended_by_now() is None


def test_no_more_jobs_than_asked_for_are_done_at_once():
    lock, running, most = threading.Lock(), 0, 0

    def job(stop):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    list(do_several([job] * 8, at_once=3, device=CPU))
    assert most <= 3
    assert list(do_several([], at_once=3, device=CPU)) == []


def test_results_are_not_held_on_to():
    """What a consumer has let go of is freed while other jobs are still under way."""
    import weakref

    class Result:
        pass

    held = []

    def job(stop):
        return Result()

    for _, result in do_several([job] * 4, at_once=1, device=CPU):
        held.append(weakref.ref(result))
        del result
        assert sum(ref() is not None for ref in held) <= 1


def waits(started, stop):
    """A job that only ends when it is told to."""
    started.set()
    end = time.monotonic() + 20
    while not stop() and time.monotonic() < end:
        time.sleep(0.001)
    assert time.monotonic() < end
    return None


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_consumer_that_breaks_off_stops_all(two_threads, error):
    started = threading.Event()
    later = []
    jobs = [lambda stop: "done", partial(waits, started), partial(waits, started), later.append]
    begin = time.monotonic()
    with pytest.raises(error):
        for _ in do_several(jobs, at_once=2, device=CPU):
            started.wait(10)
            raise error
    assert time.monotonic() - begin < 10 and not later
    assert torch.get_num_threads() == 2
    assert not [t for t in threading.enumerate() if t.name.startswith("evonas-training")]


def test_a_job_that_fails_stops_the_others_and_loses_nothing_that_ended(two_threads):
    started, ended = threading.Event(), threading.Event()

    def failing(stop):
        started.wait(10)
        ended.wait(10)
        raise InputError("no such thing")

    def quick(stop):
        return "kept"

    got = []
    jobs = [failing, quick, partial(waits, started)]
    with pytest.raises(InputError, match="no such thing"):
        for place, result in do_several(jobs, at_once=3, device=CPU):
            got.append((place, result))
            ended.set()
    assert got == [(1, "kept")] and torch.get_num_threads() == 2


def test_all_are_asked_to_stop(two_threads):
    flag, started = threading.Event(), threading.Event()
    jobs = [partial(waits, started)] * 2
    done = do_several(jobs, at_once=2, device=CPU, stop=flag.is_set)
    threading.Timer(0.05, flag.set).start()
    assert sorted(done) == [(0, None), (1, None)]


def test_networks_are_built_from_their_seed_in_any_thread(chains):
    """Weights come from torch's one generator, which threads would draw from in turns."""
    build = partial(chains.build, chains.encode("4x4:1111:3333"))

    def job(seed, stop):
        return new_network(build, CPU, seed=seed).state_dict()

    alone = [job(seed, None) for seed in range(12)]
    jobs = [partial(job, seed) for seed in range(12)]
    for place, weights in do_several(jobs, at_once=4, device=CPU):
        assert same(weights, alone[place])


def test_each_compiled_network_is_compiled(chains, few_digits, config, monkeypatch):
    """Torch gives up on a piece of code after it was compiled for a few networks."""
    compiled = []

    def backend(graph, inputs):
        compiled.append(1)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda net, **options: real(net, backend=backend, **options)
    )
    config = replace(config, compile=True, epochs=1)
    counts = []
    for text in ["3x2:000:333", "3x3:000:333", "3x4:000:333", "4x2:0000:3333", "4x3:0000:3333",
                 "4x4:0000:3333", "3x2:100:333", "3x3:100:333", "3x4:100:333"]:  # fmt: skip
        net = new_network(partial(chains.build, chains.encode(text)), CPU, seed=1)
        train_network(net, few_digits, config)
        counts.append(len(compiled))
        compiled.clear()
    assert min(counts) >= 1
