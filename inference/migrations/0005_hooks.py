import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import inference.ids


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0004_private_and_kept'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Hook',
            fields=[
                ('id', models.UUIDField(default=inference.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('url', models.CharField(blank=True, max_length=2000)),
                ('secret', models.BinaryField(help_text='encrypted with a key made from SECRET_KEY')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('failures', models.SmallIntegerField(default=0, help_text='attempts since its server answered')),
                ('retry_at', models.DateTimeField(blank=True, help_text='nothing is sent before', null=True)),
                ('disabled_at', models.DateTimeField(blank=True, help_text='its server said 410 Gone', null=True)),
                ('deleted_at', models.DateTimeField(blank=True, null=True)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='hooks', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=inference.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('event', models.CharField(max_length=64)),
                ('about', models.CharField(blank=True, help_text='told of once; empty: any number', max_length=64)),
                ('body', models.JSONField()),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('delivered', 'delivered'), ('failed', 'failed')], default='waiting', max_length=16)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('due_at', models.DateTimeField()),
                ('give_up_at', models.DateTimeField()),
                ('attempts', models.SmallIntegerField(default=0)),
                ('lease', models.UUIDField(blank=True, null=True)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('last_attempt_at', models.DateTimeField(blank=True, null=True)),
                ('last_status', models.SmallIntegerField(blank=True, help_text='what HTTP said', null=True)),
                ('last_error', models.CharField(blank=True, max_length=200)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('hook', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='inference.hook')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
            },
        ),
        migrations.AddField(
            model_name='execution',
            name='hook',
            field=models.ForeignKey(blank=True, db_index=False, help_text='who is told when it ends', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='inference.hook'),
        ),
        migrations.AddConstraint(
            model_name='hook',
            constraint=models.CheckConstraint(condition=models.Q(('deleted_at__isnull', True), models.Q(('secret', b''), ('url', '')), _connector='OR'), name='hook_deleted_keeps_nothing'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'waiting')), fields=['due_at'], name='delivery_due'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['hook', '-id'], name='delivery_of_hook'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state', 'waiting'), _negated=True), fields=['ended_at'], name='delivery_ended'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(condition=models.Q(('about', ''), _negated=True), fields=('hook', 'event', 'about'), name='delivery_once'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), ('ended_at__isnull', False)), _connector='OR'), name='delivery_ended_has_end'),
        ),
    ]
