"""What orders have come to: positions, their profit, and what is done when they have reached something."""
