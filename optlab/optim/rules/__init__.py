"""One optimizer per file. Importing this package enters them into `optlab.registry.optimizers`."""

from optlab.optim.rules.adagrad import Adagrad as Adagrad
from optlab.optim.rules.adam import Adam as Adam
from optlab.optim.rules.momentum import Momentum as Momentum
from optlab.optim.rules.nag import NAG as NAG
from optlab.optim.rules.rmsprop import RMSprop as RMSprop
from optlab.optim.rules.sgd import SGD as SGD
