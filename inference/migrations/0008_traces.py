from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0007_replays'),
    ]

    operations = []
