"""Two processes are one: the same weights, losses and optimizer state within 1e-5, and checkpoints of either for both.

The processes are started once, do all of `together`, and write down what came out; the tests compare.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import together
from assay.errors import InputError
from assay.models.protocol import Batch
from assay.train.loop import TrainState
from assay.train.parallel import DataParallel, joined
from assay.train.shards import load_sharded, save_sharded
from assay.train.tensor_parallel import TensorParallel, dealt
from assay.train.world import World
from together import ALL, CASES, HALF, alone, go_on

TOLERANCE = 1e-5
SAVED = ("proxy", "standard")
EXACT = [(name, mode) for name, case in CASES.items() for mode in case.modes if case.dtype == "float32"]
LOW = [(name, mode) for name, case in CASES.items() for mode in case.modes if case.dtype != "float32"]
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Found:
    """What one process and what two found, and how the two ended."""

    folder: Path
    one: dict[str, dict[str, Tensor]]
    exit_codes: tuple[int, int]
    said: str
    seconds_after_kill: float

    def two(self, name: str) -> dict[str, Tensor]:
        return load_file(self.folder / f"{name}.safetensors")


def start(rank: int, port: int, folder: Path) -> subprocess.Popen[str]:
    values = (str(rank), "2", str(rank), "127.0.0.1", str(port))
    environment = os.environ | dict(zip(TORCHRUN, values, strict=True)) | {"GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, together.__file__, str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("together")
    one = {name: alone(CASES[name], folder / f"{name}, alone") for name in SAVED}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, second = (start(rank, port, folder) for rank in range(2))
    try:
        one |= {name: alone(case) for name, case in CASES.items() if name not in SAVED}
        second.communicate(timeout=240)
        killed = time.monotonic()
        _, said = first.communicate(timeout=60)
        return Found(folder, one, (first.returncode, second.returncode), said, time.monotonic() - killed)
    finally:
        first.kill()
        second.kill()


def furthest(one: dict[str, Tensor], two: dict[str, Tensor]) -> float:
    assert one.keys() == two.keys()
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


@pytest.mark.parametrize(("name", "mode"), EXACT)
def test_two_processes_equal_one(found: Found, name: str, mode: str) -> None:
    """Losses of every row and step, gradient norms, weights, optimizer state; here with gradients that add up."""
    assert furthest(found.one[name], found.two(f"{name}, {mode}")) < TOLERANCE


@pytest.mark.parametrize(("name", "mode"), LOW)
def test_low_precision_stays_near(found: Found, name: str, mode: str) -> None:
    one, two = found.one[name], found.two(f"{name}, {mode}")
    assert one.keys() == two.keys()
    assert float((one["losses"] - two["losses"]).abs().max()) < 0.02  # of row sums of about 38
    assert all(tensor.dtype == torch.float32 for name, tensor in two.items() if name.startswith("model."))
    assert torch.equal(one.get("scale.scale", torch.ones(1)), two.get("scale.scale", torch.ones(1)))


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("name", SAVED)
def test_what_two_saved_one_goes_on_with(found: Found, name: str, mode: str) -> None:
    one = dict(found.one[name])
    one["losses"] = one["losses"][HALF:]
    assert furthest(one, go_on(CASES[name], found.folder / f"{name}, {mode}")) < TOLERANCE


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("name", SAVED)
def test_what_one_saved_two_go_on_with(found: Found, name: str, mode: str) -> None:
    one = dict(found.one[name])
    one["losses"] = one["losses"][HALF:]
    assert furthest(one, found.two(f"{name}, {mode}, taken up")) < TOLERANCE


@pytest.mark.parametrize("mode", ["alone", *ALL])
def test_a_saved_folder_holds_safetensors_alone(found: Found, mode: str) -> None:
    """Each a length, then JSON: nothing that loading could run."""
    files = list((found.folder / f"proxy, {mode}").iterdir())
    assert len(files) == (2 if mode == "sharded" else len(files)) >= 1
    for file in files:
        assert file.suffix == ".safetensors"
        assert file.read_bytes()[8:9] == b"{"
        load_file(file)
    sizes = [file.stat().st_size for file in files]
    assert mode != "sharded" or max(sizes) < 1.2 * min(sizes)  # each wrote its part, not one everything


def test_saving_keeps_every_bit(tmp_path: Path) -> None:
    state = TrainState(CASES["proxy"].spec)
    together.walk(state, CASES["proxy"], 2)
    save_sharded(tmp_path / "saved", state.tensors())
    read = load_sharded(tmp_path / "saved")
    assert read.keys() == state.tensors().keys()
    for name, tensor in state.tensors().items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor), name
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no tensors"):
        load_sharded(tmp_path / "nothing")


def test_a_sharded_model_is_evaluated_between_steps(found: Found) -> None:
    case = CASES["proxy"]
    state, sums = TrainState(case.spec), []
    for _ in range(2):
        with torch.inference_mode():
            sums.append(state.model.loss(together.batch(case, 9)).losses_BT.sum())
        state.update(together.batch(case, state.step), 1.0)
    assert float((torch.stack(sums) - found.two("evaluated")["sums"]).abs().max()) < 1e-4  # of a sum over 80 losses


@pytest.mark.parametrize("mode", ALL)
def test_processes_with_rows_of_their_own_drop_other_things(found: Found, mode: str) -> None:
    """Both halves of the batch are the same rows. With tensor parallel one mask spans all rows."""
    losses = found.two(f"dropped, {mode}")["losses"]
    half = len(losses) // 2
    assert (losses[:half] != losses[half:]).any()
    assert losses.isfinite().all()


def test_processes_speak_with_each_other(found: Found) -> None:
    words = found.two("words")
    assert words["sums"].tolist() == [1.0, 2.0]
    assert words["agreed"].tolist() == [1, 1, 0]  # the first's work is done, its value is known, and not all are first


def test_a_loss_that_is_no_number_in_one_process_ends_all(found: Found) -> None:
    assert len(list(found.folder.glob("not finite, *"))) == 4


def test_what_cannot_be_shared_is_refused(found: Found) -> None:
    adafactor, encoder = (found.folder / "refused").read_text(encoding="utf-8").splitlines()
    assert adafactor.startswith("PyTorch's Adafactor cannot")
    assert encoder.startswith("tensor parallel cuts decoders alone")


def test_a_killed_process_ends_the_other_with_one_line(found: Found) -> None:
    assert found.exit_codes == (1, -9)
    assert found.said.splitlines()[-1].startswith("process 0 of 2 lost another one -> ")
    assert "Traceback" not in found.said
    assert found.seconds_after_kill < 15


def test_rows_that_cannot_be_dealt_out_are_refused() -> None:
    rows = torch.zeros(6, 4, dtype=torch.int64)
    with pytest.raises(InputError, match="6 rows a step cannot be dealt out evenly to 4 processes"):
        DataParallel(World(0, 4)).share(Batch(rows, rows))
    shares = [DataParallel(World(rank, 3)).share(Batch(rows + torch.arange(6)[:, None], rows)) for rank in range(3)]
    assert [share.inputs_BT[:, 0].tolist() for share in shares] == [[0, 1], [2, 3], [4, 5]]


def test_heads_that_cannot_be_dealt_out_are_refused() -> None:
    model = TrainState(CASES["standard"].spec).model
    with pytest.raises(InputError, match="4 heads cannot be dealt out evenly to 3 processes"):
        TensorParallel(World(0, 3)).lay_out(model, torch.float32)


def test_every_process_gets_a_share_of_every_section() -> None:
    assert dealt([4, 2, 2], 2).tolist() == [0, 1, 4, 6, 2, 3, 5, 7]


def test_the_world_is_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    assert World.from_env() == World(0, 1, "cpu")
    with joined(World.from_env(), "sharded") as parallel:  # one process needs nobody
        assert (parallel.size, parallel.is_first, parallel.agreed(3), parallel.everywhere(False)) == (1, True, 3, False)
    for name, value in zip(TORCHRUN, ("3", "4", "1", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert World.from_env() == World(3, 4, "cpu")
    monkeypatch.delenv("WORLD_SIZE")
    with pytest.raises(InputError, match="WORLD_SIZE is not set"):
        World.from_env()


@pytest.mark.parametrize(("gpus", "line"), [(0, "this machine has none"), (1, "process 2 on this machine has no GPU")])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, gpus: int, line: str) -> None:
    for name, value in zip(TORCHRUN, ("1", "2", "1", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(InputError, match=line):
        World.from_env("cuda")
