"""`mailer db …`: Flask-Migrate's group inside our application."""

from flask.cli import ScriptInfo
from flask_migrate.cli import db as command

from mailer.app import create_app

command.context_settings = {**command.context_settings, "obj": ScriptInfo(create_app=create_app)}
command.help = "Migrations (Flask-Migrate's commands)."
