"""The simulated exchange as brokers on the ephoenix platform show it: their HTTP calls, on this machine.

`desk` is what all calls share, `visit` what every call goes through, `damage` what faults do to it. The calls
themselves stand by service in `identity`, `api`, `lists`, `backoffice` and `marketdata`, and those that no real broker
has in `practice`. `setup` puts an exchange together, `server` listens, `background` runs one inside another program,
and `config_file` writes the config of a rehearsal.
"""
