from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('runs', '0004_queue')]

    operations = [
        # Runs of before had no limit: the one that was the default when it came.
        migrations.AddField(
            model_name='run',
            name='max_seconds',
            field=models.PositiveIntegerField(
                default=86400,
                help_text='Time for which it may hold workers, in all attempts together; then it fails.',
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.CheckConstraint(
                condition=models.Q(('max_seconds__gte', 1)), name='runs_run_max_seconds'
            ),
        ),
        migrations.AddIndex(
            model_name='runattempt',
            index=models.Index(fields=['workspace', 'finished_at'], name='runs_runattempt_finished'),
        ),
    ]
