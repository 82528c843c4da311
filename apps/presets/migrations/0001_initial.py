import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Preset',
            fields=[
                ('id', models.SlugField(max_length=60, primary_key=True, serialize=False)),
                ('version', models.PositiveIntegerField()),
                ('title', models.CharField(max_length=160)),
                ('category', models.CharField(max_length=60)),
                ('tags', models.JSONField(default=list)),
                ('summary', models.TextField()),
                ('document', models.JSONField()),
                ('content_hash', models.CharField(help_text="Hash of the preset's graph.", max_length=80)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'ordering': ('category', 'title'),
            },
        ),
        migrations.CreateModel(
            name='AcceptanceVerdict',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tier', models.CharField(choices=[('quick', 'Quick'), ('full', 'Full')], max_length=5)),
                ('passed', models.BooleanField()),
                ('seeds', models.JSONField()),
                ('numbers', models.JSONField()),
                ('code_version', models.CharField(max_length=80)),
                ('graph_hash', models.CharField(max_length=80)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('preset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='verdicts', to='presets.preset')),
            ],
            options={
                'ordering': ('-at',),
                'indexes': [models.Index(fields=['preset', 'tier', '-at'], name='presets_verdict_latest')],
                'constraints': [models.CheckConstraint(condition=models.Q(('tier__in', ['quick', 'full'])), name='presets_verdict_tier')],
            },
        ),
    ]
