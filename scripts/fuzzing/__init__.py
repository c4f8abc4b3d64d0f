"""Throws broken and hostile bytes at every reader of firstbell, seeded, and says which of them gave way.

A target makes a case (bytes) from a seed and a number, and tries it. It gives way when it raises anything but what its
reader documents, when it says something that the bytes do not say, or when it takes more than a second or 50 MiB.

Cases are made by a mutator of our own rather than by Hypothesis, which the property tests use. Hypothesis remembers and
shrinks wonderfully but makes about a hundredth as many cases, and finds a case again by its own database; here any case
is found again by ``--seed N --case K`` alone, on another machine and years later, and the corpus is what the simulated
exchange really answers. Findings are made small by leaving out what is not needed (`shrinking`).

`practice` has the simulated exchange's answers, `junk` what belongs into no document, `spoiling` puts it there,
`targets` are the readers, `trial` tries one case, `session` many, and `__main__` reads the command line.
"""
