import torch

from optlab.sweep.peak_memory import PeakMemory


def test_peak_memory_follows_what_lives_and_not_what_was_there():
    there = torch.zeros(1000)
    memory = PeakMemory()
    with memory:
        view = there.view(10, 100).t()
        for _ in range(3):
            made = view + 1.0
            del made
        kept = [torch.zeros(50) for _ in range(4)]
    assert memory.most == 4 * 1000
    assert len(kept) == 4
