"""Sources -> rows of text: what is named is found, opened, decoded and cut into documents."""
