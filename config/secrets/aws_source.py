"""Secrets in AWS Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Lock
from typing import Any, final

from config.secrets.document import Document
from config.secrets.source import SecretNotThere, Source, StoreAway

AWAY = {
    "InternalServiceError", "InternalServiceErrorException", "InternalFailure", "ServiceUnavailable",
    "ServiceUnavailableException", "ThrottlingException", "Throttling", "RequestLimitExceeded", "RequestTimeout",
}  # fmt: skip


@final
class AwsSource(Source):
    """`aws:NAME` (or its ARN): the whole text; `aws:NAME#FIELD`: a field of the JSON object that it is."""

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        keys: Callable[[], tuple[str, str]] | None = None,
        patience: float = 5.0,
    ) -> None:
        """`keys`: the access key and its secret; without, the machine's identity. `patience`: for one answer, s."""
        self._region, self._endpoint, self._keys, self._patience = region, endpoint, keys, patience
        self._client: Any = None
        self._lock = Lock()

    def read(self, place: str) -> Document:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            HTTPClientError,
            NoCredentialsError,
            NoRegionError,
            PartialCredentialsError,
        )

        try:
            answer = self._connected().get_secret_value(SecretId=place)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            with self._lock:
                self._client = None  # its keys may have been replaced
            if code in AWAY or status >= 500:
                raise StoreAway(f"is in AWS Secrets Manager, which has failed ({code or status})") from None
            mend = {
                "ResourceNotFoundException": "make it, or correct the name or secrets.aws.region",
                "AccessDeniedException": "allow this identity secretsmanager:GetSecretValue on it",
                "InvalidRequestException": "it is marked for deletion; restore it",
            }.get(code, "see the identity of this machine and secrets.aws")
            raise SecretNotThere(
                f"names {place} in AWS Secrets Manager, which does not give it ({code}): {mend}"
            ) from None
        except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
            raise SecretNotThere(
                f"names {place} in AWS Secrets Manager, for which there is no identity or region "
                f"({type(error).__name__}); see secrets.aws"
            ) from None
        except (HTTPClientError, BotoCoreError) as error:
            raise StoreAway(
                f"is in AWS Secrets Manager, which cannot be reached ({type(error).__name__}); see the network and "
                "secrets.aws.endpoint"
            ) from None
        text = answer.get("SecretString")
        if not text:
            raise SecretNotThere(f"names {place} in AWS Secrets Manager, which is empty or binary; write a text")
        return Document(text=text, fields=_fields(text))

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                import boto3
                from botocore.config import Config

                access_key, secret_key = self._keys() if self._keys else (None, None)
                # A session of its own: boto3's shared one is not safe for threads.
                self._client = boto3.session.Session().client(
                    "secretsmanager", region_name=self._region, endpoint_url=self._endpoint,
                    aws_access_key_id=access_key, aws_secret_access_key=secret_key,
                    config=Config(
                        connect_timeout=self._patience, read_timeout=self._patience, retries={"total_max_attempts": 1}
                    ),
                )  # fmt: skip
            return self._client

    def __repr__(self) -> str:
        return f"AwsSource({self._endpoint or self._region or 'ambient'})"


def _fields(text: str) -> dict[str, str]:
    """The fields of a JSON object; none of any other text."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: str(value) for key, value in found.items() if isinstance(value, str | int | float)}
