"""Exactness under fire: runs of real workers on a real broker, disturbed by a seed, compared with one thread.

    python -m tests.fire kill --delivery exactly_once --seeds 5 --events 200000

Each run makes topics of 8 partitions anew, feeds a made-up service desk (`load`), lets several `slastream worker`
processes work, and disturbs them (`scenarios`) until the feeding ends. Then it reads everything back and compares
(`checks`) with what one thread makes of the same log (`reference`): the stream's core record by record, and `replay`.

- Every fact, verdict and rejected record that one thread publishes is there, with the same bytes, and no other.
- With exactly once each is there once; with at least once repetitions have equal ids and equal bytes.
- Facts that stand, the newest verdict of each clock and the compliance of each period equal those of `replay`.

In every run changelogs are compacted all the while, and a part of the deadlines comes by the wall clock, so that ticks are
written in mid-fault; ticks are records of the log, so that one thread that reads the log declares the same.

A failure names the command that repeats it. Timing decides as well as the seed, so a failure may need several runs.
"""
