# One image for the site, the sender and every command: `docker build -t mailer .`
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY mailer mailer
COPY templates templates
COPY migrations migrations
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[celery]" "gunicorn>=23"

FROM python:3.13-slim
RUN --mount=from=build,source=/wheels,target=/wheels pip install --no-cache-dir --no-index --find-links /wheels "mailer[celery]" gunicorn \
    && useradd --create-home --home-dir /srv/list mailer \
    && install --directory --owner mailer --group mailer --mode 700 /srv/list/journal
COPY docs/gunicorn.conf.py /srv/list/gunicorn.conf.py
WORKDIR /srv/list
USER mailer
ENV PYTHONUNBUFFERED=1
EXPOSE 8000
# Journals lie here; on a volume, a sender that is killed leaves as little in doubt as elsewhere.
VOLUME /srv/list/journal
CMD ["gunicorn", "--config", "gunicorn.conf.py", "--bind", "0.0.0.0:8000", "mailer.app:create_app()"]
