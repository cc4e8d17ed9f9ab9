"""The console: what the stream says, for people. It reads Kafka and never asks a worker.

- `view` folds the records of the topics into indexes (pure: no clock, no I/O): `clocks`, `facts`, `tickets`, `windows`,
  `rejects` and `monitored` are its parts, and queries of them return plain values.
- `reading` follows the topics into the view; `archive` reads single records again when somebody asks for a story.
- `pages` and `api` answer requests from the view; `live` tells open pages what is new; `login` knows who may do what.
- `run` puts these together and runs until SIGTERM. Nothing is kept on disk: a start reads everything again.
"""
