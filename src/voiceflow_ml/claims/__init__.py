"""Performance claims in documents: found, bound to results, judged, and written from them."""
