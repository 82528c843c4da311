"""The base of everything that the server answers."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A value of the API, checked and read-only. Fields that this version does not know are left out, so that a newer
    server can say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)
