"""The precision and the device that ``"auto"`` stands for."""

from functools import partial

import pytest
import torch

from paperkit.errors import InputError
from paperkit.training.numerics import numerics, resolve_device, resolve_dtype, threads


@pytest.mark.parametrize("device", ["cpu", "cuda", "auto"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(dtype, device):
    assert resolve_dtype(dtype, device) == dtype


@pytest.mark.parametrize("avx", [False, True])
@pytest.mark.parametrize("amx", [False, True])
def test_on_a_processor_it_takes_instructions_for_bfloat16(monkeypatch, avx, amx):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert resolve_dtype("auto", "cpu") == ("bfloat16" if avx or amx else "float32")


@pytest.mark.parametrize("supported", [False, True])
def test_on_a_gpu_it_takes_a_gpu_that_does_not_emulate(monkeypatch, supported):
    def is_bf16_supported(including_emulation=True):
        return supported or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    for device in ("cuda", "auto"):
        assert resolve_device(device) == "cuda"
        assert resolve_dtype("auto", device) == ("bfloat16" if supported else "float32")


def test_without_a_gpu_auto_is_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [resolve_device(device) for device in ("auto", "cpu")] == ["cpu", "cpu"]
    assert resolve_dtype("auto", "auto") == resolve_dtype("auto", "cpu")
    for ask in (resolve_device, numerics, partial(resolve_dtype, "auto")):
        with pytest.raises(InputError, match="'cuda', but this PyTorch sees no CUDA GPU: accepted are cpu and auto"):
            ask("cuda")


@pytest.mark.parametrize("device", ["tpu", "cuda:0", "CPU", ""])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(InputError, match=f"^device is '{device}'; accepted are cpu, cuda and auto$"):
        resolve_device(device)


def test_a_number_of_threads_holds_inside_only_even_when_something_fails():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before
