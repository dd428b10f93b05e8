"""Who cancelled a run."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0020_prefer_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='workflowrun',
            name='cancelled_by',
            field=models.TextField(blank=True, db_default='', help_text='E-mail address of who cancelled it, or its hooks.'),
        ),
    ]
