"""What to say when a service is away."""

DATABASE_AWAY = (
    "PostgreSQL cannot be reached. Start it with `make run` in another terminal, or set ATTRACTOR_DATABASE_URL to the "
    "URL of your own server."
)
