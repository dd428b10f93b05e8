"""How far history has been pruned."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_history_retention'),
        ('workflows', '0004_count_late_writes'),
    ]

    operations = [
        migrations.CreateModel(
            name='RetentionProgress',
            fields=[
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='accounts.organization')),
                ('lines_pruned_until', models.DateTimeField(help_text='Runs that ended up to then have no log lines left.', null=True)),
                ('attempts_pruned_until', models.DateTimeField(help_text='Runs that ended up to then have no attempts left.', null=True)),
            ],
            options={
                'db_table': 'retention_progress',
            },
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='pruned_at',
            field=models.DateTimeField(help_text='When pruning a large run began: nobody is shown the run any more.', null=True),
        ),
    ]
