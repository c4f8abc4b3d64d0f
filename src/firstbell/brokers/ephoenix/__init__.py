"""The ephoenix platform, which carries gs, bbi, shahr, karamad, tejarat, shams and their siblings.

`hosts` says where each broker is, `calls` how requests are written, `answers` and `orders` how answers are read, all of
it pure; `login` and `broker` speak.
"""
