"""The integration in real time: its ports on the wall clock, real sockets and threads, and the processes that serve it.

`python -m integration.live.migrate` brings the database to this version, `python -m integration.live.api` answers
channels and webhooks, `python -m integration.live.dispatch` talks to the partners. API and dispatcher may run in any
number, on any number of machines, as long as they share one PostgreSQL; settings come from the environment.
"""
