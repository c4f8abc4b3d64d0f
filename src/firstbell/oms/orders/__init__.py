"""Orders beyond the bell: the manager that places them, changes them, holds them back and looks after them."""
