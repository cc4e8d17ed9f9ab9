"""What speaks HTTP with others: the gateway (events come to us), `poll` (we fetch them) and `notify` (breaches go out).

- `gateway_file` says who may send what: sources by name, each with an adapter, credentials and limits. `credentials` checks them.
- `bodies` takes a request body apart into records; `gateway` answers requests; `gateway_metrics` counts them.
- `event_log` is the way into Kafka for both: it returns when the broker has acknowledged, or says that it may not have.
- `connection_file` reads what the files of `poll` and of webhooks have in common; `addresses` says where a
  webhook may lead, `backoff` how long to wait after a failure.
- `notify` says how its own modules, `notify_…`, belong together.
"""
