"""The embedded services and the stack of `make run`: PostgreSQL, Valkey, worker, sweeper and ASGI server."""
