"""A broker without money, in this process: orders trade on the simulator's matching core, with nobody asked."""
