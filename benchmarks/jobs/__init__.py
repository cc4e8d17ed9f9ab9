"""The programs that are measured, each a process of its own: ours, and the same work with other systems."""
