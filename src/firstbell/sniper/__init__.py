"""The bell: accounts as Locust users, armed before it, fired at it, and what a run came to.

Only `users`, `locustfile`, `conductor` and `page` import locust or gevent, so that everything else here can be used
without them.
"""
