"""Signals that were sent to runs, and what was decided about tasks that waited for it."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import maestro.core.indexes


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_history_retention'),
        ('workflows', '0011_say_what_is_awaited'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RunSignal',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.organization')),
                ('run', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='signals', to='workflows.workflowrun')),
                ('name', models.TextField()),
                ('payload', models.JSONField(null=True)),
                ('key', models.TextField(blank=True, default='', help_text="The sender's own id of it: the same signal sent again is known by it.")),
                ('user', models.ForeignKey(db_index=False, help_text='Who sent it.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('task_execution', models.ForeignKey(db_index=False, help_text='The task that took it.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='workflows.taskexecution')),
                ('taken_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'run_signals',
                'constraints': [models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('run', 'key'), name='run_signal_key_is_unique')],
                'indexes': [
                    maestro.core.indexes.LongNameIndex(fields=['run', 'id'], name='idx_run_signals_run'),
                    maestro.core.indexes.LongNameIndex(condition=models.Q(('taken_at__isnull', True)), fields=['run'], name='idx_run_signals_untaken'),
                    maestro.core.indexes.LongNameIndex(condition=models.Q(('task_execution__isnull', False)), fields=['task_execution'], name='idx_run_signals_task'),
                ],
            },
        ),
        migrations.CreateModel(
            name='ApprovalDecision',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('organization', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.organization')),
                ('task_execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='decisions', to='workflows.taskexecution')),
                ('claim_token', models.UUIDField(help_text='Of the attempt that parked the task: by it the wait is known.')),
                ('outcome', models.TextField(help_text='approved or rejected.')),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('email', models.TextField(help_text='Who decided, should the user be gone.')),
                ('comment', models.TextField(blank=True, default='')),
                ('form', models.JSONField(default=dict)),
                ('decided_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'approval_decisions',
                'constraints': [models.UniqueConstraint(fields=('task_execution', 'claim_token'), name='approval_decision_is_unique')],
            },
        ),
        migrations.AddIndex(
            model_name='taskexecution',
            index=maestro.core.indexes.LongNameIndex(condition=models.Q(('reason', 'approval'), ('status', 'waiting')), fields=['organization', 'id'], name='idx_task_executions_approvals'),
        ),
    ]
