"""The worker's numbers for Prometheus: a snapshot of owned and restored state, never the hot path.

- `catalogue` says which metrics there are: name, type, unit, labels and their bounds, help. Documentation and tests are
  made from it.
- `owned` says what the collector looks at of a worker; the stream's classes have that shape.
- `bounds` keeps the number of series small.
- `gauges` adds up tickets' clocks and tallies; `pipeline` adds up what the worker itself did.
- `collector` keeps the snapshot, `exposition` writes it as text, `server` answers `/metrics`, `/healthz`, `/readyz`.

What belongs to a key (a service, an agreement) is made from state, so that it is the same on whichever worker the key is, and
is there on one of them at most. What belongs to the process (events read, commits) is counted from the start of the process.
"""
