"""From a study's results to the page that a person reads."""
