"""What other memories wrote, as observations: one file per source. Nothing of them is needed but the file."""
