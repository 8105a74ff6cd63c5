"""Pages and API: each view calls one verb and shows a page. No query and no mail in here."""

from flask import Flask

from mailer.web import about, api, archive, leaving, managing, pages, signing_up


def register(app: Flask) -> None:
    for blueprint in (pages.site, signing_up.site, leaving.site, managing.site, archive.site, about.site, api.site):
        app.register_blueprint(blueprint)
    app.after_request(pages.secure)
    app.context_processor(pages.furniture)
