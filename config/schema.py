"""The typed configuration: every key the product knows, its type, its range and what it does.

The values come from the layers of `config.layers`; this module says only what a value may be. A key that is
not declared here does not exist, and a layer that names it stops the start.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.secrets.reference import LOCAL_PATTERN, PATTERN


def _a_day(value: object) -> object:
    """YAML reads a day without quotes as a date; variables give text."""
    text = value.isoformat() if isinstance(value, date) else value
    if isinstance(text, str) and date.fromisoformat(text).isoformat() != text:
        raise ValueError("a day is written as 2026-12-31")
    return text


Environment = Literal["development", "production", "test"]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Fraction = Annotated[float, Field(ge=0, le=1)]
SecretReference = Annotated[str, Field(pattern=PATTERN)]
Address = Annotated[str, Field(pattern="^https?://[^/]+")]
LocalReference = Annotated[str, Field(pattern=LOCAL_PATTERN)]
Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]
Day = Annotated[str, BeforeValidator(_a_day)]
TAKEN = frozenset(
    {
        ".well-known", "account", "accounts", "api", "health", "invitations", "notices", "presets", "s", "static",
        "theme", "w", "workspaces",
    }
)  # fmt: skip
"""First parts of the site's own addresses."""
Port = Annotated[int, Field(ge=1, le=65_535)]


class Section(BaseModel):
    """A group of keys. Types are strict: a number in quotes is a wrong type, not a number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Web(Section):
    """Where the site listens, how it is reached and what browsers are told about it."""

    host: str = Field(description="Address the ASGI server binds to.")
    port: Port = Field(description="TCP port; the next free one is taken when it is busy.")
    public_url: str | None = Field(
        pattern=r"^https?://[a-z0-9.-]+(:[0-9]+)?$",
        description="Where people open the site, as their browser writes it: https://attractor.example.org. Passkeys "
        "belong to its host. Empty: the address of each request, on one of allowed_hosts.",
    )
    allowed_hosts: list[str] = Field(description="Host names the site answers to.")
    trusted_origins: list[str] = Field(description="Origins (scheme://host) whose forms are accepted.")
    cors_origins: list[Origin] = Field(
        description="Origins (scheme://host) whose scripts may call the API, with an API key and never with a cookie."
    )
    form_targets: list[Origin] = Field(
        description="Origins to which signing in by another site leads on from those that are configured."
    )
    https: bool = Field(description="Secure cookies, redirect to https, HSTS.")
    behind_proxy: bool = Field(description="Trust X-Forwarded-Proto and -For of the reverse proxy in front.")
    hsts_seconds: int = Field(ge=0, description="Lifetime of HTTP Strict Transport Security, s.")
    processes: int = Field(
        ge=1, le=64, description="Server processes; each answers on one core and has a pool of database.pool_size."
    )
    session_days: int = Field(ge=1, le=365, description="Longest lifetime of a login, however it is used, days.")
    session_idle_hours: float = Field(gt=0, le=8760, description="A login that was not used for so long is over, h.")
    requests_at_once: int = Field(
        ge=1, le=200, description="Requests that one process works on together; keep it below database.pool_size."
    )


class Security(Section):
    """Keys that sign what leaves the server."""

    secret_key: SecretStr | None = Field(
        description="Signs sessions and tokens, at least 50 characters. Empty: one is kept in data_dir."
    )
    old_secret_key: SecretStr | None = Field(
        description="The key before, while it is being changed: what it signed and sealed still holds."
    )
    key_pepper: SecretStr | None = Field(
        description="Key of the digests of API keys, at least 32 characters. Empty: one made from secret_key."
    )
    old_key_pepper: SecretStr | None = Field(
        description="The pepper before, while it is being changed: keys made under it still open."
    )
    plain_hosts: list[str] = Field(
        description="Hosts of services that production may speak to without TLS, beside its own: private wires only."
    )


class SecurityTxt(Section):
    """/.well-known/security.txt (RFC 9116): whom to tell of a weakness. Without a contact there is none."""

    contacts: list[Annotated[str, Field(pattern="^(https://|mailto:|tel:).+$")]] = Field(
        description="Where to tell, the best way first: mailto:, https:// or tel:."
    )
    expires: Day | None = Field(
        description="Day (UTC, as 2026-12-31) until which the file holds, at most a year ahead; needed with a contact."
    )
    policy: Annotated[str, Field(pattern="^https://")] | None = Field(
        description="Page that says how reports are handled."
    )
    languages: list[str] = Field(description="Languages that those who read the reports understand, as in RFC 5646.")


class Vault(Section):
    """HashiCorp Vault or OpenBao."""

    url: Address | None = Field(description="Its address; needed for names vault:PATH#FIELD.")
    namespace: str | None = Field(description="Namespace.")
    ca_file: str | None = Field(description="Certificates that are trusted; empty: those of the system.")
    login: Literal["token", "approle", "kubernetes"] = Field(description="How this process makes itself known.")
    login_path: str | None = Field(description="Where that login is mounted; empty: under its own name.")
    token: LocalReference | None = Field(description="Of the login token: env:NAME or file:/path.")
    role_id: str | None = Field(description="Of the login approle.")
    secret_id: LocalReference | None = Field(description="Of the login approle: env:NAME or file:/path.")
    role: str | None = Field(description="Of the login kubernetes.")
    jwt_file: str = Field(description="Token of the service account, for the login kubernetes.")


class Aws(Section):
    """AWS Secrets Manager."""

    region: str | None = Field(description="Region; empty: that of the environment.")
    endpoint: Address | None = Field(description="Endpoint; empty: AWS.")
    access_key: LocalReference | None = Field(
        description="Access key: env:NAME or file:/path; empty: the identity of the machine."
    )
    secret_key: LocalReference | None = Field(description="Its secret: env:NAME or file:/path.")


class Secrets(Section):
    """Where secrets are that other keys name (docs/secrets.md), and for how long they are kept in memory."""

    lifetime: Seconds = Field(description="A secret is read anew after this, s.")
    keep: float = Field(
        gt=0, le=30 * 86_400, description="The last known one is used at most for so long, s; then the process ends."
    )
    patience: Seconds = Field(description="Time that a store has for one answer, s.")
    attempts: int = Field(ge=1, le=20, description="How often a store that is away is asked at the start.")
    vault: Vault
    aws: Aws


class Database(Section):
    """PostgreSQL. Without a URL the embedded server of `make run` is used."""

    url: SecretStr | None = Field(description="postgresql://role:password@host:port/name of the restricted role.")
    owner_url: SecretStr | None = Field(description="The same database as the role that owns it; used to migrate.")
    password: SecretStr | None = Field(description="Password of the role in url, in place of the one there.")
    owner_password: SecretStr | None = Field(
        description="Password of the role in owner_url, in place of the one there."
    )
    role: Literal["app", "owner"] = Field(description="Which of the two roles this process connects as.")
    pool: bool = Field(description="Keep connections in a pool; manage.py commands do not.")
    pool_size: int = Field(ge=1, le=200, description="Most connections of one process.")
    pool_timeout: Seconds = Field(description="Wait for a free connection before an error, s.")
    statement_timeout: Seconds = Field(description="A statement that runs longer is cancelled, s.")


class Valkey(Section):
    """Valkey or Redis: broker, live transport and cache. Without a URL the embedded server is used."""

    url: SecretStr | None = Field(description="redis://:password@host:port/db")
    password: SecretStr | None = Field(description="Password, in place of the one in url.")


class Worker(Section):
    """Celery workers: one task per run."""

    processes: int = Field(ge=1, le=256, description="Runs that one worker executes at the same time.")
    spares: int = Field(ge=0, le=64, description="Processes kept warm with torch imported, each waiting for one run.")
    canary: Seconds = Field(description="Time between proofs that an idle worker still takes messages, s.")
    memory: int = Field(ge=2**26, description="Memory one run may take on top of its idle process, bytes (Linux).")
    visibility_timeout: Seconds = Field(
        description="Unacknowledged messages come again after this, s. Only a hint: the lease decides."
    )


class Runs(Section):
    """How runs are leased, watched and swept."""

    lease: Seconds = Field(description="A worker that has not renewed for this long is lost, s.")
    renew: Seconds = Field(description="Time between renewals of the lease, s.")
    command_poll: Seconds = Field(description="Time between looks for cancel, pause and control commands, s.")
    sweep: Seconds = Field(description="Time between rounds of the sweeper, s.")
    torch_threads: int = Field(ge=1, le=256, description="CPU threads that one run may use.")
    checkpoint: Seconds = Field(description="Time between checkpoints of a run, s.")
    checkpoints: int = Field(ge=1, le=1000, description="Checkpoints kept of a run that is not over.")
    attempts: int = Field(
        ge=1, le=1000, description="Attempts that may die without having brought the run further; then it fails."
    )
    keep_days: int | None = Field(
        ge=1,
        le=36_500,
        description="Artifacts are kept for so long where a workspace says nothing, days; null: for ever.",
    )
    export_at_once: int = Field(ge=0, description="Exports of less than this are written while one waits, bytes.")


class Quotas(Section):
    """What one workspace may use. A plan over a limit is refused before it is queued."""

    active_runs: int = Field(ge=1, description="Queued and running runs at the same time.")
    nodes: int = Field(ge=1, description="Nodes of one graph.")
    memory: int = Field(ge=1, description="Estimated memory of the active runs together, bytes.")
    flops: float = Field(gt=0, description="Estimated floating-point operations of the active runs together.")
    ticks: int = Field(ge=1, description="Ticks of one run.")
    points: int = Field(ge=1, le=100_000, description="Points of one sweep, or iterations of one fit.")
    run_seconds: int = Field(ge=1, description="Time for which one run may hold a worker, in all its attempts, s.")
    compute_seconds: int = Field(
        ge=1, description="Time for which the runs of one calendar month (UTC) may hold workers together, s."
    )
    storage: int = Field(
        ge=0, description="Artifacts of a workspace, and what its active runs and exports may still add, bytes."
    )
    recording: int = Field(ge=0, description="What one run may record, bytes.")
    upload: int = Field(ge=1, description="Largest file that may be imported, bytes.")


class Workspaces(Section):
    """Tenants: how they end, how people come in, what they may use."""

    per_owner: int = Field(ge=1, le=1000, description="Workspaces that one person may own; each has its quotas.")
    grace_days: float = Field(ge=0.05, le=365, description="A deleted workspace can be restored for so long, days.")
    invitation_days: float = Field(gt=0, le=365, description="An invitation can be accepted for so long, days.")
    invitations_per_day: int = Field(
        ge=1, le=10_000, description="Invitations that one person, and that one workspace, may have mailed in a day."
    )
    plans: str = Field(
        description="Class that says which plan a workspace has (apps/workspaces/plans.py); the one that is shipped "
        "gives all of them the quotas above."
    )


class Webhooks(Section):
    """Messages to addresses that users choose."""

    per_workspace: int = Field(ge=0, le=1000, description="Webhooks of one workspace.")
    timeout: Seconds = Field(description="Time that a receiver has for one try, s.")
    retries: list[Seconds] = Field(description="Delays between the tries of one message, s; after the last it is lost.")
    poll: Seconds = Field(description="Time between looks for messages that are due, s.")
    keep_days: float = Field(gt=0, le=3650, description="Messages that are over are kept for so long, days.")
    insecure: bool = Field(
        description="Allow plain http, any port and addresses of private networks. For development only: it lets "
        "users reach what only the server can reach."
    )


class Live(Section):
    """The socket of a run."""

    silence: Seconds = Field(description="A client silent for longer is disconnected, s.")
    recheck: float = Field(gt=0, le=4, description="Between two looks whether who watches still may, s.")
    frame_rate: float = Field(gt=0, le=60, description="Most frames per second and port that a worker publishes.")
    stream_length: int = Field(ge=10, description="Messages kept in the Valkey stream of a run.")


class Storage(Section):
    """Checkpoints, results and exports."""

    backend: Literal["folder", "s3"] = Field(description="A folder under data_dir, or an S3 bucket.")
    bucket: str | None = Field(description="S3 bucket.")
    endpoint: str | None = Field(description="S3 endpoint; empty: AWS.")
    region: str | None = Field(description="S3 region.")
    access_key: SecretStr | None = Field(description="S3 access key; empty: the ambient identity.")
    secret_key: SecretStr | None = Field(description="S3 secret key.")


class Email(Section):
    """Outgoing e-mail."""

    backend: Literal["console", "smtp", "memory"] = Field(description="Where messages go.")
    sender: str = Field(description="From address.")
    host: str = Field(description="SMTP server.")
    port: Port = Field(description="SMTP port.")
    user: str | None = Field(description="SMTP user.")
    password: SecretStr | None = Field(description="SMTP password.")
    starttls: bool = Field(description="Upgrade the connection by STARTTLS.")


class Accounts(Section):
    """Sign-up and login."""

    open_signup: bool = Field(description="Whether anybody may make an account.")
    email_verification: Literal["none", "optional", "mandatory"] = Field(
        description="Whether an address must be confirmed."
    )
    reset_minutes: int = Field(
        ge=5, le=1440, description="The link of a mail by which a password is set anew opens for so long, min."
    )
    require_mfa: bool = Field(description="Nobody enters any workspace without two-step sign-in.")
    proof_minutes: int = Field(
        ge=1,
        le=1440,
        description="Before something dangerous people are asked for a code or the password this often, min.",
    )


class Console(Section):
    """The operators' admin."""

    path: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,59}$", description="Its place below the site, without slashes.")
    idle_minutes: int = Field(ge=1, le=480, description="Left alone for so long it asks for a code again, min.")
    session_minutes: int = Field(ge=5, le=1440, description="It asks for a code again after this at the latest, min.")
    impersonation_minutes: int = Field(
        ge=1, le=480, description="An operator acts in somebody's name for so long at most, min."
    )

    @field_validator("path")
    @classmethod
    def _is_free(cls, path: str) -> str:
        if path in TAKEN:
            raise ValueError(f"the site has pages below /{path}/ already")
        return path


class GoogleLogin(Section):
    """Signing in with Google; offered when there is a `client_id`."""

    issuer: str = Field(description="OpenID Connect issuer.")
    client_id: str | None = Field(description="Of the OAuth client.")
    client_secret: SecretReference | None = Field(description="The name of its secret (docs/secrets.md).")


class GithubLogin(Section):
    """Signing in with GitHub; offered when there is a `client_id`."""

    url: str = Field(pattern="^https?://[^/]+$", description="GitHub, or an Enterprise Server of one's own.")
    client_id: str | None = Field(description="Of the OAuth app.")
    client_secret: SecretReference | None = Field(description="The name of its secret (docs/secrets.md).")


class OidcLogin(Section):
    """Signing in with an OpenID Connect server."""

    id: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,39}$", description="Its name in addresses; never to be changed.")
    name: str = Field(min_length=1, max_length=40, description="What the button says.")
    issuer: str = Field(pattern="^https?://", description="Issuer, exactly as the server writes it.")
    client_id: str = Field(min_length=1, description="Of the OAuth client.")
    client_secret: SecretReference = Field(description="The name of its secret (docs/secrets.md).")


class Oauth(Section):
    """Other sites by which people sign in. Secrets are named here and kept elsewhere."""

    google: GoogleLogin
    github: GithubLogin
    oidc: list[OidcLogin] = Field(description="OpenID Connect servers; in a variable as JSON.")


class Limits(Section):
    """Request limits."""

    requests_per_minute: int = Field(ge=1, description="API requests of one API key or person per minute.")
    workspace_requests_per_minute: int = Field(ge=1, description="API requests in one workspace per minute.")
    request_bytes: int = Field(ge=1024, description="Largest body of a request, bytes; checked before it is parsed.")
    file_bytes: int = Field(
        ge=1024,
        description="Largest body of a request that brings a file, bytes; at least every plan's quotas.upload. It is "
        "read only of who has come with a key or a session.",
    )
    request_values: int = Field(
        ge=1000,
        description="Most values in the JSON of a request, about; their number is what costs time.",
    )


class Log(Section):
    """Structured logs on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(description="Least severe level written.")
    format: Literal["json", "text"] = Field(description="One JSON object per line, or text for people.")


class Sentry(Section):
    """Error reports; nothing is sent without a DSN."""

    dsn: SecretStr | None = Field(description="Data source name of the Sentry project.")
    traces: Fraction = Field(description="Share of requests traced.")


class Configuration(BaseSettings):
    """The whole configuration. Made by `config.layers.load`, which hands in the layers and their places."""

    model_config = SettingsConfigDict(strict=True, extra="forbid", frozen=True)

    environment: Environment = Field(description="Chosen by ATTRACTOR_ENV.")
    debug: bool = Field(description="Django's debug pages. Never in production.")
    data_dir: str = Field(description="Folder of the embedded services, keys and files; relative to the checkout.")
    web: Web
    secrets: Secrets
    security: Security
    security_txt: SecurityTxt
    database: Database
    valkey: Valkey
    worker: Worker
    runs: Runs
    quotas: Quotas
    workspaces: Workspaces
    webhooks: Webhooks
    live: Live
    storage: Storage
    email: Email
    accounts: Accounts
    console: Console
    oauth: Oauth
    limits: Limits
    log: Log
    sentry: Sentry

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the layers that `config.layers` hands in: pydantic's own sources keep no places."""
        return (init_settings,)
