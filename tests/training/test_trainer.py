import numpy as np
import pytest
import torch
from torch import nn

import evonas.training.trainer
from evonas.config import TrainingConfig
from evonas.device import cpu_threads
from evonas.errors import InputError
from evonas.training import Trainer, TrainingDiverged
from evonas.training.replay import NotRecorded, _chosen_kernels


def settings(**changes) -> TrainingConfig:
    values = dict(steps=30, batch_size=16, lr=0.1, weight_decay=1e-4, label_smoothing=0.0)
    return TrainingConfig(**{**values, **changes})


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_it_learns(data):
    losses = []
    trainer = Trainer(network(), data, settings(steps=60))
    assert trainer.train(on_step=lambda n, loss: losses.append(loss))
    assert len(losses) == 60 and losses[-1] < 0.5 * losses[0]


def one_by_one(trainer: Trainer, steps: int) -> None:
    """So many steps, all passes on one thread."""
    with cpu_threads(1):
        for _ in range(steps):
            trainer.train_step(*next(iter(trainer.epoch())))


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_passes_at_once_are_those_one_by_one(data, threads, monkeypatch):
    """Gradients of all are added up; weights of channels last, and some that a pass leaves out."""
    nets = [network().to(memory_format=torch.channels_last) for _ in range(2)]
    for net in nets:
        # Seeded: with 3 of 1,000 others, sums on two threads round a feature to the other side of
        # ReLU's zero, and gradients differ by 1e-3.
        with torch.random.fork_rng():
            torch.manual_seed(1)
            net.branch = nn.Linear(16, 3)
    trainers = []
    for net in nets:

        def forward(images, branch, net=net):
            features = net[:5](images)
            return net[5](features) + (net.branch(features) if branch else 0)

        trainers.append(
            Trainer(
                net, data, settings(), forward=forward,
                passes=lambda random_state: [(True,), (False,), (random_state.random() < 0.5,)],
            )
        )  # fmt: skip
    with cpu_threads(threads):
        for _ in range(5):
            trainers[0].train_step(*next(iter(trainers[0].epoch())))
        assert torch.get_num_threads() == threads
        assert trainers[0]._team.size == min(3, threads)
    one_by_one(trainers[1], 5)
    assert trainers[1]._team is None
    torch.testing.assert_close(weights(nets[0]), weights(nets[1]))
    assert trainers[0].train() and trainers[0]._team is None


@pytest.mark.parametrize("precision", [None, "float32", "bfloat16"])
def test_passes_are_in_the_precision_that_is_said(two_threads, data, precision):
    """Those of members of a team as well; weights and losses stay float32."""
    net, seen = network(), set()

    def forward(images, _):
        features = net[0](images)
        seen.add(features.dtype)
        return net[1:](features)

    trainer = Trainer(
        net, data, settings(precision=precision), forward=forward, passes=lambda _: [(0,), (1,)]
    )
    loss = trainer.train_step(*next(iter(trainer.epoch())))
    assert seen == {torch.bfloat16 if precision == "bfloat16" else torch.float32}
    assert {loss.dtype, *(p.dtype for p in net.parameters())} == {torch.float32}
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="unknown precision 'bf16'; did you mean bfloat16"):
        settings(precision="bf16")


def test_an_error_of_a_pass_is_the_callers(data):
    def forward(images, broken):
        if broken:
            raise ValueError("broken")
        return net(images)

    net = network()
    trainer = Trainer(
        net, data, settings(), forward=forward, passes=lambda random_state: [(False,), (True,)]
    )
    with pytest.raises(ValueError, match="broken"):
        trainer.train()


def test_matches_torch_sgd(data):
    """The fused step with zero buffers is plain SGD with momentum, step for step."""
    net, other = network(), network()
    trainer = Trainer(net, data, settings(clip_norm=0.0, warmup=0.0))
    sgd = torch.optim.SGD(
        other.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=False
    )
    images, labels = next(iter(trainer.epoch()))
    for _ in range(3):
        sgd.param_groups[0]["lr"] = trainer._rate(trainer.step)
        trainer.train_step(images, labels)
        sgd.zero_grad()
        nn.functional.cross_entropy(other(images), labels).backward()
        sgd.step()
    assert torch.allclose(weights(net), weights(other), atol=1e-6)


class Diary:
    """A companion that notes the steps."""

    def __init__(self):
        self.steps = []

    def after_step(self, step):
        self.steps.append(step)

    def state(self):
        return {"steps": list(self.steps)}

    def restore(self, state):
        self.steps = list(state["steps"])


def test_a_companion_goes_along_and_comes_back(data, tmp_path):
    path = tmp_path / "training.safetensors"
    first = Trainer(network(), data, settings(), checkpoint=path, companion=Diary())
    assert not first.train(stop=lambda: first.step >= 17)
    assert first.companion.steps == list(range(1, 18))
    second = Trainer(network(), data, settings(), checkpoint=path, companion=Diary())
    assert second.companion.steps == list(range(1, second.step + 1)) and second.step > 0
    second.train()
    assert second.companion.steps == list(range(1, 31))
    Trainer(network(), data, settings(), checkpoint=tmp_path / "alone.safetensors").train()
    with pytest.raises(InputError, match="another kind of training"):
        Trainer(
            network(), data, settings(), checkpoint=tmp_path / "alone.safetensors",
            companion=Diary(),
        )  # fmt: skip


@pytest.mark.parametrize("half", [None, 0.5])
@pytest.mark.parametrize("stop_at", [1, 11, 23])
def test_resumes_bit_for_bit(data, tmp_path, stop_at, half):
    config = settings(half_resolution=half)
    whole = network()
    Trainer(whole, data, config).train()
    path = tmp_path / "training.safetensors"
    first = Trainer(network(), data, config, checkpoint=path)
    assert not first.train(stop=lambda: first.step >= stop_at)
    again = network()
    second = Trainer(again, data, config, checkpoint=path)
    assert second.step == stop_at // second.steps_per_epoch * second.steps_per_epoch
    assert second.train()
    assert torch.equal(weights(whole), weights(again))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_momentum_is_nesterovs_unless_told_otherwise(data):
    nets = [network() for _ in range(3)]
    config = settings(clip_norm=0.0, warmup=0.0)
    trainers = [
        Trainer(net, data, config, nesterov=n)
        for net, n in zip(nets, (True, False, False), strict=True)
    ]
    sgd = torch.optim.SGD(nets[2].parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    images, labels = next(iter(trainers[0].epoch()))
    for _ in range(3):
        sgd.param_groups[0]["lr"] = trainers[0]._rate(trainers[0].step)
        for trainer in trainers[:2]:
            trainer.train_step(images, labels)
        sgd.zero_grad()
        nn.functional.cross_entropy(nets[2](images), labels).backward()
        sgd.step()
    assert torch.allclose(weights(nets[1]), weights(nets[2]), atol=1e-6)
    assert not torch.allclose(weights(nets[0]), weights(nets[2]), atol=1e-4)


def test_the_average_of_all_steps_is_what_remains(data):
    net = network()
    trainer = Trainer(net, data, settings(steps=14), ema=0.75)
    mean, statistics = None, None
    while trainer.step < 14:
        for images, labels in trainer.epoch():
            trainer.train_step(images, labels)
            now, seen = weights(net), net[1].running_mean.clone()
            mean = now if mean is None else 0.75 * mean + 0.25 * now
            statistics = seen if statistics is None else 0.75 * statistics + 0.25 * seen
            if trainer.step == 14:
                break
    last = weights(net)
    assert trainer.train()
    torch.testing.assert_close(weights(net), mean)
    torch.testing.assert_close(net[1].running_mean, statistics)
    assert not torch.allclose(last, mean)


@pytest.mark.parametrize("stop_at", [1, 13, 25])
def test_an_average_resumes_bit_for_bit(data, tmp_path, stop_at):
    whole, again = network(), network()
    Trainer(whole, data, settings(), ema=0.9).train()
    path = tmp_path / "t.safetensors"
    first = Trainer(network(), data, settings(), ema=0.9, checkpoint=path)
    assert not first.train(stop=lambda: first.step >= stop_at)
    assert Trainer(again, data, settings(), ema=0.9, checkpoint=path).train()
    # Also where nothing is left to do: the checkpoint of the end holds both.
    ended = network()
    assert Trainer(ended, data, settings(), ema=0.9, checkpoint=path).train()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert torch.equal(value, ended.state_dict()[name]), name


def test_a_checkpoint_with_other_new_settings_is_refused(data, tmp_path):
    path = tmp_path / "t.safetensors"
    Trainer(network(), data, settings(), checkpoint=path).train()
    with pytest.raises(InputError, match="made with ema = 0.0, not 0.9"):
        Trainer(network(), data, settings(), checkpoint=path, ema=0.9)
    with pytest.raises(InputError, match="made with nesterov = True, not False"):
        Trainer(network(), data, settings(), checkpoint=path, nesterov=False)


def test_a_training_goes_on_in_another_precision(data, tmp_path):
    """As on another device; one from before there were any says nothing of it."""
    path = tmp_path / "t.safetensors"
    first = Trainer(network(), data, settings(precision="bfloat16"), checkpoint=path)
    assert not first.train(stop=lambda: first.step == 10)
    first.state().save(path)
    for precision in (None, "float32"):
        second = Trainer(network(), data, settings(precision=precision), checkpoint=path)
        assert second.step == 10
    assert second.train()


def test_a_training_goes_on_on_another_kind_of_device(data):
    """Whose generator has a state of another length, and draws other numbers anyway."""
    first = Trainer(network(), data, settings())
    first.train(stop=lambda: first.step == 9)
    state = first.state()
    state.tensors["generator"] = torch.zeros(16, dtype=torch.uint8)
    orders = []
    for seed in (0, 0, 1):
        state.values["settings"]["seed"] = seed
        second = Trainer(network(), data, settings(), seed=seed)
        second.restore(state)
        orders.append(next(iter(second.epoch()))[1].tolist())
        assert second.step == 9 and second.train()
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != next(iter(Trainer(network(), data, settings()).epoch()))[1].tolist()


def test_checkpoints_lie_apart_in_time(data, tmp_path, monkeypatch):
    from evonas.training import trainer as module

    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    saved = []
    monkeypatch.setattr(module.Checkpoint, "save", lambda self, path: saved.append(now[0]))

    def later(steps, loss):
        now[0] += 1.0  # a second a step, of 9 to an epoch

    for apart, times in ((0.0, [9, 18, 27, 30]), (10.0, [18, 30]), (15.0, [18]), (60.0, [])):
        now[0] = 0.0
        saved.clear()
        trainer = Trainer(
            network(), data, settings(), checkpoint=tmp_path / "t", checkpoint_seconds=apart
        )
        assert trainer.train(on_step=later)
        assert saved == times


def test_a_compiled_forward_is_used(data):
    """A compiled network has no truth value to ask for."""
    net, other = network(), network()
    Trainer(net, data, settings(steps=3)).train()
    compiled = torch.compile(other, backend="eager")
    Trainer(other, data, settings(steps=3), forward=compiled).train()
    assert torch.allclose(weights(net), weights(other), atol=1e-6)


class Recording:
    """Stands in for a recorded step where there is no GPU: does it anew each time."""

    made: list[tuple[int, ...]] = []
    chosen: list[bool] = []

    def __init__(self, gradients, network, images, labels, *, choose):
        self.chosen.append(choose)
        self.gradients, self.images = gradients, images
        self.made.append(tuple(images.shape))

    def __call__(self, images, labels):
        assert images.shape == self.images.shape
        return self.gradients(images, labels)


class Refusal:
    def __init__(self, *_, **options):
        raise NotRecorded("no")


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setattr(Recording, "made", [])
    monkeypatch.setattr(Recording, "chosen", [])
    monkeypatch.setattr(evonas.training.trainer, "ReplayedStep", Recording)
    return Recording


def test_a_step_is_recorded_for_each_size_of_images(data, recording):
    nets = network(), network()
    for net, replay in zip(nets, (True, False), strict=True):
        trainer = Trainer(net, data, settings(half_resolution=0.5), replay=replay)
        assert trainer.train() and trainer._recorded is None
    assert torch.equal(*map(weights, nets))
    assert recording.made == [(16, 1, 4, 4), (16, 1, 8, 8)] and recording.chosen == [False, False]


def test_kernels_are_chosen_where_many_steps_of_their_size_are_left(data, recording):
    trainer = Trainer(network(), data, settings(steps=16000, half_resolution=0.7), replay=True)
    images, labels = next(iter(trainer.epoch()))
    for trainer.step in (0, 11199, 11200):
        trainer.train_step(images, labels)
    trainer._recorded, trainer.step = None, 5000  # resumed
    trainer.train_step(images, labels)
    assert recording.chosen == [True, False, False]
    assert [made[2] for made in recording.made] == [4, 8, 4]


def test_what_was_recorded_is_gone_after_a_stop_and_a_divergence(data, recording):
    trainer = Trainer(network(), data, settings(), replay=True)
    assert not trainer.train(stop=lambda: trainer.step > 2) and trainer._recorded is None
    trainer = Trainer(network(), data, settings(lr=1e30, clip_norm=0.0), replay=True)
    with pytest.raises(TrainingDiverged):
        trainer.train()
    assert trainer._recorded is None and recording.made


def test_passes_are_not_replayed(data, recording):
    trainer = Trainer(network(), data, settings(), passes=lambda _: [(), ()], replay=True)
    with pytest.raises(ValueError, match="one forward of the images alone"):
        trainer.train()


def test_kernels_are_chosen_within():
    for before, choose in ((False, True), (True, False), (False, False)):
        torch.backends.cudnn.benchmark = before
        try:
            with pytest.raises(KeyError), _chosen_kernels(choose):
                assert torch.backends.cudnn.benchmark == (choose or before)
                raise KeyError
            assert torch.backends.cudnn.benchmark == before
        finally:
            torch.backends.cudnn.benchmark = False


def test_what_cannot_be_recorded_is_done_step_by_step(data, monkeypatch):
    monkeypatch.setattr(evonas.training.trainer, "ReplayedStep", Refusal)
    nets = network(), network()
    with pytest.warns(UserWarning, match="one by one") as told:
        assert Trainer(nets[0], data, settings(), replay=True).train()
    assert len(told) == 1
    assert Trainer(nets[1], data, settings()).train()
    assert torch.equal(*map(weights, nets))


def test_divergence_names_the_options_that_the_training_has(data):
    with pytest.raises(TrainingDiverged, match="give a smaller --scratch.lr"):
        Trainer(network(), data, settings(lr=1e30, clip_norm=0.0), options="scratch").train()


@pytest.mark.parametrize(("share", "half"), [(None, 0), (0.0, 0), (0.3, 9), (1.0, 30)])
def test_the_first_steps_see_images_of_half_the_side(data, share, half):
    net = network()
    seen = []
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    trainer = Trainer(net, data, settings(half_resolution=share))
    assert trainer.half_steps == half
    trainer.train()
    assert [image.shape[-1] for image in seen] == [4] * half + [8] * (30 - half)
    images = torch.rand(2, 1, 8, 8)
    trainer.step = 0
    trainer.train_step(images, torch.zeros(2, dtype=torch.int64))
    if half:
        assert torch.allclose(seen[-1][0, 0, 0, 0], images[0, 0, :2, :2].mean())
    else:
        assert torch.equal(seen[-1], images)


def test_work_counts_steps_on_small_images_for_less(data):
    trainer = Trainer(network(), data, settings(half_resolution=0.5))
    assert trainer.work(0) == 0
    assert trainer.work(15) < 15
    assert trainer.work(30) - trainer.work(15) == pytest.approx(15)
    assert Trainer(network(), data, settings()).work(30) == 30


def test_global_generators_are_left_alone(data):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Trainer(network(), data, settings(steps=3)).train()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


class Scaled(nn.Module):
    """Logits that depend on an argument and on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, images, factor):
        return self.weight * factor * images.mean((1, 2, 3))[:, None]


def test_each_pass_has_a_part_of_the_batch_and_gradients_add_up(data):
    config = settings(clip_norm=0.0, momentum=0.0, weight_decay=0.0, warmup=0.0, lr=1.0)
    images, labels = next(iter(data.batches(17, torch.Generator().manual_seed(0))))
    moved = []
    for factors, part in (
        ([(1.0,), (2.0,)], slice(None)),
        ([(1.0,)], slice(0, 9)),
        ([(2.0,)], slice(9, 17)),
    ):
        net = Scaled()
        trainer = Trainer(net, data, config, passes=lambda random_state, f=factors: f)
        trainer.train_step(images[part], labels[part])
        moved.append(net.weight.detach().clone())
    assert torch.allclose(moved[0], moved[1] + moved[2])


def test_a_batch_too_small_for_its_passes_is_one_clear_error(data):
    trainer = Trainer(Scaled(), data, settings(batch_size=5), passes=lambda _: [(1.0,)] * 3)
    with pytest.raises(InputError, match="for the 3 networks of a step; .* at least 6"):
        trainer.train()


def test_divergence_names_step_and_learning_rate_and_saves_nothing(data, tmp_path):
    path = tmp_path / "t.safetensors"
    trainer = Trainer(network(), data, settings(lr=1e30, clip_norm=0.0), checkpoint=path)
    with pytest.raises(TrainingDiverged, match=r"at step \d+ of 30 with learning rate \S+e\+\d+;"):
        trainer.train()
    assert not path.exists()


def test_bad_input_is_one_line(data, tmp_path):
    with pytest.raises(InputError, match="training.lr is not set"):
        Trainer(network(), data, TrainingConfig(steps=1, batch_size=4))
    with pytest.raises(InputError, match="a batch of 10000 cannot be drawn"):
        Trainer(network(), data, settings(batch_size=10_000))
    path = tmp_path / "t.safetensors"
    Trainer(network(), data, settings(), checkpoint=path).train()
    with pytest.raises(InputError, match="made with steps = 30"):
        Trainer(network(), data, settings(steps=31), checkpoint=path)
    with pytest.raises(InputError, match="another network"):
        Trainer(nn.Linear(2, 2), data, settings(), checkpoint=path)


def test_weights_ruined_by_the_last_step_of_an_epoch_reach_no_checkpoint(data, tmp_path):
    trainer = Trainer(network(), data, settings(clip_norm=0.0), checkpoint=tmp_path / "state")
    ruin = trainer.optimizer.step

    def step():
        ruin()
        if trainer.step == trainer.steps_per_epoch - 1:
            with torch.no_grad():
                trainer.parameters[0].fill_(float("inf"))

    trainer.optimizer.step = step
    at = rf"the weights became infinite at step {trainer.steps_per_epoch} of 30 with learning rate"
    with pytest.raises(TrainingDiverged, match=at):
        trainer.train()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("macs", "half", "threads"),
    [(0.0, 0.0, 1), (2.0, 0.0, 2), (2.0, 1.0, 1)],  # half the side is a quarter of the pixels
)
def test_heavy_passes_have_all_threads_one_by_one(
    two_threads, data, monkeypatch, macs, half, threads
):
    net, seen = network(), []
    monkeypatch.setattr(evonas.training.trainer, "HEAVY", 5.0)

    def forward(images, number):
        seen.append((number, torch.get_num_threads()))
        return net(images)

    trainer = Trainer(
        net, data, settings(batch_size=12, half_resolution=half), forward=forward,
        passes=lambda _: [(0,), (1,), (2,)], macs=macs,
    )  # fmt: skip
    trainer.train_step(*next(iter(trainer.epoch())))
    assert torch.get_num_threads() == 2
    assert sorted(seen) == [(number, threads) for number in range(3)]
