from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0008_traces'),
    ]

    operations = []
