"""A self-hosted mailing-list manager for announcement lists. `docs/design.md` maps the rooms."""

__version__ = "0.1.0"
