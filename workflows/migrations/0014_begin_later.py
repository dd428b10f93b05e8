"""When a run begins, if not at once, and by when it must be over."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0013_watch_child_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='workflowrun',
            name='start_at',
            field=models.DateTimeField(help_text='When it begins, if not at once.', null=True),
        ),
        migrations.AddField(
            model_name='workflowrun',
            name='deadline_at',
            field=models.DateTimeField(help_text='When it must be over, however late it began.', null=True),
        ),
    ]
