"""When the first attempt of a task began, from which the time for all of them counts."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0006_find_old_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='taskexecution',
            name='first_started_at',
            field=models.DateTimeField(help_text='When the first attempt began.', null=True),
        ),
    ]
