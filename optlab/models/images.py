"""How models of images read a task's inputs."""

import math

from optlab.config import ConfigError
from optlab.models.context import ModelContext


def image_shape(context: ModelContext, model: str) -> tuple[int, int, int]:
    """Return (channels, height, width) of the images that a task's inputs are.

    Inputs may be (C, H, W); or (H, W), one channel; or laid flat, a square of one channel.

    Args:
        context: What the builder is given.
        model: Name of the model, for the message.

    Raises:
        ConfigError: For inputs that are no images, for sequences, and for an activation that is not
            elementwise: along which axis of an image it would work is anyone's guess.
    """
    context.refuse_sequences(model)
    if not getattr(context.activation(), "elementwise", True):
        raise ConfigError(
            f"model {model!r} needs an activation of each number alone, and softmax and its like "
            "work along an axis; choose activation=relu, tanh, ..."
        )
    shape = context.input_shape
    if len(shape) == 1 and math.isqrt(shape[0]) ** 2 == shape[0]:
        shape = (math.isqrt(shape[0]),) * 2
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3:
        raise ConfigError(
            f"model {model!r} takes images, (C, H, W) or (H, W) or a flat square, and this task's "
            f"inputs have shape {context.input_shape}; choose model=mlp or another task"
        )
    return shape[0], shape[1], shape[2]
