"""Let a claim that the database has forgotten have the number of the one that followed it."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0009_find_what_is_overdue'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='taskattempt',
            index=models.Index(fields=['task_execution'], name='idx_task_attempts_task'),
        ),
        migrations.RemoveConstraint(
            model_name='taskattempt',
            name='task_attempt_is_unique',
        ),
        migrations.AddConstraint(
            model_name='taskattempt',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'fenced'), _negated=True), fields=('task_execution', 'attempt'), name='task_attempt_is_unique'),
        ),
    ]
