"""Indexes that find what is due without meeting all that is paused, in the place of those that do."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('workflows', '0021_keep_who_cancelled'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('hold', 0), ('status', 'waiting')), fields=['wake_at'], name='idx_task_executions_due'),
        ),
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('reason', 'celery'), ('status', 'waiting')), fields=['wake_at'], name='idx_task_executions_calls'),
        ),
        RemoveIndexConcurrently(model_name='taskexecution', name='idx_task_executions_wake'),
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('expires_at__isnull', False), ('status', 'running')), fields=['expires_at'], name='idx_task_executions_overdue_attempts'),
        ),
        AddIndexConcurrently(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(models.Q(('hold', 0), ('reason', 'celery'), _connector='OR'), ('expires_at__isnull', False), ('status', 'waiting')), fields=['expires_at'], name='idx_task_executions_overdue_waits'),
        ),
        RemoveIndexConcurrently(model_name='taskexecution', name='idx_task_executions_expires'),
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('hold', 0), ('start_at__isnull', False), ('status', 'pending')), fields=['start_at'], name='idx_workflow_runs_due'),
        ),
        AddIndexConcurrently(
            model_name='workflowrun',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('deadline_at__isnull', False), ('status', 'pending')), fields=['deadline_at'], name='idx_workflow_runs_deadline'),
        ),
        RemoveIndexConcurrently(model_name='workflowrun', name='idx_workflow_runs_delayed'),
    ]
