"""Processes that train one network together."""

import numpy as np
import pytest
import torch
import torch.distributed as dist
from groups import together
from torch import nn

from evonas.config import TrainingConfig
from evonas.errors import InputError
from evonas.spaces import get_space
from evonas.supernet import Supernet
from evonas.training import Checkpoint, Trainer
from evonas.training.group import Group

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="torch without gloo")


def settings(**changes) -> TrainingConfig:
    values = dict(steps=20, batch_size=17, lr=0.1, weight_decay=1e-4, label_smoothing=0.1)
    return TrainingConfig(**{**values, **changes})


class Forked(nn.Module):
    """A smooth network whose passes take one branch or the other; the rest has no gradients."""

    def __init__(self, normal: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.normal = nn.BatchNorm2d(4) if normal else nn.Identity()
        self.heads = nn.ModuleList(nn.Linear(16, 3) for _ in range(4))

    def forward(self, images, head):
        features = self.normal(self.stem(images)).tanh()
        return self.heads[head](nn.functional.adaptive_avg_pool2d(features, 2).flatten(1))


def network(normal: bool = False) -> Forked:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Forked(normal).to(memory_format=torch.channels_last)


def two_heads(random_state: np.random.Generator) -> list[tuple[int]]:
    return [(int(head),) for head in random_state.choice(4, 2, replace=False)]


def trained(data, group: Group | None, net: Forked, *, steps: int = 3, **options) -> Trainer:
    trainer = Trainer(net, data, settings(), passes=two_heads, group=group, **options)
    batches = trainer.endless()
    for _ in range(steps):
        trainer.loss = trainer.train_step(*next(batches))
    return trainer


def weights(net: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_a_bucket_is_added_up_in_place():
    def job(group):
        tensors = [
            torch.full((2, 3, 2, 2), group.rank + 1.0).contiguous(
                memory_format=torch.channels_last
            ),
            torch.arange(5.0) * (group.rank + 1),
            torch.tensor(0.5),
        ]
        group.add_up(tensors)
        return tensors

    for tensors in together(3, job):
        assert (tensors[0] == 6).all() and tensors[0].is_contiguous(
            memory_format=torch.channels_last
        )
        assert tensors[1].tolist() == [0, 6, 12, 18, 24] and tensors[2] == 1.5


@pytest.mark.parametrize("size", [2, 3, 4])
def test_gradients_are_those_of_one(data, size):
    """The parts of a batch have 9 and 8 images, and shares of them differ by one."""
    nets = [network() for _ in range(size + 1)]
    alone = trained(data, None, nets[-1])
    trainers = together(size, lambda group: trained(data, group, nets[group.rank]))
    for trainer, net in zip(trainers, nets[:-1], strict=True):
        torch.testing.assert_close(weights(net), weights(nets[-1]), atol=1e-6, rtol=1e-5)
        assert torch.equal(weights(net), weights(nets[0]))
        torch.testing.assert_close(trainer.loss, alone.loss)
        for mine, one in zip(net.parameters(), nets[-1].parameters(), strict=True):
            assert (mine.grad is None) == (one.grad is None)


def test_one_exchange_a_step_of_the_parameters_that_take_part(data, monkeypatch):
    seen = []
    exchange = dist.all_reduce

    def counted(bucket, group):
        seen.append(len(bucket))
        return exchange(bucket, group=group)

    monkeypatch.setattr(dist, "all_reduce", counted)
    nets = [network() for _ in range(2)]
    together(2, lambda group: trained(data, group, nets[group.rank]))
    assert seen == [1 + 4 * 9 + 4 + 2 * (16 * 3 + 3)] * 6


def test_batch_statistics_are_of_the_share(data):
    nets = [network(normal=True) for _ in range(2)]
    together(2, lambda group: trained(data, group, nets[group.rank]))
    assert torch.equal(weights(nets[0]), weights(nets[1]))
    assert not torch.equal(nets[0].normal.running_mean, nets[1].normal.running_mean)


def test_a_group_of_one_is_no_group(data):
    nets = [network(normal=True) for _ in range(2)]
    together(1, lambda group: trained(data, group, nets[0]))
    trained(data, None, nets[1])
    assert torch.equal(weights(nets[0]), weights(nets[1]))


def test_members_on_threads_of_their_own_add_up_as_well(data):
    nets = [network() for _ in range(3)]

    def job(group):
        torch.set_num_threads(2)
        trainer = trained(data, group, nets[group.rank])
        team = trainer._team
        team.end()
        return team

    assert all(together(2, job))
    trained(data, None, nets[2])
    torch.testing.assert_close(weights(nets[0]), weights(nets[2]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_training_goes_on_with_another_number(data, tmp_path, first, then):
    path = tmp_path / "training.safetensors"
    whole = network()
    Trainer(whole, data, settings(), passes=two_heads).train()
    nets = [network() for _ in range(4)]

    def job(group, stop_at, nets):
        trainer = Trainer(
            nets[group.rank], data, settings(), passes=two_heads, checkpoint=path, group=group
        )
        began = trainer.step
        assert trainer.train(stop=lambda: trainer.step == stop_at) == (stop_at > 20)
        return began

    assert together(first, lambda group: job(group, 13, nets[:2])) == [0] * first
    assert together(then, lambda group: job(group, 99, nets[2:])) == [8] * then
    torch.testing.assert_close(weights(nets[2]), weights(whole), atol=1e-5, rtol=1e-4)


def test_the_first_alone_keeps_the_state(data):
    kept, nets = {0: [], 1: []}, [network() for _ in range(2)]

    def job(group):
        trainer = Trainer(
            nets[group.rank],
            data,
            settings(),
            passes=two_heads,
            group=group,
            keep=kept[group.rank].append,
        )
        trainer.train()
        return trainer

    together(2, job)
    assert [state.values["step"] for state in kept[0]] == [8, 16, 20] and not kept[1]
    state = Checkpoint.from_bytes(kept[0][0].to_bytes())
    again = Trainer(network(), data, settings(), passes=two_heads)
    again.restore(state)
    assert again.step == 8


def test_a_share_too_small_is_one_clear_error(data):
    net = network()

    def job(group):
        with pytest.raises(InputError) as error:
            trained(data, group, net)
        return str(error.value)

    for message in together(5, job):
        assert message == (
            "a batch of 17 images is too small for the 2 networks of a step, shared by 5 workers; "
            "give a --training.batch-size of at least 20"
        )


@pytest.mark.parametrize("paths", ["spread", "dropout"])
def test_a_supernet_samples_the_same_for_all(few_digits, paths):
    space = get_space("tiny", num_classes=10, input_shape=(1, 8, 8))
    config = settings(steps=4, batch_size=24, paths=paths, half_resolution=0.5)
    supernets = [Supernet(space, few_digits, 0.25) for _ in range(2)]

    def job(group):
        supernet, seen, told = supernets[group.rank], [], []
        trainer = supernet.trainer(config, seed=3, group=group)
        passes = trainer.passes
        trainer.passes = lambda random_state: seen.append(passes(random_state)) or seen[-1]
        assert trainer.train(on_step=lambda steps, loss: told.append(loss))
        return seen, told

    (one, losses), (other, others) = together(2, job)
    assert str(one) == str(other) and len(one) == 4 and losses == others
    assert torch.equal(*(weights(supernet.network) for supernet in supernets))
