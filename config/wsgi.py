"""What gunicorn serves."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

from config.env import prepare

prepare()
application = get_wsgi_application()
