import copy

import torch
from torch import nn

from optlab.diagnostics.model_summary import MOST_ROWS, model_summary
from optlab.models import MLP, ResNet
from optlab.nn import BatchNorm1d, Dropout, Linear, ReLU, Tanh


def cells(text: str) -> list[list[str]]:
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_it_names_layers_what_they_return_and_their_parameters():
    text = model_summary(MLP(64, (32,), 10, activation=ReLU), torch.zeros(2, 64))
    assert text.startswith("2,410 parameters (float32), 2,410 of them trained; with buffers they ")
    assert "9.4 KiB" in text
    assert cells(text) == [
        ["hidden.0.linear", "Linear", "32", "2,080"],
        ["hidden.0.activation", "ReLU", "32", "0"],
        ["output", "Linear", "10", "330"],
    ]


def test_frozen_parameters_and_buffers_are_told_apart():
    layers = nn.Sequential(Linear(3, 2), BatchNorm1d(2))
    layers[0].requires_grad_(False)
    text = model_summary(layers, torch.zeros(2, 3))
    assert "12 parameters (float32), 4 of them trained" in text
    num_bytes = sum(t.numel() * t.element_size() for t in layers.state_dict().values())
    assert text.partition("\n")[0].endswith(f"they take {num_bytes} bytes")


def test_a_parameter_beside_layers_has_a_row_of_its_own():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.layer = nn.Parameter(torch.ones(5)), Linear(4, 5)

        def forward(self, x):
            return self.scale * self.layer(x)

    found = cells(model_summary(Scaled(), torch.zeros(2, 4)))
    assert found == [["(model)", "Scaled", "5", "5"], ["layer", "Linear", "5", "25"]]


def test_the_parts_of_a_deep_model_are_put_together_and_nothing_is_lost():
    model = ResNet((3, 8, 8), 10, depth=56)
    found = cells(model_summary(model, torch.zeros(2, 3, 8, 8)))
    assert 5 < len(found) <= MOST_ROWS
    total = sum(int(row[-1].replace(",", "")) for row in found)
    assert total == sum(p.numel() for p in model.parameters())


def test_more_layers_than_rows_beside_each_other_are_counted():
    model = nn.Sequential(*(Tanh() for _ in range(MOST_ROWS + 3)))
    found = cells(model_summary(model, torch.zeros(2, 1)))
    assert len(found) == MOST_ROWS + 1
    assert found[-1][0] == "and 3 more"


def test_looking_changes_nothing():
    model = nn.Sequential(Linear(3, 4), BatchNorm1d(4), Dropout(0.5))
    before = copy.deepcopy(model.state_dict())
    generator = torch.get_rng_state()
    model_summary(model, torch.randn(2, 3, generator=torch.Generator().manual_seed(0)))
    assert model.training
    assert torch.equal(generator, torch.get_rng_state())
    assert not any(part._forward_hooks for part in model.modules())
    assert all(map(torch.equal, before.values(), model.state_dict().values()))
