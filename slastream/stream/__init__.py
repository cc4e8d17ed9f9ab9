"""The only home of Faust and aiokafka: bytes in order, each counted once, over crashes and rebalances.

`stage` says what the shell and the pure core give each other. `worker` runs one process: a Faust application with an
agent for each stage. Faust gives membership, assignment and rebalancing; the rest is here, because it must be exact:

- `lane` hands fetched runs of records to the agents, as a chain without holes;
- `lifecycle` takes each owned partition through fencing, restoring, seeking, running and draining;
- `restore` brings its state back from the changelog, completely or not at all;
- `commit` makes state, outputs and offsets durable together;
- `deadlines` writes time into the log;
- `runtime` is what the metrics read; `failure` ends the process when something cannot be.

One rule holds it together: whatever is uncertain is read again, and state that knows its offsets makes reading again
harmless. What cannot be read again (a state that was not restored, a write that may be lost) ends the process.
"""
