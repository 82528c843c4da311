"""Executing runs: a worker thread supervises one child process per run, and only the child loads torch.

Celery thread                         child process
supervisor  -- pipe: run, stop -->    child -> execution -> attractor.Session
            <-- started, beat, done --     ledger     (PostgreSQL: events, progress, commands)
                                         lease      (PostgreSQL: heartbeat)
                                         publisher  (Valkey: frames, events; may be away)
"""
