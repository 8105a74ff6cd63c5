"""Letters as bytes: rendered from templates, built by the mail standards, cut at the slots that differ per person."""
