"""What ``optlab --help`` says, and what the exit codes mean that it lists."""

from optlab import __version__

#: Exit codes beside 0.
FAILED, USER_MISTAKE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

USAGE = f"""\
optlab {__version__}: which optimizer, initializer, activation and regularizer works here, and by
how much?

  optlab train [KEY=VALUE ...]     one run; -m sweeps over comma-separated values (Hydra multirun)
  optlab train RUN/config.yaml     an earlier run again, with changes if you add KEY=VALUE
  optlab train --resume RUN        goes on with a run that was stopped, in its folder
  optlab train ... --check-determinism
                                   makes a few updates three times and names what differs first
  optlab sweep KEY=A,B ...         a grid of runs, trained together, then their ranking;
                                   --plan shows what would be trained, --resume DIR trains what
                                   is missing, --extend adds another grid, --status DIR counts
  optlab sweep protocol=standard KEY=A,B ...
                                   tunes each optimizer alike, judges winners on fresh seeds
  optlab report DIR [DIR ...]      what the runs say: ranking, page, tables and figures; --to DIR,
                                   --text writes no file, --open shows the page
  optlab report --tensorboard DIR  the same of event files that others wrote
  optlab board DIR                 TensorBoard on DIR, cells over seeds included; --open shows it,
                                   other flags are TensorBoard's
  optlab landscape RUN             the loss around a trained network, along random directions and
                                   along the path of its training
  optlab list [GROUP]              what can be chosen: optimizers, tasks, activations ...
  optlab show GROUP NAME           one choice in full: equations, options, source, differences
  optlab check MODULE [NAME]       an optimizer of your own (or NAME: adam) against the contract
  optlab bench sweep               what training together is worth on this machine: seconds

train, sweep, list and show know what a module of your own registers: 'plugins=[MODULE]'.

Examples:
  optlab train optimizer=adam init=he_normal activation=relu task=digits
  optlab sweep 'optimizer=glob(*)' optimizer.lr=1e-3,1e-2 'seed=range(0,3)'
  optlab sweep 'optimizer.lr=tag(log,interval(1e-4,1e-1))' search=halton trials=75
  optlab show optimizer my_rule 'plugins=[my_rules]'
  optlab train --help              every group and the whole configuration

Runs go to runs/ in the current folder. Results are written to standard output, plan, progress and
warnings to standard error.
  --quiet                          train, sweep: nothing but results, warnings and errors
  --json                           train, sweep, report: results as one JSON object, nothing else

Exit codes:
  0    done; a run that diverged is a result
  {FAILED}    a run failed, a promise is broken, something is not deterministic
  {USER_MISTAKE}    a mistake in what was typed
  {INTERRUPTED}  stopped by hand (SIGINT)
  {TERMINATED}  stopped by SIGTERM
HYDRA_FULL_ERROR=1 shows full tracebacks.
"""
