"""People on a list: signing up, confirming, leaving, and the evidence of what they agreed to."""
