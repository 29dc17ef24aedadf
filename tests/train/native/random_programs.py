"""Random functions of PyTorch's operations: the same seed gives the same function."""

import math
import random

import torch

F = torch.nn.functional
DTYPES = (torch.int64, torch.int32, torch.int16, torch.int8)

ONE = [
    *(torch.neg, torch.abs, torch.tanh, torch.sigmoid, torch.relu, torch.square, torch.sign),
    *(torch.floor, torch.ceil, torch.sin, torch.round),
    *(
        lambda x: x.clamp(-1, 1),
        lambda x: x**2,
        lambda x: 1 - x,
        lambda x: x * 0.5,
        lambda x: x / 3,
    ),
    *(
        lambda x: x / 3,
        lambda x: 2 / (x * x + 1),
        lambda x: (x * x + 1).log(),
        lambda x: (x * x).sqrt(),
    ),
    *(lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: (x > 0).to(x.dtype), lambda x: x > 0.3),
    *(lambda x: torch.remainder(x, 1.5), lambda x: x.masked_fill(x > 1, 0.25), lambda x: x != 0),
    *(lambda x: (x.clamp(-9, 9) * 3).to(torch.int32) + 1, lambda x: torch.logical_not(x > 0)),
    lambda x: (x.clamp(0, 9) * 20).to(torch.uint8),
]
TWO = [
    *(torch.add, torch.sub, torch.mul, torch.maximum, torch.minimum, torch.gt, torch.eq),
    *(lambda a, b: a / (b * b + 1), lambda a, b: torch.add(a, b, alpha=2)),
    *(lambda a, b: torch.where(a > b, a, b), lambda a, b: (a <= b) & (b > 0)),
    *(lambda a, b: torch.lerp(a.double(), b.double(), 0.7), lambda a, b: (a * b).sum() * a),
]
REDUCED = {
    "sum": lambda x, dims, keep: x.sum(dims, keepdim=keep),
    "mean": lambda x, dims, keep: x.double().mean(dims, keepdim=keep),
    "amax": lambda x, dims, keep: x.amax(dims, keepdim=keep),
    "amin": lambda x, dims, keep: x.amin(dims, keepdim=keep),
    "any": lambda x, dims, keep: x.any(dims[0], keepdim=keep).to(torch.bool),
    "all": lambda x, dims, keep: (x > 0).all(dims[0], keepdim=keep),
    "norm": lambda x, dims, keep: torch.linalg.vector_norm(x.double(), dim=dims, keepdim=keep),
    "argmax": lambda x, dims, keep: x.double().argmax(dims[0], keepdim=keep),
    "softmax": lambda x, dims, keep: torch.softmax(x.double(), dims[0]),
    "log_softmax": lambda x, dims, keep: torch.log_softmax(x.double(), dims[0]),
    "cumsum": lambda x, dims, keep: x.double().cumsum(dims[0]),
}
NEED_ELEMENTS = ("amax", "amin", "argmax", "softmax", "log_softmax")


def inputs_of(seed, dtype, vary=0):
    """Return tensors of up to three axes, of one or no element among them, some of integers."""
    stream, choose = torch.Generator().manual_seed(seed * 7 + vary), random.Random(seed + 1)
    found = []
    for _ in range(choose.randint(1, 4)):
        shape = [choose.choice([1, 1, 2, 3, 4, 5, 17, 0]) for _ in range(choose.randint(0, 3))]
        tensor = torch.randn(shape, generator=stream, dtype=dtype) * 2
        whole = choose.random() < 0.2
        found.append((tensor * 10).clamp(-99, 99).to(choose.choice(DTYPES)) if whole else tensor)
    return found


def program(seed):
    """Return a function of the inputs of the same seed."""

    def function(*inputs):
        choose = random.Random(seed)
        values, own = list(inputs), []
        for _ in range(choose.randint(3, 14)):
            made = _operation(choose, values, own)
            if made.numel() <= 2000:
                values.append(made)
        made = values[len(inputs) :] or [inputs[0] + 1]
        return choose.sample(made, min(len(made), choose.randint(1, 4)))

    return function


def _operation(choose, values, own):
    x, kind = choose.choice(values), choose.random()
    number = x.double() if x.dtype == torch.bool else x
    if kind < 0.3:
        return choose.choice(ONE)(number)
    if kind < 0.5:
        return choose.choice(TWO)(number, _partner(choose, number, values))
    if kind < 0.62:
        return _reduced(choose, x)
    if kind < 0.75:
        return _viewed(choose, x)
    if kind < 0.85:
        return _looked_up(choose, x)
    if kind < 0.89:
        matrices = [v for v in values if v.dim() == 2 and v.is_floating_point()]
        return _product(choose, matrices) if matrices else x
    if kind < 0.95 and own:
        return _written(choose, choose.choice(own), values)
    own.append(choose.choice([torch.clone, torch.zeros_like, torch.ones_like, _through_empty])(x))
    return own[-1]


def _through_empty(x):
    return torch.empty_like(x).copy_(x)


def _partner(choose, x, values):
    other = choose.choice(values)
    try:
        torch.broadcast_shapes(x.shape, other.shape)
    except RuntimeError:
        return choose.choice([torch.tensor(0.5), torch.ones_like(x)])
    return other.double() if other.dtype == torch.bool else other


def _reduced(choose, x):
    if x.dim() == 0:
        return x * 1
    dims = choose.sample(range(x.dim()), choose.randint(1, x.dim()))
    name, keep = choose.choice(list(REDUCED)), choose.random() < 0.5
    return x.sum() if name in NEED_ELEMENTS and not x.numel() else REDUCED[name](x, dims, keep)


def _viewed(choose, x):
    d, kind = x.dim(), choose.randrange(9)
    if d == 0 or not x.numel():
        return x.unsqueeze(0).expand(3, *x.shape) if d < 4 else x
    axis = choose.randrange(d)
    if kind == 0:
        return x.permute(choose.sample(range(d), d))
    if kind == 1 and d < 4:
        return x.unsqueeze(axis).expand(*x.shape[:axis], 2, *x.shape[axis:])
    if kind == 2:
        return x.narrow(axis, min(1, x.shape[axis] - 1), max(x.shape[axis] - 1, 1))
    if kind == 3:
        return x[(slice(None),) * axis + (slice(None, None, 2),)]
    if kind == 4:
        return x.reshape(-1, x.shape[-1])
    if kind == 5:
        return x.select(axis, choose.randrange(x.shape[axis]))
    if kind == 6:
        return torch.cat([x, x * 2], axis)
    if kind == 7 and d < 4:
        return torch.stack([x, x + 1], axis)
    return x.flip(axis)


def _looked_up(choose, x):
    d, kind = x.dim(), choose.randrange(6)
    if d == 0 or not x.numel() or x.dtype == torch.bool:
        return x + 0
    axis = choose.randrange(d)

    def index(*shape):
        places = [choose.randrange(x.shape[axis]) for _ in range(math.prod(shape))]
        return torch.tensor(places, dtype=torch.int64).reshape(shape)

    part = [choose.randint(1, size) for size in x.shape]
    if kind == 0:
        part[axis] = choose.randint(1, 6)
        return x.gather(axis, index(*part))
    if kind == 1:
        return x.index_select(axis, index(choose.randint(0, 5)))
    if kind == 2:
        return x.scatter_add(axis, index(*part), x * 2)
    if kind == 3:
        rows = [3 if a == axis else size for a, size in enumerate(x.shape)]
        return x.index_add(axis, index(3), torch.ones(rows, dtype=x.dtype))
    if kind == 4:
        return F.pad(x, [choose.randint(0, 2) for _ in range(2 * choose.randint(1, d))], value=1)
    return torch.select_scatter(x, x.select(axis, 0) * 0, axis, x.shape[axis] - 1)


def _product(choose, matrices):
    a = choose.choice(matrices)
    fitting = [b for b in matrices if b.dtype == a.dtype and b.shape[0] == a.shape[1]]
    return a @ (choose.choice(fitting) if fitting else a.t())


def _written(choose, to, values):
    if choose.random() < 0.5 and to.dim() and to.shape[0]:
        to = to[choose.randrange(to.shape[0])]
    elif to.dim() >= 2:
        to = to.transpose(0, 1)
    if to.dtype == torch.bool:
        return to.fill_(True)
    alike = [v for v in values if v.shape == to.shape]
    writers = [lambda: to.mul_(2), lambda: to.add_(2), lambda: to.fill_(3), lambda: to.zero_()]
    writers.append(lambda: to.copy_(choose.choice(alike).clone() if alike else to * 3))
    return choose.choice(writers)()
