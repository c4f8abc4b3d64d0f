"""The simulated exchange as brokers on the ephoenix platform show it: their HTTP calls, on this machine.

`face` holds the platform's calls in one table; they stand by service in `identity`, `api`, `lists`, `backoffice` and
`marketdata`, share a `desk`, and are pure: a `visit` goes in, a reply comes out. Around them, `serving` speaks HTTP,
`damage` does what faults do to it, `practice` answers the calls that no real broker has, and `server` listens. `setup`
puts an exchange together, `background` runs one inside another program, `config_file` writes a rehearsal's config.
"""
