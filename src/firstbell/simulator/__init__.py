"""A whole exchange to practise on.

The core is pure: `book` and `auction` match, `schedule` says which phase holds, `accounts` keeps money and holdings,
`rules` refuses, and `exchange` joins them into a venue that is told what happens and when. It knows no socket, no clock
and no chance, so that the same matching serves rehearsals, paper trading and backtests.

Around the core stand its own clock (`exchange_clock`), the instruments and accounts to begin with (`listings`,
`roster`), the faults that can be ordered (`faults`), and one wire face a family of brokers: `ephoenix`.
"""
