"""Commands of those who write papers: tables of comparisons, published numbers beside one's own."""
