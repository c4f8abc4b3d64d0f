"""Mutation testing: breaks the code in thousands of small ways and counts how many the tests notice.

`operators` and `expressions` find the changes, `mutants` makes mutants of them, `coverage_map` knows which tests run
which line, `server` is a process that has everything imported and forks a child for each mutant, `campaign` keeps
servers busy, `report` counts.

It is our own because those that exist do not reach what matters most here. mutmut 3 (BSD-3-Clause, well kept) forks
from a warm process too, but leaves properties, other decorated functions and everything at module level alone: the
table of an order's states, every limit and constant. cosmic-ray (MIT) starts a process for each mutant: two seconds
before a test here. mutatest has stood still for years.

A mutant inside a function is made by giving the function's object its new code in the child, so nothing is imported and
nothing collected again: some 30 ms and the tests themselves. One at module or class level is imported anew.
"""
