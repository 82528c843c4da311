"""Where checkpoints, results and exports are kept, as Django is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.schema import Storage


def file_storage(storage: Storage, folder: Path) -> dict[str, Any]:
    """A folder of this machine, or a bucket."""
    if storage.backend == "folder":
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder, "file_permissions_mode": 0o600},
        }
    from botocore.config import Config

    # A worker that waits for its storage still has to hear that it is to stop.
    patience = Config(signature_version="s3v4", connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": storage.bucket,
            "endpoint_url": storage.endpoint,
            "region_name": storage.region,
            "access_key": storage.access_key.get_secret_value() if storage.access_key else None,
            "secret_key": storage.secret_key.get_secret_value() if storage.secret_key else None,
            "client_config": patience,
            "max_memory_size": 2**22,  # of a download; the rest waits in a temporary file
            "file_overwrite": True,  # names are content hashes
        },
    }
