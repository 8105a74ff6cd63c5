"""A throw-away instance that does everything for real: the site, a database, SMTP to a catcher in the same process."""
