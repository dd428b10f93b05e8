"""How runs end, and what of their tasks counts for it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0015_find_what_begins_later'),
    ]

    operations = [
        migrations.AddField(
            model_name='taskexecution',
            name='continue_on_error',
            field=models.BooleanField(db_default=False, help_text='Whether it may fail without failing the run and what needs it.'),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='outcome',
            field=models.TextField(blank=True, db_default='', help_text='The status it will end with; empty before that is decided.'),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='outcome_reason',
            field=models.TextField(blank=True, db_default='', help_text='The reason it will end with.'),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='section',
            field=models.TextField(db_default='tasks', help_text='What runs: its own tasks, or which of its hooks.'),
        ),
        migrations.AddField(
            model_name='taskexecution',
            name='section',
            field=models.TextField(db_default='tasks', help_text='Which part of the definition it stands in: tasks, or some hooks.'),
        ),
    ]
