"""One run on several processes and machines: who has which login, and what a worker gets from its master."""
