"""Both stages from one seed, without a broker: `python -m tests.simulation --seeds N`.

`story` draws a policy and what producers send; `log` is Kafka as far as exactness needs it (offsets, transactions, fencing,
compaction); `worker` runs the real processors the way the shell does (chunks, cuts, commits, restores, ticks) in steps between
which anything may happen; `world` chooses, from the seed, what happens next; `laws` says what must hold at the end.
A run that breaks a law is repeated by its seed. `mutants` are workers with one mistake each: a law must find them.
"""
