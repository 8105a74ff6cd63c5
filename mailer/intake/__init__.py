"""Mail that comes in. All it can do is leave: by the token in the address it was sent to, or in the subject that older
letters gave it. Nothing here ever answers a mail, so there is no loop and nobody is written to in somebody else's name.

`reading` makes of any bytes what matters of a mail, `taking` does what it asks for, `lmtp` listens. Whatever else may
come in one day (returned mail, complaints) is told apart in `taking`.
"""
