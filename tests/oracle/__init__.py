"""A second, naive program for the clocks of tickets, written from the specification alone.

It shares nothing with `slastream`: `hours` knows opening hours, `conditions` reads predicates, `naive` walks the events
of a ticket clock by clock, `compare` puts its result beside that of the program. `python -m tests.oracle --seeds 5000`
looks for disagreements.
"""
