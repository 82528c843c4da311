import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0003_profile"),
    ]

    operations = [
        migrations.AlterField(
            model_name="codefailures",
            name="kind",
            field=models.CharField(
                choices=[
                    ("totp", "Authenticator"),
                    ("recovery", "Recovery codes"),
                    ("passkey", "Passkeys"),
                    ("account", "Everything together"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="Passkey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="The human-readable name of this device.",
                        max_length=64,
                    ),
                ),
                (
                    "confirmed",
                    models.BooleanField(
                        default=True, help_text="Is this device ready for use?"
                    ),
                ),
                (
                    "credential_id",
                    models.BinaryField(
                        help_text="By which browsers find it.",
                        max_length=1023,
                        unique=True,
                    ),
                ),
                ("public_key", models.BinaryField(help_text="COSE_Key.")),
                (
                    "rp_id",
                    models.CharField(
                        help_text="Host for which it was made; it answers for no other.",
                        max_length=253,
                    ),
                ),
                (
                    "sign_count",
                    models.BigIntegerField(
                        help_text="How often it has signed, as it says itself; 0: it does not count."
                    ),
                ),
                (
                    "synced",
                    models.BooleanField(
                        help_text="Whether it may be on several devices."
                    ),
                ),
                (
                    "transports",
                    models.JSONField(default=list, help_text="How browsers reach it."),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False
                    ),
                ),
                ("last_used_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="PasskeyChallenge",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("session_key", models.CharField(max_length=40, unique=True)),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("add", "Adding a passkey"),
                            ("sign-in", "Signing in"),
                            ("prove", "Proving to be still there"),
                        ],
                        max_length=7,
                    ),
                ),
                ("value", models.BinaryField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]
