from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0004_private_and_kept'),
    ]

    operations = []
