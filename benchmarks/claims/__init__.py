"""How well claims are found: precision and recall on a corpus of documents in the many ways people write them."""
