"""People."""

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django_otp.models import Device

if TYPE_CHECKING:
    from apps.workspaces.models import ApiKey


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address, always stored in lower case."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A saved user. Without a password the account can be entered by a reset mail only."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A saved user who may do everything in the admin."""
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=self.normalize_email(username))


class Theme(models.TextChoices):
    """How pages look."""

    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by the e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    time_zone = models.CharField(max_length=60, default="UTC", help_text="In which pages say times (IANA name).")
    theme = models.CharField(max_length=5, blank=True, choices=Theme.choices, help_text="Empty: as the system has it.")
    deleted_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="The person is gone; the row stands for who did what in workspaces of others.",
    )
    mfa_since = models.DateTimeField(
        null=True, editable=False, help_text="Since when a second factor is asked for; empty: it is not."
    )

    # The API key that this person's request came with; what is done with one is bounded by it.
    api_key: "ApiKey | None" = None
    # By which impersonation an operator acts in this person's name in the session that this was read for.
    impersonation_id: "uuid.UUID | None" = None

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = (
            # Two spellings of one address are one person.
            models.CheckConstraint(name="accounts_user_email_lower", condition=models.Q(email=Lower("email"))),
        )

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = UserManager.normalize_email(self.email)

    def get_full_name(self) -> str:
        """The name shown to others: what the person gave, or else the e-mail's local part."""
        return self.name or self.email.partition("@")[0]

    def get_short_name(self) -> str:
        return self.get_full_name()


class Session(AbstractBaseSession):
    """A browser's session; who is signed in by it, since when and from where. See `sessions`."""

    id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False, help_text="To be named by; no secret.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    seen_at = models.DateTimeField(default=timezone.now, editable=False, help_text="To the minute.")
    address = models.GenericIPAddressField(null=True, help_text="From where it was last seen.")
    agent = models.CharField(max_length=300, blank=True, help_text="The browser as it names itself.")

    objects: ClassVar[BaseSessionManager["Session"]] = BaseSessionManager()  # type: ignore[assignment]

    @classmethod
    def get_session_store_class(cls) -> type:
        from apps.accounts.sessions import SessionStore

        return SessionStore

    def save(self, *args: Any, **kwargs: Any) -> None:
        # A store knows what it keeps and nothing of the other columns: it must not write their defaults over them.
        if kwargs.get("force_update") and "update_fields" not in kwargs:
            kwargs["update_fields"] = ["session_data", "expire_date", "user"]
        super().save(*args, **kwargs)


class TotpDevice(Device):  # type: ignore[misc]  # django-otp is not typed
    """A person's authenticator app (RFC 6238: SHA-1, six digits, steps of 30 s); one that is confirmed, and one that is
    being set up. See `apps.accounts.mfa`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255, help_text="The secret, sealed.")
    last_step = models.BigIntegerField(default=-1, help_text="Of the newest code that was taken.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "confirmed"], name="accounts_totpdevice_one_of_each"),)


class Passkey(Device):  # type: ignore[misc]  # django-otp is not typed
    """A person's passkey (WebAuthn): what it signs with stays in the authenticator, here is what checks it. See
    `apps.accounts.mfa.passkeys`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    credential_id = models.BinaryField(max_length=1023, unique=True, help_text="By which browsers find it.")
    public_key = models.BinaryField(help_text="COSE_Key.")
    rp_id = models.CharField(max_length=253, help_text="Host for which it was made; it answers for no other.")
    sign_count = models.BigIntegerField(help_text="How often it has signed, as it says itself; 0: it does not count.")
    synced = models.BooleanField(help_text="Whether it may be on several devices.")
    transports = models.JSONField(default=list, help_text="How browsers reach it.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True)


class PasskeyChallenge(models.Model):
    """What a passkey is to sign: for one person, in one session, for one purpose, once. See `mfa.challenges`."""

    class Purpose(models.TextChoices):
        ADD = "add", "Adding a passkey"
        SIGN_IN = "sign-in", "Signing in"
        PROVE = "prove", "Proving to be still there"

    session_key = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=7, choices=Purpose.choices)
    value = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"challenge for {self.purpose}"


class RecoveryCode(models.Model):
    """A code for who has lost the authenticator, good once. Only a hash of it is kept; see `mfa.recovery`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class CodeFailures(models.Model):
    """Wrong codes in a row, for one kind of code and for all of a person's together; see `mfa.patience`."""

    class Kind(models.TextChoices):
        TOTP = "totp", "Authenticator"
        RECOVERY = "recovery", "Recovery codes"
        PASSKEY = "passkey", "Passkeys"
        ACCOUNT = "account", "Everything together"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "kind"], name="accounts_codefailures_once"),)

    def __str__(self) -> str:
        return f"{self.count} of {self.kind}"


class AccountEvent(models.Model):
    """What was done with an account: written once, kept until the account is deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    action = models.CharField(max_length=60)
    data = models.JSONField(default=dict)
    address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = (models.Index(fields=["user", "-at"], name="accounts_event_at"),)

    def __str__(self) -> str:
        return self.action
