"""How long organizations keep their history."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_name_api_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='organization',
            name='attempt_retention_days',
            field=models.IntegerField(blank=True, db_default=30, default=30, help_text='Days after the end of their run that attempts which did not end their task are kept, at most as long as the run. Empty: as long as the run.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)], verbose_name='keep attempts for (days)'),
        ),
        migrations.AddField(
            model_name='organization',
            name='log_retention_days',
            field=models.IntegerField(blank=True, db_default=30, default=30, help_text='Days after the end of their run that log lines are kept, at most as long as the run. Empty: as long as the run.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)], verbose_name='keep log lines for (days)'),
        ),
        migrations.AddField(
            model_name='organization',
            name='run_retention_days',
            field=models.IntegerField(blank=True, db_default=90, default=90, help_text='Days after its end that a run is kept, with its tasks, attempts and log lines. Empty: for ever.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)], verbose_name='keep runs for (days)'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('run_retention_days__range', (1, 36500))), name='organization_run_retention_days_is_a_time'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('attempt_retention_days__range', (1, 36500))), name='organization_attempt_retention_days_is_a_time'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('log_retention_days__range', (1, 36500))), name='organization_log_retention_days_is_a_time'),
        ),
    ]
