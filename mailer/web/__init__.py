"""Pages and API: each view calls one verb and shows a page. No query and no mail in here."""

from flask import Flask

from mailer.errors import ProofWanted, TooMany
from mailer.web import about, api, archive, health, leaving, managing, pages, proving, signing_up, visitors


def register(app: Flask) -> None:
    for blueprint in (
        pages.site,
        signing_up.site,
        leaving.site,
        managing.site,
        archive.site,
        about.site,
        health.site,
        api.site,
    ):
        app.register_blueprint(blueprint)
    app.register_error_handler(ProofWanted, proving.ask_for_proof)
    app.register_error_handler(TooMany, proving.refuse)
    app.before_request(visitors.name_request)
    app.teardown_request(visitors.forget_request)
    app.after_request(pages.secure)
    app.context_processor(pages.furniture)
    app.jinja_env.globals["form_stamp"] = visitors.stamp
