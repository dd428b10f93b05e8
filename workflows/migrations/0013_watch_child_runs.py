"""Indexes that find the runs whose end a task waits for."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0013_start_runs_by_tasks'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('is_awaited', True), ('status__in', ['running', 'pending'])), fields=['parent_task'], name='idx_workflow_runs_awaited'),
        ),
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('reason', 'child_run'), ('status', 'waiting')), fields=['child_run'], name='idx_task_executions_awaits_child'),
        ),
    ]
