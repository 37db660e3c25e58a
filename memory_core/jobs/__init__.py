"""Teaching memories whole corpora: what a job is, what it reads, how far it is. Knows no Ray."""
