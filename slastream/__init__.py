"""slastream: event-driven monitoring of service levels on Kafka and Faust."""
