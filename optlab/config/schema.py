"""Sections of a run's configuration that are not a choice of some registered thing."""

from dataclasses import dataclass
from typing import Annotated, Literal

from optlab.config.check import validate
from optlab.types import BatchSize, Count, Natural, NonNegative, Range


@dataclass(frozen=True)
class TrainerConfig:
    """How long and on which rows a run trains, and how often it looks at itself.

    Attributes:
        epochs: Passes over the training rows; 0 only evaluates.
        batch_size: Rows of one update, or ``"full"``. More than there are means all of them.
        sampler: ``"shuffle"`` (a new order each epoch, every row once), ``"replacement"`` (each
            row drawn at random) or ``"sequential"``. The short last batch is kept.
        log_every: Updates between records of the training loss (their mean) and metrics.
        eval_every: Epochs between evaluations on the validation split; the last is always one.
        patience: Evaluations without improvement of the validation loss after which training
            stops, or None to train to the end.
        min_delta: Decrease of the validation loss that counts as improvement.
        restore_best: Whether to return to the weights of the best evaluation when ``patience``
            is set.
        engine: ``"native"`` runs compiled programs of a whole update, on the CPU; ``"functional"``
            PyTorch's operations, without an optimizer object; ``"plain"`` a module and a
            `torch.optim.Optimizer`. ``"auto"`` takes the first of them that it can.
        dtype: Floating type of parameters and data.
        threads: CPU threads inside one operation. Results depend on it in their last bits, and
            small networks are quickest with one.
    """

    epochs: Natural = 20
    batch_size: BatchSize = 32
    sampler: Literal["shuffle", "replacement", "sequential"] = "shuffle"
    log_every: Count = 10
    eval_every: Count = 1
    patience: Natural | None = None
    min_delta: NonNegative = 0.0
    restore_best: bool = True
    engine: Literal["auto", "native", "functional", "plain"] = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    threads: Annotated[int, Range(low=1, high=1024)] = 1

    def __post_init__(self) -> None:
        validate(self, "trainer")


@dataclass(frozen=True)
class DiagnosticsConfig:
    """What is measured inside the network, and how often; the defaults are those of economy.

    Attributes:
        every: Updates between the measurements of norms and ratios; 0 turns them off.
        gradient_norms: Record the Euclidean norm of every parameter's gradient.
        weight_norms: Record the Euclidean norm of every parameter.
        update_ratios: Record the norm of the measured update over that of the weights before it,
            by parameter; of more than 12, for 12 from the first to the last.
        flow_every: Updates between looks at how gradients flow back through the layers, the first
            before the first update; 0 turns them off. Each makes a pass of its own on a few fixed
            training rows. See `optlab.diagnostics.gradient_flow`.
        dead_units: Record at each evaluation the share of hidden units that no training row wakes;
            that takes a pass forward over all of them.
        histograms_every: Updates between histograms of weights and gradients by parameter, for
            TensorBoard alone; 0 turns them off. A run has them of at most 50 parameters and at 100
            updates: of a longer one there are fewer. See `optlab.train.stack.distributions`.
    """

    every: Natural = 250
    gradient_norms: bool = True
    weight_norms: bool = True
    update_ratios: bool = True
    flow_every: Natural = 500
    dead_units: bool = False
    histograms_every: Natural = 0

    def __post_init__(self) -> None:
        validate(self, "diagnostics")


@dataclass(frozen=True)
class LoggerConfig:
    """Where a run's curves go.

    Attributes:
        tensorboard: Write TensorBoard event files.
        table: Write ``metrics.parquet``.
        console: Show progress on the terminal.
        figures: Whether a run draws itself at its end: mistakes on the validation rows, the path
            over a test function, activations, first weights. ``"auto"``: one that trains alone
            does, and those of a sweep do not.
    """

    tensorboard: bool = True
    table: bool = True
    console: bool = True
    figures: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        validate(self, "logger")


#: Sections that name a registered thing, in the order of the run's summary.
NAMED_SECTIONS = ("task", "model", "norm", "activation", "init", "loss", "optimizer", "schedule")

#: Every other top-level key of a run's configuration.
OTHER_KEYS = (
    *("transform", "regularizer", "trainer", "diagnostics", "logger"),
    *("seed", "device", "plugins", "checkpoint_s"),
)
