"""Where memories live: one Ray actor per memory."""
