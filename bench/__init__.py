"""The benchmark program: `python -m bench`. It knows the product only from outside, by its command and by SMTP."""
