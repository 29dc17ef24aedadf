"""One optimizer per file. Importing this package enters them into `optlab.registry.optimizers`."""

from optlab.optim.rules.adadelta import Adadelta as Adadelta
from optlab.optim.rules.adafactor import Adafactor as Adafactor
from optlab.optim.rules.adagrad import Adagrad as Adagrad
from optlab.optim.rules.adam import Adam as Adam
from optlab.optim.rules.adamax import Adamax as Adamax
from optlab.optim.rules.adamw import AdamW as AdamW
from optlab.optim.rules.lamb import LAMB as LAMB
from optlab.optim.rules.lion import Lion as Lion
from optlab.optim.rules.momentum import Momentum as Momentum
from optlab.optim.rules.muon import Muon as Muon
from optlab.optim.rules.nadam import NAdam as NAdam
from optlab.optim.rules.nadamw import NAdamW as NAdamW
from optlab.optim.rules.nag import NAG as NAG
from optlab.optim.rules.radam import RAdam as RAdam
from optlab.optim.rules.rmsprop import RMSprop as RMSprop
from optlab.optim.rules.schedule_free_adamw import ScheduleFreeAdamW as ScheduleFreeAdamW
from optlab.optim.rules.schedule_free_sgd import ScheduleFreeSGD as ScheduleFreeSGD
from optlab.optim.rules.sgd import SGD as SGD
from optlab.optim.rules.soap import SOAP as SOAP
