"""What a task waits for."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0010_number_forgotten_claims'),
    ]

    operations = [
        migrations.AddField(
            model_name='taskexecution',
            name='waits_for',
            field=models.JSONField(help_text='What its latest wait is about; what there is depends on it.', null=True),
        ),
    ]
