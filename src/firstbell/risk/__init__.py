"""Small checks on the numbers about to be sent. They compose, know no broker, and deny when a reference is missing."""
