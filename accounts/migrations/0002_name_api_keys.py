"""How the admin calls an API key; changes nothing in the database."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AlterModelOptions(name='apikey', options={'verbose_name': 'API key'}),
    ]
