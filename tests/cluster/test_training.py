"""Supernets trained by several workers of Ray."""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

ray = pytest.importorskip("ray")

from groups import together  # noqa: E402

import evonas.cluster.training as module  # noqa: E402
from evonas.cluster.fitting import reason, refusal  # noqa: E402
from evonas.cluster.member import Agreement, work  # noqa: E402
from evonas.cluster.room import room_for  # noqa: E402
from evonas.cluster.training import train_supernet  # noqa: E402
from evonas.config import TrainingConfig  # noqa: E402
from evonas.data import get_data  # noqa: E402
from evonas.errors import InputError  # noqa: E402
from evonas.spaces import get_space  # noqa: E402
from evonas.supernet import Supernet  # noqa: E402
from evonas.training import Checkpoint, TrainingDiverged  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")


@pytest.fixture(scope="module", autouse=True)
def two_cpus():
    results = (
        Path.home() / "ray_results"
    )  # where Ray Train puts what it is not told to put elsewhere
    before = results.exists()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40)
    yield
    ray.shutdown()
    assert results.exists() == before


def settings(**changes) -> TrainingConfig:
    values = dict(
        steps=300, batch_size=64, lr=0.1, weight_decay=1e-4, label_smoothing=0.1, paths="spread"
    )
    return TrainingConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def new():
    data = replace(get_data("digits"), recipe=None)  # they travel, so that workers begin sooner
    space = get_space("tiny", num_classes=10, input_shape=(1, 8, 8))
    return lambda: Supernet(space, data, 0.5, seed=1)


def weights(supernet: Supernet) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in supernet.network.parameters()])


def equal(one: Checkpoint, other: Checkpoint) -> bool:
    # All but the seconds that it took.
    values = [{**checkpoint.values, "seconds": None} for checkpoint in (one, other)]
    return values[0] == values[1] and all(
        torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items()
    )


def kill_a_worker() -> None:
    """Kill one of the processes of this Ray that train."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    parents = {int(pid): int(parent) for pid, parent, _ in rows}
    training = [
        int(pid)
        for pid, parent, name in rows
        if "ray::RayTrainWorker" in name and parents[int(parent)] == os.getpid()
    ]
    assert len(training) == 2
    os.kill(training[0], signal.SIGKILL)


def test_a_lost_worker_sends_the_others_back_to_the_last_checkpoint(new, tmp_path, monkeypatch):
    """Two workers train, one is killed, and one goes on, to the same bits as without Ray."""
    path = tmp_path / "training.safetensors"
    rooms, told, said, left = [2, 1], [], [], []
    monkeypatch.setattr(module, "room_for", lambda *_, **options: rooms.pop(0))

    def on_step(steps, loss):
        told.append((steps, loss))
        if path.exists() and not left:
            left.append(None)
            kill_a_worker()

    def say(line):
        said.append(line)
        left[0] = Checkpoint.load(path)

    supernet = new()
    assert train_supernet(
        supernet, settings(), workers=2, seed=3, checkpoint=path, on_step=on_step, say=say
    )
    step = left[0].values["step"]
    assert said == [f"workers failed (one was lost); 1 of 2 go on from step {step}"]
    assert supernet.trained_steps == 300 == sum(steps for steps, _ in told)
    losses = [loss for _, loss in told]
    assert all(map(torch.isfinite, torch.tensor(losses))) and losses[-1] < losses[0]
    states, twice = {}, [new(), new()]

    def two(group):
        keep = lambda state: states.setdefault(state.values["step"], state)  # noqa: E731
        trainer = twice[group.rank].trainer(settings(), seed=3, group=group, keep=keep)
        return trainer.train(stop=lambda: trainer.step > step)

    assert together(2, two) == [False, False]
    assert equal(left[0], states[step])
    one = new()
    trainer = one.trainer(settings(), seed=3)
    trainer.restore(left[0])
    assert trainer.train() and torch.equal(weights(one), weights(supernet))
    assert Checkpoint.load(path).values["step"] == 300
    assert train_supernet(new(), settings(), workers=2, seed=3, checkpoint=path)  # at once


def test_a_training_that_is_stopped_stands_at_its_last_checkpoint(new, tmp_path, monkeypatch):
    """The one worker is a thread here: it begins sooner."""
    monkeypatch.setattr("ray.train.get_context", lambda: Alone)
    monkeypatch.setattr(module, "fit", lambda job, workers, each: work(job))
    path, config = tmp_path / "supernet" / "training.safetensors", settings(steps=5000)
    supernet, whole, again = new(), new(), new()
    told = []
    done = train_supernet(
        supernet, config, workers=1, seed=3, checkpoint=path, stop=path.exists,
        on_step=lambda steps, loss: told.append(steps),
    )  # fmt: skip
    saved = Checkpoint.load(path)
    step = saved.values["step"]
    assert not done and supernet.trained_steps == step >= 17 and sum(told) >= step
    for name, tensor in supernet.network.state_dict().items():
        assert torch.equal(tensor, saved.tensors[f"network.{name}"])
    states = {}
    trainer = whole.trainer(config, seed=3, keep=lambda state: states.update({trainer.step: state}))
    assert not trainer.train(stop=lambda: trainer.step > step + 17)
    then = again.trainer(config, seed=3, checkpoint=path)
    assert not then.train(stop=lambda: then.step > step + 17)
    assert equal(saved, states[step]) and equal(Checkpoint.load(path), states[step + 17])


class Alone:
    """The context of one worker."""

    get_world_rank = staticmethod(lambda: 0)
    get_world_size = staticmethod(lambda: 1)


def test_what_cannot_be_is_said_before_workers_begin(new, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    monkeypatch.setattr(module, "fit", None)
    with pytest.raises(InputError, match=r"64 images .* shared by 40 workers; .* at least \d+"):
        train_supernet(new(), settings(), workers=40)
    with pytest.raises(InputError, match="room for 2 of 3 workers with 1 CPU each; give fewer"):
        train_supernet(new(), settings(), workers=3)
    with pytest.raises(InputError, match="room for 0 of 1 workers with 1 CPU and 0.5 GPU each"):
        train_supernet(new(), settings(), workers=1, gpus=0.5)
    path = tmp_path / "training.safetensors"
    new().trainer(settings(), seed=3).state().save(path)
    with pytest.raises(InputError, match="made with seed = 3, not 4"):
        train_supernet(new(), settings(), workers=2, seed=4, checkpoint=path)


class Breaking:
    """Stands in for Ray Train; gets on by so many steps, and fails."""

    def __init__(self, *steps: int) -> None:
        self.steps, self.workers = list(steps), []

    def __call__(self, job, workers, each):
        self.workers.append(workers)
        state = Checkpoint.from_bytes(ray.get(job.desk.state.remote()))
        state.values["step"] += self.steps.pop(0)
        ray.get(job.desk.keep.remote(state.values["step"], state.to_bytes()))
        raise RuntimeError("broken\nTraceback")


def test_it_gives_up_after_three_failures_that_bring_it_no_further(new, monkeypatch):
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(module, "room_for", lambda workers, *_, **options: workers)
    breaking, said = Breaking(0, 17, 0, 0, 17, 0, 0, 0), []
    monkeypatch.setattr(module, "fit", breaking)
    with pytest.raises(InputError) as error:
        train_supernet(new(), settings(), workers=2, say=said.append)
    assert str(error.value) == (
        "training on 2 workers failed 3 times at step 34 of 300, the last time with: RuntimeError: "
        "broken; see Ray's logs"
    )
    assert breaking.workers == [2] * 8 and len(said) == 7


def test_a_cluster_that_is_gone_is_said(new, monkeypatch):
    rooms = [2, 0]
    monkeypatch.setattr(module, "room_for", lambda *_, **options: rooms.pop(0))
    monkeypatch.setattr(module, "fit", Breaking(17))
    with pytest.raises(InputError, match="lost at step 17 of 300, .* no room for one with 1 CPU"):
        train_supernet(new(), settings(), workers=2)


def test_an_error_of_the_caller_ends_the_training(new, monkeypatch):
    monkeypatch.setattr(module, "fit", Breaking(17))

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_supernet(new(), settings(), workers=2, stop=stop)


def test_what_a_worker_refuses_is_the_callers():
    from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

    lost = RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer")
    diverged = TrainingDiverged("the training loss became nan")
    assert refusal(WorkerGroupError("", {0: lost, 1: diverged})) is diverged
    assert refusal(WorkerGroupError("", {0: lost})) is None and refusal(OSError()) is None
    assert reason(WorkerGroupError("", {0: lost})) == "one was lost"
    assert reason(WorkerGroupError("", {1: KeyError("a")})) == "KeyError: 'a'"
    assert reason(ControllerError(TimeoutError("late"))) == "TimeoutError: late"


def test_room_is_what_others_leave():
    each = {"CPU": 1.0}
    assert room_for(2, each, patience=5) == 2
    assert room_for(9, each, patience=0) == 2
    assert room_for(1, {"CPU": 3.0}, patience=0) == 0
    assert room_for(9, each, patience=99, stop=lambda: True) == 0

    @ray.remote(num_cpus=1)
    class Other:
        def there(self):
            return True

    other = Other.remote()
    assert ray.get(other.there.remote())
    assert room_for(2, each, patience=0) == 1
    ray.kill(other)


def test_all_stop_where_the_first_one_wishes_to(monkeypatch):
    """Exchanges lie apart as the pace of the steps has it: here a hundred are done in a second."""
    import evonas.cluster.member as member

    asked = []

    class Clock:
        now = 0.0

        @staticmethod
        def monotonic():
            return Clock.now

    monkeypatch.setattr(member, "time", Clock)

    def job(group):
        def wish():
            asked.append(Clock.now)
            return Clock.now > 3.5

        agreement, steps = Agreement(group, wish), 0
        while True:
            steps += 1
            if group.rank == 0:
                Clock.now += 0.01
            if agreement():
                return steps

    steps = together(3, job)
    assert len(set(steps)) == 1 and 350 < steps[0] < 500
    assert len(asked) < 8
