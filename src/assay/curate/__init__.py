"""What models say of documents: is it like good text, is it like other text, does another one say the same."""
