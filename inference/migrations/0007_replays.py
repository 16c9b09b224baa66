from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0006_schedules'),
    ]

    operations = []
